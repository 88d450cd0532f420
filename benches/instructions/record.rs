//! The figures of a run, kept in `last.json`, and what changed since.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::kinds::KINDS;

/// Calls rarer than this, of one request, are those of threads beside it.
const RARE: f64 = 0.02;

/// By how much a kind may have grown, for `--check`.
const MOST_GROWTH: f64 = 0.05;

/// What was counted, by the name of the kind.
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct Record {
    /// The commit of the program; with a `+` where the work tree differed.
    pub(crate) commit: String,
    /// `real`, or `tests`: which country database it had.
    pub(crate) country_database: String,
    pub(crate) valgrind: String,
    pub(crate) kinds: BTreeMap<String, Figures>,
}

/// Of one request.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Figures {
    pub(crate) instructions: Option<u64>,
    pub(crate) allocations: Option<f64>,
    /// By name.
    pub(crate) system_calls: Option<BTreeMap<String, f64>>,
}

impl Record {
    /// The last one; an empty one if there is none.
    pub(crate) fn last() -> io::Result<Self> {
        match std::fs::read_to_string(file("last.json")) {
            Ok(text) => Ok(serde_json::from_str(&text)?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error),
        }
    }

    /// Whether instructions of every kind were counted.
    pub(crate) fn is_whole(&self) -> bool {
        let counted = |figures: &&Figures| figures.instructions.is_some();
        self.kinds.values().filter(counted).count() == 2 * KINDS.len()
    }

    /// Makes this the last one. What could not be counted, for want of strace,
    /// stays as it was.
    pub(crate) fn keep(mut self, last: Self) -> io::Result<()> {
        for (name, old) in last.kinds {
            if let Some(new) = self.kinds.get_mut(&name) {
                new.system_calls = new.system_calls.take().or(old.system_calls);
            }
        }
        let text = serde_json::to_string_pretty(&self)?;
        std::fs::write(file("last.json"), text + "\n")?;
        std::fs::write(file("last.md"), self.table(&Self::default()))
    }

    /// A table to read, with the change of instructions against `last`.
    pub(crate) fn table(&self, last: &Self) -> String {
        let mut table = format!(
            "Of one request, at {} ({}, country database: {}):\n\n\
             | kind | instructions | allocations | system calls | which |\n| --- | --- | --- | --- | --- |\n",
            self.commit, self.valgrind, self.country_database
        );
        for logged in [false, true] {
            for name in KINDS.iter().map(|kind| kind.name(logged)) {
                if let Some(figures) = self.kinds.get(&name) {
                    let row = figures.row(last.kinds.get(&name));
                    table += &format!("| {name} | {row} |\n");
                }
            }
        }
        table
    }

    /// The kinds of which nothing can be said: instructions were not counted,
    /// now or last time.
    pub(crate) fn unknown<'a>(
        &self,
        last: &Self,
        wanted: impl Iterator<Item = &'a String>,
    ) -> Vec<String> {
        let is_known = |name: &&String| {
            let now = self.kinds.get(*name);
            now.is_some_and(|now| now.change(last.kinds.get(*name)).is_some())
        };
        wanted.filter(|name| !is_known(name)).cloned().collect()
    }

    /// The kinds that cost more instructions than `last` allows.
    pub(crate) fn grown(&self, last: &Self) -> Vec<String> {
        let grown = self.kinds.iter().filter(|(name, figures)| {
            let before = last.kinds.get(*name);
            figures
                .change(before)
                .is_some_and(|change| change > MOST_GROWTH)
        });
        grown.map(|(name, _)| name.clone()).collect()
    }
}

impl Figures {
    /// Of instructions, as a share of what they were.
    fn change(&self, before: Option<&Self>) -> Option<f64> {
        let before = before?.instructions?;
        Some(self.instructions? as f64 / before as f64 - 1.0)
    }

    fn row(&self, before: Option<&Self>) -> String {
        let change = self
            .change(before)
            .map(|change| format!(" ({:+.1} %)", change * 100.0));
        let instructions = self.instructions.map(|count| count.to_string());
        let allocations = self.allocations.map(|count| format!("{count:.1}"));
        let calls = self.system_calls.clone();
        let sum: Option<f64> = calls.as_ref().map(|calls| calls.values().sum());
        let names = calls.map(|calls| {
            let often = calls.iter().filter(|(_, count)| **count > RARE);
            let shown = often.map(|(name, count)| format!("{name} {count:.2}"));
            shown.collect::<Vec<_>>().join(", ")
        });
        format!(
            "{}{} | {} | {} | {}",
            shown(instructions),
            change.unwrap_or_default(),
            shown(allocations),
            shown(sum.map(|sum| format!("{sum:.2}"))),
            shown(names)
        )
    }
}

fn shown(text: Option<String>) -> String {
    text.unwrap_or_else(|| "-".to_owned())
}

fn file(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "benches/instructions", name]
        .iter()
        .collect()
}
