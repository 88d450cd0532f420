//! What is beside the program on this machine.

use std::path::Path;
use std::process::Command;

/// Whether `program` is installed; if not, says so.
pub(crate) fn has(program: &str) -> bool {
    let found = version(program).is_some();
    if !found {
        eprintln!("SKIPPED: there is no {program} (Debian's package of that name)");
    }
    found
}

/// The first line that it says of itself.
pub(crate) fn version(program: &str) -> Option<String> {
    let output = Command::new(program).arg("--version").output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines().next().map(str::to_owned)
}

/// That of the work tree; with a `+` where files differ from it.
pub(crate) fn commit() -> String {
    let git = |arguments: &[&str]| {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let output = Command::new("git")
            .arg("-C")
            .arg(root)
            .args(arguments)
            .output();
        output.map_or_else(
            |_| String::new(),
            |o| String::from_utf8_lossy(&o.stdout).trim().to_owned(),
        )
    };
    let commit = git(&["rev-parse", "--short", "HEAD"]);
    match git(&["status", "--porcelain", "--untracked-files=no"]).is_empty() {
        true => commit,
        false => commit + "+",
    }
}
