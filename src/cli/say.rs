//! What a command has to say, on stdout.

use std::fmt::Display;
use std::io::{self, Write as _};

use super::CliError;

/// Writes a line to stdout. That nobody reads it to its end, as `head` does,
/// is no failure: the exit code is of what was found out.
pub(super) fn say(text: impl Display) -> Result<(), CliError> {
    written(writeln!(io::stdout(), "{text}"))
}

/// The same of what was written already.
pub(super) fn written(result: io::Result<()>) -> Result<(), CliError> {
    match result {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(CliError::Io("write to standard output", error))
        }
        _ => Ok(()),
    }
}
