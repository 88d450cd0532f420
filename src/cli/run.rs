//! `portcullis run`: the proxy.

use std::error::Error as _;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;

use super::complain::complain;
use super::hand_over::{Elder, Heir, Retire};
use super::load::{Refused, load_tested, load_tested_again};
use super::manager::Manager;
use super::signals::{Obeyed, Signals};
use super::{CliError, Exit};
use crate::admin::{self, Admin, AdminError, Shadows, Subject};
use crate::config::{Snapshot, Warnings, written_size};
use crate::log::access::{AccessLog, Opened, Spool};
use crate::log::program::ProgramLog;
use crate::reload::{self, Commit, Reloader, Step, Told};
use crate::server::{Bound, Passed, Server, Use};

/// The admin listener, for as long as it is this process's matter.
type SharedAdmin = Arc<Mutex<Option<admin::Running>>>;

/// What runs.
struct Running {
    server: Server,
    admin: SharedAdmin,
    access_log: AccessLog,
    manager: Manager,
    elder: Elder,
    /// The addresses that did not have to be bound.
    taken: Vec<String>,
}

/// Why nothing runs.
enum NotStarted {
    Refused(Refused),
    Failed(CliError),
}

impl<E: Into<CliError>> From<E> for NotStarted {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

/// Runs until SIGTERM or SIGINT, or until another process has taken over.
pub(super) fn run(file: &Path) -> Result<Exit, CliError> {
    let (heir, given) = Heir::find()?;
    // Before there is any thread.
    let passed = match given {
        Some(given) => given,
        None => Passed::by_systemd()?,
    };
    match start(file, passed) {
        Ok(running) => {
            running.relieve(&heir);
            running.finish();
            Ok(Exit::Done)
        }
        Err(NotStarted::Refused(refused)) => {
            heir.failed(&refused.to_string());
            complain(refused);
            Ok(Exit::Config)
        }
        Err(NotStarted::Failed(error)) => {
            heir.failed(&with_causes(&error));
            Err(error)
        }
    }
}

fn start(file: &Path, mut passed: Passed) -> Result<Running, NotStarted> {
    let signals = Signals::listen()?;
    let (snapshot, warnings) = load_tested(file).map_err(NotStarted::Refused)?;
    let program_log = ProgramLog::start(&snapshot.log).map_err(CliError::OwnLog)?;
    tell(&warnings);
    let access_log = open_access_log(&snapshot)?;
    let policy = Arc::new(ArcSwap::from_pointee(snapshot));
    let admin = policy.load().admin.listen;
    let admin = admin.map(|address| listen_for_admin(address, &mut passed));
    let (admin, admin_socket) = admin.transpose()?.unzip();
    let server = Server::start_on(&policy, &access_log.spool(), &mut passed)?;
    let admin_name = admin_socket.map(|bound| {
        let name = bound.address.clone();
        server.stop().keep(bound);
        name
    });
    let manager = Manager::find(server.listens_on());
    let shadows = Shadows::new(server.counters().clone(), &policy.load());
    let shadows = Arc::new(shadows);
    let spool = access_log.spool();
    let reloader = reloader(file, &policy, program_log, spool, Arc::clone(&shadows));
    let reloader = reloader.telling(telling(manager.clone()));
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
        shadows,
        spool: access_log.spool(),
        cache: server.cache().cloned(),
        draining: Box::new(move || stop.is_draining()),
    };
    // It answers until the last request is over.
    let admin = admin.map(|admin| admin.serve(subject)).transpose()?;
    let admin_at = admin.as_ref().map(admin::Running::address);
    let admin = SharedAdmin::new(Mutex::new(admin));
    let retire = retire(admin_name, Arc::clone(&admin));
    let running = Running {
        elder: Elder::new(server.stop().clone(), manager.clone(), retire),
        server,
        admin,
        access_log,
        manager,
        taken: passed.taken().to_vec(),
    };
    // Before anybody is told that it runs: whoever stops it then loses nothing.
    signals.obey(running.obeyed(watcher));
    started(file, &policy.load(), &running.server, admin_at);
    Ok(running)
}

impl Running {
    /// What signals do.
    fn obeyed(&self, watcher: Arc<reload::Handle>) -> Obeyed {
        let (manager, elder) = (self.manager.clone(), self.elder.clone());
        Obeyed {
            stop: self.server.stop().clone(),
            on_stop: Box::new(move || manager.stopping()),
            on_hangup: Box::new(move || watcher.reload()),
            on_hand_over: Box::new(move || elder.begin()),
        }
    }

    /// Tells all who wait for it that it serves.
    fn relieve(&self, heir: &Heir) {
        if let Err(error) = heir.serving(&self.taken) {
            tracing::error!("the process before was stopped, and so is this one: {error}");
            return self.server.stop().drain();
        }
        self.server.stop().inherit();
        self.manager.started();
    }

    fn finish(self) {
        self.server.wait();
        self.elder.wait();
        drop(locked(&self.admin).take());
        let spool = self.access_log.spool();
        drop(self.access_log);
        tracing::info!(lines_lost = spool.lost(), "stopped");
    }
}

/// Tells systemd how reloads go.
fn telling(manager: Manager) -> Told {
    Box::new(move |step| match step {
        Step::Begins => manager.reloading(),
        Step::Ended(outcome) => manager.reloaded(outcome),
    })
}

/// Leaves the admin listener, whose socket is `name`, to another process that
/// has that too.
fn retire(name: Option<String>, admin: SharedAdmin) -> Retire {
    Box::new(move |taken| {
        if name.as_ref().is_some_and(|name| taken.contains(name))
            && let Some(admin) = &*locked(&admin)
        {
            admin.retire();
        }
    })
}

/// The admin listener, and its socket for the next process.
fn listen_for_admin(
    address: SocketAddr,
    passed: &mut Passed,
) -> Result<(Admin, Bound), AdminError> {
    let failed = |source| AdminError::Bind { address, source };
    let given = passed.take(Use::Admin, &address).map_err(failed)?.pop();
    if let Some(bound) = given {
        let again = bound.try_clone().map_err(failed)?;
        let admin = Admin::on(TcpListener::from(again.socket)).map_err(failed)?;
        return Ok((admin, bound));
    }
    let admin = Admin::bind(address)?;
    let bound = Bound {
        address: Use::Admin.of(&address),
        socket: admin.socket().map_err(failed)?,
        unit: None,
        file: None,
    };
    Ok((admin, bound))
}

/// `error` and why, on one line.
fn with_causes(error: &CliError) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    text
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
    let addresses: Vec<String> = server
        .listens_on()
        .iter()
        .map(ToString::to_string)
        .collect();
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
    shadows: Arc<Shadows>,
) -> Reloader<Refused> {
    let file = file.to_owned();
    // Of what was loaded last; told once it comes into force.
    let warned = Arc::new(Mutex::new(Warnings::default()));
    let loaded = Arc::clone(&warned);
    let load = move || {
        let (snapshot, warnings) = load_tested_again(&file)?;
        *locked(&loaded) = warnings;
        Ok(snapshot)
    };
    let prepare = move |snapshot: &Snapshot| -> Result<Commit, Refused> {
        let warnings = std::mem::take(&mut *locked(&warned));
        let opened = Opened::new(&snapshot.log.access)?;
        let (program_log, spool) = (program_log.clone(), spool.clone());
        let settings = snapshot.log.clone();
        let (shadows, watching) = (Arc::clone(&shadows), Shadows::of(snapshot));
        Ok(Box::new(move || {
            program_log.set(&settings);
            spool.go_over_to(opened);
            shadows.follow(watching);
            tell(&warnings);
        }))
    };
    Reloader::new(Arc::clone(policy), Box::new(load), Box::new(prepare))
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Every writer leaves it whole.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
