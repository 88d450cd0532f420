//! The command line.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::load::handshakes;

/// Portcullis beside nginx, HAProxy and Varnish, with one policy.
#[derive(Debug, Parser)]
#[command(name = "benches/compare/run")]
pub(crate) struct Options {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,

    /// cargo says so to every bench.
    #[arg(long, hide = true, global = true)]
    pub(crate) bench: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// The whole comparison.
    Measure(Measure),
    /// Whether the policies mean the same, and one tiny run of each workload.
    Short(Choice),
    /// How Portcullis' cost grows.
    Growth {
        /// Where growth.json, growth.md and the plots go
        #[arg(long, default_value = "benches/compare/results")]
        output: PathBuf,
        #[command(flatten)]
        choice: Choice,
    },
    /// Starts a program on a processor.
    #[command(hide = true)]
    Launch {
        #[arg(long)]
        core: usize,
        #[arg(last = true)]
        program: Vec<OsString>,
    },
    /// The bare responder.
    #[command(hide = true)]
    Floor {
        #[arg(long)]
        address: SocketAddr,
        #[arg(long)]
        size: usize,
    },
    /// Connections by TLS, of one request each.
    #[command(hide = true)]
    Handshakes(handshakes::Load),
    /// Holds connections that do nothing.
    #[command(hide = true)]
    Idle {
        #[arg(long)]
        address: SocketAddr,
        #[arg(long)]
        count: usize,
        #[arg(long)]
        request: PathBuf,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Measure {
    /// How often each peer has its turn in each workload
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) rounds: u64,
    /// How long a turn is, in whole seconds
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) seconds: u64,
    /// Where latest.json and latest.md go
    #[arg(long, default_value = "benches/compare/results")]
    pub(crate) output: PathBuf,
    #[command(flatten)]
    pub(crate) choice: Choice,
}

#[derive(Args, Debug)]
pub(crate) struct Choice {
    /// Only workloads whose name begins so: "403,hit 1 KiB", "TLS" (all by
    /// TLS), "TLS h1", "TLS h2", "TLS handshake"
    #[arg(long, value_delimiter = ',')]
    pub(crate) workloads: Vec<String>,
    /// Only these peers, beside Portcullis: "nginx,haproxy,varnish"
    #[arg(long, value_delimiter = ',')]
    pub(crate) peers: Vec<String>,
    /// The program that is measured
    #[arg(long, default_value = env!("CARGO_BIN_EXE_portcullis"))]
    pub(crate) portcullis: PathBuf,
}
