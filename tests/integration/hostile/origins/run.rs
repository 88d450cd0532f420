//! The program, everything it says kept.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

use crate::support::eventually;

/// `portcullis run` in a process of its own, or something that runs it, with
/// its output in files. Dropping it kills it.
pub(super) struct Run {
    child: Child,
    folder: PathBuf,
}

impl Run {
    /// Runs `command`, and waits until it says where it listens.
    pub(super) fn start(mut command: Command, folder: &Path) -> Self {
        let file = |name: &str| File::create(folder.join(name)).unwrap();
        command.stdout(file("stdout")).stderr(file("stderr"));
        let child = command.spawn().unwrap();
        let run = Self {
            child,
            folder: folder.to_owned(),
        };
        run.says("listening");
        run
    }

    pub(super) fn said(&self) -> String {
        let read = |name: &str| fs::read_to_string(self.folder.join(name)).unwrap();
        read("stdout") + &read("stderr")
    }

    /// Waits until it has said this.
    pub(super) fn says(&self, word: &str) {
        eventually(word, || self.said().contains(word));
    }

    /// All addresses that it listens at, in the order in which it names them.
    pub(super) fn addresses(&self) -> Vec<SocketAddr> {
        let said = self.said();
        let line = said
            .lines()
            .find(|line| line.contains("listening"))
            .unwrap();
        let words = line.split(|c: char| !(c.is_ascii_digit() || ".:".contains(c)));
        let addresses = words.filter_map(|word| word.parse().ok());
        addresses
            .filter(|address: &SocketAddr| address.port() != 0)
            .collect()
    }

    /// The process itself, where another one runs it.
    pub(super) fn inner(&self) -> u32 {
        let id = self.child.id();
        let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children"));
        let children = children.unwrap_or_default();
        children
            .split_whitespace()
            .next()
            .map_or(id, |child| child.parse().unwrap())
    }

    pub(super) fn signal(&self, name: &str) {
        let process = self.inner().to_string();
        let sent = Command::new("kill").args(["-s", name, &process]).status();
        assert!(sent.unwrap().success());
    }

    /// Stops it in order; all that it has said.
    pub(super) fn stop(mut self) -> String {
        self.signal("TERM");
        assert!(self.child.wait().unwrap().success(), "{}", self.said());
        self.said()
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        let process = self.inner().to_string();
        // It may have ended already.
        let _ = Command::new("kill").args(["-s", "KILL", &process]).output();
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
