//! A configuration that compiles and keeps its own promises.

use std::path::Path;

use crate::config::{ConfigErrors, Snapshot, SourceFile, Warnings, load, load_again};
use crate::log::access::AccessLogError;
use crate::plan::{TestFailure, run_tests};
use crate::reload::Refusal;

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
        /// The files that it is made from.
        sources: Vec<SourceFile>,
    },
    /// Its access log cannot be opened.
    #[error(transparent)]
    AccessLog(#[from] AccessLogError),
}

/// Compiles `file` and runs its tests.
///
/// # Errors
///
/// Everything that is wrong with it.
pub(super) fn load_tested(file: &Path) -> Result<(Snapshot, Warnings), Refused> {
    tested(load(file)?)
}

/// The same of one that is in force already.
///
/// # Errors
///
/// Everything that is wrong with it.
pub(super) fn load_tested_again(file: &Path) -> Result<(Snapshot, Warnings), Refused> {
    tested(load_again(file)?)
}

fn tested((snapshot, warnings): (Snapshot, Warnings)) -> Result<(Snapshot, Warnings), Refused> {
    let failures = run_tests(&snapshot);
    if failures.is_empty() {
        return Ok((snapshot, warnings));
    }
    Err(Refused::Tests {
        failures,
        warnings,
        sources: snapshot.sources,
    })
}

impl Refusal for Refused {
    fn sources(&self) -> &[SourceFile] {
        match self {
            Self::Config(errors) => errors.sources(),
            Self::Tests { sources, .. } => sources,
            // Its files were all good.
            Self::AccessLog(_) => &[],
        }
    }
}

fn told(failures: &[TestFailure]) -> String {
    let texts: Vec<String> = failures.iter().map(ToString::to_string).collect();
    texts.join("\n\n")
}
