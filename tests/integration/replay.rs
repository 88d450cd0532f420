//! `portcullis replay`: logs of the running proxy, and lines that no proxy
//! would write, under other policies.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use flate2::Compression;
use flate2::write::GzEncoder;
use portcullis::replay::{Replay, Report};
use serde_json::{Value, json};

use crate::policy::{country_database, policy};
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

#[test]
fn a_line_waits_for_one_that_names_the_field() {
    let policy =
        "[client]\ntrusted_proxies = [\"10.0.0.1\"]\n[access.ip]\nblock = [\"10.0.0.0/8\"]\n";
    let own = line(&json!({ "peer": "10.0.0.1", "client": "10.0.0.1" }));
    let named = |generation: u64| {
        line(
            &json!({ "generation": generation, "peer": "10.0.0.1", "client_from": "x-forwarded-for", "forwarded": "192.0.2.1" }),
        )
    };
    let report = replay(policy, None, &format!("{own}\n{own}\n{}\n{own}", named(1)));
    assert_eq!(
        (report.decisions.newly_denied, report.undecided.len()),
        (3, 0)
    );
    // The next configuration may have had another field.
    let report = replay(policy, None, &format!("{own}\n{}\n{own}", named(2)));
    assert_eq!((report.requests, report.undecided["client_field"]), (3, 2));
    let report = replay(policy, None, &format!("{own}\n{own}"));
    assert_eq!((report.lines, report.undecided["client_field"]), (2, 2));
    let report = replay(policy, Some(policy), &own);
    assert_eq!(
        (report.decisions.unchanged, report.old_differs_from_log),
        (1, Some(1))
    );
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
        "peer": "203.0.113.9", "client": "203.0.113.9", "client_from": "peer", "forwarded": null, "country": null,
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

/// Why the line is undecided under the policy, or what becomes of it.
fn fate(policy: &str, changes: &Value) -> String {
    let report = replay(policy, None, &line(changes));
    if let Some((why, _)) = report.undecided.iter().next() {
        return format!("undecided: {why}");
    }
    if let Some((why, _)) = report.skipped.iter().next() {
        return format!("skipped: {why}");
    }
    match report.samples.first() {
        Some(sample) => sample.after.clone(),
        None => "unchanged".to_owned(),
    }
}

/// A value as the log cuts it.
fn cut(start: &str) -> String {
    format!("{start:x<4096}...[cut]")
}

#[test]
fn what_a_line_does_not_tell_is_undecided() {
    let geo = format!(
        "[access.geo]\nmode = \"block\"\ncountries = [\"FR\"]\ndatabase = \"{}\"\n",
        country_database().display()
    );
    let agents = "[access.user_agent]\nblock = [\"bot\"]\n";
    let pages = "[access.referrer]\nmode = \"allow\"\nurls = [\"https://good.example\"]\nmissing = \"allow\"\n";
    let not_pages = "[access.referrer]\nmode = \"block\"\nurls = [\"https://bad.example\"]\n";
    let infer = pages.replace("missing = \"allow\"", "missing = \"infer\"");
    let uploads = "[access.origins.upload]\npatterns = [\"good.example\"]\nmissing = \"block\"\n";
    let block = "[access.ip]\nblock = [\"203.0.113.0/25\"]\n";
    let proxies = "[client]\ntrusted_proxies = [\"203.0.113.9\"]\n";
    let with = |policies: &[&str]| policies.concat();
    for (policy, changes, expected) in [
        // Addresses that are shortened, or not there.
        (
            block,
            json!({ "client": "203.0.113.0/24", "peer": "203.0.113.0/24" }),
            "undecided: client_address",
        ),
        (
            block,
            json!({ "client": "192.0.2.0/24", "peer": "192.0.2.0/24" }),
            "unchanged",
        ),
        (
            "[access.ip]\nblock = [\"203.0.112.0/23\"]\n",
            json!({ "peer": "203.0.113.0/24" }),
            "deny:ip.block",
        ),
        (
            block,
            json!({ "client": null, "peer": null }),
            "undecided: client_address",
        ),
        (
            &geo,
            json!({ "client": null, "peer": null }),
            "undecided: client_address",
        ),
        (
            pages,
            json!({ "client": null, "peer": null, "referer": "https://bad.example/" }),
            "deny:referrer.allow",
        ),
        (
            block,
            json!({ "peer": "absent" }),
            "undecided: client_address",
        ),
        // Who is trusted now, and was not then.
        (
            &with(&[proxies, block]),
            json!({}),
            "undecided: client_field",
        ),
        (proxies, json!({ "forwarded": "192.0.2.1" }), "unchanged"),
        (
            &with(&[proxies, block]),
            json!({ "client_from": "forwarded", "forwarded": "for=192.0.2.1" }),
            "undecided: client_field",
        ),
        (
            &with(&[proxies, block]),
            json!({ "client_from": "x-forwarded-for", "forwarded": "192.0.2.1" }),
            "unchanged",
        ),
        (
            &with(&[proxies, block]),
            json!({ "client_from": "x-forwarded-for", "forwarded": cut("") }),
            "undecided: client_field",
        ),
        // User-Agents that are cut, or not there.
        (
            agents,
            json!({ "user_agent": cut("Firefox") }),
            "undecided: user_agent",
        ),
        (
            agents,
            json!({ "user_agent": cut("a bot") }),
            "deny:user_agent.block",
        ),
        (
            agents,
            json!({ "user_agent": "absent" }),
            "undecided: user_agent",
        ),
        (
            block,
            json!({ "user_agent": "absent", "peer": "192.0.2.1" }),
            "unchanged",
        ),
        (
            "[access.user_agent]\nblock = [\"\\\\xff\"]\n",
            json!({ "user_agent": "\\xFF" }),
            "undecided: user_agent",
        ),
        (
            agents,
            json!({ "user_agent": "\\xFFbot" }),
            "deny:user_agent.block",
        ),
        // Pages that are cut, or may not be UTF-8.
        (
            pages,
            json!({ "referer": cut("https://good.example/") }),
            "undecided: referer_or_origin",
        ),
        (
            pages,
            json!({ "referer": cut("https://bad.example/") }),
            "deny:referrer.allow",
        ),
        (
            not_pages,
            json!({ "referer": cut("https://bad.example/") }),
            "undecided: referer_or_origin",
        ),
        (
            not_pages,
            json!({ "referer": cut("https://good.example/") }),
            "unchanged",
        ),
        (
            not_pages,
            json!({ "referer": cut("https://good.example") }),
            "undecided: referer_or_origin",
        ),
        (
            pages,
            json!({ "referer": "https://good.example/\\xFF" }),
            "undecided: referer_or_origin",
        ),
        (
            pages,
            json!({ "referer": "absent" }),
            "undecided: referer_or_origin",
        ),
        (
            pages,
            json!({ "origin_field": "absent", "referer": "https://good.example/" }),
            "undecided: referer_or_origin",
        ),
        (
            agents,
            json!({ "origin_field": "absent", "referer": "absent" }),
            "unchanged",
        ),
        // Sec-Fetch fields that cannot be told apart.
        (
            &infer,
            json!({ "sec_fetch": "cross-site/no-cors/image" }),
            "deny:referrer.allow",
        ),
        (
            &infer,
            json!({ "sec_fetch": "none/a/b/c" }),
            "undecided: sec_fetch",
        ),
        (pages, json!({ "sec_fetch": "none/a/b/c" }), "unchanged"),
        (
            &infer,
            json!({ "sec_fetch": "absent" }),
            "undecided: sec_fetch",
        ),
        // Preflights.
        (
            uploads,
            json!({ "method": "OPTIONS", "request_method": "PUT" }),
            "deny:origins.upload",
        ),
        (
            uploads,
            json!({ "method": "OPTIONS", "request_method": "absent" }),
            "undecided: request_method",
        ),
        // URLs.
        (agents, json!({ "url": cut("http://a/") }), "undecided: url"),
        (
            agents,
            json!({ "url": cut("http://a/b?"), "user_agent": "bot" }),
            "deny:user_agent.block",
        ),
        (agents, json!({ "url": "a b" }), "undecided: url"),
        (agents, json!({ "url": "http://a/ b" }), "undecided: url"),
        (agents, json!({ "url": "http:///" }), "undecided: url"),
        // Rejections.
        (
            agents,
            json!({ "verdict": "reject", "status": 400, "error": "of a later version" }),
            "undecided: unknown_rejection",
        ),
        (
            agents,
            json!({ "verdict": "reject", "status": 400, "error": "the path has a control character" }),
            "unchanged",
        ),
        (
            agents,
            json!({ "verdict": "reject", "status": 421, "error": "the host is not in server.hosts" }),
            "forward",
        ),
        (
            agents,
            json!({ "verdict": "reject", "status": 408, "method": null, "url": null }),
            "undecided: no_request",
        ),
        // Not an access log's.
        (
            agents,
            json!({ "method": "absent" }),
            "skipped: lacks_method",
        ),
        (agents, json!({ "url": "absent" }), "skipped: lacks_url"),
        (
            agents,
            json!({ "verdict": "absent" }),
            "skipped: lacks_verdict",
        ),
        (agents, json!({ "verdict": "deny" }), "skipped: lacks_rule"),
        (
            agents,
            json!({ "referer": 7 }),
            "skipped: not_an_access_log_line",
        ),
    ] {
        assert_eq!(fate(policy, &changes), expected, "{policy}{changes}");
    }
}

#[test]
fn a_scheme_that_may_have_been_the_other() {
    let proxies = "[client]\ntrusted_proxies = [\"203.0.113.9\"]\n";
    let of = |policy: &str, changes: &Value| replay(policy, None, &line(changes)).keys.undecided;
    // Trusted then and not now: the connection's own scheme is not logged.
    let named = json!({ "client_from": "x-forwarded-for", "forwarded": "192.0.2.1" });
    assert_eq!((of("", &named), of(proxies, &named)), (1, 0));
    // It cannot have come by https from somebody who is not believed.
    assert_eq!(
        (
            of("", &json!({})),
            of("", &json!({ "url": "https://img.example.com/a.txt" }))
        ),
        (0, 1)
    );
}

#[test]
fn what_strangers_wrote_does_not_reach_a_terminal() {
    let evil = "\u{1b}[31m\u{9b}2J\u{202e}evil\u{7}";
    let changes = json!({
        "referer": format!("https://x.example/{evil}"), "user_agent": evil, "url": format!("http://a/{evil}"),
        "ref": evil, "client": evil, "country": evil, "time": evil, "origin_field": evil,
    });
    // A URL with these is none; the rest of the line is told.
    let mut plain = changes.clone();
    plain["url"] = json!("http://a/b");
    let log = format!("{}\n{}\n", line(&changes), line(&plain));
    let case = Case::new(
        log.as_bytes(),
        "",
        "[access.user_agent]\nblock = [\"evil\"]\n",
    );
    for arguments in [&[][..], &["--json"]] {
        let all = [
            &["--log", "access.ndjson", "--config", "new.toml"],
            arguments,
        ]
        .concat();
        let output = case.run(&all);
        assert_eq!(code(&output), 0);
        let shown = stdout(&output);
        assert!(
            shown.contains("evil") && shown.contains("user_agent.block"),
            "{shown}"
        );
        let obeyed = |c: char| c != '\n' && (c.is_control() || c == '\u{202e}');
        assert!(!shown.contains(obeyed), "{shown:?}");
    }
}

#[test]
fn lines_that_are_none_are_counted() {
    let mut log =
        format!("{}\n\n[1]\nnull\nnot json\n{{\"a\":1}}\n", line(&json!({}))).into_bytes();
    log.extend_from_slice(b"{\"url\":\"\xff\"}\n");
    log.extend_from_slice(format!("{{\"a\":{}\n", "[".repeat(200_000)).as_bytes());
    log.extend_from_slice(
        format!("{}\n", line(&json!({ "user_agent": "a".repeat(3 << 20) }))).as_bytes(),
    );
    log.extend_from_slice(line(&json!({ "user_agent": "bot" })).as_bytes());
    let case = Case::new(&log, "", "[access.user_agent]\nblock = [\"bot\"]\n");
    let report = case.json(&[]);
    assert_eq!(report["lines"], 9);
    assert_eq!(
        report["skipped"],
        json!({ "too_long": 1, "not_json": 5, "lacks_verdict": 1 })
    );
    assert_eq!(report["requests"], 2);
    assert_eq!(report["decisions"]["newly_denied"], 1);
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn several_logs_packed_or_not() {
    let text = format!("{}\n", line(&json!({})));
    let case = Case::new(text.as_bytes(), "", "");
    let write = |name: &str, bytes: &[u8]| std::fs::write(case.file(name), bytes).unwrap();
    // By what is in it, not by its name; and two packed ones, one after the other.
    write("a.log", &gzip(text.repeat(3000).as_bytes()));
    write(
        "b.gz",
        &[gzip(text.as_bytes()), gzip(text.as_bytes())].concat(),
    );
    write("c.gz", text.as_bytes());
    write("empty", b"");
    let report = case.json(&["--log", "a.log", "b.gz", "--log", "c.gz", "empty"]);
    assert_eq!(report["requests"], 3004);
    let mut child = portcullis(&["replay", "--log", "-", "--json", "--config"])
        .arg(case.file("new.toml"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(&gzip(text.as_bytes()))
        .unwrap();
    let output = child.wait_with_output().unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((code(&output), &report["requests"]), (0, &json!(1)));
}

#[test]
fn a_log_that_breaks_off_counts_up_to_there() {
    let lines: String = (0..5000)
        .map(|n| {
            line(&json!({ "url": format!("http://img.example.com/{n}"), "user_agent": "bot" }))
                + "\n"
        })
        .collect();
    let packed = gzip(lines.as_bytes());
    let case = Case::new(
        &packed[..packed.len() / 2],
        "",
        "[access.user_agent]\nblock = [\"bot\"]\n",
    );
    let arguments = ["--log", "access.ndjson", "--config", "new.toml", "--json"];
    let output = case.run(&arguments);
    assert_eq!(code(&output), 1);
    assert!(
        stderr(&output).contains("access.ndjson"),
        "{}",
        stderr(&output)
    );
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let found = report["decisions"]["newly_denied"].as_u64().unwrap();
    assert!((1000..5000).contains(&found), "{found}");
    let output = case.run(&[&arguments[..], &["--fail-on-change"]].concat());
    assert_eq!(code(&output), 3);
}

#[test]
fn exit_codes() {
    let case = Case::new(line(&json!({})).as_bytes(), "", "");
    let broken = "[access.ip]\nblock = [\"x\"]\n";
    std::fs::write(case.file("broken.toml"), broken).unwrap();
    let fails = "[origin]\nurl = \"http://127.0.0.1:9\"\n[[test]]\nname = \"a\"\n\
                 request = { url = \"http://a/\" }\nexpect = \"deny\"\n";
    std::fs::write(case.file("fails.toml"), fails).unwrap();
    let log = "access.ndjson";
    for (arguments, expected) in [
        (&["--log", log][..], 64),
        (&["--config", "new.toml"], 64),
        (&["--config", "new.toml", "--log"], 64),
        (&["--config", "broken.toml", "--log", log], 78),
        (&["--config", "missing.toml", "--log", log], 78),
        (&["--config", "fails.toml", "--log", log], 78),
        (
            &[
                "--config",
                "new.toml",
                "--against",
                "broken.toml",
                "--log",
                log,
            ],
            78,
        ),
        (
            &[
                "--config",
                "new.toml",
                "--against",
                "fails.toml",
                "--log",
                log,
            ],
            0,
        ),
        (&["--config", "new.toml", "--log", log, "missing.ndjson"], 1),
        (&["--config", "new.toml", "--log", "."], 1),
        (
            &["--config", "new.toml", "--log", log, "--fail-on-change"],
            0,
        ),
    ] {
        let output = case.run(arguments);
        assert_eq!(
            code(&output),
            expected,
            "{arguments:?}\n{}",
            stderr(&output)
        );
        assert_eq!(stdout(&output).is_empty(), expected != 0, "{arguments:?}");
    }
    let output = case.run(&["--config", "new.toml", "--log", "missing.ndjson"]);
    assert!(
        stderr(&output).contains("missing.ndjson: cannot be read"),
        "{}",
        stderr(&output)
    );
}

/// Memory does not grow with the log.
#[test]
fn a_long_log_of_strangers_takes_no_more_memory() {
    let case = Case::new(b"", "", "[access.user_agent]\nblock = [\"bot\"]\n");
    let peak = |lines: usize| {
        let mut child = portcullis(&["replay", "--log", "-", "--json", "--config"])
            .arg(case.file("new.toml"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut input = std::io::BufWriter::new(child.stdin.take().unwrap());
        for n in 0..lines {
            let all = json!({
                "url": format!("http://img.example.com/{n}.txt"), "cache_key": format!("http://img.example.com/{n}.txt original"),
                "user_agent": format!("bot {n}"), "referer": format!("https://site{n}.example/"),
            });
            let other = json!({ "url": format!("http://img.example.com/{n}"), "cache_key": "http://x/ original" });
            writeln!(input, "{}", line(if n % 2 == 0 { &all } else { &other })).unwrap();
        }
        std::io::Write::flush(&mut input).unwrap();
        let status = Path::new("/proc")
            .join(child.id().to_string())
            .join("status");
        let status = std::fs::read_to_string(status).unwrap();
        let kib = status
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:"))
            .unwrap();
        drop(input);
        let output = child.wait_with_output().unwrap();
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(report["requests"], lines);
        kib.split_whitespace()
            .next()
            .unwrap()
            .parse::<u64>()
            .unwrap()
            / 1024
    };
    let (some, more) = (peak(40_000), peak(160_000));
    assert!(more < some + 12 && more < 80, "{some} MiB, {more} MiB");
}
