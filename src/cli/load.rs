//! A configuration that compiles and keeps its own promises.

use std::fmt::Write as _;
use std::path::Path;

use crate::config::{ConfigErrors, Snapshot, Warnings, load};
use crate::plan::{TestFailure, run_tests};

/// Why a configuration is not taken.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refused {
    /// It does not compile.
    #[error(transparent)]
    Config(#[from] ConfigErrors),
    /// It breaks a promise of its own.
    #[error("{0}")]
    Tests(String),
}

/// Compiles `file` and runs its tests.
///
/// # Errors
///
/// Everything that is wrong with it.
pub(super) fn load_tested(file: &Path) -> Result<(Snapshot, Warnings), Refused> {
    let (snapshot, warnings) = load(file)?;
    let failures = run_tests(&snapshot);
    match failures.is_empty() {
        true => Ok((snapshot, warnings)),
        false => Err(Refused::Tests(told(file, &failures))),
    }
}

fn told(file: &Path, failures: &[TestFailure]) -> String {
    let mut text = String::new();
    for failure in failures {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "error: {}:{failure}", file.display());
    }
    text.truncate(text.trim_end().len());
    text
}
