//! What packages ship beside the program, and the program prints: completions,
//! the manual page, the schema. Shells and groff are asked where they are
//! installed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::support::{is_installed, portcullis};

/// The commands that `--help` lists.
fn commands() -> Vec<String> {
    let help = printed(&["--help"]);
    let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let listed = listed.take_while(|line| !line.is_empty());
    let commands: Vec<String> = listed
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .map(str::to_owned)
        .collect();
    assert!(commands.len() >= 9, "{commands:?}");
    commands
}

fn printed(arguments: &[&str]) -> String {
    let output = portcullis(arguments).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{arguments:?}");
    assert!(output.stderr.is_empty(), "{arguments:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// What a program says, which has to end well and complain of nothing.
fn said(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program)
        .args(arguments)
        .env("LC_ALL", "C.UTF-8")
        .output()
        .unwrap();
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program}: {complaints}");
    assert_eq!(complaints, "", "{program}");
    String::from_utf8(output.stdout).unwrap()
}

/// Something that is printed, in a file of its own.
fn file_of(folder: &Path, name: &str, arguments: &[&str]) -> PathBuf {
    let file = folder.join(name);
    fs::write(&file, printed(arguments)).unwrap();
    file
}

#[test]
fn bash_completes() {
    if !is_installed("bash") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let file = file_of(folder.path(), "portcullis", &["completions", "bash"]);
    // What bash does when somebody types `words` and then the key.
    let completed = |words: &[&str]| -> Vec<String> {
        let quoted: Vec<String> = words.iter().map(|word| format!("'{word}'")).collect();
        let script = format!(
            "source {}; complete -p portcullis >/dev/null; COMP_WORDS=({}); COMP_CWORD={}; \
             _portcullis portcullis \"${{COMP_WORDS[COMP_CWORD]}}\" '' 2>/dev/null; \
             printf '%s\\n' \"${{COMPREPLY[@]}}\"",
            file.display(),
            quoted.join(" "),
            words.len() - 1,
        );
        let lines = said("bash", &["--norc", "-c", &script]);
        lines.lines().map(str::to_owned).collect()
    };
    assert_eq!(completed(&["portcullis", "exp"]), ["explain"]);
    let all = completed(&["portcullis", ""]);
    for command in commands() {
        assert!(all.contains(&command), "{command}: {all:?}");
    }
    assert_eq!(completed(&["portcullis", "run", "--c"]), ["--config"]);
    assert_eq!(completed(&["portcullis", "completions", "z"]), ["zsh"]);
    let registered = said(
        "bash",
        &[
            "--norc",
            "-c",
            &format!("source {}; complete -p portcullis", file.display()),
        ],
    );
    assert!(registered.contains("-F _portcullis") && registered.ends_with(" portcullis\n"));
}

#[test]
fn zsh_completes() {
    if !is_installed("zsh") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    file_of(folder.path(), "_portcullis", &["completions", "zsh"]);
    let script = format!(
        "fpath=({} $fpath); autoload -Uz compinit && compinit -u -d {}/dump; \
         print -r -- $_comps[portcullis]; autoload +X _portcullis; _portcullis_commands; true",
        folder.path().display(),
        folder.path().display(),
    );
    let output = Command::new("zsh")
        .args(["-f", "-c", &script])
        .output()
        .unwrap();
    let registered = String::from_utf8_lossy(&output.stdout);
    assert!(registered.starts_with("_portcullis\n"), "{output:?}");
    let text = fs::read_to_string(folder.path().join("_portcullis")).unwrap();
    for command in commands() {
        assert!(text.contains(&format!("'{command}:")), "{command}");
    }
}

#[test]
fn fish_completes() {
    if !is_installed("fish") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let file = file_of(folder.path(), "portcullis.fish", &["completions", "fish"]);
    let completed = |typed: &str| -> Vec<String> {
        let script = format!("source {}; complete -C '{typed}'", file.display());
        let output = Command::new("fish")
            .args(["--no-config", "-c", &script])
            .env("HOME", folder.path())
            .output()
            .unwrap();
        let lines = String::from_utf8(output.stdout).unwrap();
        let names = lines.lines().filter_map(|line| line.split('\t').next());
        names.map(str::to_owned).collect()
    };
    let all = completed("portcullis ");
    for command in commands() {
        assert!(all.contains(&command), "{command}: {all:?}");
    }
    assert_eq!(completed("portcullis run --c"), ["--config"]);
}

#[test]
fn other_shells_are_wrong_usage() {
    for arguments in [
        &["completions"][..],
        &["completions", "tcsh"],
        &["man", "1"],
    ] {
        let output = portcullis(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(64), "{arguments:?}");
    }
}

#[test]
fn the_manual_page_tells_everything() {
    let page = printed(&["man"]);
    let lines: Vec<&str> = page.lines().collect();
    for section in [
        "NAME",
        "SYNOPSIS",
        "COMMANDS",
        "\"EXIT STATUS\"",
        "SIGNALS",
        "FILES",
    ] {
        assert!(
            lines.contains(&format!(".SH {section}").as_str()),
            "{section}"
        );
    }
    for command in commands() {
        assert!(
            lines.contains(&format!(".SS {command}").as_str()),
            "{command}"
        );
        let help = printed(&[&command, "--help"]);
        let options = help.split_whitespace();
        for option in options.filter(|word| word.starts_with("--") && *word != "--help") {
            let option = option.trim_end_matches([',', ']', ')']).replace('-', "\\-");
            assert!(page.contains(&option), "{command} {option}");
        }
    }
    let section = |name: &str| {
        let rest = lines
            .iter()
            .skip_while(|line| !line.ends_with(name))
            .skip(1);
        let rest = rest.take_while(|line| !line.starts_with(".SH"));
        rest.copied().collect::<Vec<_>>()
    };
    for code in [0, 1, 3, 64, 78] {
        let tag = format!("\\fB{code}\\fR");
        assert!(section("EXIT STATUS\"").contains(&tag.as_str()), "{code}");
    }
}

#[test]
fn groff_has_nothing_against_it() {
    let folder = tempfile::tempdir().unwrap();
    let page = file_of(folder.path(), "portcullis.1", &["man"]);
    let page = page.to_str().unwrap();
    if is_installed("groff") {
        let shown = said("groff", &["-man", "-ww", "-Tutf8", "-Kutf8", page]);
        assert!(shown.contains("--fail-on-change"), "{shown}");
    }
    if is_installed("man") {
        let shown = said("man", &["--warnings=w", "-l", page]);
        assert!(
            shown.contains("EXIT STATUS") && shown.contains("SIGUSR2"),
            "{shown}"
        );
    }
}

#[test]
fn the_schema_is_printed_as_it_is_shipped() {
    let schema: Value = serde_json::from_str(&printed(&["schema"])).unwrap();
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/portcullis.schema.json");
    let shipped = fs::read_to_string(shipped).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&shipped).unwrap(), schema);
}
