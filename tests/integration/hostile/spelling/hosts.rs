//! Hosts: routes by host, and the hosts that are served at all.

use super::ways::{Attack, Question};
use super::{KIND, Random, cases};
use crate::support::tried;

pub(super) const CLIENT: &str =
    "[client]\ntrusted_proxies = [\"127.0.0.1\"]\n[cache]\nmemory = \"0\"\n";

const ROUTES: &str = "[[route]]\nname = \"closed\"\nhosts = [\"img.example.com\", \"*.closed.example.com\", \
    \"127.0.0.1\", \"[::1]\", \"b\u{fc}cher.example\"]\n[route.access.ip]\nblock = [\"203.0.113.9\"]\n";

const HOSTS: usize = 500;

/// Each of them is denied, or names no host that an origin would know.
const CLOSED: &[&str] = &[
    "img.example.com",
    "a.closed.example.com",
    "a.b.closed.example.com",
    "127.0.0.1",
    "[::1]",
    "xn--bcher-kva.example",
];

const BESIDE: &[&str] = &[
    "",
    "",
    "",
    "",
    ".",
    "..",
    ":80",
    ":443",
    ":0443",
    ":080",
    ":",
    ".:",
    ".:443",
    ":443:80",
    ":+443",
    ":x",
    ":65536",
    ":00443",
    ":000443",
    "/",
    "/x",
    "?",
    "#",
    "#x",
    "\\",
    "%2e",
    "%00",
    " ",
    "\t",
    ",",
    ", open.example",
    " open.example",
    ";x",
    "@open.example",
    "@",
    "%",
    "%20",
    "\0",
    "\r",
    "\u{3002}",
    "\u{feff}",
    "\u{200d}",
    "\u{ad}",
    ":443@open.example",
];

const BEFORE: &[&str] = &[
    "",
    "",
    "",
    "",
    "",
    "",
    "",
    "open.example@",
    "u:p@",
    "@",
    " ",
    "\t",
    ".",
    "http://",
    "https://",
    "//",
    "[",
    "%",
    "\0",
    "open.example,",
    "open.example ",
    "\u{feff}",
    "open.example#",
    "open.example/",
    "open.example\\",
    "open.example;",
];

fn written(random: &mut Random) -> Vec<u8> {
    let host = match random.below(8) {
        0 => random
            .one(&[
                "127.1",
                "0177.0.0.1",
                "0x7f.0.0.1",
                "2130706433",
                "0x7f000001",
                "127.0.0.01",
                "127.0.0.1.",
                "017700000001",
                "[0:0:0:0:0:0:0:1]",
                "[::0001]",
                "[::1%25lo]",
                "[::1%lo]",
                "[0::1]",
                "[::ffff:127.0.0.1]",
                "::1",
                "[::1",
                "b\u{fc}cher.example",
                "B\u{dc}CHER.example",
                "bu\u{308}cher.example",
                "XN--BCHER-KVA.example",
                "img\u{3002}example\u{3002}com",
                "\u{ff49}mg.example.com",
                "i%6dg.example.com",
                "img%2eexample.com",
                "img.example.com\u{ff0f}",
                "img.exa\u{ad}mple.com",
                "img.exa\u{200d}mple.com",
                "img..example.com",
                ".closed.example.com",
                "a..closed.example.com",
                "*.closed.example.com",
                "a_.closed.example.com",
            ])
            .to_owned(),
        _ => {
            let plain = random.one(CLOSED);
            plain
                .chars()
                .map(|c| {
                    if random.chance(30) {
                        c.to_ascii_uppercase()
                    } else {
                        c
                    }
                })
                .collect()
        }
    };
    format!("{}{host}{}", random.one(BEFORE), random.one(BESIDE)).into_bytes()
}

/// The host that some origin has of a Host field: without port, user, blanks
/// and dots at the end, in lower case, its escapes decoded.
fn taken(host: &str) -> String {
    let host = host.rsplit('@').next().unwrap().trim().to_lowercase();
    let end = host
        .find(['/', '?', '#', '\\', ',', ' '])
        .unwrap_or(host.len());
    let host = host[..end]
        .replace("%2e", ".")
        .replace("%6d", "m")
        .replace('\u{3002}', ".");
    let port = if host.starts_with('[') {
        host.find(']').map(|at| at + 1)
    } else {
        host.find(':')
    };
    host[..port.unwrap_or(host.len())]
        .trim_matches('.')
        .to_owned()
}

fn is_closed(host: &str) -> bool {
    let host = taken(host);
    CLOSED.contains(&&*host) || host.ends_with(".closed.example.com")
}

#[test]
fn no_spelling_of_a_host_leads_past_its_route() {
    let mut attack = Attack::start(&format!("{CLIENT}{ROUTES}"));
    let mut random = Random(0x5eed_0b5e_55ed_0003);
    let mut asked = Vec::new();
    for _ in 0..cases(HOSTS) {
        let host = written(&mut random);
        let mut question = Question::get("/a.jpg").field("X-Forwarded-For", "203.0.113.9");
        // By turns it stands in the target, or in a field that some believe.
        match random.below(6) {
            0 => {
                let target = [b"http://", &*host, b"/a.jpg"].concat();
                question = Question {
                    target,
                    host: b"open.example".to_vec(),
                    ..question
                };
            }
            1 => {
                question = Question {
                    target: [b"https://", &*host, b"/a.jpg"].concat(),
                    host,
                    ..question
                }
            }
            2 => {
                question = Question {
                    host: b"open.example".to_vec(),
                    ..question
                }
                .field("Host", &host)
            }
            3 => {
                question.host = b"open.example".to_vec();
                for name in [
                    "X-Forwarded-Host",
                    "X-Host",
                    "Forwarded",
                    "X-Original-URL",
                    "X-Rewrite-URL",
                    "X_Forwarded_Host",
                ] {
                    let named = [b"host=", &*host].concat();
                    question = question.field(
                        name,
                        if name == "Forwarded" {
                            named
                        } else {
                            host.clone()
                        },
                    );
                }
            }
            _ => question.host = host,
        }
        for status in attack.ask(&question) {
            assert!(
                matches!(status, 0 | 200 | 400 | 403),
                "{status}: {question:?}"
            );
        }
        asked.push(question);
    }
    tried(KIND, attack.tried);
    for (mark, received) in attack.received() {
        let host = received.field("host").unwrap();
        let shown = || format!("{:?} went as {}", asked[mark / 3], received.head);
        assert!(!is_closed(&host), "{}", shown());
        assert_eq!(
            received.field("x-forwarded-host").as_deref(),
            Some(&*host),
            "{}",
            shown()
        );
        assert!(received.target().starts_with('/'), "{}", shown());
        for name in [
            "x-host",
            "forwarded",
            "x-original-url",
            "x-rewrite-url",
            "x_forwarded_host",
        ] {
            assert_eq!(received.field(name), None, "{}", shown());
        }
    }
}
