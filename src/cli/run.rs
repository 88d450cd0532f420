//! `portcullis run`: the proxy.

use std::io;
use std::path::Path;
use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::load::{Refused, load_tested};
use super::{CliError, Exit};
use crate::config::{Snapshot, Warnings};

use crate::log::access::{AccessLog, Spool};
use crate::log::program::ProgramLog;
use crate::reload::{self, Reloader};
use crate::server::{Server, Stop};

/// Runs until SIGTERM or SIGINT.
pub(super) fn run(file: &Path) -> Result<Exit, CliError> {
    let (snapshot, warnings) = match load_tested(file) {
        Ok(loaded) => loaded,
        Err(refused) => {
            eprintln!("{refused}");
            return Ok(Exit::Config);
        }
    };
    let program_log = ProgramLog::start(&snapshot.log).map_err(CliError::Log)?;
    tell(&warnings);
    let access_log = open_access_log(&snapshot)?;
    let policy = Arc::new(ArcSwap::from_pointee(snapshot));
    // Before anything is served, so that no signal is missed.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| CliError::Io("start the runtime for signals", error))?;
    let signals = {
        let _inside = runtime.enter();
        Signals::new().map_err(|error| CliError::Io("listen for signals", error))?
    };
    let server = Server::start(&policy, &access_log.spool())?;
    started(file, &policy.load(), &server);
    let reloader = reloader(file, &policy, program_log, access_log.spool());
    let watcher = reload::start(reloader)
        .map_err(|error| CliError::Io("start the thread that watches files", error))?;
    let stop = server.stop().clone();
    // The thread ends with the process; it only waits for signals.
    std::thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || runtime.block_on(signals.obey(&watcher, &stop)))
        .map_err(|error| CliError::Io("start the thread for signals", error))?;
    server.wait();
    tracing::info!(lines_lost = access_log.lost(), "stopped");
    Ok(Exit::Done)
}

/// The access log of `snapshot`, opened.
pub(super) fn open_access_log(snapshot: &Snapshot) -> Result<AccessLog, CliError> {
    AccessLog::start(&snapshot.log.access).map_err(CliError::AccessLog)
}

/// Logs the warnings of a configuration that comes into force.
fn tell(warnings: &Warnings) {
    for warning in warnings.iter() {
        tracing::warn!("{}", warning.summary());
    }
}

/// The one line at start: what listens, which policy, the database's date.
fn started(file: &Path, snapshot: &Snapshot, server: &Server) {
    let addresses: Vec<String> = server.addresses().iter().map(ToString::to_string).collect();
    let built = snapshot
        .routes
        .iter()
        .filter_map(|route| route.rules.geo())
        .next();
    let built = built.map_or_else(
        || "none".to_owned(),
        |geo| {
            let built = std::time::Duration::from_secs(geo.database().build_epoch());
            httpdate::fmt_http_date(std::time::UNIX_EPOCH + built)
        },
    );
    tracing::info!(
        listening = addresses.join(" "),
        policy = %file.display(),
        routes = snapshot.routes.len(),
        tests_passed = snapshot.tests.len(),
        country_database = built,
        cache = "none",
        "started"
    );
}

fn reloader(
    file: &Path,
    policy: &Arc<ArcSwap<Snapshot>>,
    program_log: ProgramLog,
    spool: Spool,
) -> Reloader<Refused> {
    let file = file.to_owned();
    let load = move || {
        let (snapshot, warnings) = load_tested(&file)?;
        tell(&warnings);
        Ok(snapshot)
    };
    let swapped = move |snapshot: &Snapshot| {
        program_log.set(&snapshot.log);
        spool.reopen(&snapshot.log.access);
    };
    Reloader::new(Arc::clone(policy), Box::new(load), Box::new(swapped))
}

/// The signals that mean something to the proxy.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// SIGHUP reloads and reopens the log; the first SIGTERM or SIGINT
    /// drains, the second ends at once.
    async fn obey(mut self, watcher: &reload::Handle, stop: &Stop) {
        let mut draining = false;
        loop {
            tokio::select! {
                _ = self.hangup.recv() => watcher.reload(),
                _ = self.terminate.recv() => stop_again(&mut draining, stop),
                _ = self.interrupt.recv() => stop_again(&mut draining, stop),
            }
        }
    }
}

fn stop_again(draining: &mut bool, stop: &Stop) {
    if std::mem::replace(draining, true) {
        tracing::warn!("a second signal: ending at once");
        stop.now();
    } else {
        tracing::info!("stopping: requests in flight are finished first");
        stop.drain();
    }
}
