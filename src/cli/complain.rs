//! What people are told beside the output.

use std::fmt::Display;
use std::io::Write as _;

/// Writes a line to stderr. If nobody reads it, there is still the exit code:
/// `eprintln!` would end the program with another one.
pub(super) fn complain(text: impl Display) {
    let _ = writeln!(std::io::stderr(), "{text}");
}
