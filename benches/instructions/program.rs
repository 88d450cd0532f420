//! `portcullis run` in a process of its own, bare or under callgrind.

use std::io::{self, BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::{allocations, origin, policy};

/// How long it may take to start, under valgrind too.
const START: Duration = Duration::from_secs(120);

/// How often it is seen whether we are to end meanwhile.
const LOOK: Duration = Duration::from_millis(100);

/// How long it may take to end before it is killed.
const END: Duration = Duration::from_secs(20);

/// A policy in front of an origin, and room for what is written beside it.
pub(crate) struct Place {
    pub(crate) folder: TempDir,
    policy: PathBuf,
}

impl Place {
    /// With the access log off, or written to a file.
    pub(crate) fn new(logged: bool) -> io::Result<Self> {
        let folder = tempfile::tempdir()?;
        let policy = policy::write(folder.path(), origin::start()?, logged)?;
        Ok(Self { folder, policy })
    }
}

pub(crate) struct Program {
    pub(crate) address: SocketAddr,
    child: Child,
    /// Of callgrind: how often it wrote down its counters.
    dumps: usize,
    folder: PathBuf,
}

impl Program {
    /// Runs `binary` with the policy of `place`.
    pub(crate) fn start(binary: &Path, place: &Place) -> io::Result<Self> {
        Self::spawn(Command::new(binary), place)
    }

    /// The same under callgrind, the functions `apart` kept apart by their
    /// callers, as those of the allocator are.
    pub(crate) fn start_counted(
        binary: &Path,
        place: &Place,
        apart: Option<&str>,
    ) -> io::Result<Self> {
        let folder = place.folder.path();
        let mut command = Command::new("valgrind");
        command
            .args(["--tool=callgrind", "-q"])
            .arg(option("--vgdb-prefix", &folder.join("vgdb")))
            .arg(option("--callgrind-out-file", &folder.join("callgrind")))
            .args(
                (allocations::ENTRIES.into_iter())
                    .chain(apart)
                    .map(|name| format!("--separate-callers12={name}")),
            )
            .arg(binary);
        Self::spawn(command, place)
    }

    fn spawn(mut command: Command, place: &Place) -> io::Result<Self> {
        let mut child = command
            .args(["run", "--config"])
            .arg(&place.policy)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        let address = match listens(&mut child) {
            Ok(address) => address,
            Err(error) => {
                child.kill()?;
                child.wait()?;
                return Err(error);
            }
        };
        Ok(Self {
            address,
            child,
            dumps: 0,
            folder: place.folder.path().to_owned(),
        })
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Has callgrind write down what it counted since the last time, and
    /// begin anew; the file.
    pub(crate) fn dump(&mut self) -> io::Result<PathBuf> {
        let output = Command::new("vgdb")
            .arg(format!("--pid={}", self.id()))
            .arg(option("--vgdb-prefix", &self.folder.join("vgdb")))
            .args(["--wait=10", "dump"])
            .output()?;
        self.dumps += 1;
        let file = self.folder.join(format!("callgrind.{}", self.dumps));
        match file.exists() {
            true => Ok(file),
            false => Err(io::Error::other(format!(
                "vgdb could not have callgrind write its counters: {}",
                String::from_utf8_lossy(&output.stderr)
            ))),
        }
    }

    fn end(&mut self) -> io::Result<()> {
        if let Some(id) = i32::try_from(self.id()).ok().and_then(Pid::from_raw) {
            kill_process(id, Signal::TERM)?;
        }
        let deadline = Instant::now() + END;
        while self.child.try_wait()?.is_none() {
            if Instant::now() > deadline {
                self.child.kill()?;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.end();
    }
}

fn option(name: &str, path: &Path) -> String {
    format!("{name}={}", path.display())
}

/// Waits until it says where it listens. What it says later is dropped, but read.
fn listens(child: &mut Child) -> io::Result<SocketAddr> {
    let (sender, said) = channel();
    let stderr = child.stderr.take().expect("it is piped");
    std::thread::spawn(move || {
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            let _ = sender.send(line);
        }
    });
    let deadline = Instant::now() + START;
    let mut before = String::new();
    loop {
        crate::go_on()?;
        let line = match said.recv_timeout(LOOK) {
            Ok(line) => line,
            Err(RecvTimeoutError::Timeout) if Instant::now() < deadline => continue,
            Err(RecvTimeoutError::Timeout) => return Err(io::Error::other("it does not start")),
            Err(RecvTimeoutError::Disconnected) => {
                return Err(io::Error::other(format!("it does not start:\n{before}")));
            }
        };
        let address = line
            .split_once("listening=\"")
            .and_then(|(_, rest)| rest.split(['"', ' ']).next()?.parse().ok());
        if let Some(address) = address {
            return Ok(address);
        }
        before.push_str(&line);
        before.push('\n');
    }
}
