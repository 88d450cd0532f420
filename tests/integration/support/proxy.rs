use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use portcullis::config::{self, Snapshot};
use portcullis::log::access::AccessLog;
use portcullis::server::Server;
use tempfile::TempDir;

use super::{Client, Origin};

/// The proxy, in this process, on a port of its own.
pub(crate) struct Portcullis {
    pub(crate) address: SocketAddr,
    pub(crate) policy: Arc<ArcSwap<Snapshot>>,
    pub(crate) server: Server,
    log: AccessLog,
    folder: TempDir,
}

impl Portcullis {
    /// Starts it in front of `origin`. `policy` is TOML; `@origin@` in it
    /// is where the origin is. Where it has no `[origin]`, one is added.
    pub(crate) fn start(origin: &Origin, policy: &str) -> Self {
        Self::start_at(origin.address, policy)
    }

    pub(crate) fn start_at(origin: SocketAddr, policy: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let snapshot = snapshot(&folder, origin, policy);
        let log = AccessLog::start(&snapshot.log.access).unwrap();
        let policy = Arc::new(ArcSwap::from_pointee(snapshot));
        let server = Server::start(&policy, &log.spool()).unwrap();
        Self {
            address: server.addresses()[0],
            policy,
            server,
            log,
            folder,
        }
    }

    /// Where its configuration is, and its access log.
    pub(crate) fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    pub(crate) fn client(&self) -> Client {
        Client::connect(self.address)
    }

    /// Puts another policy into force.
    pub(crate) fn swap(&self, change: impl FnOnce(&mut Snapshot)) {
        let mut snapshot = Snapshot::clone(&self.policy.load());
        change(&mut snapshot);
        self.policy.store(Arc::new(snapshot));
    }

    /// Puts into force what its file says with `new` in place of `old`.
    pub(crate) fn change_policy(&self, old: &str, new: &str) {
        let file = self.folder().join("portcullis.toml");
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(text.contains(old), "{text}");
        std::fs::write(&file, text.replace(old, new)).unwrap();
        let (snapshot, _) = portcullis::config::load(&file).unwrap();
        self.policy.store(Arc::new(snapshot));
    }

    /// Stops it in order and returns the lines of its access log.
    pub(crate) fn stop(self) -> Vec<serde_json::Value> {
        self.stop_text()
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// Stops it in order and returns its access log.
    pub(crate) fn stop_text(self) -> String {
        let path = self.folder.path().join("access.ndjson");
        let folder = self.finish();
        let text = std::fs::read_to_string(path).unwrap();
        drop(folder);
        text
    }

    /// Stops it in order.
    pub(crate) fn finish(self) -> TempDir {
        self.server.stop().drain();
        self.server.wait();
        drop(self.log);
        self.folder
    }
}

fn snapshot(folder: &TempDir, origin: SocketAddr, policy: &str) -> Snapshot {
    let log: PathBuf = folder.path().join("access.ndjson");
    let mut text = policy.replace("@origin@", &format!("http://{origin}"));
    if !text.contains("[origin]") {
        text.push_str(&format!("\n[origin]\nurl = \"http://{origin}\"\n"));
    }
    if !text.contains("[server]") {
        text.push_str("\n[server]\nlisten = [\"127.0.0.1:0\"]\nworkers = 2\n");
    }
    if !text.contains("[log]") {
        text.push_str(&format!("\n[log]\naccess = \"{}\"\n", log.display()));
    }
    let file = folder.path().join("portcullis.toml");
    std::fs::write(&file, text).unwrap();
    match config::load(&file) {
        Ok((snapshot, _)) => snapshot,
        Err(errors) => panic!("{errors}"),
    }
}

/// Waits until `happened`.
pub(crate) fn eventually(what: &str, mut happened: impl FnMut() -> bool) {
    let start = Instant::now();
    while !happened() {
        assert!(start.elapsed() < Duration::from_secs(10), "never: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}
