//! The fuzz targets of `fuzz/`, without a fuzzer: on their seeds, and on what
//! is made of those by changing, cutting, repeating and mixing.

#[path = "../fuzz/src/lib.rs"]
#[expect(unreachable_pub, reason = "it is a crate of its own, too")]
mod targets;
#[path = "integration/support/tried.rs"]
#[expect(dead_code, reason = "nothing here needs another program")]
mod tried;

use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::{TestError, TestRunner};

use self::targets::{TARGETS, Target};
use self::tried::tried;

/// Bytes that mean something to one target or another.
const TOKENS: [&str; 36] = [
    "%c0%ae",
    "%c0%af",
    "%ef%bc%8e",
    "%2500",
    "%2F",
    "%252e",
    "%5C",
    "%3B",
    "..",
    ";",
    "\\",
    "//",
    "premium",
    ".jpg",
    "*",
    "**",
    "{",
    ",",
    "}",
    "[a-",
    "]",
    ":",
    "@",
    "?",
    "#",
    "\"",
    "\\\"",
    "=",
    "for=",
    "no-store",
    "max-age=",
    "bytes=",
    "-",
    "10.0.0.1",
    "\r\n",
    "::ffff:",
];

/// A change of some bytes.
#[derive(Clone, Debug)]
enum Change {
    Byte(Index, u8),
    Insert(Index, Vec<u8>),
    Remove(Index, usize),
    Repeat(Index, usize),
}

fn change() -> impl Strategy<Value = Change> {
    let token = select(&TOKENS[..]).prop_map(|token| token.as_bytes().to_vec());
    let bytes = proptest::collection::vec(any::<u8>(), 1..5);
    prop_oneof![
        (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Change::Byte(at, byte)),
        (any::<Index>(), prop_oneof![3 => token, 1 => bytes])
            .prop_map(|(at, bytes)| Change::Insert(at, bytes)),
        (any::<Index>(), 1..9_usize).prop_map(|(at, count)| Change::Remove(at, count)),
        (any::<Index>(), 1..17_usize).prop_map(|(at, count)| Change::Repeat(at, count)),
    ]
}

impl Change {
    fn apply(&self, bytes: &mut Vec<u8>) {
        let within = |at: &Index| at.index(bytes.len() + 1);
        match self {
            Self::Byte(at, byte) => {
                let at = within(at);
                if let Some(place) = bytes.get_mut(at) {
                    *place = *byte;
                }
            }
            Self::Insert(at, new) => {
                let at = within(at);
                bytes.splice(at..at, new.iter().copied());
            }
            Self::Remove(at, count) => {
                let at = within(at);
                bytes.drain(at..bytes.len().min(at + count));
            }
            Self::Repeat(at, count) => {
                let at = within(at);
                let part = bytes[at..bytes.len().min(at + count)].to_vec();
                bytes.splice(at..at, part);
            }
        }
    }
}

/// The seeds of a target, and what the project has of the kind.
fn seeds(name: &str) -> Vec<Vec<u8>> {
    let project = Path::new(env!("CARGO_MANIFEST_DIR"));
    let own = files(&project.join("fuzz/corpus").join(name));
    let more = match name {
        "configuration" => files(&project.join("tests/fixtures/config/valid")),
        "country" => files(&project.join("tests/fixtures/country")),
        _ => Vec::new(),
    };
    let texts = own.into_iter().chain(more);
    texts.map(|path| fs::read(path).expect("a seed")).collect()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder of seeds");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let mut paths: Vec<PathBuf> = paths.filter(|path| path.is_file()).collect();
    paths.sort();
    paths
}

fn run(name: &str, cases: u32) {
    let (_, check): Target = *TARGETS
        .iter()
        .find(|(known, _)| *known == name)
        .expect("a target");
    let seeds = seeds(name);
    assert!(seeds.len() > 1, "{name} has no seeds");
    tried(
        "files, fields and headers that parsers read",
        seeds.len() + cases as usize,
    );
    seeds.iter().for_each(|seed| check(seed));
    let changed = (select(seeds), proptest::collection::vec(change(), 1..8));
    let changed = changed.prop_map(|(mut bytes, changes)| {
        changes.iter().for_each(|change| change.apply(&mut bytes));
        bytes
    });
    let config = ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(cases)
    };
    let ran = TestRunner::new(config).run(&changed, |bytes| {
        check(&bytes);
        Ok(())
    });
    match ran {
        Err(TestError::Fail(why, bytes)) => panic!("{name}: {why}: {}", bytes.escape_ascii()),
        ran => ran.expect("it runs"),
    }
}

#[test]
fn cache_control() {
    run("cache_control", 20_000);
}

#[test]
fn configuration() {
    run("configuration", 500);
}

#[test]
fn country() {
    run("country", 20000);
}

#[test]
fn forwarded() {
    run("forwarded", 20_000);
}

#[test]
fn glob() {
    run("glob", 4_000);
}

#[test]
fn path() {
    run("path", 50_000);
}

#[test]
fn proxy() {
    run("proxy", 20_000);
}

#[test]
fn range() {
    run("range", 20_000);
}

#[test]
fn referer() {
    run("referer", 20_000);
}

/// Each target has a module, a program for the fuzzer and seeds.
#[test]
fn every_target_is_there() {
    let project = Path::new(env!("CARGO_MANIFEST_DIR"));
    let names = |folder: &str| -> Vec<String> {
        let stem = |path: PathBuf| {
            path.file_stem()
                .expect("a name")
                .to_string_lossy()
                .into_owned()
        };
        files(&project.join(folder)).into_iter().map(stem).collect()
    };
    let known: Vec<&str> = TARGETS.iter().map(|(name, _)| *name).collect();
    assert_eq!(names("fuzz/fuzz_targets"), known);
    let modules = names("fuzz/src");
    assert!(modules.iter().filter(|name| *name != "lib").eq(known));
}
