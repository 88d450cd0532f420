//! A request that the cache lets pass to the origin.

use std::sync::Arc;

use hyper::Method;
use hyper::http::response::Parts;

use crate::cache::Cache;
use crate::cache::entry::Key;
use crate::cache::invalidation::invalidated;
use crate::cache::key::KeyRules;
use crate::cache::status::{CacheStatus, Reason};
use crate::log::counters::CacheResult;
use crate::origin::OriginSettings;

/// A request that the cache lets pass to the origin.
#[derive(Debug)]
pub(in crate::proxy) struct Passed {
    pub(in crate::proxy) reason: Reason,
    pub(in crate::proxy) unsafe_method: Option<Unsafe>,
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
            unsafe_method: None,
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

    /// The origin has answered: what is stored may have changed there.
    pub(in crate::proxy) fn answered(self, head: &Parts) {
        let Some(change) = self.unsafe_method else {
            return;
        };
        let Unsafe { url, rules, .. } = &change;
        for url in invalidated(&change.method, head.status, &head.headers, url, rules) {
            change.cache.invalidate(Key {
                url: &url,
                origin: &change.origin.url.text,
            });
        }
    }
}
