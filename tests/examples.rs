//! What is shipped to be copied: the example policies, and those in the README.

use std::fs;
use std::path::{Path, PathBuf};

use assert_cmd::Command;
use portcullis::config::load;
use portcullis::plan::run_tests;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn examples() -> Vec<PathBuf> {
    let entries = fs::read_dir(root().join("config/examples")).unwrap();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

#[test]
fn every_example_keeps_its_promises() {
    let files = examples();
    assert!(files.len() >= 4, "only {} examples", files.len());
    for file in files {
        let (snapshot, warnings) = load(&file).unwrap_or_else(|errors| panic!("{errors}"));
        assert!(snapshot.tests.len() >= 5, "{}: too few tests", file.display());
        // What follows its own advice has nothing to be warned of.
        assert!(warnings.is_empty(), "{warnings}");
        assert_eq!(run_tests(&snapshot), []);
        Command::cargo_bin("portcullis").unwrap().arg("check").arg(&file).assert().success();
    }
}

/// An example whose tests always pass would teach nothing.
#[test]
fn an_example_without_its_rules_breaks_its_promises() {
    for file in examples() {
        let text = fs::read_to_string(&file).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let copy = folder.path().join("copy.toml");
        fs::write(&copy, without_rules(&text)).unwrap();
        let (snapshot, _) = load(&copy).unwrap_or_else(|errors| panic!("{errors}"));
        assert!(run_tests(&snapshot).len() >= 2, "{}", file.display());
    }
}

/// `[server]`, `[origin]` and the tests of a file.
fn without_rules(text: &str) -> String {
    let mut keep = false;
    let kept = text.lines().filter(|line| {
        if line.starts_with('[') {
            keep = ["[server]", "[origin]", "[[test]]"].contains(line);
        }
        keep
    });
    kept.collect::<Vec<_>>().join("\n")
}

#[test]
fn every_policy_in_the_readme_compiles() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let blocks: Vec<&str> = readme
        .split("```toml\n")
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap_or_default())
        .collect();
    assert!(blocks.len() >= 3, "only {} policies", blocks.len());
    for block in blocks {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("portcullis.toml");
        fs::copy(
            root().join("tests/fixtures/country/country.mmdb"),
            folder.path().join("country.mmdb"),
        )
        .unwrap();
        let origin = match block.contains("[origin]") {
            true => "",
            false => "\n[origin]\nurl = \"http://127.0.0.1:9000\"\n",
        };
        fs::write(&file, format!("{block}{origin}")).unwrap();
        let (snapshot, _) = load(&file).unwrap_or_else(|errors| panic!("{errors}"));
        assert_eq!(run_tests(&snapshot), [], "{block}");
    }
}
