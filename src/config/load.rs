//! From a path to a snapshot.

use std::path::Path;
use std::sync::Arc;

use super::compile::{Databases, compile};
use super::error::{ConfigErrors, Finding, Warnings};
use super::parse::parse;
use super::reader::Findings;
use super::source::Source;
use super::warn::warn;
use super::{Level, Snapshot, SourceFile};
use crate::access::country::CountryDatabase;

/// Reads and compiles the configuration file at `path`, and the files that it
/// names. Its tests are not run.
///
/// # Errors
///
/// Every error in it, in order of position.
pub fn load(path: &Path) -> Result<(Snapshot, Warnings), ConfigErrors> {
    let (file, bytes) = SourceFile::read(path);
    let mut sources = vec![file];
    let loaded = Source::of_bytes(path, bytes)
        .map_err(|finding| vec![*finding])
        .and_then(|source| load_source(&source, path, Databases::new(), &mut sources));
    match loaded {
        Ok((mut snapshot, warnings)) => {
            snapshot.sources = sources;
            Ok((snapshot, warnings))
        }
        Err(findings) => Err(ConfigErrors { findings, sources }),
    }
}

/// Compiles a configuration that is part of the program. A database that it
/// names is the one in `databases` under that name; every other file that it
/// names is read from the current directory on.
///
/// # Errors
///
/// Every error in it, in order of position; places name it `name`.
pub fn load_embedded(
    name: &str,
    text: &str,
    databases: impl IntoIterator<Item = (&'static str, CountryDatabase)>,
) -> Result<(Snapshot, Warnings), ConfigErrors> {
    let path = Path::new(name);
    let databases = databases
        .into_iter()
        .map(|(name, database)| (name.into(), Some(Arc::new(database))))
        .collect();
    // There is no file to watch.
    let mut unwatched = Vec::new();
    let source = Source::new(path, text);
    load_source(&source, path, databases, &mut unwatched).map_err(|findings| ConfigErrors {
        findings,
        sources: Vec::new(),
    })
}

fn load_source(
    source: &Arc<Source>,
    path: &Path,
    databases: Databases,
    sources: &mut Vec<SourceFile>,
) -> Result<(Snapshot, Warnings), Vec<Finding>> {
    let findings = Findings::default();
    let file = parse(source, &findings);
    let snapshot = file.and_then(|file| {
        let snapshot = compile(&file, path, databases, sources, &findings)?;
        warn(&file, &snapshot, &findings);
        Some(snapshot)
    });
    let (errors, warnings) = in_order(findings, path);
    match snapshot {
        Some(snapshot) if errors.is_empty() => Ok((snapshot, Warnings(warnings))),
        _ => Err(errors),
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
