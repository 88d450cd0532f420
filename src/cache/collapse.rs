//! One fetch a key: which fills are under way, and which keys are better not
//! waited for (section 9).

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use smallvec::SmallVec;

use super::asked::Asked;
use super::clock::Moment;
use super::entry::Key;
use super::fill::{Fill, Wish};
use super::purge::Purge;
use crate::message::fields::Name;

/// Fills are found by the low bits of their hash.
const SHARDS: usize = 64;

/// Keys that can be remembered as not shared; beyond, they forget each other.
const MARKS: usize = 4096;

/// So long a key is not collapsed after a response that could not be shared.
const ALONE: u64 = 60_000;

/// The fills under way.
#[derive(Debug)]
pub(super) struct Fills {
    shards: Box<[Mutex<Shard>]>,
    /// The upper half of a hash, and until when, in seconds.
    alone: Box<[AtomicU64]>,
}

pub(super) type Shard = HashMap<u64, SmallVec<[Arc<Fill>; 1]>, foldhash::fast::FixedState>;

/// What to do about a response that is not there.
#[derive(Debug)]
pub enum Begun {
    /// To fetch it: others wait for this one.
    Lead(Arc<Fill>),
    /// To wait for one that is under way.
    Join(Arc<Fill>),
}

/// Who asks for a fill.
#[derive(Clone, Copy, Debug)]
pub struct Begin<'a> {
    /// The hash of the key.
    pub hash: u64,
    /// The key.
    pub key: Key<'a>,
    /// The request.
    pub asked: Asked<'a>,
    /// Whether there are stored responses of other forms.
    pub others: bool,
    /// Whether it may be answered by what another one fetches.
    pub may_join: bool,
    /// Whether others may wait for what this request gets.
    pub is_shared: bool,
    /// Whether nobody waits for it: then whatever brings news will do, also
    /// what is not shared.
    pub is_background: bool,
    /// What is under way must have begun then or later.
    pub since: Moment,
    /// The moment.
    pub now: Moment,
}

impl Fills {
    pub(super) fn new() -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            alone: (0..MARKS).map(|_| AtomicU64::new(0)).collect(),
        }
    }

    /// Joins a fill that may help, else begins one.
    pub(super) fn begin(&self, begin: &Begin<'_>) -> Begun {
        let Begin { hash, key, now, .. } = *begin;
        let likeness = likeness(&begin.asked);
        let mut shard = self.shard(hash);
        let fills = shard.entry(hash).or_default();
        let helps = |fill: &&Arc<Fill>| {
            begin.may_join
                && fill.key() == key
                && !fill.is_marked()
                && fill.begun() >= begin.since
                && (fill.may_help(&begin.asked, likeness, begin.others, now)
                    || begin.is_background && fill.may_bring(&begin.asked, likeness))
        };
        if let Some(fill) = fills.iter().find(helps) {
            return Begun::Join(Arc::clone(fill));
        }
        let wish = Wish {
            variant: begin.asked.variant,
            likeness,
            begun: now,
        };
        let is_shared = begin.is_shared && !self.is_alone(hash, now);
        let fill = Arc::new(Fill::new(hash, key, wish, is_shared));
        fills.push(Arc::clone(&fill));
        Begun::Lead(fill)
    }

    /// Ends a fill: `store` is called if what came of it may be stored, and
    /// no purge comes between.
    pub(super) fn end(&self, fill: &Arc<Fill>, store: impl FnOnce()) {
        let mut shard = self.shard(fill.hash());
        if !fill.is_marked() {
            store();
        }
        if let Some(fills) = shard.get_mut(&fill.hash()) {
            fills.retain(|other| !Arc::ptr_eq(other, fill));
            if fills.is_empty() {
                shard.remove(&fill.hash());
            }
        }
    }

    /// What is under way and met by `purge` will not be stored.
    pub(super) fn mark(&self, purge: &Purge) {
        for shard in &self.shards {
            let shard = lock(shard);
            let fills = shard.values().flatten();
            fills
                .filter(|fill| fill.is_met_by(purge))
                .for_each(|fill| fill.mark());
        }
    }

    /// What is under way for `key` will not be stored.
    pub(super) fn mark_key(&self, hash: u64, key: Key<'_>) {
        let shard = self.shard(hash);
        let fills = shard.get(&hash).into_iter().flatten();
        fills
            .filter(|fill| fill.key() == key)
            .for_each(|fill| fill.mark());
    }

    /// For a while nobody waits for responses with that hash, or again.
    pub(super) fn set_alone(&self, hash: u64, alone: bool, now: Moment) {
        let mark = &self.alone[hash as usize % MARKS];
        if alone {
            mark.store(upper(hash) | ((now.0 + ALONE) / 1000), Ordering::Relaxed);
        } else if mark.load(Ordering::Relaxed) & UPPER == upper(hash) {
            mark.store(0, Ordering::Relaxed);
        }
    }

    pub(super) fn is_alone(&self, hash: u64, now: Moment) -> bool {
        let mark = self.alone[hash as usize % MARKS].load(Ordering::Relaxed);
        mark & UPPER == upper(hash) && now.0 / 1000 < mark & !UPPER
    }

    fn shard(&self, hash: u64) -> MutexGuard<'_, Shard> {
        lock(&self.shards[hash as usize % SHARDS])
    }
}

const UPPER: u64 = !0 << 32;

fn upper(hash: u64) -> u64 {
    hash & UPPER
}

fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    // A panic leaves it whole.
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What responses most often vary by, in a number.
fn likeness(asked: &Asked<'_>) -> u64 {
    use std::hash::BuildHasher;
    let origin = asked.headers.first(Name::ORIGIN);
    foldhash::fast::FixedState::default().hash_one((asked.encodings, origin))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::fixture::Request;

    #[test]
    fn a_fill_that_is_over_leaves_nothing_behind() {
        let fills = Fills::new();
        let request = Request::get(&[]);
        let begin = Begin {
            hash: 7,
            key: Key {
                url: "http://a/",
                origin: "http://b/",
            },
            asked: request.asked(),
            others: false,
            may_join: false,
            is_shared: true,
            is_background: false,
            since: Moment::default(),
            now: Moment(1000),
        };
        let lead = || match fills.begin(&begin) {
            Begun::Lead(fill) | Begun::Join(fill) => fill,
        };
        let (first, second) = (lead(), lead());
        assert!(!Arc::ptr_eq(&first, &second), "it may not join");
        for (fill, left) in [(first, 1), (second, 0)] {
            fills.end(&fill, || {});
            assert_eq!(fills.shard(7).values().flatten().count(), left);
        }
        assert!(fills.shard(7).is_empty());
    }

    #[test]
    fn a_key_is_alone_for_a_while_and_only_that_one() {
        let fills = Fills::new();
        let (key, twin) = (5 << 32 | 7, 6 << 32 | 7);
        let (now, last) = (Moment(10_000), Moment(10_000 + ALONE - 1000));
        fills.set_alone(key, true, now);
        assert!(fills.is_alone(key, now) && fills.is_alone(key, last));
        assert!(!fills.is_alone(twin, now) && !fills.is_alone(key, Moment(10_000 + ALONE)));
        fills.set_alone(twin, false, now);
        assert!(fills.is_alone(key, now));
        fills.set_alone(key, false, now);
        assert!(!fills.is_alone(key, now));
    }
}
