//! `/metrics`: all counters of all workers, summed when they are asked for.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::extract::State as Given;
use axum::response::Response;
use hyper::StatusCode;
use hyper::header::HeaderValue;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

use super::process::Process;
use super::{State, reply};
use crate::access::RuleId;
use crate::log::counters::{
    ConnectionCounters, Histogram, OriginCounters, RouteCounters, RouteSlot, StatusClass, Verdict,
};

const OPEN_METRICS: HeaderValue =
    HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");

/// What went wrong, in `portcullis_client_mistakes_total`.
const UNNAMED: &str = "trusted_peer_names_no_client";
const UNBELIEVED: &str = "untrusted_peer_names_a_client";

/// Tells them in the OpenMetrics text format.
pub(super) async fn answer(Given(state): Given<Arc<State>>) -> Response {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Everything(state)));
    let mut text = String::new();
    match encode(&mut text, &registry) {
        Ok(()) => reply::of_type(StatusCode::OK, OPEN_METRICS, text),
        Err(_) => reply::text(StatusCode::INTERNAL_SERVER_ERROR, "A number has no text."),
    }
}

#[derive(Debug)]
struct Everything(Arc<State>);

impl Collector for Everything {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut page = Page(encoder);
        self.program(&mut page)?;
        self.reloads(&mut page)?;
        self.requests(&mut page)?;
        self.traffic(&mut page)?;
        self.connections(&mut page)?;
        self.origins(&mut page)?;
        process(&mut page)
    }
}

/// Label names and values.
type Labels<'a> = Vec<(&'static str, &'a str)>;

/// A metric after the other. `prometheus-client` puts `_total` behind the
/// names of counters.
struct Page<'e>(DescriptorEncoder<'e>);

impl Page<'_> {
    fn counters<'l>(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = (Labels<'l>, u64)>,
    ) -> fmt::Result {
        let kind = MetricType::Counter;
        let mut metric = self.0.encode_descriptor(name, help, None, kind)?;
        for (labels, value) in values {
            metric
                .encode_family(&labels)?
                .encode_counter::<NoLabelSet, _, f64>(&value, None)?;
        }
        Ok(())
    }

    fn counter(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        self.counters(name, help, [(Vec::new(), value)])
    }

    /// A counter of time, which is no whole number.
    fn seconds(&mut self, name: &str, help: &str, value: Option<f64>) -> fmt::Result {
        let kind = MetricType::Counter;
        let mut metric = self.0.encode_descriptor(name, help, None, kind)?;
        match value {
            Some(value) => metric.encode_counter::<NoLabelSet, _, f64>(&value, None),
            None => Ok(()),
        }
    }

    fn gauges<'l>(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = (Labels<'l>, f64)>,
    ) -> fmt::Result {
        let kind = MetricType::Gauge;
        let mut metric = self.0.encode_descriptor(name, help, None, kind)?;
        for (labels, value) in values {
            metric.encode_family(&labels)?.encode_gauge(&value)?;
        }
        Ok(())
    }

    fn gauge(&mut self, name: &str, help: &str, value: impl Into<Option<f64>>) -> fmt::Result {
        let value = value.into();
        self.gauges(name, help, value.map(|value| (Vec::new(), value)))
    }
}

impl Everything {
    fn program(&self, page: &mut Page<'_>) -> fmt::Result {
        let State {
            subject, started, ..
        } = &*self.0;
        let version = vec![("version", env!("CARGO_PKG_VERSION"))];
        page.gauges("portcullis_build_info", "Always 1", [(version, 1.0)])?;
        let uptime = started.elapsed().as_secs_f64();
        page.gauge("portcullis_uptime_seconds", "Time since the start", uptime)?;
        page.gauge(
            "portcullis_workers",
            "Worker threads",
            subject.counters.iter().len() as f64,
        )?;
        page.gauge(
            "portcullis_draining",
            "Whether the process is about to stop",
            flag((subject.draining)()),
        )
    }

    fn reloads(&self, page: &mut Page<'_>) -> fmt::Result {
        let status = &self.0.subject.status;
        let (in_force, reloads) = (status.in_force(), status.reloads());
        page.gauge(
            "portcullis_snapshot_generation",
            "Number of the configuration in force, counted from 1",
            in_force.generation as f64,
        )?;
        page.gauge(
            "portcullis_snapshot_since_timestamp_seconds",
            "When it came into force: the last reload that succeeded, or the start",
            seconds(in_force.since),
        )?;
        let outcomes = [("success", reloads.succeeded), ("failure", reloads.failed)];
        page.counters(
            "portcullis_reloads",
            "Reloads by outcome",
            outcomes.map(|(outcome, count)| (vec![("outcome", outcome)], count)),
        )?;
        page.gauge(
            "portcullis_last_reload_timestamp_seconds",
            "When the last reload ended, either way",
            reloads.last.map(seconds),
        )?;
        let failed = status.last_failure().is_some_and(|failure| failure.newest);
        page.gauge(
            "portcullis_last_reload_failed",
            "Whether the last reload failed, so that an older configuration is in force",
            flag(failed),
        )?;
        self.databases(page)
    }

    fn databases(&self, page: &mut Page<'_>) -> fmt::Result {
        let snapshot = self.0.subject.policy.load();
        let routes = snapshot.routes.iter().take(RouteSlot::COUNT);
        let built = routes.filter_map(|route| {
            let built = route.rules.geo()?.database().build_epoch() as f64;
            Some((vec![("route", route.name.as_str())], built))
        });
        page.gauges(
            "portcullis_country_database_build_timestamp_seconds",
            "When the country database of a route was built",
            built,
        )
    }

    fn requests(&self, page: &mut Page<'_>) -> fmt::Result {
        let names = self.0.subject.counters.names().all();
        let mut requests = Vec::new();
        let mut would_deny = Vec::new();
        for (slot, name) in &names {
            let route = ("route", name.as_str());
            for (verdict, class) in verdicts_and_classes() {
                let count = self.sum(*slot, |route| route.ended(verdict, class));
                let labels = vec![
                    route,
                    ("verdict", verdict.as_str()),
                    ("rule", rule(verdict)),
                    ("status", class.as_str()),
                ];
                requests.extend((count > 0).then_some((labels, count)));
            }
            for (index, rule) in RuleId::ALL.into_iter().enumerate() {
                let count = self.sum(*slot, |route| route.would_deny(index));
                let labels = vec![route, ("rule", rule.as_str())];
                would_deny.extend((count > 0).then_some((labels, count)));
            }
        }
        let help = "Requests that are over, by route, verdict, the rule that denied, and status";
        page.counters("portcullis_requests", help, requests)?;
        let help = "Requests that a rule in shadow would have denied";
        page.counters("portcullis_would_deny", help, would_deny)?;
        self.origin_times(page, &names)
    }

    fn origin_times(&self, page: &mut Page<'_>, names: &[(RouteSlot, String)]) -> fmt::Result {
        let mut metric = page.0.encode_descriptor(
            "portcullis_origin_response_seconds",
            "From the request to the origin until its response head, or until it failed",
            None,
            MetricType::Histogram,
        )?;
        for (slot, name) in names {
            let counts: Vec<u64> = (0..=Histogram::BOUNDS.len())
                .map(|bucket| self.sum(*slot, |route| route.origin.buckets()[bucket]))
                .collect();
            let all = counts.iter().sum();
            if all == 0 {
                continue;
            }
            let micros = self.sum(*slot, |route| route.origin.micros());
            let bounds = Histogram::BOUNDS.map(|bound| bound.as_secs_f64());
            let bounds = bounds.into_iter().chain([f64::INFINITY]);
            let buckets: Vec<(f64, u64)> = bounds.zip(counts).collect();
            metric
                .encode_family(&[("route", name.as_str())])?
                .encode_histogram::<NoLabelSet>(micros as f64 / 1e6, all, &buckets, None)?;
        }
        Ok(())
    }

    fn traffic(&self, page: &mut Page<'_>) -> fmt::Result {
        let counters = &self.0.subject.counters;
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
            self.0.subject.spool.lost(),
        )
    }

    fn connections(&self, page: &mut Page<'_>) -> fmt::Result {
        let counters = &self.0.subject.counters;
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
            ("evicted", sum(|connections| connections.evicted.get())),
            ("idle", sum(|connections| connections.idle_closed.get())),
            ("silent", sum(|connections| connections.silent_closed.get())),
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
        )
    }

    fn origins(&self, page: &mut Page<'_>) -> fmt::Result {
        let counters = &self.0.subject.counters;
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

    /// What `read` finds for a route in each worker, summed.
    fn sum(&self, slot: RouteSlot, read: impl Fn(&RouteCounters) -> u64) -> u64 {
        let counters = &self.0.subject.counters;
        counters.sum(|worker| worker.requests.route(slot).map_or(0, &read))
    }
}

/// `process_*`, as in every program that Prometheus watches.
fn process(page: &mut Page<'_>) -> fmt::Result {
    let process = Process::now();
    let help = "User and system CPU time spent";
    page.seconds("process_cpu_seconds", help, process.cpu_seconds)?;
    let number = |number: Option<u64>| number.map(|number| number as f64);
    for (name, help, value) in [
        (
            "process_open_fds",
            "Open file descriptors",
            number(process.open_fds),
        ),
        (
            "process_max_fds",
            "Most file descriptors",
            number(process.max_fds),
        ),
        (
            "process_virtual_memory_bytes",
            "Virtual memory",
            number(process.virtual_bytes),
        ),
        (
            "process_resident_memory_bytes",
            "Resident memory",
            number(process.resident_bytes),
        ),
        (
            "process_start_time_seconds",
            "When the process started",
            process.start_seconds,
        ),
    ] {
        page.gauge(name, help, value)?;
    }
    Ok(())
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

fn flag(value: bool) -> f64 {
    f64::from(u8::from(value))
}

/// Since 1970.
fn seconds(time: SystemTime) -> f64 {
    time.duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or(Duration::ZERO)
        .as_secs_f64()
}
