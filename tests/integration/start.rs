//! A start that cannot be: what is said, on one line, and the exit code.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use tempfile::TempDir;

use crate::support::{eventually, portcullis};

const POLICY: &str = "[server]\nlisten = [\"127.0.0.1:0\"]\n[origin]\nurl = \"http://127.0.0.1:9\"\n[admin]\nlisten = \"\"\n";

/// A folder with `portcullis.toml`, which anyone may enter.
fn folder(policy: impl AsRef<[u8]>) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("portcullis.toml"), policy).unwrap();
    mode(folder.path(), 0o755);
    folder
}

fn mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

fn run(folder: &TempDir) -> Command {
    let mut command = portcullis(&["run", "--config", "portcullis.toml"]);
    command.current_dir(folder.path());
    command
}

/// The same as a user without rights; `None`, and said so, where that cannot
/// be had.
fn run_without_rights(folder: &TempDir) -> Option<Command> {
    let mut command = Command::new("setpriv");
    command
        .args([
            "--reuid=65532",
            "--regid=65532",
            "--clear-groups",
            "--inh-caps=-all",
        ])
        .args(["--bounding-set=-all", "--no-new-privs"])
        .arg(env!("CARGO_BIN_EXE_portcullis"));
    let tried = Command::new("setpriv")
        .args(command.get_args())
        .arg("--version")
        .output();
    if !tried.is_ok_and(|tried| tried.status.success()) {
        println!(
            "SKIPPED: setpriv is missing, or this is not root, or the program is out of reach"
        );
        return None;
    }
    command.args(["run", "--config", "portcullis.toml"]);
    command.current_dir(folder.path());
    Some(command)
}

/// Its exit code is `code`, and the last line that it says has all `words`.
#[track_caller]
fn fails(mut command: Command, code: i32, words: &[&str]) -> String {
    let Output {
        status,
        stderr,
        stdout,
    } = command.output().unwrap();
    let said = String::from_utf8(stderr).unwrap();
    assert_eq!(status.code(), Some(code), "{said}");
    assert_eq!(stdout, b"");
    assert!(words.iter().all(|word| said.contains(word)), "{said}");
    assert!(
        !said.contains("panicked") && !said.contains("backtrace"),
        "{said}"
    );
    said
}

/// The message of a failure with exit code 1 is one line, the last.
#[track_caller]
fn fails_with_a_line(command: Command, words: &[&str]) {
    let said = fails(command, 1, words);
    let last = said.lines().last().unwrap();
    assert!(
        last.starts_with("portcullis: ") && words.iter().all(|word| last.contains(word)),
        "{said}"
    );
}

#[test]
fn a_port_in_use() {
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let folder = folder(POLICY.replace("127.0.0.1:0", &address));
    fails_with_a_line(run(&folder), &["server.listen", &address, "in use"]);
}

#[test]
fn a_privileged_port() {
    let folder = folder(POLICY.replace("127.0.0.1:0", "127.0.0.1:81"));
    let lowest = std::fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start");
    if lowest.is_ok_and(|lowest| {
        lowest
            .trim()
            .parse::<u16>()
            .is_ok_and(|lowest| lowest <= 81)
    }) {
        println!("SKIPPED: here everyone may listen on port 81");
        return;
    }
    if let Some(command) = run_without_rights(&folder) {
        fails_with_a_line(
            command,
            &["server.listen", "127.0.0.1:81", "ermission denied"],
        );
    }
}

#[test]
fn an_address_of_another_machine() {
    let folder = folder(POLICY.replace("127.0.0.1:0", "192.0.2.1:8080"));
    fails_with_a_line(run(&folder), &["server.listen", "192.0.2.1:8080"]);
}

#[test]
fn a_configuration_that_is_not_there_not_a_file_or_not_text() {
    let empty = folder(POLICY);
    std::fs::remove_file(empty.path().join("portcullis.toml")).unwrap();
    fails(run(&empty), 78, &["portcullis.toml", "no such file"]);
    std::fs::create_dir(empty.path().join("portcullis.toml")).unwrap();
    fails(run(&empty), 78, &["portcullis.toml", "this is a directory"]);
    fails(
        run(&folder(b"# caf\xe9\n")),
        78,
        &["portcullis.toml", "not UTF-8", "line 1"],
    );
}

#[test]
fn files_that_may_not_be_read() {
    let config = folder(POLICY);
    mode(&config.path().join("portcullis.toml"), 0o600);
    if let Some(command) = run_without_rights(&config) {
        fails(command, 78, &["portcullis.toml", "permission denied"]);
    }
    let list = folder(format!(
        "{POLICY}[access.ip]\nblock_files = [\"list.txt\"]\n"
    ));
    fails(
        run(&list),
        78,
        &["access.ip.block_files[0]", "list.txt", "no such file"],
    );
    std::fs::write(list.path().join("list.txt"), "192.0.2.1\n").unwrap();
    mode(&list.path().join("list.txt"), 0o600);
    if let Some(command) = run_without_rights(&list) {
        fails(
            command,
            78,
            &["access.ip.block_files[0]", "list.txt", "permission denied"],
        );
    }
    std::fs::remove_file(list.path().join("list.txt")).unwrap();
    std::fs::create_dir(list.path().join("list.txt")).unwrap();
    fails(
        run(&list),
        78,
        &["access.ip.block_files[0]", "list.txt", "directory"],
    );
}

#[test]
fn a_log_that_cannot_be_written() {
    let log = folder(format!("{POLICY}[log]\naccess = \"log\"\n"));
    std::fs::create_dir(log.path().join("log")).unwrap();
    fails_with_a_line(
        run(&log),
        &["log.access", "log cannot be written", "directory"],
    );
    std::fs::remove_dir(log.path().join("log")).unwrap();
    std::fs::write(log.path().join("log"), "").unwrap();
    mode(&log.path().join("log"), 0o644);
    if let Some(command) = run_without_rights(&log) {
        fails_with_a_line(command, &["log.access", "ermission denied"]);
    }
    let nowhere = folder(format!("{POLICY}[log]\naccess = \"no/log\"\n"));
    fails_with_a_line(run(&nowhere), &["log.access", "no/log", "No such file"]);
}

/// A file that takes as long to read as the test wants.
fn slow_policy() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("portcullis.toml");
    let made = Command::new("mkfifo").arg(pipe).status();
    assert!(made.unwrap().success());
    folder
}

/// Starts it, and waits until it catches SIGHUP and SIGTERM (proc(5)).
fn listening_for_signals(folder: &TempDir) -> Child {
    let child = run(folder).stderr(Stdio::piped()).spawn().unwrap();
    let status = format!("/proc/{}/status", child.id());
    eventually("it listens for signals", || {
        let status = std::fs::read_to_string(&status).unwrap();
        let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
        let caught = u64::from_str_radix(caught.unwrap().trim(), 16).unwrap();
        caught & 1 != 0 && caught & 1 << 14 != 0
    });
    child
}

fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill")
        .args(["-s", name, &child.id().to_string()])
        .status();
    assert!(sent.unwrap().success());
}

#[test]
fn a_signal_while_it_starts() {
    let folder = slow_policy();
    let mut ended = listening_for_signals(&folder);
    signal(&ended, "TERM");
    assert_eq!(ended.wait().unwrap().code(), Some(0));

    let mut child = listening_for_signals(&folder);
    signal(&child, "HUP");
    let path = folder.path().join("portcullis.toml");
    // This waits until it is being read.
    let mut pipe = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    std::fs::write(folder.path().join("next"), POLICY).unwrap();
    std::fs::rename(folder.path().join("next"), &path).unwrap();
    pipe.write_all(POLICY.as_bytes()).unwrap();
    drop(pipe);
    let mut said = BufReader::new(child.stderr.take().unwrap()).lines();
    let reloaded = said.find(|line| line.as_ref().unwrap().contains("generation=2"));
    signal(&child, "TERM");
    assert!(reloaded.is_some(), "SIGHUP is obeyed once it has started");
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn wrong_usage() {
    fails(portcullis(&["run"]), 64, &["--config"]);
    fails(portcullis(&["run", "--confg", "x"]), 64, &["--confg"]);
}

/// Whoever opened the pipe would wait for somebody to write to it, and no
/// reload would come after that one.
#[test]
fn a_policy_that_becomes_a_pipe_ends_no_reloads() {
    let folder = folder(POLICY);
    let at = |name: &str| folder.path().join(name);
    let errors = std::fs::File::create(at("said")).unwrap();
    let mut child = run(&folder).stderr(errors).spawn().unwrap();
    let says = |words: &str| {
        eventually(words, || {
            let said = std::fs::read_to_string(at("said")).unwrap();
            said.contains(words)
        });
    };
    says("started");
    let made = Command::new("mkfifo").arg(at("pipe")).status();
    assert!(made.unwrap().success());
    std::fs::rename(at("pipe"), at("portcullis.toml")).unwrap();
    signal(&child, "HUP");
    says("this is a pipe, a socket or a device, not a file");
    std::fs::write(at("next"), format!("{POLICY}# again\n")).unwrap();
    std::fs::rename(at("next"), at("portcullis.toml")).unwrap();
    signal(&child, "HUP");
    says("generation=2");
    signal(&child, "TERM");
    assert_eq!(child.wait().unwrap().code(), Some(0));
}
