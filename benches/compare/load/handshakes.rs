//! A TLS connection for each request, by a process of its own on the core of
//! the load: h2load resumes no session, and shakes hands only at its start.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;
use tokio_rustls::rustls::ClientConfig;

use super::wrk::Counted;
use crate::client::Client;
use crate::process::{self, Core};
use crate::{Outcome, tls};

/// How to ask.
#[derive(Args, Clone, Debug)]
pub(crate) struct Load {
    #[arg(long)]
    pub(crate) address: SocketAddr,
    /// What is believed.
    #[arg(long)]
    pub(crate) certificate: PathBuf,
    /// The request as it is sent.
    #[arg(long)]
    pub(crate) request: PathBuf,
    /// Whether sessions are gone on with.
    #[arg(long)]
    pub(crate) resumes: bool,
    /// How many connections there are at a time.
    #[arg(long)]
    pub(crate) connections: usize,
    #[arg(long)]
    pub(crate) seconds: u64,
}

/// What one thread saw.
#[derive(Debug, Default)]
struct Seen {
    /// Microseconds from before the connection to the end of its response.
    times: Vec<u64>,
    bytes: u64,
    denied: u64,
    resumed: u64,
    error: Option<io::Error>,
}

/// Asks until the time is over, and prints what came of it.
pub(crate) fn ask(load: &Load) -> Outcome<()> {
    let request = fs::read_to_string(&load.request)?;
    let start = Instant::now();
    let end = start + Duration::from_secs(load.seconds);
    let mut threads = Vec::new();
    for _ in 0..load.connections {
        // each with sessions of its own
        let config = tls::client(&load.certificate, load.resumes)?;
        let (address, request) = (load.address, request.clone());
        threads.push(thread::spawn(move || {
            one_by_one(address, &config, &request, end)
        }));
    }
    let mut all = Seen::default();
    let mut broken = 0;
    for thread in threads {
        let seen = thread.join().map_err(|_| "a thread panicked")?;
        all.times.extend(seen.times);
        all.bytes += seen.bytes;
        all.denied += seen.denied;
        all.resumed += seen.resumed;
        if let Some(error) = seen.error {
            broken += 1;
            eprintln!("a connection failed: {error}");
        }
    }
    let requests = all.times.len() as u64;
    let (p50, p99) = super::percentiles(all.times);
    let counted = Counted {
        requests,
        microseconds: start.elapsed().as_micros() as u64,
        bytes: all.bytes,
        denied: all.denied,
        broken,
        p50,
        p99,
        resumed: Some(all.resumed),
    };
    println!("result {}", serde_json::to_string(&counted)?);
    Ok(())
}

/// Stops at the first failure.
fn one_by_one(
    address: SocketAddr,
    config: &Arc<ClientConfig>,
    request: &str,
    end: Instant,
) -> Seen {
    let mut seen = Seen::default();
    while Instant::now() < end && seen.error.is_none() {
        seen.error = one(address, config, request, &mut seen).err();
    }
    seen
}

fn one(
    address: SocketAddr,
    config: &Arc<ClientConfig>,
    request: &str,
    seen: &mut Seen,
) -> io::Result<()> {
    let start = Instant::now();
    let mut client = Client::connect_tls(address, config)?;
    let reply = client.ask(request)?;
    seen.times.push(start.elapsed().as_micros() as u64);
    seen.bytes += reply.len() as u64;
    seen.denied += u64::from(reply.status > 399);
    seen.resumed += u64::from(client.is_resumed());
    client.close()
}

/// Runs it to its end.
pub(crate) fn run(load: &Load) -> Outcome<Counted> {
    let mut command = process::command(Core::Load, std::env::current_exe()?)?;
    let path = |option: &'static str, path: &Path| [option.into(), path.as_os_str().to_owned()];
    command
        .args(["handshakes", "--address", &load.address.to_string()])
        .args(["--connections", &load.connections.to_string()])
        .args(["--seconds", &load.seconds.to_string()])
        .args(path("--certificate", &load.certificate))
        .args(path("--request", &load.request));
    if load.resumes {
        command.arg("--resumes");
    }
    let said = process::finish(&mut command, "the load", load.seconds)?;
    super::result("the load", &said)
}
