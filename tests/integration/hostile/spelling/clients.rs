//! Addresses: what a client, and what a trusted proxy, may write.

use super::ways::{Attack, Question};
use super::{KIND, Random, cases};
use crate::policy::country_database;
use crate::support::tried;

/// Denied by a list or by country; where they come from, one is no better
/// than the other.
const RULES: &str = "[cache]\nmemory = \"0\"\n[access.ip]\nblock = [\"203.0.113.9\", \"203.0.113.128/25\", \
    \"2001:db8:bad::/48\", \"64:ff9b::a00:5\", \"2002:cb00:7109::/48\"]\nexempt = [\"198.51.100.77\"]\n\
    [access.geo]\nmode = \"block\"\ncountries = [\"CN\", \"RU\"]\ndatabase = \"@country@\"\n";

pub(super) fn rules() -> String {
    RULES.replace("@country@", &country_database().display().to_string())
}

const REQUESTS: usize = 400;

/// A denied client, as a proxy that is believed may write it.
pub(super) const DENIED: &[&str] = &[
    "203.0.113.9",
    "203.0.113.9:4711",
    "[::ffff:203.0.113.9]",
    "::ffff:203.0.113.9",
    "::FFFF:CB00:7109",
    "0:0:0:0:0:ffff:203.0.113.9",
    "[::ffff:cb00:7109]:1",
    "64:ff9b::203.0.113.9",
    "0064:ff9b:0::cb00:7109",
    "203.0.113.200",
    "203.0.113.255:65535",
    "2001:db8:bad::1",
    "2001:0DB8:0BAD:0000::0001",
    "[2001:db8:bad:ffff::]:80",
    "64:ff9b::10.0.0.5",
    "2002:cb00:7109::1",
    "198.51.100.64",
    "::ffff:198.51.100.130",
    "64:ff9b::198.51.100.191",
    "2001:db8:8000::7",
    "[2001:db8:9fff::1]:443",
];

/// What a stranger may have written before a trusted proxy saw it.
const FORGED: &[&str] = &[
    "198.51.100.77",
    "8.8.8.8",
    "10.0.0.2",
    "127.0.0.1",
    "::1",
    "unknown",
    "_hidden",
    "",
    " ",
    ",",
    ",,,",
    "\"",
    "\"8.8.8.8\"",
    "0313.0.0161.011",
    "0xcb.0.0x71.9",
    "3405803785",
    "203.0.113.009",
    "fe80::1%eth0",
    "8.8.8.8;",
    "for=8.8.8.8",
    "(",
    "\\",
    "8.8.8.8\t",
    "[",
    "[::1",
    "\u{ff18}.8.8.8",
    "8.8.8.8\u{a0}",
    "198.51.100.77:",
    "198.51.100.77 ",
    "a, \"b",
    "10.0.0.3, 10.0.0.4",
];

/// The last word is the trusted proxy's, whatever stands before it.
#[test]
fn nothing_before_what_a_trusted_proxy_says_counts() {
    let policy =
        "[client]\ntrusted_proxies = [\"127.0.0.1\", \"10.0.0.0/30\"]\n".to_owned() + &rules();
    let mut attack = Attack::start(&policy);
    let mut random = Random(0x5eed_0b5e_55ed_0004);
    for _ in 0..cases(REQUESTS) {
        let mut question = Question::get("/a.jpg");
        let mut last: Vec<&str> = (0..random.below(5)).map(|_| random.one(FORGED)).collect();
        for _ in 0..random.below(3) {
            let line = last.join(random.one(&[",", ", ", " , "]));
            question = question.field(random.one(&["X-Forwarded-For", "x-forwarded-for"]), line);
            last.truncate(random.below(3));
        }
        if random.chance(10) {
            question = question.field(
                "X-Forwarded-For",
                random.one(&["8.8.8.8, "; 1]).repeat(random.below(120)),
            );
        }
        last.push(random.one(DENIED));
        // Hops that are trusted may have added themselves.
        last.extend(
            ["10.0.0.1", "127.0.0.1", "10.0.0.3:99", "::ffff:10.0.0.2"]
                .iter()
                .take(random.below(4)),
        );
        question = question.field(
            "X-Forwarded-For",
            last.join(random.one(&[",", ", ", "\t,  "])),
        );
        for name in [
            "X-Real-IP",
            "Forwarded",
            "CF-Connecting-IP",
            "True-Client-IP",
            "X_Forwarded_For",
            "Via",
            "X-Client-IP",
        ] {
            if random.chance(15) {
                let forged = random.one(&[
                    "198.51.100.77",
                    "for=198.51.100.77",
                    "for=8.8.8.8;by=1.1.1.1",
                ]);
                question = question.field(name, forged);
            }
        }
        assert_eq!(attack.ask(&question), [403; 3], "{question:?}");
    }
    assert_eq!(attack.origin().count(), 0);
    tried(KIND, attack.tried);
}

/// The same for `Forwarded`, whose quotes may swallow what follows them.
#[test]
fn nor_in_a_forwarded_field() {
    let policy = "[client]\ntrusted_proxies = [\"127.0.0.1\"]\nheader = \"forwarded\"\n".to_owned()
        + &rules();
    let mut attack = Attack::start(&policy);
    let mut random = Random(0x5eed_0b5e_55ed_0005);
    let said = [
        "for=203.0.113.9",
        "For=\"203.0.113.9:80\"",
        "FOR=\"[::ffff:203.0.113.9]:_x\"",
        "for=\"[2001:db8:bad::1]\"",
        "by=_x;for=203.0.113.200;proto=https",
        "proto=http; for=\"198.51.100.64\" ;host=\"a,b\"",
        "for=\"203.0.113.9\"",
    ];
    let forged = [
        "for=198.51.100.77",
        "for=8.8.8.8",
        "\"",
        "for=\"",
        "for=\"8.8.8.8",
        "for=\"8.8.8.8\\",
        "a=\"\\\"",
        "\\",
        ";",
        "for=",
        "by=\"x,",
        "host=\"a;for=8.8.8.8",
        "for=\"\\\"8.8.8.8\\\"\"",
        "=",
        ",",
        "for=\"8.8.8.8\",\"",
        "x=\"y\\\\",
        "unknown",
    ];
    for _ in 0..cases(REQUESTS) {
        let mut question = Question::get("/a.jpg");
        for _ in 0..random.below(3) {
            question = question.field("Forwarded", random.one(&forged));
        }
        let mut line: Vec<&str> = (0..random.below(4)).map(|_| random.one(&forged)).collect();
        line.push(random.one(&said));
        question = question.field("Forwarded", line.join(random.one(&[",", ", "])));
        if random.chance(30) {
            question = question.field("X-Forwarded-For", "198.51.100.77");
        }
        assert_eq!(attack.ask(&question), [403; 3], "{question:?}");
    }
    assert_eq!(attack.origin().count(), 0);
    tried(KIND, attack.tried);
}

/// A peer that nobody trusts is the client, whatever it writes; the origin is
/// told so.
#[test]
fn an_untrusted_peer_is_who_it_is() {
    let mut random = Random(0x5eed_0b5e_55ed_0006);
    for (block, expected) in [("127.0.0.1", 403), ("127.0.0.2", 200)] {
        let rule = format!(
            "[access.ip]\nblock = [\"{block}\"]\nexempt = [\"198.51.100.77\"]\n[cache]\nmemory = \"0\"\n"
        );
        let mut attack = Attack::start(&rule);
        for _ in 0..cases(60) {
            let mut question = Question::get("/a.jpg");
            for name in [
                "X-Forwarded-For",
                "Forwarded",
                "X-Real-IP",
                "X-Forwarded-By",
                "Client-IP",
                "X-Forwarded-Proto",
            ] {
                for _ in 0..random.below(3) {
                    let value = if random.chance(50) {
                        random.one(FORGED)
                    } else {
                        random.one(DENIED)
                    };
                    question = question.field(name, value);
                }
            }
            for name in ["Connection"; 2].iter().take(random.below(3)) {
                question = question.field(
                    name,
                    random.one(&[
                        "x-forwarded-for",
                        "close, x-real-ip",
                        "keep-alive, forwarded",
                    ]),
                );
            }
            assert_eq!(attack.ask(&question), [expected; 3], "{question:?}");
        }
        for (_, asked) in attack.received() {
            assert_eq!(asked.field("x-forwarded-for").as_deref(), Some("127.0.0.1"));
            for name in ["forwarded", "x-real-ip", "x-forwarded-by"] {
                assert_eq!(asked.field(name), None, "{}", asked.head);
            }
        }
        tried(KIND, attack.tried);
    }
}
