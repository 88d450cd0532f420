//! `portcullis schema`: the JSON Schema of the configuration, for editors.

use super::{CliError, Exit, print};
use crate::config::json_schema;

/// Prints it on stdout.
pub(super) fn run() -> Result<Exit, CliError> {
    print(format!("{:#}\n", json_schema()).as_bytes())
}
