//! Portcullis beside nginx, HAProxy and Varnish: the same policy, the same
//! requests, one core each for the proxy and for what it is measured with.
//! `benches/compare/run --help` tells what can be chosen.
//!
//! `policy` writes one policy in everybody's words, `check` shows that it means
//! the same everywhere, `load` asks, `usage` reads what it took out of /proc,
//! `measure` lets them take turns, `report` writes it down. `floor` answers
//! without doing any HTTP work: what the kernel charges.
#![forbid(unsafe_code)]

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
mod usage;
mod workload;

use std::error::Error;
use std::path::Path;
use std::process::ExitCode;

use clap::Parser;

use check::Check;
use measure::{Bench, Extent};
use options::{Choice, Command, Measure, Options};
use peers::{Name, Peer};
use report::{Machine, Report};
use workload::{IDLE, Work, Workload};

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

/// What takes part, and what is missing.
struct Cast {
    peers: Vec<Peer>,
    missing: Vec<String>,
    workloads: Vec<Workload>,
}

impl Cast {
    fn choose(choice: &Choice) -> Outcome<Self> {
        let (mut peers, missing) = peers::installed(&choice.portcullis);
        for missing in &missing {
            println!("NOT COMPARED: {missing}");
        }
        let is_chosen = |peer: &Peer| {
            let name = peer.name.to_string().to_ascii_lowercase();
            choice.peers.is_empty() || peer.name == Name::Portcullis || choice.peers.contains(&name)
        };
        let known = ["nginx", "haproxy", "varnish"];
        let unknown = |name: &&String| !known.contains(&name.as_str());
        if let Some(name) = choice.peers.iter().find(unknown) {
            let known = known.join(", ");
            return Err(format!("no peer is called {name:?}; there are {known}").into());
        }
        peers.retain(is_chosen);
        let mut workloads = workload::all();
        let begins = |workload: &Workload, name: &String| workload.name.starts_with(name.as_str());
        let unknown = |name: &&String| !workloads.iter().any(|workload| begins(workload, name));
        if let Some(name) = choice.workloads.iter().find(unknown) {
            let names: Vec<&str> = workloads.iter().map(|workload| workload.name).collect();
            let names = names.join(", ");
            return Err(format!("no workload begins with {name:?}; there are {names}").into());
        }
        workloads.retain(|workload| {
            let mut chosen = choice.workloads.iter();
            choice.workloads.is_empty() || chosen.any(|name| begins(workload, name))
        });
        Ok(Self {
            peers,
            missing,
            workloads,
        })
    }
}

fn measure(chosen: &Measure) -> Outcome<()> {
    if peers::program("wrk").is_none() {
        return Err("there is no wrk (Debian: wrk)".into());
    }
    prepare();
    let cast = Cast::choose(&chosen.choice)?;
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
    let checked = policies_agree(&bench, &cast.peers)?;
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
    policies_agree(&bench, &cast.peers)?;
    if peers::program("wrk").is_none() {
        println!("SKIPPED: the workloads, there is no wrk (Debian: wrk)");
        return Ok(());
    }
    for workload in &cast.workloads {
        let others = matches!(workload.work, Work::Hit(1024) | Work::Forward(1024));
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

/// An error that tells where they do not.
fn policies_agree(bench: &Bench, peers: &[Peer]) -> Outcome<usize> {
    let check = Check::new(&bench.policy);
    let mut wrong = Vec::new();
    for peer in peers {
        for cache in [None, Some(Bench::ample())] {
            let instance = bench.start(peer, cache, false)?;
            let found = check.run(&instance, &bench.origin, cache.is_some())?;
            wrong.extend(
                found
                    .into_iter()
                    .map(|what| format!("{}: {what}", peer.name)),
            );
        }
    }
    if wrong.is_empty() {
        println!(
            "{} requests are decided alike by {} peers",
            check.len(),
            peers.len()
        );
        return Ok(check.len());
    }
    let (count, first) = (wrong.len(), &wrong[..wrong.len().min(30)]);
    Err(format!(
        "the policies do not mean the same, {count} times:\n{}",
        first.join("\n")
    )
    .into())
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
    let peers = cast.peers.len() as u64;
    let turn = extent.seconds + 1;
    let workload = |workload: &Workload| {
        let contestants = peers + u64::from(workload.is_small) + u64::from(workload.has_floor());
        let turns = contestants * (extent.rounds as u64 * turn + 3);
        let latency =
            u64::from(workload.is_small) * peers * 2 * (extent.rounds.min(3) as u64 * turn + 2);
        turns + latency + u64::from(workload.work == Work::Mix) * peers * 8
    };
    cast.workloads.iter().map(workload).sum::<u64>() + 20
}
