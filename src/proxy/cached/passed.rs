//! A request that the cache lets pass to the origin.

use std::sync::Arc;

use hyper::http::response::Parts;
use hyper::{Method, StatusCode};

use super::Query;
use super::asker::Asker;
use crate::cache::Cache;
use crate::cache::clock::Moment;
use crate::cache::entry::{Entry, Key};
use crate::cache::invalidation::invalidated;
use crate::cache::key::KeyRules;
use crate::cache::settings::CacheSettings;
use crate::cache::status::{CacheStatus, Reason};
use crate::cache::validation::freshen_by_head;
use crate::log::counters::CacheResult;
use crate::origin::OriginSettings;

/// A request that the cache lets pass to the origin.
#[derive(Debug)]
pub(in crate::proxy) struct Passed {
    pub(in crate::proxy) reason: Reason,
    pub(in crate::proxy) change: Option<Change>,
}

/// What its response may change of what is stored.
#[derive(Debug)]
pub(in crate::proxy) enum Change {
    Unsafe(Unsafe),
    Update(Box<Update>),
}

/// A HEAD for what is stored and stale (RFC 9111 section 4.3.5).
#[derive(Debug)]
pub(in crate::proxy) struct Update {
    pub(super) cache: Cache,
    pub(super) hash: u64,
    pub(super) asker: Asker,
    pub(super) stale: Arc<Entry>,
    pub(super) settings: CacheSettings,
    pub(super) requested: Moment,
}

/// A request that may change what is stored (RFC 9111 section 4.4).
#[derive(Debug)]
pub(in crate::proxy) struct Unsafe {
    pub(in crate::proxy) cache: Cache,
    pub(in crate::proxy) method: Method,
    pub(in crate::proxy) url: Box<str>,
    pub(in crate::proxy) origin: Arc<OriginSettings>,
    pub(in crate::proxy) rules: Arc<KeyRules>,
}

impl Passed {
    /// It passes, for that reason.
    pub(in crate::proxy) fn new(reason: Reason) -> Self {
        Self {
            reason,
            change: None,
        }
    }

    /// It passes what is stored, for that reason; the answer may tell that
    /// `stale` is still good.
    pub(in crate::proxy) fn at(
        query: &Query<'_>,
        reason: Reason,
        stale: Option<Arc<Entry>>,
        settings: CacheSettings,
    ) -> Self {
        let update = query.updater(stale, settings);
        Self {
            reason,
            change: update.map(|update| Change::Update(Box::new(update))),
        }
    }

    /// What `Cache-Status` says of it.
    pub(in crate::proxy) fn status(&self) -> CacheStatus {
        CacheStatus::forwarded(self.reason)
    }

    /// What log and metrics say of it.
    pub(in crate::proxy) fn result(&self) -> CacheResult {
        match self.reason {
            Reason::Bypass | Reason::Method => CacheResult::Bypass,
            _ => CacheResult::Miss,
        }
    }

    /// Whether its response may change what is stored.
    pub(in crate::proxy) fn changes(&self) -> bool {
        self.change.is_some()
    }

    /// The origin has answered: what is stored may have changed there.
    pub(in crate::proxy) fn answered(self, head: &Parts) {
        match self.change {
            None => {}
            Some(Change::Unsafe(change)) => change.answered(head),
            Some(Change::Update(update)) => update.answered(head),
        }
    }
}

impl Unsafe {
    fn answered(&self, head: &Parts) {
        let Self { url, rules, .. } = self;
        for url in invalidated(&self.method, head.status, &head.headers, url, rules) {
            self.cache.invalidate(Key {
                url: &url,
                origin: &self.origin.url.text,
            });
        }
    }
}

impl Update {
    fn answered(&self, head: &Parts) {
        let (asked, now) = (self.asker.asked(), self.cache.now());
        let Self {
            stale, settings, ..
        } = self;
        if head.status == StatusCode::OK
            && let Some(new) = freshen_by_head(
                &stale.head,
                &head.headers,
                &asked,
                settings,
                self.requested,
                now,
            )
        {
            self.cache.update(self.hash, stale, new);
        }
    }
}
