//! What Linux says of this process, under the names that Prometheus' client
//! libraries use.

use std::fs;

/// What is asked of the kernel; whatever it does not tell is left out.
#[derive(Debug, Default)]
pub(super) struct Process {
    /// User and system time together.
    pub(super) cpu_seconds: Option<f64>,
    pub(super) open_fds: Option<u64>,
    pub(super) max_fds: Option<u64>,
    pub(super) virtual_bytes: Option<u64>,
    pub(super) resident_bytes: Option<u64>,
    /// Since 1970.
    pub(super) start_seconds: Option<f64>,
}

/// Ticks of `/proc/self/stat` a second: `USER_HZ`, the same on every
/// architecture that this is built for.
const TICKS: f64 = 100.0;

impl Process {
    /// As it is now.
    pub(super) fn now() -> Self {
        let read = |path| fs::read_to_string(path).unwrap_or_default();
        let mut process = Self::of(
            &read("/proc/self/stat"),
            &read("/proc/self/status"),
            &read("/proc/self/limits"),
            &read("/proc/stat"),
        );
        // The folder is open while it is counted.
        let files = fs::read_dir("/proc/self/fd").ok();
        process.open_fds = files.map(|files| (files.count() as u64).saturating_sub(1));
        process
    }

    fn of(stat: &str, status: &str, limits: &str, system: &str) -> Self {
        // The second field, in parentheses, may hold anything: see proc(5).
        let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
        let field = |number: usize| after_name.split_whitespace().nth(number - 3);
        let ticks = |number| Some(field(number)?.parse::<f64>().ok()? / TICKS);
        let booted = |ticks: f64| Some(word(system, "btime", 1)?.parse::<f64>().ok()? + ticks);
        let resident = word(status, "VmRSS:", 1).and_then(|kib| kib.parse::<u64>().ok());
        Self {
            cpu_seconds: ticks(14).zip(ticks(15)).map(|(user, system)| user + system),
            open_fds: None,
            max_fds: word(limits, "Max open files", 3).and_then(|max| max.parse().ok()),
            virtual_bytes: field(23).and_then(|bytes| bytes.parse().ok()),
            resident_bytes: resident.map(|kib| kib * 1024),
            start_seconds: ticks(22).and_then(booted),
        }
    }
}

/// A word of the line that starts so.
fn word<'a>(text: &'a str, start: &str, number: usize) -> Option<&'a str> {
    let line = text.lines().find(|line| line.starts_with(start))?;
    line.split_whitespace().nth(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_the_kernel_writes() {
        let stat = "7 (a) b) S 1 7 7 0 -1 4194560 5 0 0 0 250 50 0 0 20 0 4 0 12345 1048576 99 0";
        let process = Process::of(
            stat,
            "Name:\ta\nVmRSS:\t     123 kB\n",
            "Limit  Soft Limit  Hard Limit\nMax open files            1024   4096   files\n",
            "cpu 1 2\nbtime 1700000000\n",
        );
        assert_eq!(process.cpu_seconds, Some(3.0));
        assert_eq!(process.virtual_bytes, Some(1_048_576));
        assert_eq!(process.resident_bytes, Some(123 * 1024));
        assert_eq!(process.max_fds, Some(1024));
        assert_eq!(process.start_seconds, Some(1_700_000_123.45));
    }

    #[test]
    fn this_one_is_told() {
        let process = Process::now();
        assert!(
            process
                .resident_bytes
                .is_some_and(|bytes| bytes > 1024 * 1024)
        );
        assert!(process.open_fds.is_some_and(|files| files > 2));
        assert!(process.cpu_seconds.is_some() && process.start_seconds.is_some());
    }
}
