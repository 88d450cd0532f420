//! Portcullis beside nginx, HAProxy and Varnish: the same policy, the same
//! requests, one core each for the proxy and for what it is measured with.
//! `benches/compare/run --help` tells what can be chosen.
//!
//! `policy` writes one policy in everybody's words, `check` shows that it means
//! the same everywhere, `load` asks, `usage` reads what it took out of /proc,
//! `measure` lets them take turns, `report` writes it down. `floor` answers
//! without doing any HTTP work: what the kernel charges.
#![forbid(unsafe_code)]

mod cast;
mod check;
mod client;
mod floor;
mod growth;
mod idle;
mod interrupt;
mod load;
mod measure;
mod options;
mod origin;
mod peers;
mod policy;
mod process;
#[path = "../random/mod.rs"]
mod random;
mod report;
#[path = "../rules/mod.rs"]
mod rules;
mod tls;
mod usage;
mod workload;

use std::error::Error;
use std::path::Path;
use std::process::ExitCode;

use clap::Parser;

use cast::Cast;
use load::handshakes;
use measure::{Bench, Extent};
use options::{Choice, Command, Measure, Options};
use report::{Machine, Report};
use workload::{IDLE, Wire, Work, Workload};

/// What can fail here, fails with a sentence.
pub(crate) type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> ExitCode {
    let options = Options::parse();
    let done = match &options.command {
        Some(Command::Launch { core, program }) => process::launch(*core, program),
        Some(Command::Floor { address, size }) => floor::serve(*address, *size),
        Some(Command::Idle {
            address,
            count,
            request,
        }) => idle::hold(*address, *count, request),
        Some(Command::Handshakes(load)) => handshakes::ask(load),
        Some(Command::Measure(chosen)) => measure(chosen),
        Some(Command::Growth { output, choice }) => grow(output, choice),
        Some(Command::Short(choice)) => short(choice),
        None => {
            println!(
                "the comparison itself is started by benches/compare/run; this is its short form"
            );
            let choice = Options::parse_from(["compare", "short"]).command;
            match &choice {
                Some(Command::Short(choice)) => short(choice),
                _ => Ok(()),
            }
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn measure(chosen: &Measure) -> Outcome<()> {
    prepare();
    let cast = Cast::choose(&chosen.choice)?;
    if cast.workloads.is_empty() {
        return Err(cast.missing.join("; ").into());
    }
    let extent = Extent {
        rounds: usize::try_from(chosen.rounds)?,
        seconds: chosen.seconds,
        idle: IDLE,
        is_full: true,
    };
    println!(
        "this takes about {} minutes",
        estimate(&cast, &extent).div_ceil(60)
    );
    let bench = Bench::new(extent)?;
    let checked = cast.policies_agree(&bench)?;
    let mut report = Report {
        machine: Machine::here(),
        rounds: extent.rounds,
        seconds: extent.seconds,
        countries: bench.policy.countries.about.clone(),
        is_small_database: bench.policy.countries.is_small,
        peers: cast.peers.clone(),
        missing: cast.missing.clone(),
        checked,
        runs: Vec::new(),
        latencies: Vec::new(),
    };
    for workload in &cast.workloads {
        let (runs, latencies) = bench.run(workload, &cast.peers)?;
        report.runs.extend(runs);
        report.latencies.extend(latencies);
    }
    println!("\n{}", report.write(&chosen.output)?);
    right(&report.wrong())
}

fn grow(output: &Path, choice: &Choice) -> Outcome<()> {
    prepare();
    let cast = Cast::choose(choice)?;
    println!("this takes about 5 minutes");
    let bench = Bench::new(Extent {
        seconds: 2,
        ..Extent::SHORT
    })?;
    growth::measure(&bench, &cast.peers[0], output)
}

fn short(choice: &Choice) -> Outcome<()> {
    prepare();
    if peers::program("nginx").is_none() {
        println!("SKIPPED: there is no nginx for the origin (Debian: nginx)");
        return Ok(());
    }
    let cast = Cast::choose(choice)?;
    let bench = Bench::new(Extent::SHORT)?;
    cast.policies_agree(&bench)?;
    let is_few = choice.workloads.is_empty();
    let chosen = |workload: &&Workload| !is_few || is_in_short(workload);
    for workload in cast.workloads.iter().filter(chosen) {
        let others = matches!(
            workload.work,
            Work::Hit(1024) | Work::Forward(1024) | Work::Handshake { .. }
        );
        let count = if others { cast.peers.len() } else { 1 };
        let (mut runs, _) = bench.run(workload, &cast.peers[..count])?;
        // on a busy machine the second may pass before the load has begun
        if runs.iter().any(|run| run.requests == 0) {
            runs = bench.run(workload, &cast.peers[..count])?.0;
        }
        right(&report::wrong(&runs))?;
    }
    Ok(())
}

/// Of those by TLS, one on kept connections and one that shakes hands.
fn is_in_short(workload: &Workload) -> bool {
    match (workload.wire, workload.work) {
        (Wire::Clear, _) => true,
        (Wire::Tls, Work::Hit(1024) | Work::Handshake { resumes: true }) => true,
        (Wire::Tls | Wire::Http2, _) => false,
    }
}

fn prepare() {
    interrupt::listen();
    process::raise_file_limit();
    if report::UNOPTIMISED {
        println!("THE HARNESS IS NOT OPTIMISED, so that the floor and decision times mean little");
    }
    if process::processors() < 2 {
        println!("ONE PROCESSOR: proxy and load share it, so that rates and latencies mean little");
    }
}

/// An error that tells what was answered wrongly.
fn right(wrong: &[String]) -> Outcome<()> {
    if wrong.is_empty() {
        return Ok(());
    }
    Err(format!(
        "wrong answers, which count for nothing:\n{}",
        wrong.join("\n")
    )
    .into())
}

/// Seconds.
fn estimate(cast: &Cast, extent: &Extent) -> u64 {
    let turn = extent.seconds + 1;
    let workload = |workload: &Workload| {
        let peers = cast.peers.iter();
        let peers = peers.filter(|peer| workload.is_for(peer.name)).count() as u64;
        let contestants = peers + u64::from(workload.is_small) + u64::from(workload.has_floor());
        let turns = contestants * (extent.rounds as u64 * turn + 3);
        let latency =
            u64::from(workload.is_small) * peers * 2 * (extent.rounds.min(3) as u64 * turn + 2);
        turns + latency + u64::from(workload.work == Work::Mix) * peers * 8
    };
    cast.workloads.iter().map(workload).sum::<u64>() + 20
}
