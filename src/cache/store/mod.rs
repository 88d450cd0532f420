//! What is stored, and what goes when there is no room.
//!
//! Many shards, one budget: an entry may be as large as the whole budget, and
//! room comes from whichever shards have the most. A hit takes its shard's
//! read lock and sets a mark; SIEVE decides who goes (Zhang et al., NSDI 2024).

mod evict;
mod shard;
mod sweep;
mod table;

use std::hash::Hasher;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use foldhash::SharedSeed;
use foldhash::quality::FoldHasher;

pub use shard::MOST_FORMS;

use self::shard::{Put, Shard};
use self::table::{CHUNK_ROOM, Chunk};
use super::budget::{Budget, Reservation};
use super::entry::{Entry, Head, Key};

/// A shard for so much memory, up to [`MOST_SHARDS`].
const SHARD_MEMORY: u64 = 1 << 20;

/// Few workers meet in one of so many.
const MOST_SHARDS: u64 = 256;

/// Steps of the hand to find a node for an entry where none can be added.
const NODE_STEPS: usize = 64;

/// A cheap handle to the stored responses.
#[derive(Clone, Debug)]
pub struct Store(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    budget: Arc<Budget>,
    /// As many as a power of two.
    shards: Box<[Shard]>,
    /// What the shards themselves take.
    _room: Option<Reservation>,
    /// Nobody can tell which keys meet in a chain.
    seed: (u64, SharedSeed),
    /// Whose turn it is to give room.
    turn: AtomicUsize,
    entries: AtomicUsize,
    bytes: AtomicU64,
    evicted: AtomicU64,
}

/// What was found for a request.
#[derive(Clone, Debug)]
pub struct Found {
    /// The newest entry that fits.
    pub entry: Option<Arc<Entry>>,
    /// Whether the key has entries at all: if none fits, it is a vary-miss.
    pub known: bool,
}

/// What there is, a moment ago.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoreStats {
    /// Stored responses.
    pub entries: u64,
    /// What they take, in bytes.
    pub bytes: u64,
    /// What is taken of the budget: theirs, fills, what is still read, and
    /// the store's own tables; in bytes.
    pub taken: u64,
    /// The budget, in bytes.
    pub limit: u64,
    /// Stored responses that had to go for others, since the start.
    pub evicted: u64,
}

impl Store {
    /// A store that takes at most `memory` bytes, its own tables included.
    pub fn new(memory: u64) -> Self {
        let shards = (memory / SHARD_MEMORY).clamp(1, MOST_SHARDS);
        Self::with_shards(memory, 1 << shards.ilog2())
    }

    fn with_shards(memory: u64, shards: u64) -> Self {
        let budget = Budget::new(memory);
        Self(Arc::new(Inner {
            _room: budget.take(shards * size_of::<Shard>() as u64),
            budget,
            shards: (0..shards).map(|_| Shard::new()).collect(),
            seed: (random(), SharedSeed::from_u64(random())),
            turn: AtomicUsize::new(0),
            entries: AtomicUsize::new(0),
            bytes: AtomicU64::new(0),
            evicted: AtomicU64::new(0),
        }))
    }

    /// What bounds it. Whatever takes memory for a response takes it here.
    pub fn budget(&self) -> &Arc<Budget> {
        &self.0.budget
    }

    /// The hash of a key: another one in each process.
    pub fn hash(&self, key: Key<'_>) -> u64 {
        let (seed, shared) = &self.0.seed;
        let mut hasher = FoldHasher::with_seed(*seed, shared);
        hasher.write(key.url.as_bytes());
        hasher.write(key.origin.as_bytes());
        hasher.finish()
    }

    /// The newest entry of `key` whose head `fits`.
    pub fn find(&self, hash: u64, key: Key<'_>, fits: impl Fn(&Head) -> bool) -> Found {
        self.shard(hash).find(hash, key, fits)
    }

    /// Stores an entry, whose room is reserved, in the place of the one of the
    /// same variant and form; of more than [`MOST_FORMS`] forms the oldest
    /// goes. If not even a node for it can be had it is not stored.
    pub fn insert(&self, hash: u64, entry: Entry) -> Arc<Entry> {
        let entry = Arc::new(entry);
        // Before it is in: whoever takes it out counts it out.
        self.count_in(&entry);
        // The nodes that one turn adds may be gone before the next.
        for _ in 0..4 {
            match self.shard(hash).put(hash, &entry) {
                Put::Done(gone) => {
                    self.count_out(&gone);
                    return entry;
                }
                Put::Full => self.make_node(hash),
            }
        }
        self.count_out(std::slice::from_ref(&entry));
        entry
    }

    /// Stores `new` in the place of `old`, which it was before it was
    /// validated. `false`: `old` is no longer there, and neither is `new`.
    pub fn replace(&self, hash: u64, old: &Arc<Entry>, new: &Arc<Entry>) -> bool {
        self.count_in(new);
        let replaced = self.shard(hash).replace(hash, old, new);
        self.count_out(replaced.as_deref().unwrap_or(std::slice::from_ref(new)));
        replaced.is_some()
    }

    /// Removes `old`, if it is still there.
    pub fn forget(&self, hash: u64, old: &Arc<Entry>) {
        let gone = self.shard(hash).forget(hash, old);
        self.count_out(&gone);
    }

    /// Removes all variants and forms of `key`, and says how many.
    pub fn remove(&self, key: Key<'_>) -> usize {
        let hash = self.hash(key);
        let gone = self.shard(hash).remove(hash, key);
        self.count_out(&gone);
        gone.len()
    }

    /// What there is.
    pub fn stats(&self) -> StoreStats {
        let inner = &*self.0;
        StoreStats {
            entries: inner.entries.load(Ordering::Relaxed) as u64,
            bytes: inner.bytes.load(Ordering::Relaxed),
            taken: inner.budget.taken(),
            limit: inner.budget.limit(),
            evicted: inner.evicted.load(Ordering::Relaxed),
        }
    }

    /// The high bits choose the shard, the low ones the place in it.
    fn shard(&self, hash: u64) -> &Shard {
        &self.0.shards[(hash >> 32) as usize & (self.0.shards.len() - 1)]
    }

    /// Sees to it that the shard of `hash` has a node, if that can be.
    fn make_node(&self, hash: u64) {
        match self.reserve(CHUNK_ROOM) {
            Some(room) => self.shard(hash).grow(Chunk::new(room)),
            None => {
                let gone = self.shard(hash).evict(1, 1, NODE_STEPS, true);
                self.count_evicted(&gone);
            }
        }
    }

    fn count_in(&self, entry: &Entry) {
        self.0.entries.fetch_add(1, Ordering::Relaxed);
        self.0.bytes.fetch_add(entry.room(), Ordering::Relaxed);
    }

    fn count_out(&self, gone: &[Arc<Entry>]) {
        let bytes = gone.iter().map(|entry| entry.room()).sum();
        self.0.entries.fetch_sub(gone.len(), Ordering::Relaxed);
        self.0.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    fn count_evicted(&self, gone: &[Arc<Entry>]) {
        self.count_out(gone);
        let count = gone.len() as u64;
        self.0.evicted.fetch_add(count, Ordering::Relaxed);
    }
}

/// A number nobody can guess, from the system's source.
fn random() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(0_u8)
}

#[cfg(test)]
mod tests;
