//! `portcullis check`: compile a configuration and run its tests.

use std::io::{self, Write as _};
use std::path::Path;

use super::{CliError, Exit};
use crate::config::{Snapshot, load};
use crate::plan::run_tests;

/// Prints every error and warning on stderr, and a line that says what was
/// checked on stdout.
pub(super) fn run(file: &Path) -> Result<Exit, CliError> {
    let Some(snapshot) = load_and_test(file) else {
        return Ok(Exit::Config);
    };
    let (routes, tests) = (snapshot.routes.len(), snapshot.tests.len());
    writeln!(
        io::stdout(),
        "{}: ok, {} and {} passed",
        file.display(),
        counted(routes, "route"),
        counted(tests, "test"),
    )
    .map_err(|error| CliError::Io("write to standard output", error))?;
    Ok(Exit::Done)
}

/// Compiles `file` and runs its tests; what is wrong goes to stderr.
pub(super) fn load_and_test(file: &Path) -> Option<Snapshot> {
    let (snapshot, warnings) = match load(file) {
        Ok(loaded) => loaded,
        Err(errors) => {
            eprintln!("{errors}");
            return None;
        }
    };
    if !warnings.is_empty() {
        eprintln!("{warnings}");
    }
    let failures = run_tests(&snapshot);
    for failure in &failures {
        eprintln!("error: {}:{failure}", file.display());
    }
    failures.is_empty().then_some(snapshot)
}

fn counted(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}
