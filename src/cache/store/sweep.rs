//! Purging: every entry is looked at, a few at a time.

use super::Store;
use super::shard::Shard;
use crate::cache::purge::Purge;

/// Chunks looked at under one lock: 256 entries, some microseconds.
const STEP: usize = 4;

impl Store {
    /// Removes what `purge` names, and says how many entries that were. What
    /// is stored while it runs may be missed: see to fills first.
    pub fn purge(&self, purge: &Purge) -> usize {
        let shards = self.0.shards.iter();
        shards.map(|shard| self.sweep(shard, purge)).sum()
    }

    /// From the end to the start: a node only ever moves towards the start.
    fn sweep(&self, shard: &Shard, purge: &Purge) -> usize {
        let mut purged = 0;
        let mut end = shard.chunks();
        while end > 0 {
            let start = end.saturating_sub(STEP);
            let wanted = shard.select(start..end, |entry| {
                purge.matches(&entry.url, &entry.head.headers)
            });
            if !wanted.is_empty() {
                let gone = shard.remove_all(&wanted);
                self.count_out(&gone);
                purged += gone.len();
            }
            end = start;
        }
        purged
    }
}
