//! `/metrics`.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};

use serde_json::Value;

use super::get;
use crate::support::{Origin, Program, eventually};

/// The labels of a series, by name.
type Labels = BTreeMap<String, String>;

/// What `/metrics` says, read strictly.
pub(super) struct Metrics {
    types: BTreeMap<String, String>,
    series: BTreeMap<(String, Labels), f64>,
}

impl Metrics {
    pub(super) fn of(program: &Program) -> Self {
        let reply = get(program, "/metrics");
        assert_eq!(reply.status, 200);
        let kind = reply.field("content-type").unwrap();
        assert!(kind.starts_with("application/openmetrics-text"), "{kind}");
        Self::parse(reply.text())
    }

    /// Every line is understood, every series is of the family above it and
    /// stands there once, and nothing comes after the end.
    fn parse(text: &str) -> Self {
        let text = text.strip_suffix("# EOF\n").expect("an end");
        let (mut types, mut series) = (BTreeMap::new(), BTreeMap::new());
        let mut family = String::new();
        for line in text.lines() {
            if let Some(help) = line.strip_prefix("# HELP ") {
                assert!(help.split_once(' ').unwrap().1.len() > 5, "{line}");
            } else if let Some(kind) = line.strip_prefix("# TYPE ") {
                let (name, kind) = kind.split_once(' ').unwrap();
                family = name.to_owned();
                assert!(
                    types.insert(name.to_owned(), kind.to_owned()).is_none(),
                    "{line}"
                );
            } else {
                let (name, labels, value) = sample(line);
                let suffix = name.strip_prefix(family.as_str()).expect(line);
                let allowed: &[&str] = match types[&family].as_str() {
                    "counter" => &["_total"],
                    "gauge" => &[""],
                    "histogram" => &["_bucket", "_sum", "_count"],
                    other => panic!("{other}"),
                };
                assert!(allowed.contains(&suffix), "{line}");
                assert!(value >= 0.0, "{line}");
                assert!(
                    series.insert((name, labels), value).is_none(),
                    "twice: {line}"
                );
            }
        }
        Self { types, series }
    }

    pub(super) fn family<'m>(&'m self, name: &'m str) -> impl Iterator<Item = (&'m Labels, f64)> {
        let series = self.series.iter();
        series.filter_map(move |((n, labels), value)| (n == name).then_some((labels, *value)))
    }

    /// The type of what a series is of.
    pub(super) fn kind_of(&self, series: &str) -> Option<&str> {
        let suffixes = ["", "_total", "_bucket", "_sum", "_count"];
        let families = suffixes
            .iter()
            .filter_map(|suffix| series.strip_suffix(suffix));
        let mut kinds = families.filter_map(|family| self.types.get(family));
        kinds.next().map(String::as_str)
    }

    pub(super) fn value(&self, name: &str) -> f64 {
        self.series[&(name.to_owned(), Labels::new())]
    }

    pub(super) fn with(&self, name: &str, label: &str, value: &str) -> f64 {
        let found = self
            .family(name)
            .filter(|(labels, _)| labels[label] == value);
        found.map(|(_, number)| number).sum()
    }

    pub(super) fn sum(&self, name: &str) -> f64 {
        self.family(name).map(|(_, value)| value).sum()
    }
}

/// `name{label="value",...} number`; no value here has a quote or backslash.
fn sample(line: &str) -> (String, Labels, f64) {
    let (series, value) = line.rsplit_once(' ').expect(line);
    let (name, labels) = match series.split_once('{') {
        None => (series, ""),
        Some((name, labels)) => (name, labels.strip_suffix('}').expect(line)),
    };
    assert!(
        name.chars().all(|c| c.is_ascii_lowercase() || c == '_'),
        "{line}"
    );
    let labels = labels.split("\",").filter(|label| !label.is_empty());
    let labels = labels.map(|label| {
        let (name, value) = label.split_once("=\"").expect(line);
        (name.to_owned(), value.trim_end_matches('"').to_owned())
    });
    (
        name.to_owned(),
        labels.collect(),
        value.parse().expect(line),
    )
}

/// How many of `lines` there are of each kind.
fn tallied(lines: &[Value], kind: impl Fn(&Value) -> Labels) -> BTreeMap<Labels, f64> {
    let mut counts = BTreeMap::new();
    for line in lines {
        *counts.entry(kind(line)).or_insert(0.0) += 1.0;
    }
    counts
}

fn labels<const N: usize>(labels: [(&str, &str); N]) -> Labels {
    labels
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
}

fn word(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// Answers, but for `/slow`, and asks for what comes next to see the end.
fn slow_origin() -> Origin {
    Origin::scripted(|conversation| {
        while let Some(asked) = conversation.request() {
            if !asked.line().contains("/slow") {
                conversation.say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
            }
        }
    })
}

/// Every kind of end that a request can have.
fn requests(program: &Program, origin: &Origin) {
    let mut client = program.client();
    for _ in 0..3 {
        assert_eq!(client.get("/", "").status, 200);
    }
    for _ in 0..2 {
        assert_eq!(client.get("/", "User-Agent: bad\r\n").status, 403);
    }
    assert_eq!(
        client.get("/", "Referer: https://evil.example/\r\n").status,
        200
    );
    assert_eq!(
        client.get("/", "X-Forwarded-For: 192.0.2.1\r\n").status,
        200
    );
    assert_eq!(client.get("/dead/x", "").status, 502);
    assert_eq!(client.get("/%zz", "").status, 400);
    client.send("BREW / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(client.reply().status, 405);
    client.send("PUT /up HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello");
    assert_eq!(client.reply().status, 200);
    let slow = || {
        let asked = origin.asked();
        asked
            .iter()
            .filter(|asked| asked.line().contains("/slow"))
            .count()
    };
    let before = slow();
    let mut gone = program.client();
    // What was fetched for the one before is not waited for.
    gone.send(format!("GET /slow/{before} HTTP/1.1\r\nHost: a\r\n\r\n"));
    eventually("the origin is asked", || slow() > before);
}

const REQUESTS: f64 = 12.0;

fn counting_policy(dead: SocketAddr) -> String {
    format!(
        "[server]\nlisten = [\"127.0.0.1:0\"]\nworkers = 2\n[admin]\nlisten = \"127.0.0.1:0\"\n\
         [cache]\nmemory = \"0\"\n\
         [access.user_agent]\nblock = [\"bad\"]\n\
         [access.referrer]\nmode = \"block\"\nurls = [\"https://evil.example\"]\nshadow = true\n\
         [[route]]\nname = \"dead\"\npaths = [\"/dead/**\"]\n[route.origin]\nurl = \"http://{dead}\"\n"
    )
}

#[test]
fn the_numbers_are_those_of_the_log() {
    let origin = slow_origin();
    let dead = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let program = Program::start(&origin, &counting_policy(dead));
    requests(&program, &origin);
    let total = |program: &Program| Metrics::of(program).sum("portcullis_requests_total");
    eventually("all are counted", || total(&program) == REQUESTS);
    // What a route was called is not forgotten.
    program.edit("name = \"dead\"", "name = \"gone\"");
    program.signal("HUP");
    eventually("it is reloaded", || {
        Metrics::of(&program).value("portcullis_snapshot_generation") > 1.0
    });
    requests(&program, &origin);
    eventually("all are counted", || total(&program) == 2.0 * REQUESTS);
    let metrics = Metrics::of(&program);
    program.signal("TERM");
    let (_, log, _) = program.wait();
    let lines: Vec<Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len() as f64, 2.0 * REQUESTS);
    compare(&metrics, &lines);
}

fn compare(metrics: &Metrics, lines: &[Value]) {
    let counted = |name: &'static str| -> BTreeMap<Labels, f64> {
        let family = metrics.family(name);
        family
            .map(|(labels, value)| (labels.clone(), value))
            .collect()
    };
    let expected = tallied(lines, |line| {
        let status = line["status"].as_u64().unwrap();
        let class = match status {
            499 => "499".to_owned(),
            status => format!("{}xx", status / 100),
        };
        labels([
            ("route", word(&line["route"])),
            ("verdict", word(&line["verdict"])),
            ("rule", word(&line["rule"])),
            ("status", &class),
        ])
    });
    assert_eq!(counted("portcullis_requests_total"), expected);
    assert!(expected.keys().any(|kind| kind["route"] == "gone"));
    assert!(expected.keys().any(|kind| kind["status"] == "499"));
    let watched: Vec<Value> = lines
        .iter()
        .filter(|line| !line["would_deny"].as_array().unwrap().is_empty())
        .cloned()
        .collect();
    let would_deny = tallied(&watched, |line| {
        labels([
            ("route", word(&line["route"])),
            ("rule", word(&line["would_deny"][0])),
        ])
    });
    assert_eq!(counted("portcullis_would_deny_total"), would_deny);
    assert_eq!(would_deny.values().sum::<f64>(), 2.0);
    let cached: Vec<Value> = lines
        .iter()
        .filter(|line| !line["cache"].is_null())
        .cloned()
        .collect();
    let results = tallied(&cached, |line| {
        labels([
            ("route", word(&line["route"])),
            ("result", word(&line["cache"])),
        ])
    });
    assert_eq!(counted("portcullis_cache_requests_total"), results);
    let bytes: u64 = lines
        .iter()
        .map(|line| line["bytes"].as_u64().unwrap())
        .sum();
    assert_eq!(metrics.value("portcullis_sent_bytes_total"), bytes as f64);
    assert_eq!(metrics.value("portcullis_received_bytes_total"), 10.0);
    let refused = lines
        .iter()
        .filter(|line| line["error"] == "connection_refused")
        .count();
    assert_eq!(
        counted("portcullis_request_errors_total"),
        [(labels([("error", "connection_refused")]), refused as f64)].into()
    );
    let asked = lines
        .iter()
        .filter(|line| !line["origin_ms"].is_null())
        .count();
    assert_eq!(
        metrics.sum("portcullis_origin_response_seconds_count"),
        asked as f64
    );
    let everything = metrics.with("portcullis_origin_response_seconds_bucket", "le", "+Inf");
    assert_eq!(everything, asked as f64);
    let duration = "portcullis_request_duration_seconds";
    let let_in = lines.iter().filter(|line| line["verdict"] == "forward");
    let (counts, seconds) = (format!("{duration}_count"), format!("{duration}_sum"));
    assert_eq!(metrics.sum(&counts), let_in.clone().count() as f64);
    // A line tells milliseconds, with three digits behind the point.
    let told: f64 = let_in
        .map(|line| line["total_ms"].as_f64().unwrap() / 1e3)
        .sum();
    assert!((metrics.sum(&seconds) - told).abs() < 1e-4, "{told}");
    let mistakes = "portcullis_client_mistakes_total";
    assert_eq!(
        metrics.with(mistakes, "mistake", "untrusted_peer_names_a_client"),
        2.0
    );
    assert_eq!(metrics.sum(mistakes), 2.0);
    assert_eq!(metrics.value("portcullis_panics_total"), 0.0);
    assert_eq!(metrics.value("portcullis_workers"), 2.0);
    assert_eq!(metrics.value("portcullis_connections_accepted_total"), 4.0);
}

#[test]
fn what_the_cache_did_is_counted() {
    let origin = Origin::answering(
        "HTTP/1.1 200 OK\r\nCache-Control: max-age=3600\r\nContent-Length: 2\r\n\r\nok",
    );
    let policy = "[admin]\nlisten = \"127.0.0.1:0\"\n[cache]\nmemory = \"2 MiB\"\n\
                  [[route]]\nname = \"live\"\npaths = [\"/live/**\"]\ncache.enabled = false\n";
    let program = Program::start(&origin, policy);
    let mut client = program.client();
    client.get("/a", "");
    eventually("it is stored", || {
        Metrics::of(&program).value("portcullis_cache_entries") == 1.0
    });
    for path in ["/a", "/live/a", "/a", "/a"] {
        client.get(path, "");
    }
    client.get("/b", "Cache-Control: no-store\r\n");
    eventually("all are counted", || {
        Metrics::of(&program).sum("portcullis_requests_total") == 6.0
    });
    let metrics = Metrics::of(&program);
    let requests = "portcullis_cache_requests_total";
    assert_eq!(metrics.with(requests, "result", "hit"), 3.0);
    assert_eq!(metrics.with(requests, "result", "miss"), 2.0);
    assert_eq!(metrics.with(requests, "result", "bypass"), 1.0);
    assert_eq!(metrics.with(requests, "route", "live"), 1.0);
    assert_eq!(metrics.sum(requests), 6.0);
    assert_eq!(metrics.value("portcullis_cache_served_bytes_total"), 6.0);
    assert_eq!(metrics.value("portcullis_cache_fills_begun_total"), 2.0);
    let ended = "portcullis_cache_fills_ended_total";
    assert_eq!(metrics.with(ended, "outcome", "stored"), 1.0);
    assert_eq!(metrics.with(ended, "outcome", "unstorable"), 1.0);
    assert_eq!(metrics.sum(ended), 2.0);
    let unkept = "portcullis_cache_variant_promises_unkept_total";
    assert_eq!(metrics.value(unkept), 0.0);
    let limit = metrics.value("portcullis_cache_memory_limit_bytes");
    assert_eq!(limit, f64::from(2 << 20));
    let taken = metrics.value("portcullis_cache_memory_bytes");
    assert!(taken > 0.0 && taken <= limit, "{taken}");
    assert_eq!(metrics.value("portcullis_cache_evicted_total"), 0.0);
}

/// A policy with the log off counts all the same.
#[test]
fn numbers_do_not_need_the_log() {
    let policy = "[admin]\nlisten = \"127.0.0.1:0\"\n[log]\naccess = \"off\"\n\
                  [access.user_agent]\nblock = [\"bad\"]\n";
    let program = Program::start(&Origin::ok(), policy);
    let mut client = program.client();
    for agent in ["bad", "good", "bad"] {
        client.get("/", &format!("User-Agent: {agent}\r\n"));
    }
    eventually("all are counted", || {
        let metrics = Metrics::of(&program);
        metrics.with("portcullis_requests_total", "verdict", "deny") == 2.0
            && metrics.with("portcullis_requests_total", "verdict", "forward") == 1.0
            && metrics.sum("portcullis_request_duration_seconds_count") == 1.0
    });
}

/// Every metric has its line in the README's table, and every line its metric.
#[test]
fn the_readme_names_every_metric() {
    let program = Program::start(&Origin::ok(), "[admin]\nlisten = \"127.0.0.1:0\"\n");
    let metrics = Metrics::of(&program);
    let mut told: Vec<String> = metrics
        .types
        .iter()
        .map(|(name, kind)| match kind.as_str() {
            "counter" => format!("{name}_total"),
            _ => name.clone(),
        })
        .collect();
    assert!(told.len() > 20, "{told:?}");
    let readme = include_str!("../../../README.md");
    let rows = readme
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    let is_metric = |name: &&str| name.starts_with("portcullis_") || name.starts_with("process_");
    let mut written: Vec<String> = rows.filter(is_metric).map(str::to_owned).collect();
    told.sort_unstable();
    written.sort_unstable();
    assert_eq!(written, told);
}
