//! The cache (sections 8 and 9): an RFC 9111 shared cache in memory.
//!
//! What may be stored, how long it is fresh, whom it fits and what becomes of
//! it are pure functions that are told the time. What is kept is in [`store`],
//! what is on its way in [`fill`]; nothing here knows the origin, or writes to
//! a client.

pub mod asked;
pub mod budget;
pub mod clock;
pub mod collapse;
pub mod conditional;
pub mod directives;
pub mod encoding;
pub mod entry;
pub mod fill;
#[cfg(test)]
mod fixture;
mod freshness;
mod http_date;
pub mod invalidation;
pub mod key;
pub mod multipart;
mod place;
pub mod policy;
pub mod purge;
pub mod range;
pub mod reply;
pub mod reuse;
mod seldom;
pub mod settings;
pub mod status;
pub mod storable;
pub mod store;
mod targeted;
pub mod validation;
pub mod vary;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use self::asked::Asked;
use self::clock::{Clock, Moment, Now};
use self::collapse::{Begin, Begun, Fills};
use self::entry::{Entry, Head, Key, StoredBody, Variants, room};
use self::fill::{Fill, Verdict};

use self::purge::Purge;
use self::reply::complete;
use self::seldom::Seldom;
use self::store::{Found, Store};
use crate::log::counters::{CacheGauges, FillEnd};

/// The cache of a process; clones are the same one.
#[derive(Clone, Debug)]
pub struct Cache(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    store: Store,
    fills: Fills,
    forced: Seldom,
    refreshed: Seldom,
    clock: Clock,
    purged: AtomicU64,
}

impl Cache {
    /// A cache that holds at most `memory` bytes, what it needs itself
    /// included.
    pub fn new(memory: u64) -> Self {
        Self(Arc::new(Inner {
            store: Store::new(memory),
            fills: Fills::new(),
            forced: Seldom::new(),
            refreshed: Seldom::new(),
            clock: Clock::start(),
            purged: AtomicU64::new(0),
        }))
    }

    /// The time, as entries are aged by it.
    pub fn now(&self) -> Now {
        self.0.clock.now()
    }

    /// The moment, as entries are aged by it.
    pub fn moment(&self) -> Moment {
        self.0.clock.moment()
    }

    /// The hash of `key`, the same as long as the process runs.
    pub fn hash(&self, key: Key<'_>) -> u64 {
        self.0.store.hash(key)
    }

    /// The newest stored response that fits, fresh or not.
    pub fn find(&self, hash: u64, key: Key<'_>, asked: &Asked<'_>) -> Found {
        self.0.store.find(hash, key, |head| head.fits(asked))
    }

    /// Joins a fill that may help, else begins one.
    pub fn begin(&self, begin: &Begin<'_>) -> Begun {
        self.0.fills.begin(begin)
    }

    /// Whether a client may have a fresh response for that hash validated: once
    /// a second (section 9).
    pub fn may_force(&self, hash: u64, now: Moment) -> bool {
        self.0.forced.take(hash, now)
    }

    /// Whether a stale response for that hash may be fetched anew behind an
    /// answer: once a second, also where the origin fails.
    pub fn may_refresh(&self, hash: u64, now: Moment) -> bool {
        self.0.refreshed.take(hash, now)
    }

    /// Where entries are kept.
    pub fn store(&self) -> &Store {
        &self.0.store
    }

    /// The fill is over, and there is nothing of it to store.
    pub fn abandon(&self, fill: &Arc<Fill>, verdict: Verdict) {
        self.0.fills.end(fill, || {});
        fill.close(verdict);
    }

    /// Nobody waits for responses for the key of `fill` for a while; or
    /// again.
    pub fn set_alone(&self, fill: &Fill, alone: bool) {
        let now = self.moment();
        self.0.fills.set_alone(fill.hash(), alone, now);
    }

    /// Whether nobody waits for responses with that hash, because the last one
    /// could not be shared.
    pub fn is_alone(&self, hash: u64, now: Moment) -> bool {
        self.0.fills.is_alone(hash, now)
    }

    /// All of the body is there: it is stored, unless it was purged since it
    /// was begun. What became of it.
    pub fn finish(&self, fill: &Arc<Fill>) -> FillEnd {
        let done = fill.finish();
        let mut end = FillEnd::Purged;
        self.0.fills.end(fill, || {
            let Some((opened, body)) = done else {
                end = FillEnd::TooLarge;
                return;
            };
            let mut head = opened.head.clone();
            head.serves = head.serves.union(self.served(fill, &head));
            let entry = self.entry(fill.key(), head, body);
            end = match entry {
                None => FillEnd::NoRoom,
                Some(entry) => {
                    self.0.store.insert(fill.hash(), entry);
                    FillEnd::Stored
                }
            };
        });
        end
    }

    /// Whom the fresh entry serves that `head` replaces: what an origin that
    /// ignores Accept sends is one entry for all that have asked. A stale one
    /// promises nothing any more.
    fn served(&self, fill: &Fill, head: &Head) -> Variants {
        let moment = self.moment();
        let twin = |old: &Head| {
            let same = old.variant == head.variant && old.form.is_of(&head.form);
            same && old.policy.ttl(moment) > 0
        };
        let found = self.0.store.find(fill.hash(), fill.key(), twin);
        found.entry.map(|old| old.head.serves).unwrap_or_default()
    }

    /// An entry of the cache's own memory; `None`: there is no room for it.
    fn entry(&self, key: Key<'_>, mut head: Head, body: Arc<StoredBody>) -> Option<Entry> {
        complete(&mut head, body.length());
        head.compact();
        let reservation = self.0.store.reserve(room(key.url, key.origin, &head))?;
        Some(Entry {
            url: key.url.into(),
            origin: key.origin.into(),
            head,
            body,
            reservation,
        })
    }

    /// What was stored is no longer what the origin has: `old`, which `fill`
    /// was to validate, goes.
    pub fn forget(&self, fill: &Fill, old: &Arc<Entry>) {
        self.0.store.forget(fill.hash(), old);
    }

    /// The body was cut: nothing of it is stored.
    pub fn cut(&self, fill: &Arc<Fill>, why: &'static str) {
        self.0.fills.end(fill, || {});
        fill.cut(why);
    }

    /// `old` was validated, and has a new head: those who wait for `fill` get
    /// it. It is stored if the old one still is.
    pub fn validated(&self, fill: &Arc<Fill>, old: &Arc<Entry>, head: Head) -> Option<Arc<Entry>> {
        let new = self.entry(old.key(), head, Arc::clone(&old.body))?;
        let new = Arc::new(new);
        self.0.fills.end(fill, || {
            self.0.store.replace(fill.hash(), old, &new);
        });
        fill.close(Verdict::Validated(Arc::clone(&new)));
        Some(new)
    }

    /// `old` has a new head, if it is still stored.
    pub fn update(&self, hash: u64, old: &Arc<Entry>, head: Head) {
        if let Some(new) = self.entry(old.key(), head, Arc::clone(&old.body)) {
            self.0.store.replace(hash, old, &Arc::new(new));
        }
    }

    /// Removes what `purge` names, all variants and forms; what is on its way
    /// will not be stored. How many were removed.
    pub fn purge(&self, purge: &Purge) -> usize {
        self.0.fills.mark(purge);
        let purged = self.0.store.purge(purge);
        self.0.purged.fetch_add(purged as u64, Ordering::Relaxed);
        purged
    }

    /// Removes what is stored for `key`: it has changed at the origin (RFC
    /// 9111 section 4.4).
    pub fn invalidate(&self, key: Key<'_>) -> usize {
        let hash = self.hash(key);
        self.0.fills.mark_key(hash, key);
        self.0.store.remove(key)
    }

    /// What there is, for metrics.
    pub fn gauges(&self) -> CacheGauges {
        let stats = self.0.store.stats();
        CacheGauges {
            entries: stats.entries,
            bytes: stats.taken,
            limit: stats.limit,
            evicted: stats.evicted,
            purged: self.0.purged.load(Ordering::Relaxed),
        }
    }
}
