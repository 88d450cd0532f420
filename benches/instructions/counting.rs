//! Sends the requests and takes the counters off.

use std::collections::BTreeMap;
use std::io;

use super::arguments::Arguments;
use super::client::Client;
use super::installed::has;
use super::kinds::{self, Kind, ROUND};
use super::profile::Profile;
use super::program::{Place, Program};
use super::record::Figures;
use super::system_calls::Strace;

/// How often each kind is counted. The batch that cost least is the figure: what
/// varies, such as how much of a long body a socket takes at once, adds to it.
const BATCHES: usize = 5;

/// Adds the instructions and allocations of these kinds to `figures`.
pub(crate) fn instructions(
    arguments: &Arguments,
    kinds: &[&Kind],
    logged: bool,
    figures: &mut BTreeMap<String, Figures>,
) -> io::Result<()> {
    let place = Place::new(logged)?;
    let mut program = Program::start_counted(&arguments.binary, &place, None)?;
    if Profile::read(&program.dump()?)?.allocations() == 0 {
        let what = "the allocator has other names than allocations.rs knows";
        return Err(io::Error::other(what));
    }
    let mut client = Client::connect(program.address)?;
    for kind in kinds {
        let batches = batches(kind, &mut program, &mut client)?;
        if arguments.verbose {
            let totals: Vec<u64> = batches
                .iter()
                .map(|b| b.total / kind.batch as u64)
                .collect();
            eprintln!("{}: {totals:?}", kind.name(logged));
        }
        let least = &batches[0];
        let of_one = figures.entry(kind.name(logged)).or_default();
        of_one.instructions = Some(least.total / kind.batch as u64);
        of_one.allocations = Some(share(least.allocations(), kind.batch));
    }
    Ok(())
}

/// Adds the system calls of these kinds to `figures`.
pub(crate) fn system_calls(
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
        figures.entry(kind.name(logged)).or_default().system_calls = Some(calls.collect());
    }
    Ok(())
}

/// Prints where the instructions and allocations of one kind are.
pub(crate) fn profile(arguments: &Arguments, wanted: &str) -> io::Result<()> {
    let (kind, logged) = kinds::find(wanted)
        .ok_or_else(|| io::Error::other(format!("there is no kind {wanted}; --help names all")))?;
    if !has("valgrind") {
        return Ok(());
    }
    let place = Place::new(logged)?;
    let mut program =
        Program::start_counted(&arguments.binary, &place, arguments.callers.as_deref())?;
    let mut client = Client::connect(program.address)?;
    let batches = batches(kind, &mut program, &mut client)?;
    report(arguments, kind, &batches[0]);
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

/// Every batch of a kind, the one that cost least first.
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

/// To three digits behind the point.
fn share(count: u64, requests: usize) -> f64 {
    (count as f64 / requests as f64 * 1000.0).round() / 1000.0
}
