//! A configuration that compiles and keeps its own promises.

use std::path::Path;

use crate::config::{ConfigErrors, Snapshot, Warnings, load};
use crate::plan::{TestFailure, run_tests};

/// Why a configuration is not taken.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refused {
    /// It does not compile.
    #[error(transparent)]
    Config(#[from] ConfigErrors),
    /// It breaks promises of its own.
    #[error("{}", told(failures))]
    Tests {
        /// Never empty.
        failures: Vec<TestFailure>,
        /// What is risky in it besides.
        warnings: Warnings,
    },
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
        false => Err(Refused::Tests { failures, warnings }),
    }
}

fn told(failures: &[TestFailure]) -> String {
    let texts: Vec<String> = failures.iter().map(ToString::to_string).collect();
    texts.join("\n\n")
}
