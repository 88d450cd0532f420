//! Connections.

use std::fmt;

use super::page::Page;
use crate::log::counters::{ConnectionCounters, Counters, OriginCounters};

/// Clients' connections.
pub(super) fn clients(page: &mut Page<'_>, counters: &Counters) -> fmt::Result {
    let sum =
        |read: fn(&ConnectionCounters) -> u64| counters.sum(|worker| read(&worker.connections));
    page.counter(
        "portcullis_connections_accepted",
        "Connections of clients accepted, also those refused",
        sum(|connections| connections.accepted.get()),
    )?;
    page.gauge(
        "portcullis_connections",
        "Connections of clients open now",
        sum(|connections| connections.open.get()) as f64,
    )?;
    page.counter(
        "portcullis_connection_accept_errors",
        "Connections of clients that the system had no room for",
        sum(|connections| connections.accept_errors.get()),
    )?;
    let closed = [
        ("refused", sum(|connections| connections.refused.get())),
        ("flood", sum(|connections| connections.floods.get())),
        ("evicted", sum(|connections| connections.evicted.get())),
        (
            "tls",
            sum(|connections| connections.failed_handshakes.get()),
        ),
        ("idle", sum(|connections| connections.idle_closed.get())),
        ("silent", sum(|connections| connections.silent_closed.get())),
        (
            "proxy_protocol",
            sum(|connections| connections.no_proxy_headers.get()),
        ),
        (
            "header_timeout",
            sum(|connections| connections.header_timeouts.get()),
        ),
        ("stalled", sum(|connections| connections.stalled.get())),
        (
            "malformed_head",
            sum(|connections| connections.malformed_heads.get()),
        ),
        (
            "long_target",
            sum(|connections| connections.long_targets.get()),
        ),
        (
            "large_head",
            sum(|connections| connections.large_heads.get()),
        ),
    ];
    page.counters(
        "portcullis_connections_ended",
        "Connections of clients that were ended from here, by why",
        closed.map(|(reason, count)| (vec![("reason", reason)], count)),
    )?;
    page.counter(
        "portcullis_streams_refused",
        "Streams of HTTP/2 refused over server.max_connections",
        sum(|connections| connections.refused_streams.get()),
    )
}

/// Connections to origins.
pub(super) fn origins(page: &mut Page<'_>, counters: &Counters) -> fmt::Result {
    let sum = |read: fn(&OriginCounters) -> u64| counters.sum(|worker| read(&worker.origin));
    page.counter(
        "portcullis_origin_connections_opened",
        "Connections to origins opened",
        sum(|origin| origin.opened.get()),
    )?;
    let now = [
        ("busy", sum(|origin| origin.busy.get())),
        ("idle", sum(|origin| origin.idle.get())),
    ];
    page.gauges(
        "portcullis_origin_connections",
        "Connections to origins now, by whether a request is on them",
        now.map(|(state, count)| (vec![("state", state)], count as f64)),
    )?;
    let sent = [
        ("reused", sum(|origin| origin.reused.get())),
        ("stale", sum(|origin| origin.stale.get())),
        ("retried", sum(|origin| origin.retried.get())),
        ("waited", sum(|origin| origin.waited.get())),
        ("waited_behind", sum(|origin| origin.waited_behind.get())),
    ];
    page.counters(
        "portcullis_origin_requests",
        "Requests to origins that did not simply go out on a new connection, by how",
        sent.map(|(how, count)| (vec![("how", how)], count)),
    )?;
    let waited = sum(|origin| origin.waited_us.get()) as f64 / 1e6;
    page.seconds(
        "portcullis_origin_wait_seconds",
        "Time that requests waited for a connection to an origin, all together",
        Some(waited),
    )
}
