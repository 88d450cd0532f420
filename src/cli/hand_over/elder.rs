//! The old process of a hand-over.

use std::ffi::OsString;
use std::io;
use std::process::{Child, Command, ExitStatus};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use super::wire::{Wire, Word};
use super::{PATIENCE, VARIABLE};
use crate::cli::manager::Manager;
use crate::server::Stop;

/// How long a process that has closed its end may take to end itself.
const LAST_BREATH: Duration = Duration::from_secs(5);

/// How often it is looked at meanwhile.
const STEP: Duration = Duration::from_millis(20);

/// What systemd passes to one process only.
const OF_SYSTEMD: [&str; 3] = ["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"];

/// Retires what also listens, if its address is among those that are taken.
pub(in crate::cli) type Retire = Box<dyn Fn(&[String]) + Send + Sync>;

/// This process, from which another may take over. Cheap to clone.
#[derive(Clone)]
pub(in crate::cli) struct Elder(Arc<State>);

struct State {
    stop: Stop,
    manager: Manager,
    retire: Retire,
    under_way: AtomicBool,
    /// The process that serves instead.
    heir: OnceLock<u32>,
    /// Held while the heir is left alone: the server may end at once.
    leaving: Mutex<()>,
}

/// Why this process goes on serving.
#[derive(Debug, thiserror::Error)]
enum HandOverError {
    #[error("this is process 1 of its container, which would end with it; start a second one")]
    First,
    #[error("{} cannot be started: {source}", program.display())]
    Start {
        program: OsString,
        source: io::Error,
    },
    #[error("the new process cannot be given the listeners: {0}")]
    Wire(#[from] io::Error),
    #[error("the new process does not start: {0}")]
    Failed(String),
    #[error("the new process has ended, with {0}")]
    Ended(ExitStatus),
    #[error("the new process does not serve within {} seconds, and is ended", PATIENCE.as_secs())]
    Slow,
    #[error("the new process cannot be understood; is it a Portcullis that can be handed over to?")]
    Misunderstood,
    #[error("this process was told to stop")]
    Stopping,
}

impl Elder {
    /// Of a server that is stopped by `stop`.
    pub(in crate::cli) fn new(stop: Stop, manager: Manager, retire: Retire) -> Self {
        Self(Arc::new(State {
            stop,
            manager,
            retire,
            under_way: AtomicBool::new(false),
            heir: OnceLock::new(),
            leaving: Mutex::default(),
        }))
    }

    /// Waits until all who have to know of a hand-over that has come about do:
    /// this process may end then.
    pub(in crate::cli) fn wait(&self) {
        drop(self.0.leaving());
    }

    /// Begins, on a thread of its own: signals are heard meanwhile.
    pub(in crate::cli) fn begin(&self) {
        let state = Arc::clone(&self.0);
        if let Some(heir) = state.heir.get() {
            return tracing::warn!("a second SIGUSR2 is ignored: process {heir} serves already");
        }
        if state.under_way.swap(true, Ordering::AcqRel) {
            return tracing::warn!("a second SIGUSR2 is ignored: a hand-over is under way");
        }
        let thread = std::thread::Builder::new().name("hand-over".to_owned());
        if let Err(error) = thread.spawn(move || state.run()) {
            self.0.under_way.store(false, Ordering::Release);
            self.0.failed(&error.into());
        }
    }
}

impl State {
    fn run(&self) {
        match self.attempt() {
            Ok(heir) => self.outlive(heir),
            Err(HandOverError::Stopping) => {
                tracing::warn!("no hand-over: {}", HandOverError::Stopping);
            }
            Err(error) => {
                self.failed(&error);
                self.under_way.store(false, Ordering::Release);
            }
        }
    }

    fn failed(&self, error: &HandOverError) {
        let told = format!("the hand-over FAILED, this process goes on serving: {error}");
        self.manager.handing_over(&told);
        tracing::error!("{told}");
    }

    /// Hands over to a new process.
    fn attempt(&self) -> Result<Child, HandOverError> {
        if std::process::id() == 1 {
            return Err(HandOverError::First);
        }
        // Before any new process, which would have to be ended.
        let sockets = self.stop.sockets()?;
        if self.stop.is_draining() {
            return Err(HandOverError::Stopping);
        }
        let (wire, mut heir) = start()?;
        tracing::info!(process = heir.id(), "a new process is to take over");
        self.manager.handing_over("a new process is to take over");
        let said = sockets
            .into_iter()
            .map(Word::Socket)
            .chain([Word::All])
            .try_for_each(|word| wire.say(&word));
        let heard = match said {
            // It has ended, perhaps not without a word.
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error),
            _ => wire.hear(),
        };
        let taken = match outcome(heard, &mut heir) {
            Ok(taken) => taken,
            Err(error) => {
                end(&mut heir);
                return Err(error);
            }
        };
        let _leaving = self.leaving();
        if !self.stop.hand_over(&taken) {
            // It serves, and drains once it hears no word from here.
            return Err(HandOverError::Stopping);
        }
        self.left_to(&heir, &wire, &taken);
        Ok(heir)
    }

    fn leaving(&self) -> MutexGuard<'_, ()> {
        self.leaving.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn left_to(&self, heir: &Child, wire: &Wire, taken: &[String]) {
        let _ = self.heir.set(heir.id());
        (self.retire)(taken);
        // Before the new one says anything: systemd listens to the main
        // process only.
        self.manager.main_is(heir.id());
        if let Err(error) = wire.say(&Word::Go) {
            tracing::error!("the process that took over does not listen: {error}");
        }
        tracing::info!(
            process = heir.id(),
            "handed over: requests in flight are finished here, new ones are served there"
        );
    }

    /// Tells if the new process ends before this one.
    fn outlive(&self, mut heir: Child) {
        if let Ok(status) = heir.wait() {
            tracing::error!("the process that took over has ended, with {status}");
        }
    }
}

/// Starts what is now where this program was, with the same arguments.
fn start() -> Result<(Wire, Child), HandOverError> {
    let (wire, other) = Wire::pair()?;
    wire.set_patience(PATIENCE)?;
    let mut arguments = std::env::args_os();
    // As it was called: where a symbolic link pointed then does not matter.
    let program = arguments.next().unwrap_or_default();
    let mut command = Command::new(&program);
    command
        .args(arguments)
        .env(VARIABLE, std::process::id().to_string())
        .stdin(other);
    for variable in OF_SYSTEMD {
        command.env_remove(variable);
    }
    match command.spawn() {
        Ok(heir) => Ok((wire, heir)),
        Err(source) => Err(HandOverError::Start { program, source }),
    }
}

/// The addresses on which the new process serves, by what was heard of it.
fn outcome(
    heard: io::Result<Option<Word>>,
    heir: &mut Child,
) -> Result<Vec<String>, HandOverError> {
    match heard {
        Ok(Some(Word::Serving(taken))) => Ok(taken),
        Ok(Some(Word::Failed(why))) => Err(HandOverError::Failed(why)),
        Ok(Some(_)) => Err(HandOverError::Misunderstood),
        Ok(None) => Err(ended(heir)),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Err(HandOverError::Slow),
        Err(error) => Err(error.into()),
    }
}

/// How a process ended that has closed its end.
fn ended(heir: &mut Child) -> HandOverError {
    match wait(heir) {
        Some(status) => HandOverError::Ended(status),
        None => HandOverError::Misunderstood,
    }
}

/// Ends it, unless it does so itself.
fn end(heir: &mut Child) {
    // One that has told why is about to; one that is slow, or says nothing
    // that makes sense, may be in the middle of anything.
    if wait(heir).is_none() {
        // Both fail only if it has ended.
        let _ = heir.kill();
        let _ = heir.wait();
    }
}

/// Waits for its end, but not for long.
fn wait(heir: &mut Child) -> Option<ExitStatus> {
    let end = Instant::now() + LAST_BREATH;
    loop {
        match heir.try_wait() {
            Ok(None) if Instant::now() < end => std::thread::sleep(STEP),
            Ok(status) => return status,
            Err(_) => return None,
        }
    }
}
