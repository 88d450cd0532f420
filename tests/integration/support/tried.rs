//! How many hostile inputs the tests try, for `tests/hostile/report`.

use std::env;
use std::fs::OpenOptions;
use std::io::Write as _;

/// Says that `count` inputs of this kind were tried, where somebody wants to
/// know: `PORTCULLIS_TRIED` names the file that it is appended to. Each test
/// says what it does in every run, so that the sums are always the same.
pub(crate) fn tried(kind: &str, count: usize) {
    assert!(count > 0, "{kind}: nothing was tried");
    tell(&format!("{kind}\t{count}\n"));
}

fn tell(line: &str) {
    let Some(path) = env::var_os("PORTCULLIS_TRIED") else {
        return;
    };
    let file = OpenOptions::new().append(true).create(true).open(path);
    let mut file = file.expect("the file that PORTCULLIS_TRIED names");
    // One write, so that lines of tests beside each other stay whole.
    file.write_all(line.as_bytes()).expect("written");
}

/// Says that attacks of this kind were not tried, for want of a program.
pub(crate) fn untried(kind: &str, program: &str) {
    // Written past the test harness, which keeps what a passing test prints.
    let mut out = std::io::stderr();
    writeln!(out, "SKIPPED: {kind}: there is no {program}").expect("written");
    tell(&format!("{kind}\tskipped for want of {program}\n"));
}
