//! Purging: every entry is looked at, a few at a time.

use super::Store;
use super::shard::Shard;
use crate::cache::purge::Purge;

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
        // A lock is held for one chunk: some microseconds.
        for chunk in (0..shard.chunks()).rev() {
            let wanted = shard.select(chunk, purge);
            if !wanted.is_empty() {
                let gone = shard.remove_all(&wanted);
                self.count_out(&gone);
                purged += gone.len();
            }
        }
        purged
    }
}
