//! Where and what was measured.

use std::fs;
use std::process::Command;
use std::time::SystemTime;

use serde::Serialize;

use crate::process;

#[derive(Debug, Serialize)]
pub(crate) struct Machine {
    pub(crate) processor: String,
    pub(crate) cores: usize,
    pub(crate) kernel: String,
    /// Of this project; `+` where files differ from it.
    pub(crate) commit: String,
    /// As HTTP writes it.
    pub(crate) date: String,
    pub(crate) wrk: String,
    pub(crate) h2load: String,
}

impl Machine {
    pub(crate) fn here() -> Self {
        let release = fs::read_to_string("/proc/sys/kernel/osrelease");
        Self {
            processor: processor().unwrap_or_else(|| "unknown".to_owned()),
            cores: process::processors(),
            kernel: release.map_or_else(|_| "unknown".to_owned(), |text| text.trim().to_owned()),
            commit: commit().unwrap_or_else(|| "unknown".to_owned()),
            date: httpdate::fmt_http_date(SystemTime::now()),
            h2load: first_line("h2load", &["--version"]).unwrap_or_else(|| "unknown".to_owned()),
            wrk: first_line("wrk", &["-v"]).unwrap_or_else(|| "unknown".to_owned()),
        }
    }
}

fn processor() -> Option<String> {
    let text = fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn commit() -> Option<String> {
    let commit = first_line("git", &["rev-parse", "--short=12", "HEAD"])?;
    let changed = first_line("git", &["status", "--porcelain", "--untracked-files=no"]);
    Some(if changed.is_some() {
        commit + "+"
    } else {
        commit
    })
}

fn first_line(program: &str, arguments: &[&str]) -> Option<String> {
    let mut command = Command::new(program);
    command
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"));
    let output = command.output().ok()?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = said.lines().next()?.trim().to_owned();
    (!line.is_empty()).then_some(line)
}
