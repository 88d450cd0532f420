//! What one request of each kind costs in instructions, allocations and system
//! calls: figures that a busy machine does not blur. `run --help` beside this
//! file says how it is used.
//!
//! The real program with one worker is asked the same requests in the same
//! order over one connection. Under valgrind's callgrind its counters are
//! taken off after a warm-up and after each of a few batches; the figure is the
//! middle one. strace counts the system calls in another run.

mod allocations;
mod arguments;
mod client;
mod kinds;
mod origin;
mod policy;
mod profile;
mod program;
mod record;
mod system_calls;

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::process::{Command, ExitCode};

use arguments::{Arguments, Wish};
use client::Client;
use kinds::{KINDS, Kind, ROUND};
use profile::Profile;
use program::{Place, Program};
use record::{Figures, Record};
use system_calls::Strace;

/// How often each kind is counted; odd, so that one is in the middle.
const BATCHES: usize = 5;

/// With these behind its name, a kind has the access log written, to a file.
const LOGGED: &str = "+log";

fn main() -> ExitCode {
    let arguments = match Arguments::read(std::env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err(message) => {
            eprintln!("{message}");
            return ExitCode::from(64);
        }
    };
    let done = match &arguments.wish {
        Wish::Help => {
            print!("{}", arguments::HELP);
            Ok(true)
        }
        Wish::Answers => answers(&arguments).map(|()| true),
        Wish::Profile(name) => profile(&arguments, name).map(|()| true),
        Wish::Count => count(&arguments),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Sends each kind once round and has the answers checked; nothing is counted.
fn answers(arguments: &Arguments) -> io::Result<()> {
    for logged in [false, true] {
        let place = Place::new(logged)?;
        let program = Program::start(&arguments.binary, &place)?;
        let mut client = Client::connect(program.address)?;
        for kind in &KINDS {
            client.send(kind, ROUND, false)?;
            client.send(kind, ROUND, true)?;
        }
    }
    println!(
        "instructions: {} kinds are answered as they should be",
        KINDS.len() * 2
    );
    Ok(())
}

fn count(arguments: &Arguments) -> io::Result<bool> {
    let mut record = Record {
        commit: commit(),
        country_database: policy::country_database().1.to_owned(),
        valgrind: version("valgrind").unwrap_or_default(),
        ..Record::default()
    };
    for logged in [false, true] {
        let kinds: Vec<&Kind> = KINDS
            .iter()
            .filter(|kind| arguments.wants(&name(kind, logged)))
            .collect();
        if kinds.is_empty() {
            continue;
        }
        let mut figures: BTreeMap<String, Figures> = BTreeMap::new();
        if has("valgrind", "valgrind") {
            count_instructions(arguments, &kinds, logged, &mut figures)?;
        }
        if has("strace", "strace") {
            count_system_calls(arguments, &kinds, logged, &mut figures)?;
        }
        record.kinds.extend(figures);
    }
    conclude(arguments, record)
}

/// Prints and keeps what was counted; whether it passes `--check`.
fn conclude(arguments: &Arguments, record: Record) -> io::Result<bool> {
    let last = Record::last()?;
    println!("{}", record.table(&last));
    if !last.kinds.is_empty() && last.country_database != record.country_database {
        eprintln!(
            "warning: the last figures are with the country database `{}`, these with `{}`",
            last.country_database, record.country_database
        );
    }
    let grown = record.grown(&last);
    if arguments.update {
        record.keep(last)?;
    }
    if arguments.check && !grown.is_empty() {
        eprintln!(
            "error: over 5 % more instructions than last: {}",
            grown.join(", ")
        );
        return Ok(false);
    }
    Ok(true)
}

fn count_instructions(
    arguments: &Arguments,
    kinds: &[&Kind],
    logged: bool,
    figures: &mut BTreeMap<String, Figures>,
) -> io::Result<()> {
    let place = Place::new(logged)?;
    let mut program = Program::start_counted(&arguments.binary, &place, None)?;
    let mut client = Client::connect(program.address)?;
    for kind in kinds {
        let batches = batches(kind, &mut program, &mut client)?;
        if arguments.verbose {
            let totals: Vec<u64> = batches
                .iter()
                .map(|b| b.total / kind.batch as u64)
                .collect();
            eprintln!("{}: {totals:?}", name(kind, logged));
        }
        let middle = &batches[BATCHES / 2];
        let of_one = figures.entry(name(kind, logged)).or_default();
        of_one.instructions = Some(middle.total / kind.batch as u64);
        of_one.allocations = Some(share(middle.allocations(), kind.batch));
    }
    Ok(())
}

/// Every batch of a kind, sorted by what it cost.
fn batches(kind: &Kind, program: &mut Program, client: &mut Client) -> io::Result<Vec<Profile>> {
    client.send(kind, 3 * ROUND, false)?;
    program.dump()?;
    let mut batches = Vec::with_capacity(BATCHES);
    for _ in 0..BATCHES {
        client.send(kind, kind.batch, true)?;
        let file = program.dump()?;
        batches.push(Profile::read(&file)?);
        std::fs::remove_file(file)?;
    }
    batches.sort_by_key(|batch| batch.total);
    Ok(batches)
}

fn count_system_calls(
    arguments: &Arguments,
    kinds: &[&Kind],
    logged: bool,
    figures: &mut BTreeMap<String, Figures>,
) -> io::Result<()> {
    let place = Place::new(logged)?;
    let program = Program::start(&arguments.binary, &place)?;
    let mut client = Client::connect(program.address)?;
    for kind in kinds {
        client.send(kind, 3 * ROUND, false)?;
        let strace = Strace::attach(program.id(), place.folder.path())?;
        client.send(kind, kind.batch, true)?;
        let calls = strace.finish()?;
        let calls = calls
            .into_iter()
            .map(|(name, count)| (name, share(count, kind.batch)));
        figures.entry(name(kind, logged)).or_default().system_calls = Some(calls.collect());
    }
    Ok(())
}

/// Prints where the instructions and allocations of one kind are.
fn profile(arguments: &Arguments, wanted: &str) -> io::Result<()> {
    let logged = wanted.ends_with(LOGGED);
    let Some(kind) = KINDS.iter().find(|kind| name(kind, logged) == wanted) else {
        return Err(io::Error::other(format!("there is no kind {wanted}")));
    };
    if !has("valgrind", "valgrind") {
        return Ok(());
    }
    let place = Place::new(logged)?;
    let mut program =
        Program::start_counted(&arguments.binary, &place, arguments.callers.as_deref())?;
    let mut client = Client::connect(program.address)?;
    let batches = batches(kind, &mut program, &mut client)?;
    report(arguments, kind, &batches[BATCHES / 2]);
    Ok(())
}

fn report(arguments: &Arguments, kind: &Kind, profile: &Profile) {
    println!(
        "{} instructions a request",
        profile.total / kind.batch as u64
    );
    let mut tables = vec![
        ("instructions with what is called", &profile.inclusive),
        ("instructions without what is called", &profile.exclusive),
        ("allocations, by caller < its caller", &profile.allocations),
    ];
    if arguments.callers.is_some() {
        tables = vec![("instructions, by caller < its caller", &profile.apart)];
    }
    for (title, table) in tables {
        println!("\n{title}");
        let mut rows: Vec<(&String, &u64)> = table.iter().collect();
        rows.sort_by_key(|(name, count)| (std::cmp::Reverse(*count), *name));
        for (name, count) in rows.into_iter().take(arguments.rows) {
            println!("{:>12.2}  {name}", *count as f64 / kind.batch as f64);
        }
    }
}

fn name(kind: &Kind, logged: bool) -> String {
    let end = if logged { LOGGED } else { "" };
    format!("{}{end}", kind.name)
}

/// To three digits behind the point.
fn share(count: u64, requests: usize) -> f64 {
    (count as f64 / requests as f64 * 1000.0).round() / 1000.0
}

/// Whether `program` is installed; if not, says so.
fn has(program: &str, package: &str) -> bool {
    let found = version(program).is_some();
    if !found {
        eprintln!("SKIPPED: there is no {program} (Debian's package {package})");
    }
    found
}

fn version(program: &str) -> Option<String> {
    let output = Command::new(program).arg("--version").output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines().next().map(str::to_owned)
}

fn commit() -> String {
    let git = |arguments: &[&str]| {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let output = Command::new("git")
            .arg("-C")
            .arg(root)
            .args(arguments)
            .output();
        output.map_or_else(
            |_| String::new(),
            |o| String::from_utf8_lossy(&o.stdout).trim().to_owned(),
        )
    };
    let commit = git(&["rev-parse", "--short", "HEAD"]);
    match git(&["status", "--porcelain", "--untracked-files=no"]).is_empty() {
        true => commit,
        false => commit + "+",
    }
}
