//! wrk, on the core of the load.

use std::net::SocketAddr;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::Outcome;
use crate::process::{self, Core};

/// How to ask.
#[derive(Clone, Debug)]
pub(crate) struct Load<'a> {
    pub(crate) script: &'a Path,
    /// What the script takes first: a path.
    pub(crate) what: &'a str,
    /// Where among its draws the script begins.
    pub(crate) start: usize,
    pub(crate) connections: usize,
    pub(crate) seconds: u64,
    /// Milliseconds that a connection waits before each request.
    pub(crate) think: f64,
}

/// What wrk counted, or another tool.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Counted {
    pub(crate) requests: u64,
    pub(crate) microseconds: u64,
    pub(crate) bytes: u64,
    /// Responses with a status above 399.
    pub(crate) denied: u64,
    /// Connections, reads, writes that failed or took too long.
    pub(crate) broken: u64,
    /// Microseconds.
    pub(crate) p50: u64,
    /// Microseconds.
    pub(crate) p99: u64,
    /// Connections that went on with an earlier session, where that is looked
    /// at.
    #[serde(default)]
    pub(crate) resumed: Option<u64>,
}

impl Counted {
    pub(crate) fn rate(&self) -> f64 {
        self.requests as f64 * 1e6 / self.microseconds.max(1) as f64
    }
}

/// Runs it to its end.
pub(crate) fn run(address: SocketAddr, load: &Load<'_>) -> Outcome<Counted> {
    let mut command = process::command(Core::Load, "wrk")?;
    command
        .args(["-t", "1", "-c", &load.connections.to_string()])
        .args(["-d", &load.seconds.to_string(), "--timeout", "10", "-s"])
        .arg(load.script)
        .arg(format!("http://{address}/"))
        .args(["--", load.what, &load.think.to_string()])
        .arg(load.start.to_string());
    let said = process::finish(&mut command, "wrk", load.seconds)?;
    super::result("wrk", &said)
}
