//! Two thousand generated requests, sent through a socket and asked of
//! `explain --stdin`: the proxy does what it says, and logs what it did.

use std::io::Write as _;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::policy::country_database;
use crate::support::{Asked, Client, Origin, Portcullis, Reply};

const REQUESTS: usize = 2_000;

const POLICY: &str = r#"
[server]
listen = ["127.0.0.1:0"]
workers = 1
hosts = ["img.example.com", "*.cdn.example.com", "open.example.org", "[::1]"]
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

/// One request, as it goes over the wire and as it is asked about.
struct Case {
    wire: Vec<u8>,
    question: Value,
}

#[test]
fn the_proxy_does_what_explain_says() {
    let origin = Origin::ok();
    let policy = POLICY.replace("@country@", &country_database().display().to_string());
    let proxy = Portcullis::start(&origin, &policy);
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    let cases: Vec<Case> = (0..REQUESTS).map(|_| case(&mut random)).collect();
    let answers = explain(&proxy.folder().join("portcullis.toml"), &cases);
    let mut sent = Vec::new();
    for case in &cases {
        let before = origin.asked().len();
        let reply = send(&proxy, case);
        sent.push((reply, origin.asked().into_iter().nth(before)));
    }
    let mut log = proxy.stop().into_iter();
    let mut seen = Seen::default();
    for ((case, answer), (reply, asked)) in cases.iter().zip(&answers).zip(&sent) {
        let shown = format!(
            "{}\n{answer}\n{}",
            String::from_utf8_lossy(&case.wire),
            reply.head
        );
        seen.count(answer);
        // What the HTTP library refuses has a status and nothing else.
        if reply.status >= 400 && reply.field("portcullis-ref").is_none() {
            assert_eq!(answer["status"], reply.status, "{shown}");
            seen.bare += 1;
            continue;
        }
        let line = log.next().expect("a log line for every request");
        assert_eq!(line["status"], reply.status, "{shown}\n{line}");
        compare(answer, reply, asked.as_ref(), &line, &shown);
    }
    assert!(log.next().is_none());
    seen.assert_enough();
}

/// How much of everything the generator made.
#[derive(Default, Debug)]
struct Seen {
    bare: usize,
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
        assert!(self.bare > 10, "{self:#?}");
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

fn send(proxy: &Portcullis, case: &Case) -> Reply {
    let mut client: Client = proxy.client();
    client.send(&case.wire);
    let (status, head) = client.head();
    Reply {
        status,
        head,
        body: Vec::new(),
    }
}

fn explain(configuration: &std::path::Path, cases: &[Case]) -> Vec<Value> {
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
        .map(|case| format!("{}\n", case.question))
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

/// xorshift64*: the same requests in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let high = self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 32;
        usize::try_from(high).unwrap() % bound
    }

    fn one<'a>(&mut self, list: &[&'a str]) -> &'a str {
        list[self.below(list.len())]
    }

    fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }
}

/// How many of each list are nothing out of the ordinary.
const PLAIN_PATHS: usize = 11;
const PLAIN_QUERIES: usize = 8;
const PLAIN_HOSTS: usize = 9;

const PATHS: &[&str] = &[
    "/a.jpg",
    "/b.PNG",
    "/gallery/c.webp",
    "/d.css",
    "/",
    "/premium/x.png",
    "/premium",
    "/premium/y.jpg",
    "/public/a.jpg",
    "/a,b%2Cc.jpg",
    "/~user/%7Euser",
    "/%70remium/x.jp%67",
    "/premium%2fx",
    "/x/..%2fpremium/a",
    "/x/../premium/a.avif",
    "//a//b.jpg",
    "/a/./b/../c.gif",
    "/a%",
    "/a%0g",
    "/a%00",
    "/a%7f",
    "/..",
    "/a/../..",
    "/public",
    "/public/%2e%2e/secret.jpg",
    "/public/..;/x",
    "/public/%252e%252e/x",
    "/publicx/a.jpg",
    "/a\\b.jpg",
    "/m\u{fc}.jpg",
    "/a{b}|c^.jpg",
    "/<x>",
    "/a`b",
    "/a;v=1/c.jpg",
    "/premium;v=1/c.jpg",
    "/%25",
    "/%252e%252e/premium/x",
    "/a%E4.jpg",
    "/a.jpg#frag",
    "/a%20b.jpg",
    "/a\"b.jpg",
    "/%5c..%5cpremium/x",
];

const QUERIES: &[&str] = &[
    "",
    "",
    "",
    "?",
    "?w=1",
    "?b=2&a=1&utm_x=3",
    "?utm_a=1",
    "?%61=1&b",
    "?a=%zz&&b",
    "?x=\"y\"",
    "?x=<",
    "?q=m\u{fc}",
    "?x#y",
];

const HOSTS: &[&str] = &[
    "img.example.com",
    "img.example.com",
    "img.example.com",
    "IMG.Example.COM.",
    "img.example.com:80",
    "img.example.com:8080",
    "a.cdn.example.com",
    "open.example.org",
    "[::1]",
    "b.c.cdn.example.com",
    "open.example.org:81",
    "evil.example",
    "cdn.example.com",
    "",
    "user@img.example.com",
    "img..example.com",
    "img.example.com:x",
    "img.example.com:99999",
    "a b.example.com",
];

const FORWARDED: &[&str] = &[
    "203.0.113.9",
    "203.0.113.200",
    "198.51.100.1",
    "198.51.100.130",
    "192.0.2.1",
    "192.0.2.200",
    "2001:db8:bad::1",
    "2001:db8::7",
    "::ffff:203.0.113.9",
    "64:ff9b::203.0.113.9",
    "198.51.100.77",
    "1.1.1.1",
    "6.6.6.6, 203.0.113.9, 10.0.0.2",
    "203.0.113.9:4711",
    "[2001:db8::9]:1",
    "unknown",
    "203.0.113.9, nonsense",
    "203.0.113.009",
    "",
    "127.0.0.1",
    "10.0.0.3, 10.0.0.2",
];

const AGENTS: &[&str] = &[
    "Mozilla/5.0 (X11; Linux x86_64) Chrome/145.0",
    "Mozilla/5.0 Chrome/145.0",
    "okhttp/4.12.0",
    "Dalvik/2.1.0 (Linux; U; Android 11)",
    "x BADBOT/2",
    "Scrapy/2.11",
    "curl/8.5",
    "",
    "b\u{e4}dbot",
];

const REFERERS: &[&str] = &[
    "https://www.example.com/",
    "https://www.example.com/page?x=1",
    "http://WWW.example.com:81/",
    "https://show.example.org:8443/x",
    "https://xn--bcher-kva.example/",
    "https://b\u{fc}cher.example/",
    "https://evil.example/",
    "https://evil.example/",
    "https://evil.example/a",
    "https://www.example.com@evil.example/",
    "https://evil.example\\@www.example.com/",
    "https://www.example.com.evil.example/",
    "about:blank",
    "about:srcdoc",
    "/relative",
    "",
    "https://w%77w.example.com/",
];

const ORIGINS: &[&str] = &[
    "https://www.example.com",
    "http://example.com",
    "https://a.b.example.com",
    "https://app-1.example.net",
    "https://show.example.org:8443",
    "https://show.example.org",
    "null",
    "capacitor://localhost",
    "http://localhost:3000",
    "https://evil.example",
    "https://www.example.com/",
    "HTTPS://WWW.EXAMPLE.COM",
    "https://example.com, https://evil.example",
    "",
    "https://evil.example:443@www.example.com",
];

const ACCEPTS: &[&str] = &[
    "image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8",
    "image/webp,*/*",
    "*/*",
    "image/webp;q=0,*/*",
    "image/avif;q=0.5, image/webp",
    "image/webp;q=x",
    "IMAGE/WEBP;q=0.1",
    "",
];

fn case(random: &mut Random) -> Case {
    // Most requests are odd in one place at most, or none would get far.
    let (odd_method, odd_path, odd_host) = (random.chance(6), random.chance(35), random.chance(15));
    let method = match odd_method {
        true => random.one(&["DELETE", "TRACE", "PURGE", "get"]),
        false => random.one(&["GET", "GET", "GET", "HEAD", "POST", "PUT", "OPTIONS"]),
    };
    let path = random.one(if odd_path {
        PATHS
    } else {
        &PATHS[..PLAIN_PATHS]
    });
    let target = format!(
        "{path}{}",
        random.one(if odd_path {
            QUERIES
        } else {
            &QUERIES[..PLAIN_QUERIES]
        })
    );
    let mut fields = Vec::new();
    let host = random.one(if odd_host {
        HOSTS
    } else {
        &HOSTS[..PLAIN_HOSTS]
    });
    let absolute = random.chance(8);
    if !random.chance(2) {
        fields.push((
            "Host",
            if absolute && random.chance(30) {
                "other.example"
            } else {
                host
            },
        ));
    }
    if random.chance(2) {
        fields.push(("host", host));
    }
    for (name, list, percent) in [
        ("X-Forwarded-For", FORWARDED, 80),
        (
            "X-Forwarded-Proto",
            &["https", "http", "ftp", "http, https"][..],
            20,
        ),
        ("User-Agent", AGENTS, 85),
        ("Referer", REFERERS, 60),
        ("Origin", ORIGINS, 35),
        ("Accept", ACCEPTS, 70),
        (
            "Sec-Fetch-Site",
            &["same-origin", "same-site", "none", "cross-site", "x"],
            40,
        ),
        ("Sec-Fetch-Mode", &["navigate", "no-cors"], 40),
        ("Sec-Fetch-Dest", &["document", "image"], 40),
        ("Access-Control-Request-Method", &["GET", "PUT", "get"], 20),
        (
            "Connection",
            &[
                "keep-alive",
                "Referer",
                "x-forwarded-for, origin",
                "host, cookie",
            ],
            15,
        ),
        ("X-Forwarded-Host", &["evil.example"], 10),
        ("X-Real-IP", &["192.0.2.200"], 10),
        ("x_forwarded_for", &["198.51.100.77"], 5),
        ("X-Cache-Key", &["poison"], 5),
        ("Cookie", &["a=b"], 10),
    ] {
        if random.chance(percent) {
            fields.push((name, random.one(list)));
            if random.chance(6) {
                fields.push((name, random.one(list)));
            }
        }
    }
    build(random, method, &target, absolute.then_some(host), &fields)
}

fn build(
    random: &mut Random,
    method: &str,
    target: &str,
    absolute: Option<&str>,
    fields: &[(&str, &str)],
) -> Case {
    // The scheme of an absolute target means nothing; the connection's does.
    let scheme = random.one(&["http", "https"]);
    let on_the_wire = absolute.map_or(target.to_owned(), |host| {
        format!("{scheme}://{host}{target}")
    });
    let mut wire = format!("{method} {on_the_wire} HTTP/1.1\r\n");
    let mut headers = serde_json::Map::new();
    for (name, value) in fields {
        wire.push_str(&format!("{name}: {value}\r\n"));
        let lines = headers.entry(name.to_lowercase()).or_insert(json!([]));
        lines.as_array_mut().unwrap().push(json!(value));
    }
    if matches!(method, "POST" | "PUT") {
        wire.push_str("Content-Length: 3\r\n\r\nabc");
    } else {
        wire.push_str("\r\n");
    }
    let url = absolute.map_or(target.to_owned(), |host| format!("http://{host}{target}"));
    let question = json!({ "method": method, "url": url, "peer": "127.0.0.1", "headers": headers });
    Case {
        wire: wire.into_bytes(),
        question,
    }
}
