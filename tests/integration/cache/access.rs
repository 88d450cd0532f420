//! Access comes before the cache, also where the answer is in it.

use super::support::{FRESH, is_hit, logged, numbered, ok, status};
use crate::support::{Origin, Portcullis};

#[test]
fn the_denied_get_nothing_that_is_stored() {
    let origin = numbered(&format!("{FRESH}ETag: \"one\"\r\n"));
    let policy = "[access.user_agent]\nblock = [\"bad\"]\n\
        [access.referrer]\nmode = \"allow\"\nurls = [\"https://good.example\"]\nmissing = \"allow\"\n";
    let proxy = Portcullis::start(&origin, policy);
    let mut client = proxy.client();
    client.get("/a.png", "");
    assert!(is_hit(
        &mut client,
        "/a.png",
        "Referer: https://good.example/\r\n"
    ));
    for denied in ["User-Agent: bad\r\n", "Referer: https://evil.example/\r\n"] {
        for more in [
            "",
            "If-None-Match: \"one\"\r\n",
            "If-None-Match: *\r\n",
            "If-Modified-Since: Fri, 01 Jan 2100 00:00:00 GMT\r\n",
            "Range: bytes=0-0\r\n",
            "Cache-Control: only-if-cached\r\n",
        ] {
            let reply = client.get("/a.png", &format!("{denied}{more}"));
            assert_eq!(reply.status, 403, "{denied}{more}");
            for name in ["etag", "age", "cache-status"] {
                assert_eq!(reply.field(name), None, "{}", reply.head);
            }
        }
        assert_eq!(client.head_of("/a.png", denied).status, 403);
    }
    assert_eq!(origin.count(), 1);
    let told = logged(proxy);
    assert_eq!(told[1].as_deref(), Some("hit"));
    assert!(told[2..].iter().all(Option::is_none), "{told:?}");
}

#[test]
fn the_denied_are_not_let_into_a_fill() {
    let gate = super::support::Gate::default();
    let wait = gate.clone();
    let origin = Origin::answered_by(move |_| {
        wait.wait();
        ok(FRESH, "x")
    });
    let proxy = Portcullis::start(&origin, "[access.user_agent]\nblock = [\"bad\"]\n");
    let mut leader = proxy.client();
    leader.ask("GET", "/", "");
    crate::support::eventually("it is asked for", || origin.count() == 1);
    assert_eq!(proxy.client().get("/", "User-Agent: bad\r\n").status, 403);
    gate.open();
    assert_eq!(leader.reply().text(), "x");
}

/// A policy in force now decides about what was stored under another.
#[test]
fn a_new_rule_holds_for_what_is_stored() {
    let origin = numbered(FRESH);
    let policy = "[access.user_agent]\nblock = [\"bad\"]\n";
    let proxy = Portcullis::start(&origin, policy);
    let mut client = proxy.client();
    client.get("/", "User-Agent: worse\r\n");
    assert!(is_hit(&mut client, "/", "User-Agent: worse\r\n"));
    proxy.change_policy("\"bad\"", "\"worse\"");
    assert_eq!(client.get("/", "User-Agent: worse\r\n").status, 403);
    assert!(
        is_hit(&mut client, "/", "User-Agent: bad\r\n"),
        "what is stored stays"
    );
}

#[test]
fn responses_of_routes_with_rules_leave_as_private_from_storage_too() {
    let origin = numbered("Cache-Control: public, max-age=600\r\n");
    let policy = "[access]\ndownstream = \"private\"\n[access.user_agent]\nblock = [\"bad\"]\n";
    let proxy = Portcullis::start(&origin, policy);
    let mut client = proxy.client();
    for (hit, fields) in [(false, ""), (true, ""), (true, "If-None-Match: *\r\n")] {
        let reply = client.get("/", fields);
        assert_eq!(status(&reply).hit, hit);
        let told = reply.field("cache-control").unwrap();
        assert!(
            told.contains("private") && !told.contains("public"),
            "{told}"
        );
    }
}

/// An origin that allows what `allow` makes of the `Origin` field.
fn sharing(allow: fn(Option<String>) -> Option<String>) -> Origin {
    Origin::answered_by(move |asked| {
        let allowed = allow(asked.field("origin"));
        let line = allowed.map_or(String::new(), |allowed| {
            format!("Access-Control-Allow-Origin: {allowed}\r\n")
        });
        ok(&format!("{FRESH}{line}"), "x")
    })
}

const ASKED: [&str; 4] = [
    "",
    "Origin: https://a.example\r\n",
    "Origin: https://b.example\r\n",
    "Origin: null\r\n",
];

#[test]
fn what_is_for_every_origin_is_stored_once() {
    for first in ASKED {
        let origin = sharing(|_| Some("*".to_owned()));
        let proxy = Portcullis::start(&origin, "");
        let mut client = proxy.client();
        client.get("/", first);
        for other in ASKED {
            assert!(is_hit(&mut client, "/", other), "{first} {other}");
        }
        assert_eq!(origin.count(), 1);
    }
}

/// Section 9: an origin that forgets `Vary: Origin` gives nobody the word
/// meant for another.
#[test]
fn what_is_for_one_origin_fits_no_other() {
    let allows: [fn(Option<String>) -> Option<String>; 3] = [
        |origin| origin,
        |_| None,
        |_| Some("https://a.example".to_owned()),
    ];
    for (number, allow) in allows.into_iter().enumerate() {
        let origin = sharing(allow);
        let proxy = Portcullis::start(&origin, "");
        let mut client = proxy.client();
        for hit in [false, true] {
            for fields in ASKED {
                let reply = client.get("/", fields);
                assert_eq!(status(&reply).hit, hit, "{number}: {fields}");
                let asked = fields.strip_prefix("Origin: ").map(|f| f.trim().to_owned());
                let told = reply.field("access-control-allow-origin");
                assert_eq!(told, allow(asked), "{fields}");
            }
        }
        assert_eq!(origin.count(), ASKED.len());
    }
}
