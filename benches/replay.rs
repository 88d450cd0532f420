//! How many lines of an access log a replay takes a second of processor time,
//! against what was logged and against the file that wrote it.
//!
//! The log is that of a site behind a balancer: few clients, programs, pages
//! and pictures make most of the requests, and most of the rest come once.
//! Both policies have every rule at its default limits.
//!
//! `PORTCULLIS_COUNTRY_MMDB` names a real country database; without it the
//! small one of the tests is used. Without `--bench` a short log is replayed
//! and nothing measured.

#[path = "random/mod.rs"]
mod random;
#[path = "rules/mod.rs"]
mod rules;
#[path = "rules/sites.rs"]
mod sites;

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::time::Duration;

use portcullis::config::{Snapshot, TestRequest, load};
use portcullis::plan::{Decided, Explanation, Question};
use portcullis::replay::{Replay, Report};

use random::Random;
use rules::{BLOCKED_AGENTS, NETWORKS, REFERRERS};
use sites::Sites;

/// Lines that are measured; some 250 MB.
const LINES: usize = 300_000;

/// Lines that are only looked at.
const FEW: usize = 2000;

/// How often each form is measured.
const RUNS: usize = 5;

const CLIENTS: usize = 40_000;
const AGENTS: usize = 1000;
const PICTURES: usize = 200_000;
const PAGES: usize = 3000;

const ACCEPTS: [&str; 3] = [
    "image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8",
    "image/webp,image/png,image/svg+xml,image/*;q=0.8,video/*;q=0.8,*/*;q=0.5",
    "*/*",
];

impl Random {
    /// A number below `end`, the lower the likelier.
    fn low(&mut self, end: usize) -> usize {
        let unit = (self.next() >> 11) as f64 / (1_u64 << 53) as f64;
        (unit.powi(3) * end as f64) as usize
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }
}

fn main() {
    let measures = std::env::args().any(|argument| argument == "--bench");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let old = policy(folder.path(), "[\"utm_*\"]", rules::COUNTRIES.len());
    let new = policy(
        folder.path(),
        "[\"utm_*\", \"v\"]",
        rules::COUNTRIES.len() - 2,
    );
    let log = log(&old, if measures { LINES } else { FEW });
    look(&log, &old, &new);
    if !measures {
        return;
    }
    if rules::real_country_database().is_none() {
        eprintln!("no PORTCULLIS_COUNTRY_MMDB: the small database of the tests is used");
    }
    for (form, old) in [
        ("against the log", None),
        ("against the old file", Some(&old)),
    ] {
        let mut speeds: Vec<f64> = (0..RUNS).map(|_| speed(&log, &new, old)).collect();
        speeds.sort_by(f64::total_cmp);
        println!(
            "{form}: {:.0} lines a second of processor time ({:.0} to {:.0})",
            speeds[RUNS / 2],
            speeds[0],
            speeds[RUNS - 1],
        );
    }
}

/// Every rule, and a key without these parameters.
fn policy(folder: &Path, dropped: &str, countries: usize) -> Snapshot {
    let top = "[origin]\nurl = \"http://127.0.0.1:9\"\n\
               [client]\ntrusted_proxies = [\"10.0.0.0/8\"]\n";
    let keys = format!("[cache_key]\nquery = \"sort\"\ndrop = {dropped}\n");
    let images = "[images]\nformats = [\"webp\", \"avif\"]\n";
    let routes = "[[route]]\nname = \"gallery\"\npaths = [\"/gallery/**\"]\n\
                  [[route]]\nname = \"files\"\npaths = [\"/files/**\"]\n";
    let (all, some) = (rules::COUNTRIES, &rules::COUNTRIES[..countries]);
    let networks: Vec<String> = (0..NETWORKS).map(|n| format!("20.{n}.0.0/16")).collect();
    let addresses = rules::address_tables(&format!("block = {networks:?}"))
        .replace(&format!("{all:?}"), &format!("{some:?}"));
    let fields = rules::field_tables(&Sites::new().pages("allow"));
    let toml = [top, &keys, images, &addresses, &fields, routes].concat();
    let path = folder.join("portcullis.toml");
    std::fs::write(&path, toml).expect("the folder is ours");
    match load(&path) {
        Ok((snapshot, _)) => snapshot,
        Err(errors) => panic!("{errors}"),
    }
}

/// What `snapshot` would have logged.
fn log(snapshot: &Snapshot, lines: usize) -> Vec<u8> {
    let mut random = Random(17);
    let mut log = Vec::new();
    for _ in 0..lines {
        let request = request(&mut random);
        let question = Question::new(&request).expect("a request");
        let Explanation::Decided(told) = question.answer(snapshot) else {
            panic!("{} is good", request.url);
        };
        log.extend_from_slice(line(&request, &told).as_bytes());
    }
    log
}

fn request(random: &mut Random) -> TestRequest {
    let client = random.low(CLIENTS);
    let address = Random(client as u64 + 1).next().to_le_bytes();
    let address = Ipv4Addr::new(address[0] % 222 + 1, address[1], address[2], address[3]);
    let picture = random.low(PICTURES);
    let extension = ["jpg", "png", "webp", "js"][picture % 4];
    let path = match random.below(10) {
        0 => format!("files/app.{picture:x}.js?utm_source=x&v=2"),
        1..4 => format!("gallery/{}/picture-{picture}.{extension}", picture % 977),
        _ => format!(
            "gallery/{}/{picture:x}.{extension}?w=640&v={picture}",
            picture % 977
        ),
    };
    let mut headers = vec![
        ("x-forwarded-for", address.to_string()),
        ("x-forwarded-proto", "https".to_owned()),
        ("user-agent", agent(client % AGENTS)),
        ("accept", ACCEPTS[client % ACCEPTS.len()].to_owned()),
        ("sec-fetch-site", "cross-site".to_owned()),
        ("sec-fetch-mode", "no-cors".to_owned()),
        ("sec-fetch-dest", "image".to_owned()),
    ];
    let site = random.below(REFERRERS + 2);
    let page = random.low(PAGES);
    if random.below(4) > 0 {
        let page = format!("https://www.site{site}.example.com/gallery/{page}?from=home");
        headers.push(("referer", page));
    }
    if random.below(8) == 0 {
        headers.push((
            "origin",
            format!("https://www.site{}.example.com", site / 5 * 5),
        ));
    }
    let headers = headers
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value));
    TestRequest {
        url: format!("https://img.example.com/{path}"),
        method: None,
        client: None,
        peer: Some(IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1))),
        headers: headers.collect(),
    }
}

/// Browsers, and now and then one of those that are blocked.
fn agent(number: usize) -> String {
    match number % 97 {
        0 => format!("{}/{number}", BLOCKED_AGENTS[number % BLOCKED_AGENTS.len()]),
        _ => format!(
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) \
             Chrome/{}.0.{number}.0 Safari/537.36",
            100 + number % 50
        ),
    }
}

/// The line of a request, in the order of the log.
fn line(request: &TestRequest, told: &Decided) -> String {
    let quoted = |text: &str| format!("\"{text}\"");
    let text = |text: Option<&str>| text.map_or("null".to_owned(), quoted);
    let field = |wanted: &str| {
        let found = request.headers.iter().find(|(name, _)| name == wanted);
        text(found.map(|(_, value)| value.as_str()))
    };
    let watched = told
        .rules
        .iter()
        .filter(|rule| rule.outcome == "would_deny");
    let watched: Vec<String> = watched.map(|rule| quoted(rule.rule)).collect();
    let status = if told.rule.is_some() { 403 } else { 200 };
    format!(
        "{{\"time\":\"2026-02-03T04:05:06.789Z\",\"ref\":\"0123456789abcdefghjk\",\
         \"generation\":1,\"method\":\"GET\",\"url\":{},\"protocol\":\"HTTP/1.1\",\
         \"status\":{status},\"bytes\":12345,\"peer\":{},\"client\":{},\"client_from\":{},\
         \"forwarded\":{},\"country\":{},\"route\":{},\"verdict\":{},\"rule\":{},\
         \"would_deny\":[{}],\"variant\":{},\"accept\":{},\"cache\":\"hit\",\"cache_key\":{},\
         \"origin_ms\":null,\"total_ms\":0.123,\"user_agent\":{},\"referer\":{},\
         \"origin_field\":{},\"sec_fetch\":\"cross-site/no-cors/image\",\
         \"request_method\":null,\"error\":null}}\n",
        quoted(&request.url),
        quoted(&told.peer),
        quoted(&told.client),
        quoted(&told.client_from),
        field("x-forwarded-for"),
        text(told.country.as_deref()),
        quoted(&told.route),
        quoted(told.verdict),
        text(told.rule),
        watched.join(","),
        quoted(told.variant),
        text(told.accept.as_deref()),
        quoted(&told.cache_key),
        field("user-agent"),
        field("referer"),
        field("origin"),
    )
}

fn replay(log: &[u8], new: &Snapshot, old: Option<&Snapshot>) -> Report {
    let mut replay = Replay::new(new, old);
    let lines = log.split(|byte| *byte == b'\n');
    lines
        .filter(|line| !line.is_empty())
        .for_each(|line| replay.take(line));
    replay.report()
}

/// The log must be what it is taken for.
fn look(log: &[u8], old: &Snapshot, new: &Snapshot) {
    for against in [None, Some(old)] {
        let report = replay(log, new, against);
        assert!(report.skipped.is_empty(), "{:?}", report.skipped);
        assert!(report.undecided.is_empty(), "{:?}", report.undecided);
        assert!(report.keys.changed > report.lines / 4, "{:?}", report.keys);
        assert_eq!(report.old_differs_from_log.unwrap_or(0), 0);
    }
    assert_eq!(replay(log, old, None).changed, 0);
    assert_eq!(replay(log, old, Some(old)).changed, 0);
}

fn speed(log: &[u8], new: &Snapshot, old: Option<&Snapshot>) -> f64 {
    let before = processor_time();
    let report = replay(log, new, old);
    report.lines as f64 / (processor_time() - before).as_secs_f64()
}

/// What this thread has had of a processor.
fn processor_time() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("it is Linux");
    let spent = text.split(' ').next().and_then(|spent| spent.parse().ok());
    Duration::from_nanos(spent.expect("nanoseconds come first"))
}
