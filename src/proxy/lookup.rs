//! The step at which the cache answers if it may (section 9).

use std::rc::Rc;
use std::sync::Arc;

use hyper::{Method, Response};
use tokio::task::spawn_local;

use super::Proxy;
use super::body::Body;
use super::cached::{Change, Fetch, Fetcher, Freshness, Passed, Query, Unsafe};
use super::forward::background;
use super::record::{Known, Record, Seen};
use super::respond::Edit;
use crate::cache::Cache;
use crate::cache::clock::Moment;
use crate::cache::collapse::{Begin, Begun};
use crate::cache::entry::Entry;
use crate::cache::fill::Verdict;
use crate::cache::status::Reason;
use crate::plan::Plan;

impl Proxy {
    /// The cache, if the route uses it.
    pub(super) fn cache_of(&self, plan: &Plan<'_>) -> Option<&Cache> {
        self.cache.as_ref().filter(|_| plan.route.cache.enabled)
    }

    /// What the cache is asked; `None`: it has nothing to do with it.
    pub(super) fn query<'a>(
        &'a self,
        seen: &Seen<'a>,
        plan: &'a Plan<'a>,
        known: Option<&'a Known<'a>>,
        is_bodiless: bool,
    ) -> Option<Query<'a>> {
        let cache = self.cache_of(plan).filter(|_| is_bodiless)?;
        Query::new(cache, plan, known?, seen.received)
    }

    /// What the cache does about a request that it cannot answer; `None`:
    /// there is no cache.
    pub(super) fn passed(
        &self,
        seen: &Seen<'_>,
        plan: &Plan<'_>,
        known: Option<&Known<'_>>,
    ) -> Option<Passed> {
        let cache = self.cache.as_ref()?;
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

    /// Answers with what is stored.
    pub(super) fn stored(
        &self,
        seen: &Seen<'_>,
        plan: &Plan<'_>,
        (query, known): (&Query<'_>, &Known<'_>),
        (entry, freshness): (&Arc<Entry>, Freshness),
        record: Record,
    ) -> Response<Body> {
        if freshness == Freshness::Refreshed {
            self.refresh(seen, plan, query, known, entry);
        }
        let edit = Edit::new(plan.route, known.choice.vary.cloned(), seen.shape());
        query.answer(entry, freshness, &edit, record)
    }

    /// Fetches a stored response anew, if nobody does.
    fn refresh(
        &self,
        seen: &Seen<'_>,
        plan: &Plan<'_>,
        query: &Query<'_>,
        known: &Known<'_>,
        entry: &Arc<Entry>,
    ) {
        let begin = Begin {
            hash: query.hash,
            key: query.key,
            asked: query.asked,
            others: false,
            may_join: true,
            is_shared: true,
            since: Moment::default(),
            now: query.now,
        };
        let encodings = query.asked.encodings;
        let Some(request) = background(plan, known, encodings, &entry.head.form, &self.instance)
        else {
            return;
        };
        let Some(fetcher) = self.fetcher() else {
            return;
        };
        let Begun::Lead(fill) = query.cache.begin(&begin) else {
            return;
        };
        // Another one may have ended since the stale response was found.
        if let Some(newer) = query.newer_than(entry) {
            query.cache.abandon(&fill, Verdict::Validated(newer));
            return;
        }
        self.counting.cache().background.add(1);
        let fetch = Fetch {
            fill,
            asker: query.refresher(request.headers()),
            stale: Some(Arc::clone(entry)),
            settings: plan.route.cache,
            origin: Arc::clone(&plan.route.origin),
            client: None,
            stall_timeout: seen.snapshot.server.stall_timeout,
            request,
        };
        spawn_local(fetcher.fetch(fetch));
    }

    /// Ends when nobody, on whatever worker, reads what this one brings into
    /// the cache.
    pub async fn fills_read(&self) {
        self.underway.read().await;
    }

    /// What fetches for the cache.
    pub(super) fn fetcher(&self) -> Option<Fetcher> {
        Some(Fetcher {
            cache: self.cache.clone()?,
            origins: Rc::clone(&self.origins),
            instance: Arc::clone(&self.instance),
            counting: Rc::clone(&self.counting),
            underway: Rc::clone(&self.underway),
        })
    }
}
