//! The step at which the cache answers if it may (section 9).

use std::rc::Rc;
use std::sync::Arc;

use hyper::Method;
use tokio::task::spawn_local;

use super::cached::{Change, Fetch, Fetcher, Freshness, Look, Passed, Query, Unsafe, Wanted};
use super::forward::{Background, background};
use super::record::{Known, Record, Seen};
use super::respond::Edit;
use super::response::ClientResponse;
use super::{Planned, Proxy};
use crate::cache::Cache;
use crate::cache::collapse::Begun;
use crate::cache::encoding::Encodings;
use crate::cache::entry::Entry;
use crate::cache::fill::Verdict;
use crate::cache::status::Reason;
use crate::log::counters::CacheResult;
use crate::plan::Plan;

/// How a request goes on from the cache.
pub(super) enum Way {
    /// It is answered by what is stored.
    Stored(ClientResponse),
    /// It wants only what is stored, and that is not there.
    Nothing(Record),
    /// The origin is asked.
    Onward(Onward),
}

/// What is to be known where the origin is asked.
pub(super) struct Onward {
    /// What the cache fetches, and stores if that may be.
    pub(super) wanted: Option<Wanted>,
    /// Else what the cache has to do with it, if there is one.
    pub(super) passed: Option<Passed>,
    /// What Accept-Encoding is reduced to.
    pub(super) encodings: Option<Encodings>,
    pub(super) record: Record,
}

impl Proxy {
    /// The cache, if the route uses it.
    pub(super) fn cache_of(&self, plan: &Plan<'_>) -> Option<&Cache> {
        self.cache.as_ref().filter(|_| plan.route.cache.enabled)
    }

    /// The cache answers if it may.
    pub(super) fn at_cache(
        &self,
        seen: &Seen<'_>,
        planned: &Planned<'_>,
        is_bodiless: bool,
        mut record: Record,
    ) -> Way {
        let onward = |passed, wanted, encodings, record| {
            Way::Onward(Onward {
                wanted,
                passed,
                encodings,
                record,
            })
        };
        let Some(query) = self.query(seen, planned, is_bodiless) else {
            return onward(self.passed(seen, planned), None, None, record);
        };
        let encodings = Some(query.asked.encodings);
        match query.look() {
            Look::Stored(entry, freshness) => {
                if freshness == Freshness::Refreshed {
                    self.refresh(seen, planned, &query, &entry);
                }
                let route = planned.plan.route;
                let edit = Edit::new(route, query.vary.cloned(), seen.shape());
                Way::Stored(query.answer(&entry, freshness, edit, record))
            }
            Look::Nothing => {
                record.cached(CacheResult::Miss);
                Way::Nothing(record)
            }
            Look::Pass(reason, stale) => {
                let passed = Passed::at(&query, reason, stale, planned.plan.route.cache);
                onward(Some(passed), None, encodings, record)
            }
            Look::Fetch(stale, reason) => {
                let fetcher = self.fetcher(query.cache);
                let wanted = query.wanted(fetcher, stale, reason);
                onward(None, Some(wanted), encodings, record)
            }
        }
    }

    /// What the cache is asked; `None`: it has nothing to do with it.
    fn query<'a>(
        &'a self,
        seen: &Seen<'a>,
        planned: &'a Planned<'a>,
        is_bodiless: bool,
    ) -> Option<Query<'a>> {
        let Planned { plan, known } = planned;
        let cache = self.cache_of(plan).filter(|_| is_bodiless)?;
        Query::new(cache, plan, known.as_ref()?, seen.received)
    }

    /// What the cache does about a request that it cannot answer; `None`:
    /// there is no cache.
    fn passed(&self, seen: &Seen<'_>, planned: &Planned<'_>) -> Option<Passed> {
        let cache = self.cache.as_ref()?;
        let Planned { plan, known } = planned;
        let method = &seen.received.method;
        if matches!(*method, Method::GET | Method::HEAD) {
            // It has a body, or its route has no cache.
            return Some(Passed::new(Reason::Bypass));
        }
        let url = match known {
            Some(known) => known.url().into(),
            None => Known::of(plan).url().into(),
        };
        Some(Passed {
            reason: match self.cache_of(plan) {
                Some(_) => Reason::Method,
                None => Reason::Bypass,
            },
            // Also where the route has no cache now: it may have had one, and
            // get it back.
            change: Some(Change::Unsafe(Unsafe {
                cache: cache.clone(),
                method: method.clone(),
                url,
                origin: Arc::clone(&plan.route.origin),
                rules: Arc::clone(&plan.route.key),
            })),
        })
    }

    /// Fetches a stored response anew, if nobody does.
    fn refresh(
        &self,
        seen: &Seen<'_>,
        planned: &Planned<'_>,
        query: &Query<'_>,
        entry: &Arc<Entry>,
    ) {
        if !query.cache.may_refresh(query.hash, query.now) {
            return;
        }
        let Begun::Lead(fill) = query.begin_refresh() else {
            return;
        };
        // Another one may have ended since the stale response was found.
        if let Some(newer) = query.newer_than(entry) {
            return query.cache.abandon(&fill, Verdict::Validated(newer));
        }
        let encodings = query.asked.encodings;
        let form = &entry.head.form;
        let background = background(seen.snapshot, planned, encodings, form, &self.instance);
        let Some(Background { request, form }) = background else {
            return query.cache.abandon(&fill, Verdict::Alone);
        };
        self.counting.cache().background.add(1);
        let route = planned.plan.route;
        let fetch = Fetch {
            fill,
            asker: query.refresher(&form).into(),
            stale: Some(Arc::clone(entry)),
            settings: route.cache,
            origin: Arc::clone(&route.origin),
            client: None,
            stall_timeout: seen.snapshot.server.stall_timeout,
            request,
        };
        spawn_local(self.fetcher(query.cache).fetch(fetch));
    }

    /// Ends when nobody, on whatever worker, reads what this one brings into
    /// the cache.
    pub async fn fills_read(&self) {
        self.underway.read().await;
    }

    /// What fetches for the cache.
    fn fetcher(&self, cache: &Cache) -> Fetcher {
        Fetcher {
            cache: cache.clone(),
            origins: Rc::clone(&self.origins),
            instance: Arc::clone(&self.instance),
            counting: Rc::clone(&self.counting),
            underway: Rc::clone(&self.underway),
        }
    }
}
