//! What one request of each kind costs in instructions, allocations and system
//! calls: figures that a busy machine does not blur. `run --help` beside this
//! file says how it is used.
//!
//! The real program with one worker is asked the same requests in the same
//! order over one connection. Under valgrind's callgrind its counters are
//! taken off after a warm-up and after each of a few batches; the least of them
//! is the figure. strace counts the system calls in another run.

mod allocations;
mod arguments;
mod client;
mod counting;
mod installed;
#[path = "../compare/interrupt.rs"]
mod interrupt;
mod kinds;
mod origin;
mod policy;
mod profile;
mod program;
mod record;
#[path = "../rules/mod.rs"]
mod rules;
#[path = "../rules/sites.rs"]
mod sites;
mod system_calls;

use std::error::Error;
use std::io;
use std::process::ExitCode;

use arguments::{Arguments, Wish};
use client::Client;
use installed::{commit, has, version};
use kinds::{KINDS, Kind, ROUND};
use program::{Place, Program};
use record::Record;

/// What can fail beside input and output.
pub(crate) type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> ExitCode {
    interrupt::listen();
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
        Wish::Profile(name) => counting::profile(&arguments, name).map(|()| true),
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

/// An error once we have been told to end: what was started is dropped then.
pub(crate) fn go_on() -> io::Result<()> {
    interrupt::check().map_err(|error| io::Error::other(error.to_string()))
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
        country_database: match rules::real_country_database() {
            Some(_) => "real".to_owned(),
            None => "tests".to_owned(),
        },
        valgrind: version("valgrind").unwrap_or_default(),
        ..Record::default()
    };
    if arguments
        .only
        .iter()
        .any(|only| kinds::find(only).is_none())
    {
        return Err(io::Error::other("no such kind; --help names all"));
    }
    let (has_valgrind, has_strace) = (has("valgrind"), has("strace"));
    for logged in [false, true] {
        let wanted = |kind: &&Kind| arguments.wants(&kind.name(logged));
        let kinds: Vec<&Kind> = KINDS.iter().filter(wanted).collect();
        if kinds.is_empty() {
            continue;
        }
        if has_valgrind {
            counting::instructions(arguments, &kinds, logged, &mut record.kinds)?;
        }
        if has_strace {
            counting::system_calls(arguments, &kinds, logged, &mut record.kinds)?;
        }
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
    if arguments.check && !holds(arguments, &record, &last) {
        return Ok(false);
    }
    if arguments.update && record.is_whole() {
        record.keep(last)?;
    } else if arguments.update {
        eprintln!("NOT KEPT: not every kind was counted");
    }
    Ok(true)
}

/// Whether every kind that was asked for was counted, now and last time, and
/// none has grown; if not, says so.
fn holds(arguments: &Arguments, record: &Record, last: &Record) -> bool {
    let names = [false, true].map(|logged| KINDS.map(|kind| kind.name(logged)));
    let wanted = names.as_flattened().iter();
    let unknown = record.unknown(last, wanted.filter(|name| arguments.wants(name)));
    let grown = record.grown(last);
    if !unknown.is_empty() {
        let unknown = unknown.join(", ");
        eprintln!("error: nothing to compare, now or in last.json, of {unknown}");
    }
    if !grown.is_empty() {
        let grown = grown.join(", ");
        eprintln!("error: over 5 % more instructions than last: {grown}");
    }
    unknown.is_empty() && grown.is_empty()
}
