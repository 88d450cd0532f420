//! The cache.

use std::fmt;

use super::page::Page;
use super::requests::sum;
use crate::log::counters::{CacheCounters, CacheGauges, CacheResult, Counters, FillEnd};

/// What the workers did, and what there is in `store`.
pub(super) fn cache(page: &mut Page<'_>, counters: &Counters, store: CacheGauges) -> fmt::Result {
    answers(page, counters)?;
    fills(page, counters)?;
    memory(page, store)
}

fn answers(page: &mut Page<'_>, counters: &Counters) -> fmt::Result {
    let names = counters.names().all();
    let mut requests = Vec::new();
    for (slot, name) in &names {
        for result in CacheResult::ALL {
            let count = sum(counters, *slot, |route| route.cached(result));
            let labels = vec![("route", name.as_str()), ("result", result.as_str())];
            requests.extend((count > 0).then_some((labels, count)));
        }
    }
    let help = "Requests that got to the cache and are over, by route and what it did";
    page.counters("portcullis_cache_requests", help, requests)?;
    page.counter(
        "portcullis_cache_served_bytes",
        "Bytes of response bodies sent without the origin sending them for that request",
        counters.sum(|worker| worker.cache.served.get()),
    )
}

fn fills(page: &mut Page<'_>, counters: &Counters) -> fmt::Result {
    let all = |read: fn(&CacheCounters) -> u64| counters.sum(|worker| read(&worker.cache));
    page.counter(
        "portcullis_cache_fills_begun",
        "Requests to origins whose responses the cache was to store",
        all(|cache| cache.begun.get()),
    )?;
    let ended = FillEnd::ALL.map(|end| {
        let count = counters.sum(|worker| worker.cache.fills(end));
        (vec![("outcome", end.as_str())], count)
    });
    page.counters(
        "portcullis_cache_fills_ended",
        "Those of them that are over, by what became of the response",
        ended,
    )?;
    page.counter(
        "portcullis_cache_background_fetches",
        "Those of them that nobody waited for, because a stale response was served meanwhile",
        all(|cache| cache.background.get()),
    )?;
    page.counter(
        "portcullis_cache_variant_promises_unkept",
        "Image responses that were not of the format that their request was promised",
        all(|cache| cache.unkept.get()),
    )
}

fn memory(page: &mut Page<'_>, store: CacheGauges) -> fmt::Result {
    for (name, help, value) in [
        (
            "portcullis_cache_entries",
            "Stored responses",
            store.entries,
        ),
        (
            "portcullis_cache_memory_bytes",
            "Memory that the cache takes, with fills under way",
            store.bytes,
        ),
        (
            "portcullis_cache_memory_limit_bytes",
            "Memory that it may take: cache.memory at the start",
            store.limit,
        ),
    ] {
        page.gauge(name, help, value as f64)?;
    }
    page.counter(
        "portcullis_cache_evicted",
        "Stored responses that made room for others",
        store.evicted,
    )?;
    page.counter(
        "portcullis_cache_purged",
        "Stored responses that a purge removed",
        store.purged,
    )
}
