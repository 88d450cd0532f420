use std::io::{BufRead as _, BufReader, Read as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use tempfile::TempDir;

use super::{Client, Origin};

/// `portcullis` with these arguments.
pub(crate) fn portcullis(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
    command.args(arguments);
    command
}

/// `portcullis run` in a process of its own. Dropping it kills it.
pub(crate) struct Program {
    pub(crate) address: SocketAddr,
    /// What it said at the start.
    pub(crate) started: String,
    /// Where its admin listener is, if it has one.
    admin: Option<SocketAddr>,
    child: Child,
    /// The lines of its own log, as they come.
    said: Receiver<String>,
    folder: TempDir,
}

impl Program {
    /// Starts it in front of `origin` and waits until it listens.
    pub(crate) fn start(origin: &Origin, policy: &str) -> Self {
        Self::start_with(origin, policy, |_| {})
    }

    /// The same, its command adjusted.
    pub(crate) fn start_with(
        origin: &Origin,
        policy: &str,
        adjust: impl FnOnce(&mut Command),
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("portcullis.toml");
        let mut text = policy.to_owned();
        for (table, more) in [
            ("[origin]", format!("url = \"http://{}\"", origin.address)),
            ("[server]", "listen = [\"127.0.0.1:0\"]".to_owned()),
            // The default is a port that only one of them could have.
            ("[admin]", "listen = \"\"".to_owned()),
        ] {
            if !text.contains(table) {
                text.push_str(&format!("\n{table}\n{more}\n"));
            }
        }
        std::fs::write(&file, text).unwrap();
        let mut command = portcullis(&["run", "--config"]);
        adjust(command.arg(&file));
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (sender, said) = channel();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        let mut program = Self {
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            started: String::new(),
            admin: None,
            child,
            said,
            folder,
        };
        let started = program.says("listening");
        program.address = started
            .split(|c: char| !(c.is_ascii_digit() || ".:".contains(c)))
            .find_map(|word| word.parse().ok().filter(|a: &SocketAddr| a.port() != 0))
            .unwrap_or_else(|| panic!("no address in {started}"));
        let admin = started.split("admin=\"").nth(1);
        program.admin = admin.and_then(|rest| rest.split('"').next()?.parse().ok());
        program.started = started;
        program
    }

    /// Where to reach its admin listener.
    pub(crate) fn admin(&self) -> SocketAddr {
        let address = self.admin.expect("the policy has an admin listener");
        match address.ip().is_unspecified() {
            true => SocketAddr::from(([127, 0, 0, 1], address.port())),
            false => address,
        }
    }

    pub(crate) fn client(&self) -> Client {
        Client::connect(self.address)
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The next line of its log that has `word`.
    pub(crate) fn says(&mut self, word: &str) -> String {
        let mut before = Vec::new();
        loop {
            match self.said.recv_timeout(Duration::from_secs(10)) {
                Ok(line) if line.contains(word) => return line,
                Ok(line) => before.push(line),
                Err(_) => panic!("never said {word:?}, only {before:#?}"),
            }
        }
    }

    /// How many of its threads have `word` in their names.
    pub(crate) fn threads(&self, word: &str) -> usize {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.child.id())).unwrap();
        tasks
            .filter_map(|task| std::fs::read_to_string(task.unwrap().path().join("comm")).ok())
            .filter(|name| name.contains(word))
            .count()
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// A line of its `/proc/PID/status` that is in kB, such as `VmHWM`, in bytes.
    pub(crate) fn memory(&self, name: &str) -> usize {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        let kib = line.split_whitespace().nth(1).unwrap();
        kib.parse::<usize>().unwrap() * 1024
    }

    pub(crate) fn signal(&self, name: &str) {
        let kill = Command::new("kill")
            .args(["-s", name, &self.child.id().to_string()])
            .status()
            .unwrap();
        assert!(kill.success());
    }

    /// Waits for its end; its status, standard output, and the rest of its log.
    pub(crate) fn wait(mut self) -> (ExitStatus, String, Vec<String>) {
        let mut output = String::new();
        self.child
            .stdout
            .take()
            .unwrap()
            .read_to_string(&mut output)
            .unwrap();
        let status = self.child.wait().unwrap();
        let rest = self.said.iter().collect();
        (status, output, rest)
    }

    /// Waits for its end; its status, its folder, and the rest of its log.
    pub(crate) fn end(mut self) -> (ExitStatus, TempDir, Vec<String>) {
        let status = self.child.wait().unwrap();
        let rest = self.said.iter().collect();
        let folder = std::mem::replace(&mut self.folder, tempfile::tempdir().unwrap());
        (status, folder, rest)
    }

    /// Rewrites its configuration in place.
    pub(crate) fn edit(&self, from: &str, to: &str) {
        let file: &Path = &self.file("portcullis.toml");
        let text = std::fs::read_to_string(file).unwrap();
        assert!(text.contains(from), "{from} is not in {text}");
        std::fs::write(file, text.replace(from, to)).unwrap();
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
