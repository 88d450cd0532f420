//! wrk, on the core of the load.

use std::io::Read;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use serde::Deserialize;

use crate::process::{self, Core, Guard};
use crate::{Outcome, interrupt};

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

/// What wrk counted.
#[derive(Clone, Debug, Deserialize)]
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
        .arg(load.start.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut wrk = Guard::spawn(&mut command)?;
    let end = Instant::now() + Duration::from_secs(load.seconds + 15);
    while !wrk.has_ended() {
        interrupt::check()?;
        if Instant::now() > end {
            return Err("wrk does not end".into());
        }
        thread::sleep(Duration::from_millis(5));
    }
    let mut said = String::new();
    let child = wrk.child();
    if let Some(stdout) = &mut child.stdout {
        stdout.read_to_string(&mut said)?;
    }
    if let Some(stderr) = &mut child.stderr {
        stderr.read_to_string(&mut said)?;
    }
    let result = said.lines().find_map(|line| line.strip_prefix("result "));
    let result = result.ok_or_else(|| format!("wrk failed: {}", said.trim()))?;
    Ok(serde_json::from_str(result)?)
}
