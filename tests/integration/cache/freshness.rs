//! How long what is stored stays fresh, as the origin or the policy say.

use super::support::{ago, numbered, response, status};
use crate::support::{Origin, Portcullis, eventually};

/// The `ttl` of a hit on what was stored with `fields`, if it is one.
fn ttl(policy: &str, code: &str, path: &str, asked: &str, fields: &str) -> Option<i64> {
    let answer = response(code, fields, "x");
    let origin = Origin::answered_by(move |_| answer.clone());
    let proxy = Portcullis::start(&origin, policy);
    let mut client = proxy.client();
    client.get(path, asked);
    let told = status(&client.get(path, asked));
    told.hit.then(|| told.ttl.unwrap())
}

fn assert_ttl(found: Option<i64>, expected: Option<i64>, what: &str) {
    match expected {
        None => assert_eq!(found, None, "{what}"),
        Some(most) => {
            let found = found.unwrap_or_else(|| panic!("no hit: {what}"));
            assert!((most - 30..=most).contains(&found), "{found}: {what}");
        }
    }
}

#[test]
fn what_the_origin_says() {
    let date = ago(0);
    let expires = |seconds| {
        let when = std::time::SystemTime::now() + std::time::Duration::from_secs(seconds);
        format!("Expires: {}\r\n", httpdate::fmt_http_date(when))
    };
    for (fields, expected) in [
        ("Cache-Control: max-age=100\r\n".to_owned(), Some(100)),
        ("Cache-Control: max-age=\"100\"\r\n".to_owned(), Some(100)),
        ("Cache-Control: MAX-AGE=100\r\n".to_owned(), Some(100)),
        (
            "Cache-Control: max-age=100\r\nAge: 40\r\n".to_owned(),
            Some(60),
        ),
        (
            "Cache-Control: max-age=100, s-maxage=50\r\n".to_owned(),
            Some(50),
        ),
        (
            "Cache-Control: s-maxage=50\r\nCache-Control: max-age=1\r\n".to_owned(),
            Some(50),
        ),
        (
            "CDN-Cache-Control: max-age=50\r\nCache-Control: no-store\r\n".to_owned(),
            Some(50),
        ),
        (
            "CDN-Cache-Control: no-store\r\nCache-Control: max-age=50\r\n".to_owned(),
            None,
        ),
        (
            format!("{}Cache-Control: max-age=50\r\n", expires(900)),
            Some(50),
        ),
        (format!("Date: {date}\r\n{}", expires(100)), Some(100)),
        ("Expires: 0\r\n".to_owned(), None),
        ("Cache-Control: max-age=0\r\n".to_owned(), None),
        ("Cache-Control: no-cache, max-age=100\r\n".to_owned(), None),
        (format!("Last-Modified: {}\r\n", ago(1000)), Some(100)),
        (
            format!("Last-Modified: {}\r\n", ago(86400 * 100)),
            Some(86400),
        ),
        (
            format!("Last-Modified: {}\r\nSet-Cookie: a=1\r\n", ago(1000)),
            None,
        ),
        (String::new(), None),
    ] {
        assert_ttl(ttl("", "200 OK", "/", "", &fields), expected, &fields);
    }
}

#[test]
fn heuristics_are_not_for_queries_nor_for_who_may_be_told_apart() {
    let fields = format!("Last-Modified: {}\r\n", ago(1000));
    for (path, asked) in [
        ("/?a", ""),
        ("/", "Cookie: a=1\r\n"),
        ("/", "Authorization: Basic eA==\r\n"),
    ] {
        assert_ttl(ttl("", "200 OK", path, asked, &fields), None, asked);
    }
    for (code, expected) in [
        ("404 Not Found", Some(100)),
        ("410 Gone", Some(100)),
        ("414 URI Too Long", None),
        ("501 Not Implemented", None),
        ("302 Found", None),
        ("503 Service Unavailable", None),
    ] {
        assert_ttl(ttl("", code, "/", "", &fields), expected, code);
    }
}

#[test]
fn what_the_policy_says_where_the_origin_is_silent() {
    let policy = "[cache]\ndefault_ttl = \"50s\"\n";
    let modified = format!("Last-Modified: {}\r\n", ago(1000));
    for (code, fields, expected) in [
        ("200 OK", "", Some(50)),
        ("404 Not Found", "", None),
        ("200 OK", "Cache-Control: max-age=40\r\n", Some(40)),
        ("200 OK", "Cache-Control: no-store\r\n", None),
        ("200 OK", "Cache-Control: private\r\n", None),
        ("200 OK", "Expires: 0\r\n", None),
        ("200 OK", &modified, Some(100)),
    ] {
        assert_ttl(ttl(policy, code, "/", "", fields), expected, fields);
    }
    let route =
        "[[route]]\nname = \"r\"\npaths = [\"/r/**\"]\n[route.cache]\ndefault_ttl = \"40s\"\n";
    assert_ttl(
        ttl(route, "200 OK", "/r/x", "", ""),
        Some(40),
        "in the route",
    );
    assert_ttl(ttl(route, "200 OK", "/x", "", ""), None, "beside the route");
}

#[test]
fn what_a_client_asks_of_the_age() {
    let origin = numbered("Cache-Control: max-age=600\r\nAge: 100\r\n");
    let proxy = Portcullis::start(&origin, "");
    let mut client = proxy.client();
    client.get("/", "");
    for asked in ["max-age=300", "min-fresh=100"] {
        let reply = client.get("/", &format!("Cache-Control: {asked}\r\n"));
        assert!(status(&reply).hit, "{asked}");
    }
    for asked in ["max-age=50", "min-fresh=550"] {
        // As for `no-cache`: no more than once a second.
        eventually("the origin is asked", || {
            let reply = client.get("/", &format!("Cache-Control: {asked}\r\n"));
            !status(&reply).hit
        });
    }
    let origin = numbered("Cache-Control: max-age=600\r\nAge: 700\r\nETag: \"e\"\r\n");
    let proxy = Portcullis::start(&origin, "");
    let mut client = proxy.client();
    client.get("/", "");
    let stale = client.get("/", "Cache-Control: max-stale=500\r\n");
    assert_eq!((stale.text(), status(&stale).hit), ("1", true));
    assert!(status(&stale).ttl.unwrap() < 0);
    assert_eq!(
        client.get("/", "Cache-Control: max-stale=50\r\n").text(),
        "2"
    );
}
