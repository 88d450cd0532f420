//! Requests.

use std::fmt;

use super::page::{Labels, Page};
use crate::access::RuleId;
use crate::log::access::Spool;
use crate::log::counters::{Counters, Histogram, RouteCounters, RouteSlot, StatusClass, Verdict};

/// What went wrong, in `portcullis_client_mistakes_total`.
const UNNAMED: &str = "trusted_peer_names_no_client";
const UNBELIEVED: &str = "untrusted_peer_names_a_client";

/// Requests by how they ended.
pub(super) fn requests(page: &mut Page<'_>, counters: &Counters) -> fmt::Result {
    let names = counters.names().all();
    let mut requests = Vec::new();
    let mut would_deny = Vec::new();
    for (slot, name) in &names {
        let route = ("route", name.as_str());
        for (verdict, class) in verdicts_and_classes() {
            let count = sum(counters, *slot, |route| route.ended(verdict, class));
            let labels = vec![
                route,
                ("verdict", verdict.as_str()),
                ("rule", rule(verdict)),
                ("status", class.as_str()),
            ];
            requests.extend((count > 0).then_some((labels, count)));
        }
        for (index, rule) in RuleId::ALL.into_iter().enumerate() {
            let count = sum(counters, *slot, |route| route.would_deny(index));
            let labels = vec![route, ("rule", rule.as_str())];
            would_deny.extend((count > 0).then_some((labels, count)));
        }
    }
    let help = "Requests that are over, by route, verdict, the rule that denied, and status";
    page.counters("portcullis_requests", help, requests)?;
    let help = "Requests that a rule in shadow would have denied";
    page.counters("portcullis_would_deny", help, would_deny)?;
    page.histograms(
        "portcullis_request_duration_seconds",
        "From the head of a request that was let in until its response was over",
        times(counters, &names, |route| &route.duration),
    )?;
    page.histograms(
        "portcullis_origin_response_seconds",
        "From the request to the origin until its response head, or until it failed",
        times(counters, &names, |route| &route.origin),
    )
}

/// A histogram of each route that has any.
fn times<'n>(
    counters: &Counters,
    names: &'n [(RouteSlot, String)],
    of: impl Fn(&RouteCounters) -> &Histogram,
) -> impl Iterator<Item = (Labels<'n>, Vec<u64>, u64)> {
    names.iter().filter_map(move |(slot, name)| {
        let buckets = 0..=Histogram::BOUNDS.len();
        let counts: Vec<u64> = buckets
            .map(|bucket| sum(counters, *slot, |route| of(route).buckets()[bucket]))
            .collect();
        let micros = sum(counters, *slot, |route| of(route).micros());
        let any = counts.iter().any(|count| *count > 0);
        any.then(|| (vec![("route", name.as_str())], counts, micros))
    })
}

/// What went through, and what went wrong.
pub(super) fn traffic(page: &mut Page<'_>, counters: &Counters, spool: &Spool) -> fmt::Result {
    let mut errors: Vec<(&str, u64)> = Vec::new();
    for worker in counters.iter() {
        for (index, (name, count)) in worker.requests.errors().enumerate() {
            match errors.get_mut(index) {
                Some((_, sum)) => *sum += count,
                None => errors.push((name, count)),
            }
        }
    }
    let errors = errors.into_iter().filter(|(_, count)| *count > 0);
    page.counters(
        "portcullis_request_errors",
        "Requests that went wrong at the origin or on the way there, by RFC 9209 name",
        errors.map(|(name, count)| (vec![("error", name)], count)),
    )?;
    page.counter(
        "portcullis_sent_bytes",
        "Bytes of response bodies sent to clients",
        counters.sum(|worker| worker.requests.sent.get()),
    )?;
    page.counter(
        "portcullis_received_bytes",
        "Bytes of request bodies passed on to origins",
        counters.sum(|worker| worker.requests.received.get()),
    )?;
    page.counter(
        "portcullis_panics",
        "Requests that ended in a fault of this program",
        counters.sum(|worker| worker.requests.panics.get()),
    )?;
    let mistakes = [
        (
            UNNAMED,
            counters.sum(|worker| worker.requests.unnamed.get()),
        ),
        (
            UNBELIEVED,
            counters.sum(|worker| worker.requests.unbelieved.get()),
        ),
    ];
    page.counters(
        "portcullis_client_mistakes",
        "Requests that hint at a mistake in client.trusted_proxies or client.header",
        mistakes.map(|(mistake, count)| (vec![("mistake", mistake)], count)),
    )?;
    page.counter(
        "portcullis_access_log_lines_lost",
        "Access log lines lost under pressure",
        spool.lost(),
    )
}

/// What `read` finds for a route in each worker, summed.
pub(super) fn sum(
    counters: &Counters,
    slot: RouteSlot,
    read: impl Fn(&RouteCounters) -> u64,
) -> u64 {
    counters.sum(|worker| worker.requests.route(slot).map_or(0, &read))
}

fn verdicts_and_classes() -> impl Iterator<Item = (Verdict, StatusClass)> {
    Verdict::all().flat_map(|verdict| StatusClass::ALL.map(|class| (verdict, class)))
}

/// The rule that denied, or nothing.
fn rule(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Deny(rule) => RuleId::ALL[usize::from(rule)].as_str(),
        Verdict::Forward | Verdict::Reject => "",
    }
}
