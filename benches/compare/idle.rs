//! Connections that have made one request each and then do nothing, held by a
//! process of its own.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;

use crate::Outcome;
use crate::client::Client;
use crate::process::{self, Core, Guard};

/// What the holder says when all are open.
const READY: &str = "ready";

/// Opens them, says so, and holds them until its input ends.
pub(crate) fn hold(address: SocketAddr, count: usize, request: &Path) -> Outcome<()> {
    let request = fs::read_to_string(request)?;
    let mut held = Vec::with_capacity(count);
    for number in 0..count {
        let mut client = Client::connect(address)?;
        let status = client.ask(&request)?.status;
        if status != 200 {
            return Err(format!("connection {number} was answered {status}").into());
        }
        held.push(client);
    }
    println!("{READY}");
    std::io::stdout().flush()?;
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}

/// Open connections; closed when this is dropped.
#[derive(Debug)]
pub(crate) struct Idle {
    _holder: Guard,
}

impl Idle {
    /// Returns when all are open and have been answered.
    pub(crate) fn open(address: SocketAddr, count: usize, request: &Path) -> Outcome<Self> {
        let own = std::env::current_exe()?;
        let mut command = process::command(Core::Load, own)?;
        command
            .args(["idle", "--address", &address.to_string()])
            .args(["--count", &count.to_string(), "--request"])
            .arg(request)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut holder = Guard::spawn(&mut command)?;
        let stdout = holder.child().stdout.take().ok_or("no output")?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        if line.trim() != READY {
            return Err(format!("{count} connections could not be held open").into());
        }
        Ok(Self { _holder: holder })
    }
}
