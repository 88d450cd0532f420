//! The log of generated requests, replayed under other policies: what a replay
//! decides is what `explain` says of the very request.

use std::collections::BTreeMap;

use portcullis::config::Snapshot;
use portcullis::replay::{Replay, Report};
use serde_json::Value;

use super::requests::{Case, case};
use super::ways::by_http1;
use super::{HOSTS, POLICY, explain};
use crate::policy::country_database;
use crate::support::{Origin, Portcullis, Random};

const REQUESTS: usize = 600;

/// What is changed in the policy.
const CHANGES: &[(&str, &[(&str, &str)])] = &[
    ("nothing", &[]),
    (
        "rules",
        &[
            (
                "urls = [\"https://www.example.com\", \"https://bücher",
                "urls = [\"https://bücher",
            ),
            ("\"BadBot\", \"scrapy\"", "\"curl\", \"\u{e4}d\""),
            (
                "exempt_paths = [\"/public/**\"]",
                "exempt_paths = [\"/gallery/**\"]",
            ),
            (
                "block = [\"203.0.113.0/25\"",
                "block = [\"198.51.100.0/24\"",
            ),
            (
                "countries = [\"RU\", \"CN\", \"AU\"]",
                "countries = [\"US\", \"DE\"]",
            ),
        ],
    ),
    (
        "shadows",
        &[
            (
                "\"BadBot\", \"scrapy\"]",
                "\"BadBot\", \"\\\\xe4\"]\nshadow = true",
            ),
            ("\"AU\"]", "\"AU\"]\nshadow = true"),
            (
                "missing = \"infer\"\n[images]",
                "missing = \"infer\"\nshadow = true\n[images]",
            ),
        ],
    ),
    (
        "no proxies",
        &[("trusted_proxies = [\"127.0.0.1\", \"10.0.0.0/8\"]", "")],
    ),
    (
        "other proxies",
        &[("\"10.0.0.0/8\"]", "\"203.0.113.0/24\"]")],
    ),
    (
        "another field",
        &[("[access]\n", "header = \"x-real-ip\"\n[access]\n")],
    ),
    (
        "one format",
        &[("formats = [\"webp\", \"avif\"]", "formats = [\"webp\"]")],
    ),
    (
        "no formats",
        &[("formats = [\"webp\", \"avif\"]", "formats = []")],
    ),
    (
        "other apps",
        &[("\"okhttp\", \"Android 11\"", "\"curl\", \"Mozilla\"")],
    ),
    (
        "keys",
        &[(
            "query = \"sort\"\ndrop = [\"utm_*\"]",
            "query = \"keep\"\nonly = [\"w\", \"a\"]",
        )],
    ),
    (
        "shapes",
        &[
            ("workers = 1\n", "workers = 1\nmerge_slashes = false\n"),
            (
                "\"open.example.org\", \"[::1]\"]",
                "\"[::1]\", \"cdn.example.com\"]",
            ),
            (
                "url = \"@origin@\"\nhost",
                "url = \"@origin@\"\nmethods = [\"GET\"]\nhost",
            ),
            (
                "paths = [\"/premium/**\"]",
                "paths = [\"/gallery/**\", \"/b.PNG\"]",
            ),
        ],
    ),
];

#[test]
fn a_replay_decides_as_explain_does_or_not_at_all() {
    let mut random = Random(0xD1B5_4A32_D192_ED03);
    let cases: Vec<Case> = (0..REQUESTS).map(|_| case(&mut random)).collect();
    for mode in ["full", "prefix", "none"] {
        let log = logged(&cases, mode);
        let live = changed(&[]).1;
        for (name, change) in CHANGES {
            let (folder, new) = changed(change);
            let truth = explain(&folder.path().join("portcullis.toml"), &cases, false);
            for old in [None, Some(&live)] {
                let shown = format!("{mode}, {name}, old {}", old.is_some());
                let mut seen = Seen::default();
                // What it remembers of one line does not tell on another.
                let mut all = Replay::new(&new, old);
                for ((line, case), truth) in log.iter().zip(&cases).zip(&truth) {
                    let mut replay = Replay::new(&new, old);
                    replay.take(line.as_bytes());
                    all.take(line.as_bytes());
                    let report = replay.report();
                    assert_eq!(report.requests, 1, "{shown}\n{line}");
                    let wire = case.wire();
                    let wire = String::from_utf8_lossy(&wire);
                    seen.compare(
                        &report,
                        line,
                        truth,
                        &format!("{shown}\n{wire}\n{line}\n{truth}"),
                    );
                }
                let all = all.report();
                assert_eq!(all.variants.compared as usize, seen.variants, "{shown}");
                assert_eq!(all.changed as usize, seen.changes, "{shown}");
                seen.assert_enough(mode, name, old.is_some(), &shown);
            }
        }
    }
}

#[derive(Debug, Default)]
struct Seen {
    decided: usize,
    changes: usize,
    variants: usize,
    undecided: BTreeMap<String, u64>,
    /// What rules in shadow would deny, and of how much of it nobody knows.
    watched: usize,
    open: usize,
}

impl Seen {
    fn assert_enough(&self, mode: &str, change: &str, against: bool, shown: &str) {
        let requests = REQUESTS - self.undecided["no_request"] as usize;
        let least = match (mode, change) {
            // Its line has the field of the live policy.
            (_, "another field") => 40,
            ("full", _) => requests,
            ("prefix", "nothing" | "one format" | "keys") if against => 200,
            _ => 80,
        };
        assert!(self.decided >= least, "{shown}: {self:?}");
        if change == "nothing" {
            assert_eq!(self.changes, 0, "{shown}: {self:?}");
        }
        if mode != "full" {
            return;
        }
        if change == "shadows" {
            assert!(self.watched > 100, "{shown}: {self:?}");
        }
        // The rule in shadow goes by what stands there just so.
        assert_eq!(self.open > 0, change == "shadows", "{shown}: {self:?}");
        if [
            "rules",
            "no proxies",
            "other proxies",
            "no formats",
            "keys",
            "shapes",
        ]
        .contains(&change)
        {
            assert!(self.changes > 10, "{shown}: {self:?}");
        }
        if against && change == "nothing" {
            assert!(self.variants > 100, "{shown}: {self:?}");
        }
    }

    /// Holds the replay of one line to what `explain` says of its request.
    fn compare(&mut self, report: &Report, line: &str, truth: &Value, shown: &str) {
        if let Some((why, _)) = report.undecided.iter().next() {
            *self.undecided.entry((*why).to_owned()).or_default() += 1;
            return;
        }
        self.decided += 1;
        let line: Value = serde_json::from_str(line).unwrap();
        let shown = format!("{shown}\n{}", serde_json::to_string(report).unwrap());
        let before = told(&line);
        let after = match report.samples.iter().find(|sample| sample.before == before) {
            Some(sample) if report.decisions.changed == 1 => sample.after.clone(),
            _ => before,
        };
        assert_eq!(after, told(truth), "{shown}");
        self.changes += report.changed as usize;
        if report.keys.compared == 1 {
            let url = |key: &Value| key.as_str().unwrap().rsplit_once(' ').unwrap().0.to_owned();
            let is_other = url(&line["cache_key"]) != url(&truth["cache_key"]);
            assert_eq!(report.keys.changed == 1, is_other, "{shown}");
        }
        if report.variants.compared == 1 {
            self.variants += 1;
            let is_other = line["variant"] != truth["variant"];
            assert_eq!(report.variants.changed == 1, is_other, "{shown}");
        }
        let rules = truth["rules"].as_array().map_or(&[][..], Vec::as_slice);
        for rule in &report.rules {
            let of_rule = rules.iter().find(|truth| truth["rule"] == rule.rule);
            let would = of_rule.is_some_and(|truth| truth["outcome"] == "would_deny");
            match (rule.would_deny_after, rule.would_deny_undecided_after) {
                (0, 1) => self.open += 1,
                told => assert_eq!(told, (u64::from(would), 0), "{}: {shown}", rule.rule),
            }
            self.watched += usize::from(would);
        }
    }
}

/// A verdict as samples tell it, of a log line or an explanation.
fn told(of: &Value) -> String {
    let text = |key: &str| of[key].as_str().unwrap_or_default().to_owned();
    match text("verdict").as_str() {
        "deny" => format!("deny:{}", text("rule")),
        "reject" => format!("reject:{}", of["status"]),
        verdict => verdict.to_owned(),
    }
}

/// With one worker, so that log lines keep the order of the requests.
fn policy() -> String {
    format!("[server]\nworkers = 1\n{}{POLICY}", HOSTS.trim_start())
}

/// The policy with that change.
fn changed(change: &[(&str, &str)]) -> (tempfile::TempDir, Snapshot) {
    let mut policy = policy();
    for (old, new) in change {
        assert!(policy.contains(old), "{old}");
        policy = policy.replace(old, new);
    }
    let policy = policy
        .replace("@country@", &country_database().display().to_string())
        .replace("@origin@", "http://127.0.0.1:9");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("portcullis.toml");
    std::fs::write(
        &file,
        format!("{policy}\n[origin]\nurl = \"http://127.0.0.1:9\"\n"),
    )
    .unwrap();
    let (snapshot, _) = portcullis::config::load(&file).unwrap_or_else(|errors| panic!("{errors}"));
    (folder, snapshot)
}

/// The lines that the running proxy writes of the requests.
fn logged(cases: &[Case], mode: &str) -> Vec<String> {
    let origin = Origin::ok();
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("access.ndjson");
    let policy = policy().replace("@country@", &country_database().display().to_string());
    let policy = format!(
        "{policy}\n[log]\naccess = \"{}\"\nclient_address = \"{mode}\"\n",
        log.display()
    );
    let proxy = Portcullis::start(&origin, &policy);
    for case in cases {
        by_http1(&mut proxy.client(), case);
    }
    proxy.finish();
    let lines: Vec<String> = std::fs::read_to_string(log)
        .unwrap()
        .lines()
        .map(str::to_owned)
        .collect();
    assert_eq!(lines.len(), cases.len());
    lines
}
