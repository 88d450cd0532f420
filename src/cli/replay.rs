//! `portcullis replay`: what a configuration would have done with the requests
//! of an access log.

mod input;
mod progress;
mod text;

use std::io;
use std::path::{Path, PathBuf};

use clap::Args;

use self::input::{Input, size};
use self::progress::Progress;
use super::complain::complain;
use super::load::load_tested;
use super::say::say;
use super::{CliError, Exit};
use crate::config::{Snapshot, load};
use crate::message::terminal::plain_json;
use crate::replay::{LineReader, ReadLine, Replay, Report};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Access logs, plain or gzip; `-` is standard input
    #[arg(long, value_name = "ACCESS.ndjson", required = true, num_args = 1..)]
    log: Vec<PathBuf>,
    /// The configuration to ask about
    #[arg(long, value_name = "NEW")]
    config: PathBuf,
    /// The configuration that wrote the log [default: compare with what was logged]
    #[arg(long, value_name = "OLD")]
    against: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Exit 3 if a request is decided, keyed or varied otherwise, and 1 if none could be decided
    #[arg(long)]
    fail_on_change: bool,
}

pub(super) fn run(arguments: &Arguments) -> Result<Exit, CliError> {
    let Some((new, old)) = configurations(arguments) else {
        return Ok(Exit::Config);
    };
    // All of them, before hours go into the first.
    let sizes = arguments.log.iter().map(|path| size(path));
    let sizes = sizes.collect::<Result<Vec<Option<u64>>, CliError>>()?;
    let mut progress = Progress::new(sizes.into_iter().sum());
    let mut replay = Replay::new(&new, old.as_ref());
    let mut all_read = true;
    for path in &arguments.log {
        if let Err(error) = read(path, &mut replay, &mut progress)? {
            progress.clear();
            complain(format_args!(
                "portcullis: --log {}: {error}; what came before that counts",
                path.display()
            ));
            all_read = false;
        }
    }
    progress.clear();
    let report = replay.report();
    let shown = match arguments.json {
        true => {
            let json = serde_json::to_string(&report);
            plain_json(&json.expect("a report is strings and numbers under string keys"))
        }
        false => text::of(&report),
    };
    say(shown)?;
    Ok(match arguments.fail_on_change {
        true if report.has_changes() => Exit::Changed,
        true if report.decided() == 0 => {
            complain(nothing_decided(&report));
            Exit::Failure
        }
        _ if all_read => Exit::Done,
        _ => Exit::Failure,
    })
}

/// Nothing changed, as nothing was looked at: that is no success.
fn nothing_decided(report: &Report) -> String {
    let what = match (report.lines, report.requests) {
        (0, _) => "the log is empty: give one that has requests".to_owned(),
        (lines, 0) => format!(
            "none of {lines} lines is a request: give an access log of portcullis, the reasons are under `skipped`"
        ),
        (_, requests) => format!(
            "none of {requests} requests could be decided, the reasons are under `undecided`: give a log that \
             tells more, or with --against the file that wrote this one"
        ),
    };
    format!("portcullis: --fail-on-change: {what}")
}

/// The new configuration and the old one; `None`: one of them is wrong.
fn configurations(arguments: &Arguments) -> Option<(Snapshot, Option<Snapshot>)> {
    let new = match load_tested(&arguments.config) {
        Ok((snapshot, _)) => snapshot,
        Err(refused) => {
            complain(refused);
            return None;
        }
    };
    // It was in force once; what its tests say today is not asked.
    match arguments.against.as_deref().map(load).transpose() {
        Ok(old) => Some((new, old.map(|(snapshot, _)| snapshot))),
        Err(errors) => {
            complain(errors);
            None
        }
    }
}

/// Replays a log; inside, why it could not be read to its end.
fn read(
    path: &Path,
    replay: &mut Replay<'_>,
    progress: &mut Progress,
) -> Result<io::Result<()>, CliError> {
    let input = Input::open(path, progress.counter())?;
    let mut lines = LineReader::new(input);
    loop {
        match lines.next() {
            Ok(Some(ReadLine::Line(line))) => replay.take(line),
            Ok(Some(ReadLine::TooLong)) => replay.take_too_long(),
            Ok(None) => return Ok(Ok(())),
            Err(error) => return Ok(Err(error)),
        }
        progress.line();
    }
}
