//! What came out, as figures, as JSON and as tables.

mod machine;
mod markdown;
mod medians;

use std::fmt;
use std::fs;
use std::path::Path;

use serde::Serialize;

use crate::Outcome;
use crate::peers::{Name, Peer};
use crate::usage::Memory;
use crate::workload::Workload;
pub(crate) use machine::Machine;

/// Whether the harness, and so the floor, is a build for tests.
pub(crate) const UNOPTIMISED: bool = cfg!(debug_assertions);

/// One run of one peer.
#[derive(Debug, Serialize)]
pub(crate) struct Run {
    pub(crate) workload: &'static str,
    pub(crate) peer: Name,
    pub(crate) round: usize,
    pub(crate) requests: u64,
    /// Requests a second.
    pub(crate) rate: f64,
    /// Microseconds, at saturation.
    pub(crate) p50: u64,
    /// Microseconds, at saturation.
    pub(crate) p99: u64,
    /// Microseconds of the peer's processes a request.
    pub(crate) cpu: f64,
    /// How much of its core it used.
    pub(crate) busy: f64,
    /// Of the requests, those that the origin saw.
    pub(crate) origin_share: f64,
    /// Of connections that are shaken hands for, those that went on with an
    /// earlier session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) resumed: Option<u64>,
    pub(crate) memory: Memory,
    /// What a connection that does nothing takes.
    pub(crate) idle_bytes: Option<f64>,
    /// What was not as it has to be; such a run counts for nothing.
    pub(crate) wrong: Vec<String>,
}

impl Run {
    /// One that came to nothing.
    pub(crate) fn failed(workload: &'static str, peer: Name, round: usize, error: String) -> Self {
        Self {
            workload,
            peer,
            round,
            requests: 0,
            rate: 0.0,
            p50: 0,
            p99: 0,
            cpu: 0.0,
            busy: 0.0,
            origin_share: 0.0,
            resumed: None,
            memory: Memory::default(),
            idle_bytes: None,
            wrong: vec![error],
        }
    }
}

impl fmt::Display for Run {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{:<26} {:<18} {:>8.2} us {:>9.0}/s  p99 {:>6} us  {:>3.0} % busy  {:>6.1} MiB  {}",
            self.workload,
            self.peer.to_string(),
            self.cpu,
            self.rate,
            self.p99,
            self.busy * 100.0,
            self.memory.shown() as f64 / f64::from(1 << 20),
            self.wrong.join("; "),
        )
    }
}

/// One run below saturation.
#[derive(Debug, Serialize)]
pub(crate) struct Latency {
    pub(crate) workload: &'static str,
    pub(crate) peer: Name,
    /// Whether the rate is a share of its own saturation, or of the best's.
    pub(crate) is_own: bool,
    pub(crate) round: usize,
    /// Requests a second that there should have been.
    pub(crate) wanted: f64,
    /// Those that there were.
    pub(crate) rate: f64,
    /// Microseconds.
    pub(crate) p50: u64,
    /// Microseconds.
    pub(crate) p99: u64,
    /// As that of a [`Run`].
    pub(crate) wrong: Vec<String>,
}

/// All of it.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) machine: Machine,
    pub(crate) rounds: usize,
    pub(crate) seconds: u64,
    pub(crate) peers: Vec<Peer>,
    pub(crate) missing: Vec<String>,
    /// The country database, and whether it is only the tests' small one.
    pub(crate) countries: String,
    pub(crate) is_small_database: bool,
    /// Requests that showed the policies to mean the same, a peer.
    pub(crate) checked: usize,
    pub(crate) runs: Vec<Run>,
    pub(crate) latencies: Vec<Latency>,
}

impl Report {
    /// Writes `latest.json` and `latest.md`; gives the latter.
    pub(crate) fn write(&self, folder: &Path) -> Outcome<String> {
        fs::create_dir_all(folder)?;
        let json = serde_json::to_string_pretty(&medians::with(self))? + "\n";
        fs::write(folder.join("latest.json"), json)?;
        let markdown = markdown::all(self);
        fs::write(folder.join("latest.md"), &markdown)?;
        Ok(markdown)
    }

    /// Of the runs, at saturation and below, those that count for nothing.
    pub(crate) fn wrong(&self) -> Vec<String> {
        let mut wrong = wrong(&self.runs);
        for run in self.latencies.iter().filter(|run| !run.wrong.is_empty()) {
            let what = run.wrong.join("; ");
            wrong.push(format!(
                "{}, {}, below saturation: {what}",
                run.workload, run.peer
            ));
        }
        wrong
    }

    /// The peer that took least CPU, among those that count.
    fn best(&self, workload: &Workload) -> Option<(f64, Name)> {
        let only = workload.target.only;
        [Name::Nginx, Name::Haproxy, Name::Varnish]
            .into_iter()
            .filter(|name| only.is_none_or(|only| only == *name))
            .filter_map(|name| Some((self.median(workload.name, name, |run| run.cpu)?, name)))
            .min_by(|(a, _), (b, _)| a.total_cmp(b))
    }

    /// The median over the right runs, none where there is none.
    fn median(&self, workload: &str, peer: Name, figure: impl Fn(&Run) -> f64) -> Option<f64> {
        let runs = self
            .runs
            .iter()
            .filter(|run| run.workload == workload && run.peer == peer && run.wrong.is_empty());
        let figures: Vec<f64> = runs.map(figure).collect();
        (!figures.is_empty()).then(|| median(figures.into_iter()))
    }
}

/// What was not as it has to be.
pub(crate) fn wrong(runs: &[Run]) -> Vec<String> {
    (runs.iter().filter(|run| !run.wrong.is_empty()))
        .map(|run| format!("{}, {}: {}", run.workload, run.peer, run.wrong.join("; ")))
        .collect()
}

/// 0 of nothing.
pub(crate) fn median(figures: impl Iterator<Item = f64>) -> f64 {
    let mut figures: Vec<f64> = figures.collect();
    figures.sort_by(f64::total_cmp);
    match figures.len() {
        0 => 0.0,
        odd if odd % 2 == 1 => figures[odd / 2],
        even => f64::midpoint(figures[even / 2 - 1], figures[even / 2]),
    }
}
