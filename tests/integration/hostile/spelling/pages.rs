//! Pages: what a Referer or an `Origin` field is to a browser.

use super::ways::{Attack, Question};
use super::{KIND, Random, cases};
use crate::support::tried;

pub(super) const NO_CACHE: &str = "[cache]\nmemory = \"0\"\n";

const PAGES: usize = 500;

/// Lists that deny evil.example, by a blocklist or by not naming it.
const LISTS: &[(&str, &[&str])] = &[
    (
        "[access.referrer]\nmode = \"block\"\nurls = [\"https://evil.example\", \"https://fa\u{df}.example\", \"http://192.0.2.7\"]\n",
        &["Referer"],
    ),
    (
        "[access.referrer]\nmode = \"allow\"\nmissing = \"allow\"\nurls = [\"https://good.example\", \"https://fass.example\", \"http://192.0.2.8\"]\n",
        &["Referer"],
    ),
    (
        "[access.origins.delivery]\nmissing = \"allow\"\npatterns = [\"good.example\", \"**.good.example\", \"192.0.2.8\"]\n",
        &["Referer", "Origin"],
    ),
];

/// Hosts that browsers take for one that is denied.
const EVIL: &[&str] = &[
    "evil.example",
    "evil.example",
    "EVIL.Example",
    "evil.example.",
    "%65vil.example",
    "evil%2eexample",
    "e%76il%2Eexample.",
    "evil\u{3002}example",
    "evil\u{ff0e}example",
    "\u{ff45}vil.example",
    "ev\u{ad}il.example",
    "evil.ex\u{200b}ample",
    "evi\u{2060}l.example",
    "\u{24d4}vil.example",
    "e\tvil.example",
    "evil.exam\tple",
    "%ef%bd%85vil.example",
    "evil%E3%80%82example",
    "fa\u{df}.example",
    "FA\u{1e9e}.example",
    "xn--fa-hia.example",
    "XN--FA-HIA.example",
    "192.0.2.7",
    "192.0.519",
    "3221225991",
    "0xc0000207",
    "0300.0.02.07",
    "192.0.0x207",
    "0xC0.0.0x2.7",
    "192.0.2.7.",
    "\u{ff11}92.0.2.7",
    "030000001007",
];

const SCHEMES: &[&str] = &[
    "https://",
    "https://",
    "http://",
    "HTTPS://",
    "hTTp://",
    "https:/",
    "https:",
    "https:///",
    "https:\\\\",
    "https:/\\",
    "https:\\",
    "ht\ttps://",
    "https\t://",
    "https:/\t/",
    "wss://",
    "ftp://",
    "ws:",
    "http:////",
];

const USERS: &[&str] = &[
    "",
    "",
    "",
    "",
    "u@",
    "u:p@",
    "good.example@",
    "good.example:443@",
    "https:%2F%2Fgood.example%2F@",
    "@",
    ":@",
    "u@good.example@",
    "good.example%2f@",
    "good.example%23@",
    "good.example%5c@",
];

const PORTS: &[&str] = &[
    "",
    "",
    "",
    "",
    ":80",
    ":443",
    ":8443",
    ":0443",
    ":",
    ":00000443",
    ":\t80",
];

const BEHIND: &[&str] = &[
    "",
    "/",
    "/x",
    "?x",
    "#x",
    "\\",
    "\\@good.example/",
    "/@good.example",
    "?@good.example",
    "#@good.example",
    "#good.example",
    "/https://good.example/",
    "\\good.example",
    "/\\good.example",
    "/..//good.example",
    "?.good.example",
    "/ x",
    "/\u{fc}",
];

fn evil_page(random: &mut Random) -> Vec<u8> {
    let parts = [SCHEMES, USERS, EVIL, PORTS, BEHIND].map(|list| random.one(list));
    format!(
        "{}{}{}",
        random.one(&["", "", "", " ", "\t", "  \t"]),
        parts.concat(),
        random.one(&["", "", " ", "\t "])
    )
    .into_bytes()
}

#[test]
fn a_denied_page_is_so_however_its_url_is_written() {
    for (number, (list, fields)) in LISTS.iter().enumerate() {
        let mut attack = Attack::start(&format!("{NO_CACHE}{list}"));
        let mut random = Random(0x5eed_0b5e_55ed_0007 + number as u64);
        for _ in 0..cases(PAGES) {
            let page = evil_page(&mut random);
            let name = random.one(fields);
            let mut question = Question::get("/a.jpg").field(name, &page);
            if random.chance(20) {
                question = question.field("Sec-Fetch-Site", random.one(&["same-origin", "none"]));
            }
            if random.chance(10) {
                question.method = "HEAD".into();
            }
            assert_eq!(
                attack.ask(&question),
                [403; 3],
                "{list}: {name}: {}",
                page.escape_ascii()
            );
        }
        assert_eq!(attack.origin().count(), 0);
        tried(KIND, attack.tried);
    }
}

/// What has a listed host in it and is another page, or none at all.
pub(super) const NOT_GOOD: &[&str] = &[
    "https://good.example@evil.example/",
    "https://good.example:443@evil.example",
    "https://evil.example\\@good.example/",
    "https://evil.example/good.example",
    "https://evil.example?good.example",
    "https://evil.example#@good.example",
    "https://good.example.evil.example/",
    "https://evilgood.example/",
    "https://good-example/",
    "https://good.example%2eevil.example/",
    "https://good.example%00.evil.example/",
    "https://good.example%2f.evil.example/",
    "https://good.example%23.evil.example",
    "https://good.example\u{ff0f}.evil.example/",
    "https://good.example\u{2044}.evil.example/",
    "https://good.example\u{ff03}.evil.example/",
    "https://good.example\u{3002}evil.example/",
    "https://goo\u{501}.example/",
    "https://g\u{43e}\u{43e}d.example/",
    "https://good.examp\u{142}e/",
    "https://good.example../",
    "https://.good.example/",
    "https://good..example/",
    "https://xn--good-.example/",
    "https://[good.example]/",
    "https://[::ffff:192.0.2.8]/",
    "blob:https://good.example/7f0e",
    "filesystem:https://good.example/temporary/x",
    "view-source:https://good.example/",
    "data:text/html,https://good.example/",
    "about:blank#https://good.example/",
    "about:srcdoc",
    "//good.example/",
    "/\\good.example/",
    "good.example",
    "good.example/x",
    "https//good.example/",
    "://good.example/",
    "https://",
    "https:// good.example/",
    "https://good.example /",
    "https://good.example,evil.example/",
    "https://good.example;evil.example/",
    "https://good.example/ https://evil.example/x\u{0}",
    "null https://good.example",
    "\u{feff}https://good.example/",
    "\u{a0}https://good.example/",
    "\u{2003}https://good.example/",
    "<https://good.example/>",
    "\"https://good.example/\"",
    "https://good.example:99999/",
    "https://good.example:x/",
    "https://good.example:443:80/",
    "https://good.example:-1/",
    "https://fa\u{df}.example/",
    "https://xn--fa-hia.example/",
    "https://go\u{200d}od.example/",
    "https://go\u{200c}od.example/",
    "http://192.0.2.8.evil.example/",
    "http://192.0.2.264/",
    "http://1.192.0.2.8/",
    "http://192.0.2.8%2f.evil.example",
    "https://evil.example:80\\@good.example",
    "https:\\\\evil.example\\good.example",
    "https:evil.example/good.example",
    "file://good.example.evil.example/",
    "https://good.example\u{e9}.evil.example/",
    "*",
    "https://%/",
    "%",
];

#[test]
fn what_only_looks_like_a_listed_page_is_not_one() {
    for (list, fields) in &LISTS[1..] {
        let mut attack = Attack::start(&format!("{NO_CACHE}{list}"));
        for name in *fields {
            for page in NOT_GOOD {
                let question = Question::get("/a.jpg").field(name, page);
                for status in attack.ask(&question) {
                    assert!(matches!(status, 0 | 400 | 403), "{status}: {name}: {page}");
                }
            }
            let good = "https://good.example";
            let long = format!("{good}/{}", "x".repeat(8 * 1024));
            for page in [
                &b"https://good.example/\xff"[..],
                b"https://good\xc0\xaeexample/",
                b"\xffhttps://good.example",
                b"https://good.example\x80",
                long.as_bytes(),
            ] {
                let question = Question::get("/a.jpg").field(name, page);
                assert_eq!(
                    attack.ask(&question),
                    [403; 3],
                    "{name}: {}",
                    page.escape_ascii()
                );
            }
            for (first, second) in [
                (good, "https://evil.example"),
                ("https://evil.example", good),
                (good, good),
                ("", good),
                (good, ""),
            ] {
                let question = Question::get("/a.jpg")
                    .field(name, first)
                    .field(&name.to_uppercase(), second);
                assert_eq!(
                    attack.ask(&question),
                    [403; 3],
                    "{name}: {first} and {second}"
                );
            }
            for joined in [
                format!("{good}, https://evil.example"),
                format!("https://evil.example, {good}"),
                format!("{good} https://evil.example"),
            ] {
                let question = Question::get("/a.jpg").field(name, &joined);
                // A browser reads the second and third as a path behind a host that is none.
                assert_eq!(attack.ask(&question), [403; 3], "{name}: {joined}");
            }
        }
        assert_eq!(attack.origin().count(), 0);
        tried(KIND, attack.tried);
    }
}
