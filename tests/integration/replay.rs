//! `portcullis replay`: logs of the running proxy, and lines that no proxy
//! would write, under other policies.

mod lines;
mod undecided;

use std::path::PathBuf;
use std::process::{Output, Stdio};

use portcullis::replay::{Replay, Report};
use serde_json::{Value, json};

use crate::policy::policy;
use crate::support::{Origin, Portcullis, portcullis};

const POLICY: &str = r#"
[client]
trusted_proxies = ["127.0.0.1"]
[access.user_agent]
block = ["badbot"]
[access.referrer]
mode = "allow"
urls = ["https://www.example.com"]
missing = "allow"
shadow = true
[images]
formats = ["webp"]
"#;

/// A folder with a log, a configuration and another one.
struct Case {
    folder: tempfile::TempDir,
}

impl Case {
    fn new(log: &[u8], old: &str, new: &str) -> Self {
        let case = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        let origin = "\n[origin]\nurl = \"http://127.0.0.1:9\"\n";
        std::fs::write(case.file("access.ndjson"), log).unwrap();
        std::fs::write(case.file("old.toml"), format!("{old}{origin}")).unwrap();
        std::fs::write(case.file("new.toml"), format!("{new}{origin}")).unwrap();
        case
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = portcullis(&["replay"]);
        let output = command.args(arguments).current_dir(self.folder.path());
        output.stdin(Stdio::null()).output().unwrap()
    }

    fn json(&self, arguments: &[&str]) -> Value {
        let all = ["--log", "access.ndjson", "--config", "new.toml", "--json"];
        let output = self.run(&[&all[..], arguments].concat());
        assert_eq!(stderr(&output), "");
        serde_json::from_slice(&output.stdout).unwrap()
    }
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

fn stdout(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).unwrap()
}

fn stderr(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).unwrap()
}

/// What the proxy logs of a day at [`POLICY`].
fn day() -> String {
    let proxy = Portcullis::start(&Origin::ok(), POLICY);
    let mut client = proxy.client();
    for (path, fields) in [
        (
            "/a.jpg",
            "Referer: https://www.example.com/\r\nAccept: image/webp\r\nUser-Agent: x\r\n",
        ),
        (
            "/b.jpg?utm_x=1",
            "Referer: https://leech.example/\r\nUser-Agent: Firefox\r\n",
        ),
        (
            "/c.jpg",
            "Referer: https://leech.example/p\r\nUser-Agent: Firefox\r\n",
        ),
        ("/d.jpg", "Referer: https://other.example/\r\n"),
        ("/e.css", "User-Agent: BadBot/1\r\n"),
        ("/%zz", ""),
        (
            "/f.jpg",
            "X-Forwarded-For: 198.51.100.7\r\nX-Forwarded-Proto: https\r\n",
        ),
    ] {
        client.get(path, fields);
    }
    client.send("nonsense\r\n\r\n").reply();
    proxy.stop_text()
}

fn replay(new: &str, old: Option<&str>, log: &str) -> Report {
    let new = policy(new);
    let old = old.map(policy);
    let mut replay = Replay::new(&new, old.as_ref());
    log.lines().for_each(|line| replay.take(line.as_bytes()));
    replay.report()
}

/// Two processes write one log, or one after the other: both begin at
/// generation 1, and what one reads is no word of the other.
#[test]
fn each_line_tells_which_field_it_has() {
    let policy =
        "[client]\ntrusted_proxies = [\"10.0.0.1\"]\n[access.ip]\nblock = [\"10.0.0.0/8\"]\n";
    let own = |header: &str| {
        line(&json!({ "peer": "10.0.0.1", "client": "10.0.0.1", "client_header": header }))
    };
    let named = line(
        &json!({ "peer": "10.0.0.1", "client_from": "x-forwarded-for", "forwarded": "192.0.2.1" }),
    );
    let same = own("x-forwarded-for");
    let report = replay(policy, None, &same);
    assert_eq!(
        (report.decisions.newly_denied, report.undecided.len()),
        (1, 0)
    );
    for other in [own("forwarded"), own("absent")] {
        let report = replay(policy, None, &format!("{other}\n{named}\n{other}\n{same}"));
        assert_eq!((report.lines, report.undecided["client_field"]), (4, 2));
        assert_eq!(report.decisions.newly_denied, 1);
    }
    let report = replay(policy, Some(policy), &own("absent"));
    assert_eq!(
        (report.decisions.unchanged, report.old_differs_from_log),
        (1, Some(1))
    );
    // The line knows better than a file that cannot have written it.
    let report = replay(policy, Some(policy), &own("forwarded"));
    assert_eq!(report.undecided["client_field"], 1);
}

#[test]
fn a_country_that_nobody_knows_is_not_told_as_none() {
    let geo = |mode: &str| {
        format!(
            "[access.geo]\nmode = \"{mode}\"\ncountries = [\"RE\"]\ndatabase = \"{}\"\nunknown = \"block\"\n",
            crate::policy::country_database().display()
        )
    };
    let shown = |client: &str, country: Value| {
        let line = line(&json!({ "peer": client, "client": client, "country": country }));
        let report = replay(&geo("block"), None, &line);
        let rule = &report.rules[2];
        assert_eq!((rule.rule, rule.denied_after), ("geo.block", 1), "{client}");
        rule.mostly.as_ref().map(|share| share.value.clone())
    };
    // No country has it.
    assert_eq!(shown("10.0.0.1", json!(null)), Some(None));
    assert_eq!(shown("10.0.0.0/24", json!(null)), None);
    assert_eq!(
        shown("10.0.0.0/24", json!("RE")),
        Some(Some("RE".to_owned()))
    );
}

/// Nor is it one group with those that have none.
#[test]
fn groups_tell_none_from_not_known() {
    let policy = format!(
        "[access.ip]\nblock = [\"10.0.0.0/8\"]\n[access.geo]\nmode = \"block\"\n\
         countries = [\"FR\"]\ndatabase = \"{}\"\n",
        crate::policy::country_database().display()
    );
    let of = |peer: &str, country: &str, referer: &str| {
        line(
            &json!({ "peer": peer, "client": peer, "country": country, "referer": referer, "url": "http://a/" }),
        )
    };
    let none = of("10.0.0.1", "", "absent");
    let hidden = of("10.1.2.0/24", "", "");
    let known = of("10.0.0.0/24", "RE", "");
    let log = [&*none, &*hidden, &*hidden, &*known].join("\n");
    let case = Case::new(log.as_bytes(), "", &policy);
    let report = case.json(&[]);
    let groups = &report["groups"]["newly_denied"];
    let shown = |kind: &str| -> Vec<(Value, bool, u64)> {
        let groups = groups[kind].as_array().unwrap().iter();
        let told = |group: &Value| {
            (
                group["value"].clone(),
                group["known"].as_bool().unwrap(),
                group["requests"].as_u64().unwrap(),
            )
        };
        groups.map(told).collect()
    };
    assert_eq!(
        shown("country"),
        [
            (Value::Null, false, 2),
            (Value::Null, true, 1),
            (json!("RE"), true, 1)
        ]
    );
    assert_eq!(
        shown("referrer"),
        [(Value::Null, true, 3), (Value::Null, false, 1)]
    );
    let output = case.run(&["--log", "access.ndjson", "--config", "new.toml"]);
    let expected =
        "newly denied by country\n           2  (not known)\n           1  -\n           1  RE\n";
    assert!(stdout(&output).contains(expected), "{}", stdout(&output));
}

/// What a line of the running proxy looks like is what the fast reader is
/// tested with: it takes no other order.
#[test]
fn keys_come_in_the_order_that_the_fast_reader_takes() {
    let order = |line: &str| {
        let parsed: Value = serde_json::from_str(line).unwrap();
        let keys = parsed.as_object().unwrap().keys();
        let at = |key: &String| line.find(&format!("\"{key}\":")).unwrap();
        let mut keys: Vec<(usize, String)> = keys.map(|key| (at(key), key.clone())).collect();
        keys.sort();
        keys.into_iter().map(|(_, key)| key).collect::<Vec<_>>()
    };
    let expected = order(include_str!("../fixtures/log/line.ndjson"));
    let log = day();
    for line in log.lines() {
        assert_eq!(order(line), expected, "{line}");
    }
    let verdict = |verdict: &str| log.contains(&format!("\"verdict\":\"{verdict}\""));
    assert!(verdict("forward") && verdict("deny") && verdict("reject"));
}

#[test]
fn nothing_changes_where_nothing_was_changed() {
    let case = Case::new(day().as_bytes(), POLICY, POLICY);
    let report = case.json(&["--fail-on-change"]);
    assert_eq!(report["lines"], 8);
    assert_eq!(report["requests"], 8);
    assert_eq!(report["changed"], 0);
    assert_eq!(report["decisions"]["unchanged"], 7);
    assert_eq!(report["undecided"], json!({ "no_request": 1 }));
    assert_eq!(report["old_differs_from_log"], Value::Null);
    let report = case.json(&["--against", "old.toml", "--fail-on-change"]);
    assert_eq!(report["changed"], 0);
    assert_eq!(report["against"], "file");
    assert_eq!(report["old_differs_from_log"], 0);
    // What the client accepted shows in what the origin was sent.
    assert_eq!(
        report["variants"],
        json!({ "compared": 5, "changed": 0, "undecided": 0 })
    );
    assert_eq!(
        report["keys"]["distinct"],
        json!({ "before": 5, "after": 5, "error_percent": 0.0 })
    );
}

#[test]
fn a_rule_out_of_shadow_denies_whom_it_watched() {
    let log = day();
    let case = Case::new(log.as_bytes(), POLICY, &POLICY.replace("shadow = true", ""));
    let output = case.run(&[
        "--log",
        "access.ndjson",
        "--config",
        "new.toml",
        "--fail-on-change",
    ]);
    assert_eq!(code(&output), 3, "{}", stderr(&output));
    let shown = stdout(&output);
    for expected in [
        "3 newly denied (42.9 %)",
        "referrer.allow    would have denied 3 of 7 (42.9 %), mostly referrer leech.example (2), before 3",
        "user_agent.block  would have denied 1 of 7 (14.3 %), mostly user agent BadBot/1 (1), before 1",
        "newly denied by referrer\n           2  leech.example\n           1  other.example",
        "newly denied by user agent\n           2  Firefox\n           1  -",
        "newly denied: forward -> deny:referrer.allow",
    ] {
        assert!(shown.contains(expected), "{expected}\n{shown}");
    }
    let report = case.json(&[]);
    assert_eq!(report["decisions"]["newly_denied"], 3);
    assert_eq!(report["decisions"]["changed"], 3);
    let rule = &report["rules"][7];
    assert_eq!(rule["rule"], "referrer.allow");
    assert_eq!(
        (&rule["denied_before"], &rule["denied_after"]),
        (&json!(0), &json!(3))
    );
    assert_eq!(
        (&rule["would_deny_before"], &rule["would_deny_after"]),
        (&json!(3), &json!(0))
    );
    let sample = &report["samples"][0];
    let second: Value = serde_json::from_str(log.lines().nth(1).unwrap()).unwrap();
    assert_eq!(sample["ref"], second["ref"]);
    assert_eq!(sample["url"], "http://img.example.com/b.jpg?utm_x=1");
}

#[test]
fn shadow_tells_whom_it_would_deny() {
    let new = format!("{POLICY}[access.ip]\nblock = [\"198.51.100.0/24\"]\nshadow = true\n");
    let report = replay(&new, None, &day());
    assert_eq!(report.changed, 0);
    let rule = &report.rules[0];
    assert_eq!((rule.denied_after, rule.would_deny_after), (0, 1));
    assert_eq!(rule.percent, 14.286);
    let mostly = rule.mostly.as_ref().unwrap();
    assert_eq!(mostly.value.as_deref(), Some("198.51.100.0/24"));
}

#[test]
fn keys_and_variants() {
    let new = POLICY.replace("[\"webp\"]", "[]") + "[cache_key]\ndrop = [\"utm_*\"]\n";
    let report = replay(&new, Some(POLICY), &day());
    assert_eq!((report.decisions.changed, report.changed), (0, 2));
    assert_eq!((report.keys.changed, report.variants.changed), (1, 1));
    let told = |change: &str| {
        let sample = report.samples.iter().find(|sample| sample.change == change);
        sample.map(|sample| (sample.before.as_str(), sample.after.as_str()))
    };
    assert_eq!(told("variant"), Some(("webp", "original")));
    let (before, after) = told("key").unwrap();
    assert!(before.ends_with("/b.jpg?utm_x=1") && after.ends_with("/b.jpg"));
    // The line alone does not say which Accept `*/*` stands for.
    let report = replay(&POLICY.replace("[\"webp\"]", "[\"avif\"]"), None, &day());
    assert_eq!(report.variants.changed, 0);
    assert!(report.variants.undecided >= 4, "{:?}", report.variants);
}

#[test]
fn an_old_file_that_did_not_write_the_log_is_noticed() {
    let old = POLICY.replace("badbot", "firefox");
    let report = replay(POLICY, Some(&old), &day());
    assert_eq!(report.old_differs_from_log, Some(3));
    assert_eq!(report.decisions.newly_forwarded, 2);
    assert_eq!(report.decisions.newly_denied, 1);
}

/// A line as the proxy writes it, with `changes` made to it.
fn line(changes: &Value) -> String {
    let mut line = json!({
        "time": "2026-11-22T01:02:03.004Z", "ref": "0123456789abcdefghjk", "generation": 1, "method": "GET",
        "url": "http://img.example.com/a.txt", "protocol": "HTTP/1.1", "status": 200, "bytes": 2,
        "peer": "203.0.113.9", "client": "203.0.113.9", "client_from": "peer", "client_header": "x-forwarded-for", "forwarded": null, "country": null,
        "route": "default", "verdict": "forward", "rule": null, "would_deny": [], "variant": "original",
        "accept": null, "cache": "miss", "cache_key": "http://img.example.com/a.txt original", "origin_ms": 1.0,
        "total_ms": 2.0, "user_agent": null, "referer": null, "origin_field": null, "sec_fetch": null,
        "request_method": null, "error": null,
    });
    for (key, value) in changes.as_object().unwrap() {
        match value == &json!("absent") {
            true => drop(line.as_object_mut().unwrap().remove(key)),
            false => line[key] = value.clone(),
        }
    }
    line.to_string()
}
