//! What is shipped to be copied: the example policies, and those in the README.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

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
        assert!(
            snapshot.tests.len() >= 5,
            "{}: too few tests",
            file.display()
        );
        // What follows its own advice has nothing to be warned of.
        assert!(warnings.is_empty(), "{warnings}");
        assert_eq!(run_tests(&snapshot), []);
        Command::cargo_bin("portcullis")
            .unwrap()
            .arg("check")
            .arg(&file)
            .assert()
            .success();
    }
}

/// The policies that images and pods start with.
#[test]
fn every_policy_to_deploy_keeps_its_promises() {
    let image = fs::read_to_string(root().join("config/docker.toml")).unwrap();
    let map = fs::read_to_string(root().join("config/kubernetes/configmap.yaml")).unwrap();
    let pod = [
        ("portcullis.toml", entry(&map, "portcullis.toml")),
        ("blocked.txt", entry(&map, "blocked.txt")),
    ];
    for files in [vec![("portcullis.toml", image)], pod.to_vec()] {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(folder.path().join(name), text).unwrap();
        }
        let file = folder.path().join("portcullis.toml");
        let (snapshot, _) = load(&file).unwrap_or_else(|errors| panic!("{errors}"));
        assert!(!snapshot.tests.is_empty());
        assert_eq!(run_tests(&snapshot), []);
        // A container is reached from outside.
        assert_eq!(snapshot.server.listen, ["0.0.0.0:8080".parse().unwrap()]);
    }
}

/// An entry of a ConfigMap that is written as a block.
fn entry(map: &str, name: &str) -> String {
    let start = format!("  {name}: |\n");
    let (_, rest) = map.split_once(&start).unwrap();
    let lines = rest
        .lines()
        .take_while(|line| line.is_empty() || line.starts_with("    "));
    lines
        .map(|line| format!("{}\n", line.strip_prefix("    ").unwrap_or(line)))
        .collect()
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
    let blocks = readme_blocks("toml");
    assert!(blocks.len() >= 3, "only {} policies", blocks.len());
    for block in blocks {
        let folder = folder_with(&block);
        let (snapshot, _) = load(&folder.path().join("portcullis.toml"))
            .unwrap_or_else(|errors| panic!("{errors}"));
        assert_eq!(run_tests(&snapshot), [], "{block}");
    }
}

/// The README's first policy, and each command that it shows with its output.
#[test]
fn every_command_in_the_readme_says_what_stands_there() {
    let blocks = readme_blocks("console");
    assert!(blocks.len() >= 3, "only {} commands", blocks.len());
    let program = Path::new(env!("CARGO_BIN_EXE_portcullis"))
        .parent()
        .unwrap();
    for block in blocks {
        let (command, output) = block.split_once('\n').unwrap();
        let command = command.strip_prefix("$ ").unwrap();
        let folder = folder_with(&readme_blocks("toml")[0]);
        let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap());
        let ran = std::process::Command::new("sh")
            .args(["-c", &format!("exec 2>&1; {command}")])
            .current_dir(folder.path())
            .env("PATH", path)
            .output()
            .unwrap();
        assert_eq!(String::from_utf8(ran.stdout).unwrap(), output, "{command}");
    }
}

/// The fenced blocks of a language.
fn readme_blocks(language: &str) -> Vec<String> {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let fence = format!("\n```{language}\n");
    let blocks = readme.split(&fence).skip(1);
    blocks
        .map(|rest| rest.split("```").next().unwrap_or_default().to_owned())
        .collect()
}

/// The database that the README has its readers copy.
fn readme_database() -> String {
    readme_copy(".mmdb").expect("the README says where a database is")
}

/// The log that the README has its readers copy.
fn readme_log() -> String {
    readme_copy(".ndjson").expect("the README says where a log is")
}

/// The file with that end of its name that the README has its readers copy.
fn readme_copy(end: &str) -> Option<String> {
    readme_blocks("sh").into_iter().find_map(|block| {
        let file = block.trim_end().strip_prefix("cp ")?.strip_suffix(" .")?;
        file.ends_with(end).then(|| file.to_owned())
    })
}

/// A folder with that policy, an origin where it names none, a database, a log
/// and a certificate.
fn folder_with(policy: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::copy(
        root().join(readme_database()),
        folder.path().join("country.mmdb"),
    )
    .unwrap();
    fs::copy(
        root().join(readme_log()),
        folder.path().join("access.ndjson"),
    )
    .unwrap();
    for (name, fixture) in [
        ("fullchain.pem", "site.pem"),
        ("privkey.pem", "site.key.pem"),
    ] {
        let fixture = root().join("tests/fixtures/tls").join(fixture);
        fs::copy(fixture, folder.path().join(name)).unwrap();
    }
    let origin = match policy.contains("[origin]") {
        true => "",
        false => "\n[origin]\nurl = \"http://127.0.0.1:9000\"\n",
    };
    fs::write(
        folder.path().join("portcullis.toml"),
        format!("{policy}{origin}"),
    )
    .unwrap();
    folder
}
