//! What is shipped to be copied: the example policies, and those in the README.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::fs;
use std::io::{BufRead as _, BufReader};
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

/// A proxy with the README's first policy, at ports of its own. Dropping it
/// ends it.
struct Following {
    folder: tempfile::TempDir,
    proxy: std::process::Child,
    /// What the README has for things that differ, and what they are here.
    names: Vec<(String, String)>,
}

impl Drop for Following {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.proxy.kill();
        let _ = self.proxy.wait();
    }
}

impl Following {
    fn start() -> Self {
        let policy = readme_blocks("toml")[0].replace("127.0.0.1:8080", "127.0.0.1:0");
        let folder = folder_with(&format!("{policy}\n[admin]\nlisten = \"127.0.0.1:0\"\n"));
        let mut proxy = std::process::Command::new(env!("CARGO_BIN_EXE_portcullis"))
            .args(["run", "--config", "portcullis.toml"])
            .current_dir(folder.path())
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(proxy.stderr.take().unwrap()).lines();
        let started = said.by_ref().map(Result::unwrap);
        let started = started.skip_while(|line| !line.contains("listening"));
        let started = started.take(1).collect::<String>();
        // Nobody reads on, and it is not to wait for that.
        std::thread::spawn(move || said.map_while(Result::ok).for_each(drop));
        let address = |key: &str| {
            let (_, rest) = started.split_once(&format!("{key}=\"")).unwrap();
            rest.split('"').next().unwrap().to_owned()
        };
        let names = vec![
            ("127.0.0.1:8080".to_owned(), address("listening")),
            ("127.0.0.1:9900".to_owned(), address("admin")),
        ];
        Self {
            folder,
            proxy,
            names,
        }
    }

    /// What a command of the README says here, in the README's names.
    fn run(&self, command: &str) -> String {
        let command = self
            .names
            .iter()
            .fold(command.to_owned(), |text, (theirs, ours)| {
                text.replace(theirs, ours)
            });
        let program = Path::new(env!("CARGO_BIN_EXE_portcullis"))
            .parent()
            .unwrap();
        let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap());
        let ran = std::process::Command::new("sh")
            .args(["-c", &format!("exec 2>&1; {command}")])
            .current_dir(self.folder.path())
            .env("PATH", path)
            .output()
            .unwrap();
        let said = String::from_utf8(ran.stdout).unwrap();
        self.names
            .iter()
            .fold(said, |text, (theirs, ours)| text.replace(ours, theirs))
    }
}

/// Without the times, which differ.
fn timeless(said: &str) -> String {
    let lines = said.lines().filter(|line| !line.starts_with("  time "));
    lines.map(|line| format!("{line}\n")).collect()
}

#[test]
fn the_chapter_about_a_403_can_be_followed() {
    if std::process::Command::new("curl")
        .arg("--version")
        .output()
        .is_err()
    {
        return eprintln!("SKIPPED: curl (Debian: curl) is not installed");
    }
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let (_, chapter) = readme.split_once("\n## A customer got a 403\n").unwrap();
    let (chapter, _) = chapter.split_once("\n## ").unwrap();
    let blocks = chapter.split("\n```text\n").skip(1);
    let steps: Vec<&str> = blocks
        .map(|rest| rest.split("```").next().unwrap())
        .collect();
    assert!(steps.len() >= 5, "only {} steps", steps.len());
    let mut following = Following::start();
    for (number, step) in steps.into_iter().enumerate() {
        let (command, output) = step.split_once('\n').unwrap();
        let command = command.strip_prefix("$ ").unwrap();
        let mut said = following.run(command);
        if number == 0 {
            // Every request has another one.
            let reference =
                |text: &str| text.lines().nth(1).unwrap()["Reference: ".len()..].to_owned();
            following.names.push((reference(output), reference(&said)));
            said = said.replace(&reference(&said), &reference(output));
        }
        // A reload takes its time.
        for _ in 0..200 {
            if !command.starts_with("portcullis explain") || timeless(&said) == timeless(output) {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(50));
            said = following.run(command);
        }
        assert_eq!(timeless(&said), timeless(output), "{command}");
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
