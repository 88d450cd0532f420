//! Room for what comes, from what is stored.

use std::sync::atomic::Ordering;

use super::Store;
use super::shard::Shard;
use crate::cache::budget::Reservation;

/// Steps of the hand in one shard before another one has its turn, at most: a
/// lock is held for some microseconds.
const STEPS: usize = 64;

/// But only this part of a shard: the hands go along together, as one would
/// along one queue, and none goes round while another has what may go.
const PART: usize = 16;

/// Entries that one shard gives at a time, at most, and of so many.
const BATCH: usize = 8;
const BATCH_PART: usize = 128;

/// After so many steps without an entry that may go, those asked for may go
/// too; after twice as many there is none to be had.
const PATIENCE: usize = 2048;

impl Store {
    /// Takes `bytes` of the budget, if need be from stored responses that
    /// nobody reads. `None`: they cannot be had; what would not be enough is
    /// left in place. The work is bounded by what has to go.
    pub fn reserve(&self, bytes: u64) -> Option<Reservation> {
        let mut vain = 0;
        loop {
            if let Some(reservation) = self.budget().take(bytes) {
                return Some(reservation);
            }
            if !self.may_be_had(bytes) || vain >= 2 * PATIENCE {
                return None;
            }
            let missing = bytes.saturating_sub(self.left());
            let shard = self.next_shard(vain > PART);
            let steps = (shard.len() / PART).clamp(1, STEPS);
            let most = (shard.len() / BATCH_PART).clamp(1, BATCH);
            let gone = shard.evict(missing, most, steps, vain >= PATIENCE);
            self.count_evicted(&gone);
            vain = match gone.is_empty() {
                true => vain + steps,
                false => 0,
            };
        }
    }

    /// Whether there would be room if nothing were stored.
    fn may_be_had(&self, bytes: u64) -> bool {
        let stored = self.0.bytes.load(Ordering::Relaxed);
        bytes <= self.left().saturating_add(stored)
    }

    fn left(&self) -> u64 {
        let budget = self.budget();
        budget.limit().saturating_sub(budget.taken())
    }

    /// The next shard in turn that has no fewer entries than others have on
    /// average: so they stay alike, and an entry lives as long in each. `any`:
    /// whatever it has, those may all be in use.
    fn next_shard(&self, any: bool) -> &Shard {
        let shards = &self.0.shards;
        let entries = self.0.entries.load(Ordering::Relaxed);
        let start = self.0.turn.fetch_add(1, Ordering::Relaxed);
        let in_turn = |at: usize| &shards[(start + at) & (shards.len() - 1)];
        if any {
            return in_turn(0);
        }
        let full = (0..shards.len()).find(|at| in_turn(*at).len() * shards.len() >= entries);
        let skipped = full.unwrap_or(0);
        self.0.turn.fetch_add(skipped, Ordering::Relaxed);
        in_turn(skipped)
    }
}
