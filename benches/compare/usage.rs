//! What processes use, as /proc tells it.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use serde::Serialize;

/// `process` and all that descend from it.
pub(crate) fn family(process: u32) -> Vec<u32> {
    let parents: Vec<(u32, u32)> = fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(|id| Some((id, parent(id)?)))
        .collect();
    let mut family = vec![process];
    let mut next = 0;
    while let Some(of) = family.get(next).copied() {
        let children = parents.iter().filter(|(_, parent)| *parent == of);
        family.extend(children.map(|(id, _)| *id));
        next += 1;
    }
    family
}

fn parent(process: u32) -> Option<u32> {
    stat_field(process, 1)?.parse().ok()
}

/// Field `index` of /proc/PID/stat, counted from the state, which stands after
/// the name in parentheses.
fn stat_field(process: u32, index: usize) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let after = &stat[stat.rfind(')')? + 2..];
    after.split(' ').nth(index).map(str::to_owned)
}

/// What a family of processes had used at one moment.
#[derive(Debug)]
pub(crate) struct Cpu {
    /// Nanoseconds on a processor, user and system, of each thread.
    threads: BTreeMap<(u32, u32), u64>,
    /// Clock ticks of each process, threads that ended included.
    ticks: BTreeMap<u32, u64>,
}

impl Cpu {
    pub(crate) fn now(process: u32) -> Self {
        let mut cpu = Self {
            threads: BTreeMap::new(),
            ticks: BTreeMap::new(),
        };
        for id in family(process) {
            cpu.ticks.insert(id, ticks(id));
            for thread in threads(id) {
                cpu.threads
                    .insert((id, thread), nanoseconds(id, thread).unwrap_or(0));
            }
        }
        cpu
    }

    /// What was used since `before`. By the scheduler's own count, exact to
    /// the nanosecond, unless a thread ended meanwhile and took its count with
    /// it: then by ticks, of 10 ms mostly.
    pub(crate) fn since(&self, before: &Self) -> Duration {
        let all_live = before
            .threads
            .keys()
            .all(|key| self.threads.contains_key(key));
        let has_counts = self.threads.values().any(|nanoseconds| *nanoseconds > 0);
        if all_live && has_counts {
            return Duration::from_nanos(grown(&self.threads, &before.threads));
        }
        let hertz = rustix::param::clock_ticks_per_second();
        Duration::from_nanos(grown(&self.ticks, &before.ticks) * (1_000_000_000 / hertz))
    }
}

fn grown<K: Ord>(now: &BTreeMap<K, u64>, before: &BTreeMap<K, u64>) -> u64 {
    now.iter()
        .map(|(key, value)| value.saturating_sub(before.get(key).copied().unwrap_or(0)))
        .sum()
}

fn threads(process: u32) -> Vec<u32> {
    fs::read_dir(format!("/proc/{process}/task"))
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect()
}

fn nanoseconds(process: u32, thread: u32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{process}/task/{thread}/schedstat")).ok()?;
    text.split(' ').next()?.parse().ok()
}

fn ticks(process: u32) -> u64 {
    let field = |index| stat_field(process, index)?.parse::<u64>().ok();
    field(11).unwrap_or(0) + field(12).unwrap_or(0)
}

/// Resident memory of a family, in bytes.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct Memory {
    /// The sum over the processes; pages that they share count in each.
    pub(crate) resident: u64,
    /// With a shared page counted once.
    pub(crate) proportional: u64,
    /// How many processes.
    pub(crate) processes: usize,
}

impl Memory {
    pub(crate) fn now(process: u32) -> Self {
        let family = family(process);
        let sum = |file: &str, field: &str| {
            let of = |id: &u32| kibibytes(&format!("/proc/{id}/{file}"), field);
            family.iter().filter_map(of).sum::<u64>() * 1024
        };
        Self {
            resident: sum("status", "VmRSS:"),
            proportional: sum("smaps_rollup", "Pss:"),
            processes: family.len(),
        }
    }

    /// What is shown: of one process all that is resident, of several with
    /// shared pages counted once.
    pub(crate) fn shown(self) -> u64 {
        if self.processes > 1 && self.proportional > 0 {
            self.proportional
        } else {
            self.resident
        }
    }
}

fn kibibytes(path: &str, field: &str) -> Option<u64> {
    let text = fs::read_to_string(path).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(field))?;
    line.trim().strip_suffix(" kB")?.trim().parse().ok()
}
