//! `portcullis run`: the proxy.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;

use super::load::{Refused, load_tested};
use super::signals::Signals;
use super::{CliError, Exit};
use crate::admin::{self, Admin, Subject};
use crate::config::{Snapshot, Warnings, written_size};
use crate::log::access::{AccessLog, Opened, Spool};
use crate::log::program::ProgramLog;
use crate::reload::{self, Commit, Reloader};
use crate::server::Server;

/// Runs until SIGTERM or SIGINT.
pub(super) fn run(file: &Path) -> Result<Exit, CliError> {
    let signals = Signals::listen()?;
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
    let admin = policy.load().admin.listen.map(Admin::bind).transpose()?;
    let server = Server::start(&policy, &access_log.spool())?;
    let reloader = reloader(file, &policy, program_log, access_log.spool());
    let status = reloader.status().clone();
    let watcher = reload::start(reloader)
        .map_err(|error| CliError::Io("start the thread that watches files", error))?;
    let watcher = Arc::new(watcher);
    let stop = server.stop().clone();
    let subject = Subject {
        policy: Arc::clone(&policy),
        status,
        reload: Arc::clone(&watcher),
        counters: server.counters().clone(),
        spool: access_log.spool(),
        cache: server.cache().cloned(),
        draining: Box::new(move || stop.is_draining()),
    };
    // It answers until the last request is over.
    let admin = admin.map(|admin| admin.serve(subject)).transpose()?;
    let admin_at = admin.as_ref().map(admin::Running::address);
    // Before anybody is told that it runs: whoever stops it then loses nothing.
    signals.obey(server.stop().clone(), move || watcher.reload());
    started(file, &policy.load(), &server, admin_at);
    server.wait();
    drop(admin);
    let spool = access_log.spool();
    drop(access_log);
    tracing::info!(lines_lost = spool.lost(), "stopped");
    Ok(Exit::Done)
}

/// The access log of `snapshot`, opened.
pub(super) fn open_access_log(snapshot: &Snapshot) -> Result<AccessLog, CliError> {
    Ok(AccessLog::start(&snapshot.log.access)?)
}

/// Logs the warnings of a configuration that comes into force.
fn tell(warnings: &Warnings) {
    for warning in warnings.iter() {
        tracing::warn!("{}", warning.summary());
    }
}

/// The one line at start: what listens, which policy, the database's date, the
/// cache's bound.
fn started(file: &Path, snapshot: &Snapshot, server: &Server, admin: Option<SocketAddr>) {
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
        admin = admin.map_or_else(|| "off".to_owned(), |address| address.to_string()),
        policy = %file.display(),
        routes = snapshot.routes.len(),
        tests_passed = snapshot.tests.len(),
        country_database = built,
        cache = memory_bound(snapshot),
        "started"
    );
}

fn memory_bound(snapshot: &Snapshot) -> String {
    match snapshot.cache_memory {
        0 => "off".to_owned(),
        bytes => written_size(bytes),
    }
}

fn reloader(
    file: &Path,
    policy: &Arc<ArcSwap<Snapshot>>,
    program_log: ProgramLog,
    spool: Spool,
) -> Reloader<Refused> {
    let file = file.to_owned();
    // Of what was loaded last; told once it comes into force.
    let warned = Arc::new(Mutex::new(Warnings::default()));
    let loaded = Arc::clone(&warned);
    let load = move || {
        let (snapshot, warnings) = load_tested(&file)?;
        *locked(&loaded) = warnings;
        Ok(snapshot)
    };
    let prepare = move |snapshot: &Snapshot| -> Result<Commit, Refused> {
        let warnings = std::mem::take(&mut *locked(&warned));
        let opened = Opened::new(&snapshot.log.access)?;
        let (program_log, spool) = (program_log.clone(), spool.clone());
        let settings = snapshot.log.clone();
        Ok(Box::new(move || {
            program_log.set(&settings);
            spool.go_over_to(opened);
            tell(&warnings);
        }))
    };
    Reloader::new(Arc::clone(policy), Box::new(load), Box::new(prepare))
}

fn locked(warned: &Mutex<Warnings>) -> MutexGuard<'_, Warnings> {
    // Every writer leaves it whole.
    warned.lock().unwrap_or_else(PoisonError::into_inner)
}
