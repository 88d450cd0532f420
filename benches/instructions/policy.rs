//! The policy that every request is judged by: each rule at its default limit.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use crate::rules::{self, NETWORKS};
use crate::sites::Sites;

/// Writes the policy into a folder of its own in `folder`, since the folder of a
/// policy is watched, and whatever is written there costs; its path. One
/// worker, so that a sequence of requests is one sequence of steps.
pub(crate) fn write(folder: &Path, origin: SocketAddr, logged: bool) -> io::Result<PathBuf> {
    let watched = folder.join("policy");
    std::fs::create_dir(&watched)?;
    let path = watched.join("portcullis.toml");
    std::fs::write(&path, text(folder, origin, logged))?;
    Ok(path)
}

fn text(folder: &Path, origin: SocketAddr, logged: bool) -> String {
    let log = match logged {
        true => folder.join("access.log"),
        false => "off".into(),
    };
    let top = format!(
        "[server]\nlisten = [\"127.0.0.1:0\"]\nworkers = 1\n\
         [admin]\nlisten = \"\"\n\
         [log]\naccess = {log:?}\n\
         [origin]\nurl = \"http://{origin}\"\n\
         [client]\ntrusted_proxies = [\"127.0.0.1\"]\n"
    );
    let addresses = rules::address_tables(&format!("block = {:?}", networks()));
    top + &addresses + &rules::field_tables(&Sites::new().pages("infer"))
}

/// Networks of /32 to /24, in address space that is nobody's client
/// here (198.18.0.0/15 is for benchmarks: RFC 2544).
fn networks() -> Vec<String> {
    let network = |n: usize| match n % 5 {
        0 => format!("198.18.{n}.0/24"),
        1 => format!("198.19.{n}.{}/29", n / 8 * 8),
        _ => format!("198.19.{n}.{}", n * 2),
    };
    (0..NETWORKS).map(network).collect()
}
