//! The admin listener: who may ask what, and whether the numbers are true.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{Client, Origin, Program, Reply, eventually, portcullis};

const TOKEN: &str = "a-token-of-20-bytes.";

/// The labels of a series, by name.
type Labels = BTreeMap<String, String>;

/// A policy's `[admin]`, with the token in a file of its own.
fn admin(listen: &str) -> (TempDir, PathBuf, String) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, format!("{TOKEN}\n")).unwrap();
    let table = format!(
        "[admin]\nlisten = \"{listen}\"\nhosts = [\"admin.example.com\"]\ntoken_file = \"{}\"\n",
        file.display()
    );
    (folder, file, table)
}

fn ask(address: SocketAddr, line: &str, fields: &str) -> Reply {
    let host = match fields.to_lowercase().contains("host:") {
        true => String::new(),
        false => format!("Host: {address}\r\n"),
    };
    let mut client = Client::connect(address);
    client.send(format!(
        "{line} HTTP/1.1\r\n{host}{fields}Content-Length: 0\r\n\r\n"
    ));
    match line.starts_with("HEAD") {
        false => client.reply(),
        true => {
            let (status, head) = client.head();
            let body = Vec::new();
            Reply { status, head, body }
        }
    }
}

fn bearer(token: &str) -> String {
    format!("Authorization: Bearer {token}\r\n")
}

fn get(program: &Program, path: &str) -> Reply {
    ask(program.admin(), &format!("GET {path}"), "")
}

#[test]
fn who_may_ask_what() {
    let (_folder, _, table) = admin("127.0.0.1:0");
    let program = Program::start(&Origin::ok(), &table);
    let token = bearer(TOKEN);
    let evil = "Host: evil.example\r\n";
    for (line, fields, status) in [
        ("GET /healthz", evil, 200),
        ("HEAD /readyz", evil, 200),
        (
            "GET /metrics",
            "Host: evil.example\r\nOrigin: https://evil.example\r\n",
            200,
        ),
        ("POST /metrics", "", 405),
        ("GET /-/policy", "", 200),
        ("HEAD /-/policy", "", 200),
        ("GET /-/policy", evil, 421),
        ("GET /-/policy", "Host:\r\n", 421),
        (
            "GET /-/policy",
            "Host: localhost\r\nHost: evil.example\r\n",
            421,
        ),
        (
            "GET http://evil.example/-/policy",
            "Host: localhost\r\n",
            421,
        ),
        ("GET /-/policy", "Host: 127.0.0.1.evil.example\r\n", 421),
        ("GET /-/policy", "Host: [::1]:9900\r\n", 200),
        ("GET /-/policy", "Host: Admin.Example.com.:9900\r\n", 200),
        (
            "GET /-/policy",
            "Host: localhost:99\r\nOrigin: http://localhost:99\r\n",
            200,
        ),
        (
            "GET /-/policy",
            "Host: localhost:99\r\nOrigin: http://localhost:98\r\n",
            403,
        ),
        ("GET /-/policy", "Origin: http://evil.example\r\n", 403),
        ("GET /-/policy", "Origin: null\r\n", 403),
        ("GET /-/policy", "Sec-Fetch-Site: cross-site\r\n", 403),
        ("GET /-/policy", "Sec-Fetch-Site: same-site\r\n", 403),
        ("GET /-/policy", "Sec-Fetch-Site: same-origin\r\n", 200),
        ("GET /-/policy", "Sec-Fetch-Site: none\r\n", 200),
        (
            "GET /-/policy",
            "Sec-Fetch-Site: none\r\nSec-Fetch-Site: none\r\n",
            403,
        ),
        ("POST /-/policy", "", 405),
        ("GET /-/reload", "", 405),
        ("GET /-/nothing", "", 404),
        ("GET /", evil, 421),
        ("POST /-/reload", "", 401),
        (
            "POST /-/reload",
            "Authorization: Bearer a-token-of-20-bytes\r\n",
            401,
        ),
        (
            "POST /-/reload",
            "Authorization: Basic a-token-of-20-bytes.\r\n",
            401,
        ),
        ("POST /-/reload", "Authorization: \r\n", 401),
        ("POST /-/reload", &format!("{token}{token}"), 401),
        ("POST /-/reload", &token, 200),
        ("POST /-/reload", &token.replace("Bearer", "bearer"), 200),
        (
            "POST /-/reload",
            &format!("{token}Origin: http://evil.example\r\n"),
            403,
        ),
        ("POST /-/reload", &format!("{token}{evil}"), 421),
    ] {
        let reply = ask(program.admin(), line, fields);
        assert_eq!(reply.status, status, "{line} {fields:?}: {reply:?}");
        assert_eq!(
            reply.field("cache-control").as_deref(),
            Some("no-store"),
            "{line}"
        );
        assert_eq!(
            reply.field("x-content-type-options").as_deref(),
            Some("nosniff"),
            "{line}"
        );
        assert!(
            !reply.head.contains(TOKEN) && !reply.text().contains(TOKEN),
            "{line}"
        );
        let challenge = reply.field("www-authenticate");
        assert_eq!(
            challenge.as_deref() == Some("Bearer"),
            status == 401,
            "{line}"
        );
        let allow = reply.field("allow");
        assert_eq!(allow.is_some(), status == 405, "{line} {allow:?}");
    }
    let reply = ask(program.admin(), "GET /-/reload", "");
    assert_eq!(reply.field("allow").as_deref(), Some("POST"));
}

#[test]
fn without_a_token_it_is_read_only() {
    let program = Program::start(&Origin::ok(), "[admin]\nlisten = \"127.0.0.1:0\"\n");
    assert_eq!(get(&program, "/-/policy").status, 200);
    for fields in ["", &bearer(TOKEN), &bearer("")] {
        let reply = ask(program.admin(), "POST /-/reload", fields);
        assert_eq!(reply.status, 403);
        assert!(reply.text().contains("admin.token_file"), "{reply:?}");
    }
    let policy: Value = serde_json::from_slice(&get(&program, "/-/policy").body).unwrap();
    assert_eq!(
        (&policy["generation"], &policy["read_only"]),
        (&json!(1), &json!(true))
    );
}

#[test]
fn whoever_comes_from_elsewhere_needs_the_token() {
    let (_folder, _, table) = admin("0.0.0.0:0");
    let bare = "[admin]\nlisten = \"0.0.0.0:0\"\n";
    for (table, without, with) in [(bare, 403, 403), (&table, 401, 200)] {
        let program = Program::start(&Origin::ok(), table);
        for path in ["/healthz", "/readyz", "/metrics"] {
            assert_eq!(get(&program, path).status, 200);
        }
        let reply = get(&program, "/-/policy");
        assert_eq!(reply.status, without);
        assert!(reply.text().contains("admin.token_file"), "{reply:?}");
        assert_eq!(get(&program, "/-/nothing").status, without);
        let reply = ask(program.admin(), "GET /-/policy", &bearer(TOKEN));
        assert_eq!(reply.status, with);
    }
}

#[test]
fn token_and_hosts_are_reloaded() {
    let (_folder, file, table) = admin("127.0.0.1:0");
    let program = Program::start(&Origin::ok(), &table);
    let reload = |token: &str| ask(program.admin(), "POST /-/reload", &bearer(token));
    let other = "another-token-of-29-bytes-now";
    assert_eq!(reload(other).status, 401);
    std::fs::write(&file, other).unwrap();
    eventually("the file is watched", || reload(other).status == 200);
    assert_eq!(reload(TOKEN).status, 401);
    let named = || {
        ask(
            program.admin(),
            "GET /-/policy",
            "Host: new.example.com\r\n",
        )
        .status
    };
    assert_eq!(named(), 421);
    program.edit("admin.example.com", "new.example.com");
    assert_eq!(reload(other).status, 200);
    assert_eq!(named(), 200);
}

#[test]
fn a_reload_that_fails_says_why() {
    let (_folder, _, table) = admin("127.0.0.1:0");
    let program = Program::start(&Origin::ok(), &table);
    let reload = || {
        let reply = ask(program.admin(), "POST /-/reload", &bearer(TOKEN));
        (
            reply.status,
            serde_json::from_slice::<Value>(&reply.body).unwrap(),
        )
    };
    assert_eq!(reload(), (200, json!({ "generation": 2 })));
    program.edit("url = \"http://", "url = \"http://user:secret@");
    let (status, body) = reload();
    assert_eq!(status, 422);
    assert!(
        body["error"].as_str().unwrap().contains("origin.url"),
        "{body}"
    );
    let policy = get(&program, "/-/policy");
    assert!(!policy.text().contains("secret") && !body.to_string().contains("secret"));
    let policy: Value = serde_json::from_slice(&policy.body).unwrap();
    let failure = &policy["last_failed_reload"];
    assert_eq!(failure["since_then_succeeded"], false);
    assert!(
        failure["why"].as_str().unwrap().contains("origin.url"),
        "{policy}"
    );
    assert_eq!(policy["generation"], 2);
    let metrics = Metrics::of(&program);
    assert_eq!(metrics.value("portcullis_last_reload_failed"), 1.0);
    assert_eq!(metrics.value("portcullis_snapshot_generation"), 2.0);
    assert_eq!(
        metrics.with("portcullis_reloads_total", "outcome", "success"),
        1.0
    );
    assert!(metrics.with("portcullis_reloads_total", "outcome", "failure") >= 1.0);
    program.edit("user:secret@", "");
    // Whoever watches the file may have been quicker.
    let (status, body) = reload();
    assert_eq!(status, 200);
    assert!(body["generation"].as_u64() >= Some(3), "{body}");
    assert_eq!(
        Metrics::of(&program).value("portcullis_last_reload_failed"),
        0.0
    );
}

#[test]
fn not_ready_while_it_drains() {
    let origin = Origin::scripted(|conversation| {
        conversation.head();
        conversation.say("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n");
        conversation.head();
    });
    let program = Program::start(&origin, "[admin]\nlisten = \"127.0.0.1:0\"\n");
    let health = |path: &str| {
        let url = format!("http://{}{path}", program.admin());
        let output = portcullis(&["health", "--url", &url]).output().unwrap();
        (
            output.status.code(),
            String::from_utf8_lossy(&output.stderr).into_owned(),
        )
    };
    assert_eq!(health("/readyz"), (Some(0), String::new()));
    let mut client = program.client();
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").head();
    program.signal("TERM");
    eventually("it drains", || get(&program, "/readyz").status == 503);
    assert_eq!(get(&program, "/healthz").status, 200);
    assert_eq!(Metrics::of(&program).value("portcullis_draining"), 1.0);
    let (code, said) = health("/readyz");
    assert_eq!(code, Some(1));
    assert!(
        said.contains("503 draining") && said.lines().count() == 1,
        "{said}"
    );
    assert_eq!(health("/healthz").0, Some(0));
    program.signal("TERM");
}

/// They cost the process no more than so many connections can, and no probe
/// has to wait for one.
#[test]
fn in_a_crowd_the_oldest_makes_room() {
    let program = Program::start(&Origin::ok(), "[admin]\nlisten = \"127.0.0.1:0\"\n");
    let mut crowd: Vec<Client> = (0..64).map(|_| Client::connect(program.admin())).collect();
    for client in &mut crowd {
        assert_eq!(client.get("/healthz", "").status, 200);
    }
    let mut late = Client::connect(program.admin());
    assert_eq!(late.get("/healthz", "").status, 200);
    let (oldest, others) = crowd.split_first_mut().unwrap();
    assert_eq!(oldest.rest(), b"");
    for client in others {
        assert_eq!(client.get("/healthz", "").status, 200);
    }
    assert_eq!(late.get("/healthz", "").status, 200);
    assert_eq!(program.client().get("/", "").status, 200);
}

#[test]
fn health_of_nobody() {
    let free = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let garbled = Origin::answering("hello\r\n\r\n");
    for (url, code, word) in [
        (format!("http://{free}/readyz"), 1, "no answer"),
        (format!("http://{}/", garbled.address), 1, "not HTTP"),
        ("https://127.0.0.1/".to_owned(), 64, "not an http URL"),
        ("127.0.0.1:9900".to_owned(), 64, "URL"),
    ] {
        let output = portcullis(&["health", "--url", &url]).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{said}");
        assert!(said.contains(word), "{said}");
    }
}

#[test]
fn a_taken_port_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("portcullis.toml");
    let toml = format!(
        "[server]\nlisten = [\"127.0.0.1:0\"]\n[origin]\nurl = \"http://127.0.0.1:9\"\n[admin]\nlisten = \"{}\"\n",
        taken.local_addr().unwrap()
    );
    std::fs::write(&file, toml).unwrap();
    let output = portcullis(&["run", "--config"])
        .arg(&file)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("admin.listen: cannot listen on"), "{said}");
}

/// What `/metrics` says, read strictly.
struct Metrics {
    types: BTreeMap<String, String>,
    series: BTreeMap<(String, Labels), f64>,
}

impl Metrics {
    fn of(program: &Program) -> Self {
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

    fn family<'m>(&'m self, name: &'m str) -> impl Iterator<Item = (&'m Labels, f64)> {
        let series = self.series.iter();
        series.filter_map(move |((n, labels), value)| (n == name).then_some((labels, *value)))
    }

    fn value(&self, name: &str) -> f64 {
        self.series[&(name.to_owned(), Labels::new())]
    }

    fn with(&self, name: &str, label: &str, value: &str) -> f64 {
        let found = self
            .family(name)
            .filter(|(labels, _)| labels[label] == value);
        found.map(|(_, number)| number).sum()
    }

    fn sum(&self, name: &str) -> f64 {
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
    gone.stream
        .write_all(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
        .unwrap();
    eventually("the origin is asked", || slow() > before);
}

const REQUESTS: f64 = 12.0;

fn counting_policy(dead: SocketAddr) -> String {
    format!(
        "[server]\nlisten = [\"127.0.0.1:0\"]\nworkers = 2\n[admin]\nlisten = \"127.0.0.1:0\"\n\
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
    let readme = include_str!("../../README.md");
    let rows = readme
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    let is_metric = |name: &&str| name.starts_with("portcullis_") || name.starts_with("process_");
    let mut written: Vec<String> = rows.filter(is_metric).map(str::to_owned).collect();
    told.sort_unstable();
    written.sort_unstable();
    assert_eq!(written, told);
}
