//! Children: each on its core, each ended when its guard goes or we do.

use std::ffi::OsStr;
use std::io::{self, Read};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Rlimit, Signal};
use rustix::thread::CpuSet;

use crate::usage;
use crate::{Outcome, interrupt};

/// How long a child has to end by itself.
const PATIENCE: Duration = Duration::from_secs(3);

/// Where something runs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Core {
    /// What is measured.
    Proxy,
    /// What it is measured with.
    Load,
}

impl Core {
    /// The first or second processor that we may use; the same one where
    /// there is only one.
    fn number(self) -> Outcome<usize> {
        let allowed = rustix::thread::sched_getaffinity(None)?;
        let mut numbers = (0..CpuSet::MAX_CPU).filter(|number| allowed.is_set(*number));
        let first = numbers.next().ok_or("no processor may be used")?;
        Ok(match self {
            Self::Proxy => first,
            Self::Load => numbers.next().unwrap_or(first),
        })
    }
}

/// How many processors we may use.
pub(crate) fn processors() -> usize {
    thread::available_parallelism().map_or(1, Into::into)
}

/// A command that will run on `core`, and be told to end when we die.
pub(crate) fn command(core: Core, program: impl AsRef<OsStr>) -> Outcome<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command
        .args(["launch", "--core", &core.number()?.to_string(), "--"])
        .arg(program)
        .stdin(Stdio::null());
    Ok(command)
}

/// Becomes `program`, on the processor `core`. The parent's death ends it,
/// however that comes about.
pub(crate) fn launch(core: usize, program: &[std::ffi::OsString]) -> Outcome<()> {
    rustix::process::set_parent_process_death_signal(Some(Signal::TERM))?;
    let mut set = CpuSet::new();
    set.set(core);
    rustix::thread::sched_setaffinity(None, &set)?;
    let (name, arguments) = program.split_first().ok_or("nothing to launch")?;
    let error = Command::new(name).args(arguments).exec();
    Err(format!("{} cannot be started: {error}", name.display()).into())
}

/// Runs `who` to its end, which is to come soon after so many seconds; gives
/// what it printed, which has to be little.
pub(crate) fn finish(command: &mut Command, who: &str, seconds: u64) -> Outcome<String> {
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut guard = Guard::spawn(command)?;
    let end = Instant::now() + Duration::from_secs(seconds + 15);
    while !guard.has_ended() {
        interrupt::check()?;
        if Instant::now() > end {
            return Err(format!("{who} does not end").into());
        }
        thread::sleep(Duration::from_millis(5));
    }
    let mut said = String::new();
    let child = guard.child();
    if let Some(stdout) = &mut child.stdout {
        stdout.read_to_string(&mut said)?;
    }
    if let Some(stderr) = &mut child.stderr {
        stderr.read_to_string(&mut said)?;
    }
    Ok(said)
}

/// A child that is ended, with all that it started, when this is dropped.
#[derive(Debug)]
pub(crate) struct Guard(Child);

impl Guard {
    /// Starts it. Only from the main thread: the death of the thread that
    /// starts a child counts as the parent's.
    pub(crate) fn spawn(command: &mut Command) -> io::Result<Self> {
        command.spawn().map(Self)
    }

    pub(crate) fn id(&self) -> u32 {
        self.0.id()
    }

    pub(crate) fn child(&mut self) -> &mut Child {
        &mut self.0
    }

    /// Whether it is gone already.
    pub(crate) fn has_ended(&mut self) -> bool {
        !matches!(self.0.try_wait(), Ok(None))
    }

    fn ended_within(&mut self, patience: Duration) -> bool {
        let end = Instant::now() + patience;
        while Instant::now() < end {
            if self.has_ended() {
                return true;
            }
            thread::sleep(Duration::from_millis(5));
        }
        false
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if self.has_ended() {
            return;
        }
        let family = usage::family(self.id());
        signal(self.id(), Signal::TERM);
        if !self.ended_within(PATIENCE) {
            for process in family {
                signal(process, Signal::KILL);
            }
            let _ = self.0.wait();
        }
    }
}

fn signal(process: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(process).ok().and_then(Pid::from_raw) {
        let _ = rustix::process::kill_process(pid, signal);
    }
}

/// An address that is free, below the ports that the system gives to clients:
/// thousands of connections do not take it away again.
pub(crate) fn free_address() -> Outcome<SocketAddr> {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let start = u16::try_from(std::process::id() % 8000).expect("below 8000");
    for _ in 0..8000 {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = 20_000 + (start + step % 8000) % 8000;
        if let Ok(listener) = TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
            return Ok(listener.local_addr()?);
        }
    }
    Err("no port from 20000 to 28000 is free".into())
}

/// As many files as the system lets us have, for us and our children.
pub(crate) fn raise_file_limit() {
    let limit = rustix::process::getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    let _ = rustix::process::setrlimit(Resource::Nofile, raised);
}

/// How many files one process may have open.
pub(crate) fn file_limit() -> u64 {
    rustix::process::getrlimit(Resource::Nofile)
        .current
        .unwrap_or(u64::MAX)
}
