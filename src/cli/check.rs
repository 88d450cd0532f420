//! `portcullis check`: compile a configuration and run its tests.

use std::path::Path;

use super::complain::complain;
use super::load::{Refused, load_tested};
use super::say::say;
use super::{CliError, Exit};

/// Prints every error and warning on stderr, and a line that says what was
/// checked on stdout.
pub(super) fn run(file: &Path) -> Result<Exit, CliError> {
    let (snapshot, warnings) = match load_tested(file) {
        Ok(loaded) => loaded,
        Err(refused) => {
            if let Refused::Tests { warnings, .. } = &refused
                && !warnings.is_empty()
            {
                complain(format_args!("{warnings}\n"));
            }
            complain(refused);
            return Ok(Exit::Config);
        }
    };
    if !warnings.is_empty() {
        complain(warnings);
    }
    say(format_args!(
        "{}: ok, {} and {} passed",
        file.display(),
        counted(snapshot.routes.len(), "route"),
        counted(snapshot.tests.len(), "test"),
    ))?;
    Ok(Exit::Done)
}

fn counted(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}
