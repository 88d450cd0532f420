//! From a path to a snapshot.

use std::path::Path;

use super::compile::compile;
use super::error::{ConfigErrors, Finding, Warnings};
use super::parse::parse;
use super::reader::Findings;
use super::source::Source;
use super::warn::warn;
use super::{Level, Snapshot};

/// Reads and compiles the configuration file at `path`, and the files that it
/// names. Its tests are not run.
///
/// # Errors
///
/// Every error in it, in order of position.
pub fn load(path: &Path) -> Result<(Snapshot, Warnings), ConfigErrors> {
    let source = Source::read(path).map_err(|finding| ConfigErrors(vec![*finding]))?;
    let findings = Findings::default();
    let file = parse(&source, &findings);
    let snapshot = file.and_then(|file| {
        let snapshot = compile(&file, path, &findings)?;
        warn(&file, &snapshot, &findings);
        Some(snapshot)
    });
    let (errors, warnings) = in_order(findings, path);
    match snapshot {
        Some(snapshot) if errors.is_empty() => Ok((snapshot, Warnings(warnings))),
        _ => Err(ConfigErrors(errors)),
    }
}

/// The errors and the warnings, each in order of position.
fn in_order(findings: Findings, path: &Path) -> (Vec<Finding>, Vec<Finding>) {
    let mut findings = findings.into_inner();
    findings.sort_by(|a, b| a.position(path).cmp(&b.position(path)));
    findings
        .into_iter()
        .partition(|finding| finding.level() == Level::Error)
}
