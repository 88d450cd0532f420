//! Memory, descriptors and threads of the process, second by second.

use std::collections::BTreeMap;
use std::fs;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use crate::options::Break;
use crate::world::World;

/// How it stood at one time.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sample {
    /// Of resident memory.
    pub(crate) kib: u64,
    pub(crate) descriptors: u64,
    pub(crate) threads: u64,
    /// Of the processor, in ticks since its start.
    pub(crate) ticks: u64,
}

pub(crate) struct Watched {
    id: u32,
    samples: Mutex<Vec<Sample>>,
}

impl Watched {
    pub(crate) fn new(id: u32) -> Self {
        Self {
            id,
            samples: Mutex::default(),
        }
    }

    /// As it stands; `None` if it has ended.
    pub(crate) fn now(&self) -> Option<Sample> {
        let id = self.id;
        let status = fs::read_to_string(format!("/proc/{id}/status")).ok()?;
        let number = |name: &str| {
            let line = status.lines().find(|line| line.starts_with(name))?;
            line.split_whitespace().nth(1)?.parse().ok()
        };
        let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
        let times = stat.rsplit(')').next()?.split_whitespace().skip(11).take(2);
        Some(Sample {
            kib: number("VmRSS:")?,
            descriptors: fs::read_dir(format!("/proc/{id}/fd")).ok()?.count() as u64,
            threads: number("Threads:")?,
            ticks: times.filter_map(|time| time.parse::<u64>().ok()).sum(),
        })
    }

    /// What its descriptors are, and how many of each.
    pub(crate) fn kinds(&self) -> BTreeMap<String, u64> {
        let mut kinds = BTreeMap::new();
        let folder = format!("/proc/{}/fd", self.id);
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let target = fs::read_link(entry.path()).unwrap_or_default();
            let target = target.display().to_string();
            let kind = target.split("[").next().unwrap_or("").to_owned();
            let inside = target.strip_prefix("anon_inode:").map(ToOwned::to_owned);
            *kinds.entry(inside.unwrap_or(kind)).or_default() += 1;
        }
        kinds
    }

    /// The same once it has started for good: all threads run that it has.
    pub(crate) async fn at_rest(&self) -> BTreeMap<String, u64> {
        let mut before = self.kinds();
        let mut same = 0;
        while same < 10 {
            tokio::time::sleep(Duration::from_millis(50)).await;
            let now = self.kinds();
            same = if now == before { same + 1 } else { 0 };
            before = now;
        }
        before
    }

    /// Until the end.
    pub(crate) async fn watch(self: Arc<Self>, world: Arc<World>) {
        let mut tick = interval(Duration::from_secs(1));
        tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
        while !world.stops() {
            tick.tick().await;
            let Some(mut sample) = self.now() else {
                return world.wrong("the program has ended", "");
            };
            let mut samples = self.samples.lock().unwrap();
            if world.options.breaks == Some(Break::Memory) {
                sample.kib += 500 * samples.len() as u64;
            }
            samples.push(sample);
        }
    }

    pub(crate) fn samples(&self) -> Vec<Sample> {
        self.samples.lock().unwrap().clone()
    }
}

/// The median of what `of` says.
pub(crate) fn median(samples: &[Sample], of: fn(&Sample) -> u64) -> u64 {
    let mut values: Vec<u64> = samples.iter().map(of).collect();
    values.sort_unstable();
    values.get(values.len() / 2).copied().unwrap_or(0)
}
