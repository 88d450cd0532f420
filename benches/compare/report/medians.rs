//! The medians and ratios of the tables, as figures.

use serde::Serialize;

use super::Report;
use crate::peers::Name;
use crate::workload;

/// Of one peer in one workload, over its right runs.
#[derive(Debug, Serialize)]
struct Medians {
    workload: &'static str,
    peer: Name,
    /// Microseconds of the peer's processes a request.
    cpu: f64,
    /// That, as a ratio to the best peer's.
    cpu_to_best_peer: Option<f64>,
    cpu_to_floor: Option<f64>,
    /// Requests a second.
    rate: Option<f64>,
    /// Microseconds, at saturation.
    p50: Option<f64>,
    /// Microseconds, at saturation.
    p99: Option<f64>,
    /// Bytes.
    memory: Option<f64>,
}

/// A report with its medians.
#[derive(Debug, Serialize)]
pub(super) struct With<'a> {
    medians: Vec<Medians>,
    #[serde(flatten)]
    report: &'a Report,
}

pub(super) fn with(report: &Report) -> With<'_> {
    let mut medians = Vec::new();
    for workload in workload::all() {
        let best = report.best(&workload);
        for peer in [
            Name::Portcullis,
            Name::PortcullisLog,
            Name::Nginx,
            Name::Haproxy,
            Name::Varnish,
            Name::Floor,
        ] {
            let name = workload.name;
            let Some(cpu) = report.median(name, peer, |run| run.cpu) else {
                continue;
            };
            let floor = report.median(name, Name::Floor, |run| run.cpu);
            medians.push(Medians {
                workload: name,
                peer,
                cpu,
                cpu_to_best_peer: best.map(|(best, _)| cpu / best),
                cpu_to_floor: floor.map(|floor| cpu / floor),
                rate: report.median(name, peer, |run| run.rate),
                p50: report.median(name, peer, |run| run.p50 as f64),
                p99: report.median(name, peer, |run| run.p99 as f64),
                memory: report.median(name, peer, |run| run.memory.shown() as f64),
            });
        }
    }
    With { medians, report }
}
