//! How many hostile inputs the tests try, for `tests/hostile/report`.

use std::env;
use std::fs::OpenOptions;
use std::io::Write as _;

/// Says that `count` inputs of this kind were tried, where somebody wants to
/// know: `PORTCULLIS_TRIED` names the file that it is appended to. Each test
/// says what it does in every run, so that the sums are always the same.
pub(crate) fn tried(kind: &str, count: usize) {
    assert!(count > 0, "{kind}: nothing was tried");
    let Some(path) = env::var_os("PORTCULLIS_TRIED") else {
        return;
    };
    let file = OpenOptions::new().append(true).create(true).open(path);
    let mut file = file.expect("the file that PORTCULLIS_TRIED names");
    // One write, so that lines of tests beside each other stay whole.
    let line = format!("{kind}\t{count}\n");
    file.write_all(line.as_bytes()).expect("written");
}
