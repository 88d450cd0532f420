//! Two thousand generated requests, sent by each protocol and asked of
//! `explain --stdin`: the proxy does what it says, and logs what it did.

mod replayed;
mod requests;
mod ways;

use std::io::Write as _;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use self::requests::{Case, case};
use self::ways::Way;
use crate::policy::country_database;
use crate::support::{Asked, Origin, Random, Reply};
use crate::tls_clients::Edge;

const REQUESTS: usize = 2_000;

const HOSTS: &str = r#"
hosts = ["img.example.com", "*.cdn.example.com", "open.example.org", "[::1]"]
"#;

const POLICY: &str = r#"
[client]
trusted_proxies = ["127.0.0.1", "10.0.0.0/8"]
[access]
disclose = true
exempt_paths = ["/public/**"]
[access.ip]
block = ["203.0.113.0/25", "2001:db8:bad::/48"]
exempt = ["198.51.100.77"]
[access.user_agent]
block = ["BadBot", "scrapy"]
[access.geo]
mode = "block"
countries = ["RU", "CN", "AU"]
database = "@country@"
[access.origins.upload]
patterns = ["**.example.com", "app-?.example.{org,net}", "capacitor://localhost", "localhost:*"]
missing = "infer"
[access.origins.delivery]
patterns = ["*.example.com", "example.com", "show.example.org:8443", "null"]
missing = "infer"
[access.referrer]
mode = "allow"
urls = ["https://www.example.com", "https://bücher.example", "https://show.example.org"]
missing = "infer"
[images]
formats = ["webp", "avif"]
[[images.clients]]
user_agents = ["okhttp", "Android 11"]
accept = "image/webp,image/apng,*/*;q=0.8"
[cache_key]
query = "sort"
drop = ["utm_*"]
field = "x-cache-key"
[[route]]
name = "premium"
paths = ["/premium/**"]
[route.access.origins.delivery]
[route.access.geo]
mode = "allow"
countries = ["DE", "FR", "GB"]
database = "@country@"
unknown = "block"
[route.access.referrer]
mode = "block"
urls = ["https://evil.example"]
missing = "allow"
[[route]]
name = "watched"
hosts = ["*.cdn.example.com"]
[route.access.ip]
block = ["203.0.113.0/24"]
shadow = true
[route.access.referrer]
mode = "allow"
urls = ["https://www.example.com"]
missing = "block"
shadow = true
[[route]]
name = "open"
hosts = ["open.example.org"]
[route.origin]
url = "@origin@"
host = "origin"
[route.access.origins.delivery]
[route.access.referrer]
mode = "block"
urls = ["https://evil.example"]
[route.images]
formats = []
"#;

#[test]
fn the_proxy_does_what_explain_says() {
    let origin = Origin::ok();
    let policy = POLICY.replace("@country@", &country_database().display().to_string());
    let edge = Edge::start_by(&origin, "", HOSTS, &policy);
    let configuration = edge.portcullis.folder().join("portcullis.toml");
    let cases = |adjust: fn(Case) -> Case| -> Vec<Case> {
        let mut random = Random(0x9E37_79B9_7F4A_7C15);
        (0..REQUESTS).map(|_| adjust(case(&mut random))).collect()
    };
    let (plain, by_tls) = (cases(|case| case), cases(Case::without_connection));
    let plain_answers = explain(&configuration, &plain, false);
    let tls_answers = explain(&configuration, &by_tls, true);
    let runs = [
        (Way::plain(&edge), &plain, &plain_answers),
        (Way::tls(&edge), &by_tls, &tls_answers),
        (Way::http2(&edge), &by_tls, &tls_answers),
    ]
    .map(|(mut way, cases, answers)| {
        let mut before = origin.count();
        let sent: Vec<_> = cases
            .iter()
            .map(|case| {
                let reply = way.send(case);
                let asked = origin.nth(before);
                before = origin.count();
                (reply, asked)
            })
            .collect();
        (cases, answers, sent)
    });
    let mut log = edge.portcullis.stop().into_iter();
    let [_, by_tls, by_http2] = runs.map(|(cases, answers, sent)| {
        let mut seen = Seen::default();
        let told = cases.iter().zip(answers).zip(&sent);
        let lines: Vec<_> = told
            .map(|((case, answer), (reply, asked))| {
                judge(
                    case,
                    answer,
                    reply.as_ref(),
                    asked.as_ref(),
                    &mut log,
                    &mut seen,
                )
            })
            .collect();
        seen.assert_enough();
        lines
    });
    assert!(log.next().is_none());
    for (mut one, mut other) in by_tls.into_iter().zip(by_http2).filter_map(both) {
        for line in [&mut one, &mut other] {
            for key in ["protocol", "time", "ref", "total_ms", "origin_ms"] {
                line.as_object_mut().unwrap().remove(key);
            }
        }
        assert_eq!(one, other);
    }
}

/// Lines of requests that were read by both.
fn both((one, other): (Option<Value>, Option<Value>)) -> Option<(Value, Value)> {
    let read = |line: &Value| !line["method"].is_null();
    Some((one.filter(read)?, other.filter(read)?))
}

/// Holds what was seen of a request to its explanation; its log line, which
/// there is unless the HTTP library refused it without us.
fn judge(
    case: &Case,
    answer: &Value,
    reply: Option<&Reply>,
    asked: Option<&Asked>,
    log: &mut impl Iterator<Item = Value>,
    seen: &mut Seen,
) -> Option<Value> {
    let wire = case.wire();
    let head = reply.map_or("reset", |reply| &*reply.head);
    let shown = format!("{}\n{answer}\n{head}", String::from_utf8_lossy(&wire));
    seen.count(answer);
    let Some(reply) = reply else {
        assert_eq!(answer["verdict"], "reject", "{shown}");
        assert!(asked.is_none(), "{shown}");
        seen.unread += 1;
        return None;
    };
    let line = log.next().expect("a log line for every request");
    assert_eq!(line["status"], reply.status, "{shown}\n{line}");
    // What the HTTP library refuses has a status and a reference only.
    if line["method"].is_null() {
        assert_eq!(answer["status"], reply.status, "{shown}");
        seen.unread += 1;
    } else {
        compare(answer, reply, asked, &line, &shown);
    }
    Some(line)
}

/// How much of everything the generator made.
#[derive(Default, Debug)]
struct Seen {
    unread: usize,
    outcomes: std::collections::BTreeMap<String, usize>,
}

impl Seen {
    fn count(&mut self, answer: &Value) {
        let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
        for key in ["verdict", "rule", "route", "variant", "client_from"] {
            *self
                .outcomes
                .entry(format!("{key}={}", text(&answer[key])))
                .or_default() += 1;
        }
        *self
            .outcomes
            .entry(format!("status={}", answer["status"]))
            .or_default() += 1;
        for rule in answer["rules"].as_array().into_iter().flatten() {
            let name = format!("{} {}", text(&rule["rule"]), text(&rule["outcome"]));
            *self.outcomes.entry(name).or_default() += 1;
        }
    }

    fn assert_enough(&self) {
        for (what, least) in [
            ("verdict=forward", 200),
            ("verdict=deny", 200),
            ("verdict=reject", 100),
            ("rule=ip.block", 10),
            ("rule=user_agent.block", 10),
            ("rule=geo.block", 5),
            ("rule=geo.allow", 5),
            ("rule=origins.upload", 5),
            ("rule=origins.delivery", 5),
            ("rule=referrer.block", 5),
            ("rule=referrer.allow", 5),
            ("route=premium", 20),
            ("route=watched", 20),
            ("route=open", 20),
            ("variant=webp", 20),
            ("variant=avif", 20),
            ("status=400", 50),
            ("status=405", 10),
            ("status=421", 10),
            ("ip.block would_deny", 3),
            ("referrer.allow would_deny", 10),
            ("ip.block exempt", 10),
            ("client_from=x-forwarded-for", 200),
        ] {
            let found = self.outcomes.get(what).copied().unwrap_or(0);
            assert!(found >= least, "{what}: {found} of {least}\n{self:#?}");
        }
        assert!(self.unread > 10, "{self:#?}");
    }
}

/// Holds a response, what the origin got and the log line to an explanation.
fn compare(answer: &Value, reply: &Reply, asked: Option<&Asked>, line: &Value, shown: &str) {
    let shown = format!("{shown}\n{line}\n{asked:?}");
    assert_eq!(line["verdict"], answer["verdict"], "{shown}");
    match answer["verdict"].as_str().unwrap() {
        "reject" => {
            assert_eq!(answer["status"], reply.status, "{shown}");
            assert!(asked.is_none(), "{shown}");
            return;
        }
        "deny" => {
            assert_eq!(reply.status, 403, "{shown}");
            assert_eq!(
                answer["rule"],
                json!(reply.field("portcullis-denied-by")),
                "{shown}"
            );
            assert!(asked.is_none(), "{shown}");
        }
        _ => {
            assert_eq!(reply.status, 200, "{shown}");
            let asked = asked.expect("a forwarded request reaches the origin");
            let key = answer["cache_key"].as_str().unwrap();
            let (url, variant) = key.rsplit_once(' ').unwrap();
            let (_, rest) = url.split_once("://").unwrap();
            let (authority, target) = rest.split_at(rest.find('/').unwrap());
            assert_eq!(asked.line().split(' ').nth(1), Some(target), "{shown}");
            assert_eq!(answer["variant"], variant, "{shown}");
            assert_eq!(asked.field("x-cache-key").as_deref(), Some(key), "{shown}");
            assert_eq!(answer["accept"], json!(joined(asked, "accept")), "{shown}");
            assert_eq!(
                asked.field("x-forwarded-host").as_deref(),
                Some(authority),
                "{shown}"
            );
            if answer["route"] != "open" {
                assert_eq!(asked.field("host").as_deref(), Some(authority), "{shown}");
            }
            let left = asked.field("x-forwarded-for").unwrap();
            assert_eq!(answer["client"], left.split(',').next().unwrap(), "{shown}");
        }
    }
    for key in [
        "rule",
        "variant",
        "accept",
        "cache_key",
        "client",
        "client_from",
        "country",
        "route",
        "peer",
    ] {
        assert_eq!(line[key], answer[key], "{key}: {shown}");
    }
    let would: Vec<&Value> = answer["rules"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|rule| rule["outcome"] == "would_deny")
        .map(|rule| &rule["rule"])
        .collect();
    assert_eq!(line["would_deny"], json!(would), "{shown}");
}

/// The lines of a field, joined; `None` without any.
fn joined(asked: &Asked, name: &str) -> Option<String> {
    let lines: Vec<&str> = asked
        .head
        .lines()
        .skip(1)
        .filter_map(|line| line.split_once(':'))
        .filter(|(key, _)| key.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.trim())
        .collect();
    (!lines.is_empty()).then(|| lines.join(", "))
}

fn explain(configuration: &std::path::Path, cases: &[Case], by_tls: bool) -> Vec<Value> {
    let mut child = Command::new(env!("CARGO_BIN_EXE_portcullis"))
        .args(["explain", "--stdin", "--config"])
        .arg(configuration)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let lines: String = cases
        .iter()
        .map(|case| format!("{}\n", case.question(by_tls)))
        .collect();
    let writer = std::thread::spawn(move || input.write_all(lines.as_bytes()).unwrap());
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    assert_eq!(output.status.code(), Some(0));
    let answers: Vec<Value> = String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(answers.len(), cases.len());
    answers
}
