//! h2load, on the core of the load: what is asked by TLS.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use super::request::Request;
use super::wrk::Counted;
use crate::Outcome;
use crate::policy::HOST;
use crate::process::{self, Core};
use crate::tls::{GROUP, SUITE};
use crate::workload::Wire;

/// Requests that a connection of HTTP/2 has open.
pub(crate) const STREAMS: usize = 10;

/// How to ask: all requests are the same one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load<'a> {
    pub(crate) wire: Wire,
    pub(crate) path: &'a str,
    pub(crate) request: &'a Request,
    pub(crate) connections: usize,
    pub(crate) seconds: u64,
    /// For what it writes.
    pub(crate) folder: &'a Path,
}

impl Load<'_> {
    fn protocol(&self) -> &'static str {
        match self.wire {
            Wire::Clear | Wire::Tls => "http/1.1",
            Wire::Http2 => "h2",
        }
    }

    fn streams(&self) -> usize {
        match self.wire {
            Wire::Clear | Wire::Tls => 1,
            Wire::Http2 => STREAMS,
        }
    }
}

/// Runs it to its end. `bytes` of what is counted are those of bodies.
pub(crate) fn run(address: SocketAddr, load: &Load<'_>) -> Outcome<Counted> {
    let (uris, times) = (load.folder.join("uris"), load.folder.join("times"));
    fs::write(&uris, format!("https://{HOST}{}\n", load.path))?;
    // it would add to what an earlier run wrote
    let _ = fs::remove_file(&times);
    let mut command = process::command(Core::Load, "h2load")?;
    command
        .args(["-t", "1", "-c", &load.connections.to_string()])
        .args(["-m", &load.streams().to_string()])
        .args(["-D", &load.seconds.to_string()])
        .arg(format!("--npn-list={}", load.protocol()))
        .arg(format!("--tls13-ciphers={SUITE}"))
        .arg(format!("--groups={GROUP}"))
        .arg(format!("--connect-to={address}"))
        .arg(format!("--log-file={}", times.display()))
        .arg("-i")
        .arg(&uris);
    for field in load.request.fields() {
        command.args(["-H", &field]);
    }
    let said = process::finish(&mut command, "h2load", load.seconds)?;
    agreed(&said, load)?;
    let counted = counted(&said, load.seconds);
    let mut counted = counted.ok_or_else(|| format!("h2load failed: {}", said.trim()))?;
    (counted.p50, counted.p99) = percentiles(&fs::read_to_string(&times)?);
    Ok(counted)
}

/// An error unless what was spoken is what is to be measured.
fn agreed(said: &str, load: &Load<'_>) -> Outcome<()> {
    let wanted = [
        ("TLS Protocol: ", "TLSv1.3"),
        ("Cipher: ", SUITE),
        ("Server Temp Key: ", GROUP),
        ("Application protocol: ", load.protocol()),
    ];
    if !said.contains(wanted[0].0) {
        let protocol = load.protocol();
        return Err(
            format!("no connection by TLS was agreed on: is {protocol} not offered?").into(),
        );
    }
    for (about, wanted) in wanted {
        let spoken = said.lines().find_map(|line| line.strip_prefix(about));
        if !spoken.is_some_and(|spoken| spoken.starts_with(wanted)) {
            let spoken = spoken.unwrap_or("none");
            return Err(format!("{about}{spoken} was agreed on, not {wanted}").into());
        }
    }
    Ok(())
}

/// Of what it prints at its end.
fn counted(said: &str, seconds: u64) -> Option<Counted> {
    let after = |about: &str| {
        said.lines()
            .find_map(|line| line.strip_prefix(about))
            .map(numbers)
    };
    let requests = after("requests: ")?;
    let [_, _, done, _, _, errored, timeout] = requests[..] else {
        return None;
    };
    let statuses = after("status codes: ")?;
    let [ok, _, _, _, denied, ..] = statuses[..] else {
        return None;
    };
    let traffic = said.lines().find(|line| line.starts_with("traffic: "))?;
    let (_, body) = traffic.rsplit_once('(')?;
    Some(Counted {
        requests: done,
        microseconds: seconds * 1_000_000,
        bytes: *numbers(body).first()?,
        denied,
        broken: errored + timeout + done.saturating_sub(ok + denied),
        p50: 0,
        p99: 0,
        resumed: None,
    })
}

/// All whole numbers of a line; those of `2xx` are among them.
fn numbers(line: &str) -> Vec<u64> {
    let words = line.split(|letter: char| !letter.is_ascii_digit());
    words.filter_map(|word| word.parse().ok()).collect()
}

/// Microseconds, of the third column of each line.
fn percentiles(times: &str) -> (u64, u64) {
    let third = |line: &str| line.split('\t').nth(2)?.parse().ok();
    super::percentiles(times.lines().filter_map(third).collect())
}
