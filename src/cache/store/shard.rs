//! A shard behind its lock.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use smallvec::SmallVec;

use super::Found;
use super::table::{Chunk, Table};
use crate::cache::entry::{Entry, Head, Key};
use crate::cache::purge::{Purge, place_of};

/// Stored forms of a key and variant at most (section 9).
pub const MOST_FORMS: usize = 16;

/// Entries taken out. They are dropped when no lock is held.
pub(super) type Gone = SmallVec<[Arc<Entry>; 8]>;

/// A part of the store. Its neighbours are never in the same cache lines: on
/// most processors they come in pairs of 64 bytes.
#[derive(Debug)]
#[repr(align(128))]
pub(super) struct Shard {
    table: RwLock<Table>,
    /// How many entries there are, for those who choose a shard.
    len: AtomicUsize,
}

/// What became of an entry that was to be put in.
pub(super) enum Put {
    /// It is in; these are out.
    Done(Gone),
    /// There is no node for it.
    Full,
}

impl Shard {
    pub(super) const fn new() -> Self {
        Self {
            table: RwLock::new(Table::new()),
            len: AtomicUsize::new(0),
        }
    }

    /// How many entries there are, or were a moment ago.
    pub(super) fn len(&self) -> usize {
        self.len.load(Ordering::Relaxed)
    }

    /// How many chunks there are.
    pub(super) fn chunks(&self) -> usize {
        self.read().chunks()
    }

    /// The newest entry of `key` whose head `fits`.
    pub(super) fn find(&self, hash: u64, key: Key<'_>, fits: impl Fn(&Head) -> bool) -> Found {
        let table = self.read();
        let mut known = false;
        for (at, entry) in table.of(hash, key) {
            known = true;
            if fits(&entry.head) {
                table.visit(at);
                let entry = Some(Arc::clone(entry));
                return Found { entry, known };
            }
        }
        Found { entry: None, known }
    }

    /// Puts an entry in: in the place of the one of its variant and form, else
    /// of the oldest one of its variant if there are many, else in a free node.
    pub(super) fn put(&self, hash: u64, entry: &Arc<Entry>) -> Put {
        // Before the lock: it reads the whole path.
        let place = place_of(&entry.url);
        let mut table = self.write();
        if let Some(at) = node_of(&table, hash, entry) {
            return Put::Done(table.swap(at, Arc::clone(entry)).into_iter().collect());
        }
        if !table.has_free() {
            return Put::Full;
        }
        table.add(hash, place, Arc::clone(entry));
        self.counted(&table);
        Put::Done(Gone::new())
    }

    /// Puts `new` in the place of `old`, if that is still there. Whatever else
    /// has the form of `new` goes.
    pub(super) fn replace(&self, hash: u64, old: &Arc<Entry>, new: &Arc<Entry>) -> Option<Gone> {
        let mut table = self.write();
        let at = table.position(hash, old)?;
        let mut gone: Gone = table.swap(at, Arc::clone(new)).into_iter().collect();
        let twin = table
            .of(hash, new.key())
            .find(|(twin, other)| *twin != at && is_same_form(other, new))
            .map(|(twin, _)| twin);
        gone.extend(twin.and_then(|twin| table.remove(twin)));
        self.counted(&table);
        Some(gone)
    }

    /// Adds nodes.
    pub(super) fn grow(&self, chunk: Box<Chunk>) {
        self.write().grow(chunk);
    }

    /// Takes `old` out.
    pub(super) fn forget(&self, hash: u64, old: &Arc<Entry>) -> Gone {
        let mut table = self.write();
        let at = table.position(hash, old);
        let gone = at.and_then(|at| table.remove(at)).into_iter().collect();
        self.after_removal(table);
        gone
    }

    /// Takes all entries of `key` out.
    pub(super) fn remove(&self, hash: u64, key: Key<'_>) -> Gone {
        let mut table = self.write();
        let mut gone = Gone::new();
        while let Some((at, _)) = { table.of(hash, key).next() } {
            gone.extend(table.remove(at));
        }
        self.after_removal(table);
        gone
    }

    /// Takes these very entries out, as far as they are still there.
    pub(super) fn remove_all(&self, entries: &[(u64, Arc<Entry>)]) -> Gone {
        let mut table = self.write();
        let mut gone = Gone::new();
        for (hash, entry) in entries {
            let at = table.position(*hash, entry);
            gone.extend(at.and_then(|at| table.remove(at)));
        }
        self.after_removal(table);
        gone
    }

    /// Takes up to `most` entries out that may go, until they are `bytes`, in
    /// at most so many `steps` of the hand.
    pub(super) fn evict(&self, bytes: u64, most: usize, mut steps: usize, all: bool) -> Gone {
        let mut table = self.write();
        let mut gone = Gone::new();
        let mut freed = 0;
        while freed < bytes && gone.len() < most {
            let Some(at) = table.victim(&mut steps, all) else {
                break;
            };
            if let Some(entry) = table.remove(at) {
                freed += entry.room();
                gone.push(entry);
            }
        }
        self.after_removal(table);
        gone
    }

    /// The entries of a chunk that `purge` names, with their hashes; none if
    /// it is gone.
    pub(super) fn select(&self, chunk: usize, purge: &Purge) -> Vec<(u64, Arc<Entry>)> {
        let table = self.read();
        let entries = table.entries(chunk, |place| purge.is_elsewhere(place));
        let wanted = |entry: &Entry| purge.matches(&entry.url, &entry.head.headers);
        let entries = entries.filter(|(_, entry)| wanted(entry));
        entries
            .map(|(hash, entry)| (hash, Arc::clone(entry)))
            .collect()
    }

    fn after_removal(&self, mut table: RwLockWriteGuard<'_, Table>) {
        self.counted(&table);
        let chunks: SmallVec<[Box<Chunk>; 4]> = std::iter::from_fn(|| table.shrink()).collect();
        drop(table);
        drop(chunks);
    }

    fn counted(&self, table: &Table) {
        self.len.store(table.len(), Ordering::Relaxed);
    }

    fn read(&self) -> RwLockReadGuard<'_, Table> {
        // What panics under the lock are bugs; every entry in it is whole.
        self.table.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Table> {
        self.table.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The node that `entry` takes over, if it takes over one.
fn node_of(table: &Table, hash: u64, entry: &Entry) -> Option<u32> {
    let mut forms = 0;
    let mut oldest = None;
    for (at, other) in table.of(hash, entry.key()) {
        if is_same_form(other, entry) {
            return Some(at);
        }
        if other.head.variant == entry.head.variant {
            forms += 1;
            oldest = Some(at);
        }
    }
    oldest.filter(|_| forms >= MOST_FORMS)
}

fn is_same_form(one: &Entry, other: &Entry) -> bool {
    one.head.variant == other.head.variant && one.head.form == other.head.form
}
