//! What a denied client gets: always the same, whatever it asks for and
//! whatever is stored.

use super::KIND;
use crate::policy::country_database;
use crate::support::{Origin, Portcullis, Reply, tried};

const CLIENT: &str = "[client]\ntrusted_proxies = [\"127.0.0.1\"]\n";

const STORED: &str = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\nContent-Type: image/png\r\nETag: \"one\"\r\n\
    Last-Modified: Wed, 01 Jan 2025 00:00:00 GMT\r\nCache-Control: public, max-age=600, stale-while-revalidate=60\r\n\
    Cache-Tag: a\r\nVary: Origin\r\n\r\n0123456789";

/// Each rule, and the fields by which a request is denied by it.
const RULES: &[(&str, &str)] = &[
    (
        "[access.ip]\nblock = [\"203.0.113.9\"]\n",
        "X-Forwarded-For: 203.0.113.9\r\n",
    ),
    (
        "[access.user_agent]\nblock = [\"BadBot\"]\n",
        "User-Agent: badbot/1\r\n",
    ),
    (
        "[access.geo]\nmode = \"block\"\ncountries = [\"CN\"]\ndatabase = \"@country@\"\n",
        "X-Forwarded-For: 198.51.100.64\r\n",
    ),
    (
        "[access.geo]\nmode = \"allow\"\ncountries = [\"DE\"]\nunknown = \"allow\"\ndatabase = \"@country@\"\n",
        "X-Forwarded-For: 198.51.100.64\r\n",
    ),
    (
        "[access.origins.delivery]\npatterns = [\"good.example\"]\nmissing = \"allow\"\n",
        "Origin: https://evil.example\r\n",
    ),
    (
        "[access.referrer]\nmode = \"block\"\nurls = [\"https://evil.example\"]\n",
        "Referer: https://evil.example/x\r\n",
    ),
    (
        "[access.referrer]\nmode = \"allow\"\nmissing = \"allow\"\nurls = [\"https://good.example\"]\n",
        "Referer: https://evil.example/\r\n",
    ),
];

/// What might be answered by something else than a denial.
const TRICKS: &[&str] = &[
    "",
    "If-None-Match: \"one\"\r\n",
    "If-None-Match: W/\"one\"\r\n",
    "If-None-Match: *\r\n",
    "If-None-Match: \"x\", \"one\"\r\n",
    "If-Match: \"x\"\r\n",
    "If-Match: *\r\n",
    "If-Modified-Since: Fri, 01 Jan 2100 00:00:00 GMT\r\n",
    "If-Unmodified-Since: Thu, 01 Jan 1970 00:00:00 GMT\r\n",
    "Range: bytes=0-0\r\n",
    "Range: bytes=99-\r\n",
    "Range: bytes=-1\r\n",
    "Range: bytes=0-1,4-5\r\n",
    "Range: lines=1-2\r\n",
    "Range: bytes=0-0\r\nIf-Range: \"one\"\r\n",
    "Range: bytes=99-\r\nIf-Range: \"x\"\r\n",
    "Cache-Control: only-if-cached\r\n",
    "Cache-Control: only-if-cached, max-stale\r\n",
    "Cache-Control: no-cache\r\n",
    "Cache-Control: no-store\r\n",
    "Cache-Control: max-age=0\r\n",
    "Pragma: no-cache\r\n",
    "Accept-Encoding: br\r\n",
    "Accept: image/avif\r\n",
    "Authorization: Basic eDp5\r\n",
    "Cookie: session=1\r\n",
    "Sec-Fetch-Site: same-origin\r\n",
    "Sec-Fetch-Site: none\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\n",
    "Sec-Purpose: prefetch\r\n",
    "X-HTTP-Method-Override: HEAD\r\n",
    "Access-Control-Request-Method: GET\r\n",
    "Max-Forwards: 0\r\n",
    "Via: 1.1 portcullis\r\n",
    "Upgrade: h2c\r\n",
    "Expect: 100-continue\r\n",
    "TE: trailers\r\n",
    "Connection: x\r\n",
    "Connection: if-none-match, range\r\n",
    "Early-Data: 1\r\n",
    "DNT: 1\r\n",
    "Accept: text/html\r\nAccept-Language: de\r\n",
    "X-Forwarded-Proto: https\r\n",
    "Want-Content-Digest: sha-256=1\r\n",
    "Service-Worker: script\r\n",
];

/// All of an answer that is not made anew for each.
fn constant(reply: &Reply) -> (Vec<String>, usize) {
    let own = |line: &&str| {
        !["date:", "portcullis-ref:", "connection:"]
            .iter()
            .any(|name| line.to_lowercase().starts_with(name))
    };
    let mut lines: Vec<String> = reply.head.lines().filter(own).map(str::to_owned).collect();
    lines[1..].sort_unstable();
    (lines, reply.body.len())
}

#[test]
fn a_denial_is_the_same_whatever_is_stored() {
    let country = country_database().display().to_string();
    let mut count = 0;
    for (rule, denied) in RULES {
        let origin = Origin::answering(STORED);
        let proxy = Portcullis::start(
            &origin,
            &format!("{CLIENT}{}", rule.replace("@country@", &country)),
        );
        let mut client = proxy.client();
        for _ in 0..2 {
            assert_eq!(
                client
                    .get("/a.png", "X-Forwarded-For: 192.0.2.1\r\n")
                    .text(),
                "0123456789",
                "{rule}"
            );
        }
        assert_eq!(origin.count(), 1, "it is stored");
        let get = constant(&proxy.client().get("/never.png", denied));
        let head = constant(&proxy.client().head_of("/never.png", denied));
        assert!(get.0[0].contains(" 403 "), "{get:?}");
        for trick in TRICKS {
            let fields = format!("{denied}{trick}");
            let mut client = proxy.client();
            assert_eq!(constant(&client.get("/a.png", &fields)), get, "{fields}");
            let mut client = proxy.client();
            assert_eq!(
                constant(&client.head_of("/a.png", &fields)),
                head,
                "{fields}"
            );
            count += 2;
        }
        assert_eq!(origin.count(), 1, "{rule}");
        // Nor did it change anything for who may have it.
        let stored = proxy
            .client()
            .get("/a.png", "X-Forwarded-For: 192.0.2.1\r\n");
        assert!(
            stored.field("cache-status").unwrap().contains("hit"),
            "{}",
            stored.head
        );
        assert_eq!(origin.count(), 1);
    }
    tried(KIND, count);
}

/// What was stored while a rule only watched, while a path was exempt, or for
/// an exempt client, is denied as soon as the rule holds.
#[test]
fn what_an_older_policy_stored_is_behind_the_new_one() {
    let mut count = 0;
    for (rule, denied) in RULES.iter().filter(|(rule, _)| !rule.contains("geo")) {
        let table = rule.lines().next().unwrap();
        for (before, after) in [
            (format!("{table}\nshadow = true\n"), format!("{table}\n")),
            (
                format!("[access]\nexempt_paths = [\"/a.png\"]\n{table}\n"),
                format!("[access]\nexempt_paths = [\"/b.png\"]\n{table}\n"),
            ),
            (
                format!(
                    "[[route]]\nname = \"x\"\npaths = [\"/a.png\"]\n[route.{}\n{table}\n",
                    open(table)
                ),
                format!(
                    "[[route]]\nname = \"x\"\npaths = [\"/b.png\"]\n[route.{}\n{table}\n",
                    open(table)
                ),
            ),
        ] {
            let rest = rule.strip_prefix(table).unwrap().trim_start();
            // Routes stand behind all tables.
            let text = |front: &str| match front.split_once(table) {
                Some((routes, own)) if routes.contains("[[route]]") => {
                    format!("{CLIENT}{table}{own}{rest}{routes}")
                }
                _ => format!("{CLIENT}{front}{rest}"),
            };
            let origin = Origin::answering(STORED);
            let proxy = Portcullis::start(&origin, &text(&before));
            for _ in 0..2 {
                assert_eq!(
                    proxy.client().get("/a.png", denied).status,
                    200,
                    "{before}{rest}"
                );
            }
            let asked = origin.count();
            proxy.change_policy(&text(&before), &text(&after));
            for trick in TRICKS {
                let fields = format!("{denied}{trick}");
                assert_eq!(
                    proxy.client().get("/a.png", &fields).status,
                    403,
                    "{fields}: {after}{rest}"
                );
                count += 1;
            }
            assert_eq!(origin.count(), asked);
        }
    }
    tried(KIND, count);
}

/// The table of a route that has none of the rule.
fn open(table: &str) -> String {
    let name = table.trim_matches(['[', ']']);
    let off = match name {
        "access.ip" | "access.user_agent" => "block = []",
        "access.origins.delivery" => "patterns = []",
        _ => "mode = \"off\"",
    };
    format!("{name}]\n{off}")
}

/// One path of the origin by two hosts, one of which is open: what is stored
/// for that one is not given away under the name of the other.
#[test]
fn two_routes_to_one_place() {
    let origin = Origin::answering(STORED);
    let policy = "[client]\ntrusted_proxies = [\"127.0.0.1\"]\n[origin]\nurl = \"@origin@\"\nhost = \"one.example\"\n\
        [access.ip]\nblock = [\"203.0.113.9\"]\n[[route]]\nname = \"open\"\nhosts = [\"open.example\"]\npaths = [\"/a.png\"]\n\
        [route.access.ip]\nblock = []\n";
    let proxy = Portcullis::start(&origin, policy);
    let denied = "X-Forwarded-For: 203.0.113.9\r\n";
    let mut count = 0;
    for _ in 0..2 {
        let asked = format!("GET /a.png HTTP/1.1\r\nHost: open.example\r\n{denied}\r\n");
        assert_eq!(proxy.client().send(asked).reply().status, 200);
    }
    for line in [
        "GET /a.png HTTP/1.1\r\nHost: img.example.com\r\n",
        "GET http://img.example.com/a.png HTTP/1.1\r\nHost: open.example\r\n",
        "GET http://open.example/a.png HTTP/1.1\r\nHost: img.example.com\r\n",
        "GET /a.png HTTP/1.1\r\nHost: one.example\r\n",
        "GET /a.png HTTP/1.1\r\nHost: img.example.com\r\nX-Forwarded-Host: open.example\r\n",
        "GET /A.png HTTP/1.1\r\nHost: open.example\r\n",
        "GET /a.png/ HTTP/1.1\r\nHost: open.example\r\n",
        "GET /a.png%20 HTTP/1.1\r\nHost: open.example\r\n",
        "GET /a.png. HTTP/1.1\r\nHost: open.example\r\n",
        "GET /a.png%3f HTTP/1.1\r\nHost: open.example\r\n",
        "GET /a.png;x HTTP/1.1\r\nHost: open.example\r\n",
        "GET /x/..%2fa.png HTTP/1.1\r\nHost: open.example\r\n",
        "GET /a.png HTTP/1.1\r\nHost: open.example.evil.example\r\n",
        "GET /a.png HTTP/1.1\r\nHost: xopen.example\r\n",
        "GET /a.png HTTP/1.0\r\n",
        "GET /a.png HTTP/1.0\r\nX-Forwarded-Host: open.example\r\n",
        "GET /a.png HTTP/1.1\r\nHost: open.example\r\nHost: img.example.com\r\n",
        "GET /a.png HTTP/1.1\r\n",
        "GET /a.png HTTP/1.1\r\nHost:\r\n",
        "GET /a.png HTTP/1.1\r\nHost: img.example.com\r\nForwarded: host=open.example\r\n",
        "HEAD http://127.0.0.1/a.png HTTP/1.0\r\n",
        "GET //open.example/a.png HTTP/1.1\r\nHost: img.example.com\r\n",
        "GET https://open.example:443/a.png HTTP/1.1\r\nHost: img.example.com\r\n",
        "GET open.example/a.png HTTP/1.1\r\nHost: img.example.com\r\n",
        "GET open.example:80 HTTP/1.1\r\nHost: img.example.com\r\n",
        "GET ?/a.png HTTP/1.1\r\nHost: open.example\r\n",
        "GET * HTTP/1.1\r\nHost: open.example\r\n",
    ] {
        for trick in [
            "",
            "If-None-Match: *\r\n",
            "Cache-Control: only-if-cached\r\n",
        ] {
            let mut client = proxy.client();
            let (status, head) = client.send(format!("{line}{denied}{trick}\r\n")).head();
            assert!(matches!(status, 400 | 403), "{line}: {head}");
            count += 1;
        }
    }
    assert_eq!(origin.count(), 1);
    tried(KIND, count);
}
