//! From a path to a snapshot.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::compile::{Databases, compile};
use super::error::{ConfigErrors, Finding, Place, Warnings};
use super::parse::parse;
use super::reader::Findings;
use super::source::Source;
use super::warn::warn;
use super::{Level, Snapshot, SourceFile};
use crate::access::country::CountryDatabase;

/// How often a load starts over before it is given up.
const TRIES: usize = 5;

/// What a file that is being written gets to come to rest between two tries.
const PAUSE: Duration = Duration::from_millis(500);

/// Reads and compiles the configuration file at `path`, and the files that it
/// names; starts over if one of them changes meanwhile, so that what comes of
/// it was all there at one time. Its tests are not run.
///
/// # Errors
///
/// Every error in it, in order of position; or that its files do not come to
/// rest.
pub fn load(path: &Path) -> Result<(Snapshot, Warnings), ConfigErrors> {
    load_steady(|| load_once(path, SourceFile::read))
}

/// The same of a file that is in force already. It may not be a pipe: nobody
/// may be there to write to it, and no reload would come after this one.
///
/// # Errors
///
/// As [`load`].
pub fn load_again(path: &Path) -> Result<(Snapshot, Warnings), ConfigErrors> {
    load_steady(|| load_once(path, SourceFile::read_regular))
}

fn load_steady(
    load: impl Fn() -> Result<(Snapshot, Warnings), ConfigErrors>,
) -> Result<(Snapshot, Warnings), ConfigErrors> {
    let mut tries = 1;
    loop {
        let loaded = load();
        let sources = match &loaded {
            Ok((snapshot, _)) => &snapshot.sources,
            Err(errors) => &errors.sources,
        };
        let Some(changed) = sources.iter().find(|file| !file.is_steady()) else {
            return loaded;
        };
        if tries == TRIES {
            return Err(ConfigErrors {
                findings: vec![restless(&changed.path)],
                sources: sources.clone(),
            });
        }
        tries += 1;
        std::thread::sleep(PAUSE);
    }
}

fn restless(path: &Path) -> Finding {
    let message = format!("the file changed each of the {TRIES} times that it was read");
    let finding = Finding::error(Place::file(path), "", message);
    finding.help("try again once nobody writes to it")
}

fn load_once(
    path: &Path,
    read: fn(&Path) -> (SourceFile, io::Result<Vec<u8>>),
) -> Result<(Snapshot, Warnings), ConfigErrors> {
    let (file, bytes) = read(path);
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

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::fs;

    use super::*;

    fn policy(name: &str) -> String {
        let origin = "[origin]\nurl = \"http://127.0.0.1:9\"\n";
        format!("{origin}[[route]]\nname = \"{name}\"\npaths = [\"/x\"]\n")
    }

    /// Loads a file that is written so often while it is being loaded.
    fn load_while_written(times: usize) -> (Result<String, ConfigErrors>, usize) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("p.toml");
        fs::write(&path, policy("0")).unwrap();
        let count = Cell::new(0);
        let loaded = load_steady(|| {
            let loaded = load_once(&path, SourceFile::read);
            count.set(count.get() + 1);
            if count.get() <= times {
                fs::write(&path, policy(&count.get().to_string())).unwrap();
            }
            loaded
        });
        let name = loaded.map(|(snapshot, _)| snapshot.routes[0].name.clone());
        (name, count.get())
    }

    #[test]
    fn a_load_starts_over_while_a_file_changes() {
        let (name, count) = load_while_written(2);
        assert_eq!((name.unwrap().as_str(), count), ("2", 3));
    }

    #[test]
    fn a_file_that_never_rests_is_given_up() {
        let (error, count) = load_while_written(usize::MAX);
        let error = error.unwrap_err();
        assert_eq!((error.iter().count(), count), (1, TRIES));
        assert!(error.to_string().contains("changed each of the 5 times"));
        assert_eq!(error.sources().len(), 1);
    }
}
