//! Conditional requests answered from storage, and the cache's own.

use super::support::{FRESH, STALE, in_turn, is_hit, logged, not_modified, numbered, ok, status};
use crate::support::{Origin, Portcullis};

const MODIFIED: &str = "Wed, 01 Jan 2025 00:00:00 GMT";

#[test]
fn conditions_are_met_from_storage() {
    let before = "Tue, 31 Dec 2024 00:00:00 GMT";
    let after = "Thu, 02 Jan 2025 00:00:00 GMT";
    let origin = numbered(&format!(
        "{FRESH}ETag: \"one\"\r\nLast-Modified: {MODIFIED}\r\nVary: X-Lang\r\nContent-Location: /b\r\n\
         Expires: Fri, 01 Jan 2100 00:00:00 GMT\r\nContent-Type: text/css\r\n"
    ));
    let proxy = Portcullis::start(&origin, "");
    let mut client = proxy.client();
    client.get("/", "");
    for (fields, expected) in [
        ("If-None-Match: \"one\"\r\n".to_owned(), 304),
        ("If-None-Match: W/\"one\"\r\n".to_owned(), 304),
        ("If-None-Match: \"two\", \"one\"\r\n".to_owned(), 304),
        (
            "If-None-Match: \"two\"\r\nIf-None-Match: \"one\"\r\n".to_owned(),
            304,
        ),
        ("If-None-Match: *\r\n".to_owned(), 304),
        ("If-None-Match: \"two\"\r\n".to_owned(), 200),
        ("If-None-Match: one\r\n".to_owned(), 200),
        (format!("If-Modified-Since: {MODIFIED}\r\n"), 304),
        (format!("If-Modified-Since: {after}\r\n"), 304),
        (format!("If-Modified-Since: {before}\r\n"), 200),
        ("If-Modified-Since: yesterday\r\n".to_owned(), 200),
        (
            format!("If-None-Match: \"two\"\r\nIf-Modified-Since: {after}\r\n"),
            200,
        ),
        (
            format!("If-None-Match: \"one\"\r\nIf-Modified-Since: {before}\r\n"),
            304,
        ),
    ] {
        let reply = client.get("/", &fields);
        assert_eq!(reply.status, expected, "{fields}");
        assert!(status(&reply).hit, "{fields}");
        // RFC 9110 section 15.4.5, and what tells how old it is.
        for name in [
            "etag",
            "date",
            "cache-control",
            "vary",
            "content-location",
            "expires",
            "age",
        ] {
            assert!(reply.field(name).is_some(), "{name} of {}", reply.head);
        }
    }
    assert_eq!(origin.count(), 1);
}

#[test]
fn a_fill_carries_no_condition_of_its_client() {
    for fields in [
        "If-None-Match: \"one\"\r\n",
        "If-None-Match: *\r\n",
        "If-Modified-Since: Fri, 01 Jan 2100 00:00:00 GMT\r\n",
        "Range: bytes=0-\r\nIf-Range: \"one\"\r\n",
    ] {
        let origin = numbered(&format!("{FRESH}ETag: \"one\"\r\n"));
        let proxy = Portcullis::start(&origin, "");
        let mut client = proxy.client();
        let first = client.get("/", fields);
        let names = origin.only().names();
        assert!(
            !names.iter().any(|n| n.starts_with("if-") || n == "range"),
            "{names:?}"
        );
        let expected = match fields.contains("Range") {
            true => 206,
            false => 304,
        };
        assert_eq!(first.status, expected, "the client's condition is met here");
        assert_eq!(client.get("/", "").text(), "1");
    }
}

#[test]
fn what_is_stale_is_validated_and_fresh_again() {
    let origin = Origin::answered_by(|asked| match asked.field("if-none-match") {
        None => ok(
            &format!("{STALE}Last-Modified: {MODIFIED}\r\nX-Turn: 1\r\nX-Kept: 1\r\n"),
            "body",
        ),
        Some(_) => not_modified(&format!(
            "{FRESH}ETag: \"one\"\r\nX-Turn: 2\r\nSet-Cookie: a=1\r\n"
        )),
    });
    let proxy = Portcullis::start(&origin, "");
    let mut client = proxy.client();
    client.get("/", "");
    let second = client.get(
        "/",
        "If-None-Match: \"mine\"\r\nIf-Modified-Since: never\r\n",
    );
    let asked = origin.last();
    assert_eq!(asked.field("if-none-match").as_deref(), Some("\"one\""));
    assert_eq!(asked.field("if-modified-since").as_deref(), Some(MODIFIED));
    assert_eq!((second.status, second.text()), (200, "body"));
    let told = status(&second);
    assert_eq!(told.fwd.as_deref(), Some("stale"), "{}", second.head);
    assert_eq!(told.fwd_status, Some(304));
    let third = client.get("/", "");
    assert!(status(&third).hit && third.text() == "body");
    for (name, value) in [
        ("x-turn", Some("2")),
        ("x-kept", Some("1")),
        ("set-cookie", None),
    ] {
        assert_eq!(third.field(name).as_deref(), value);
    }
    assert!(third.field("age").unwrap().parse::<u64>().unwrap() < 60);
    assert_eq!(client.get("/", "If-None-Match: \"one\"\r\n").status, 304);
    assert_eq!(origin.count(), 2);
    let told = logged(proxy);
    let told: Vec<_> = told.iter().flatten().collect();
    assert_eq!(told, ["miss", "revalidated", "hit", "hit"]);
}

#[test]
fn what_changed_takes_the_place_of_what_was_stale() {
    let origin = in_turn(|number| match number {
        1 => ok(STALE, "old"),
        _ => ok(&format!("{FRESH}ETag: \"two\"\r\n"), "new"),
    });
    let proxy = Portcullis::start(&origin, "");
    let mut client = proxy.client();
    assert_eq!(client.get("/", "").text(), "old");
    let second = client.get("/", "");
    assert_eq!(second.text(), "new");
    assert_eq!(status(&second).fwd.as_deref(), Some("stale"));
    assert_eq!(client.get("/", "").text(), "new");
    assert_eq!(origin.count(), 2);
}

/// RFC 9111 section 4.3.3: the origin's word counts, also that it fails.
#[test]
fn an_error_is_passed_on_where_stale_is_not_allowed() {
    let origin = in_turn(|number| match number {
        2 => super::support::response("500 No", "", "down"),
        _ => ok(STALE, "up"),
    });
    let proxy = Portcullis::start(&origin, "");
    let mut client = proxy.client();
    client.get("/", "");
    assert_eq!(client.get("/", "").status, 500);
    assert_eq!(client.get("/", "").status, 200, "and is not stored");
}

#[test]
fn a_304_that_names_another_response_freshens_nothing() {
    let origin = in_turn(|number| match number {
        1 => ok(STALE, "old"),
        2 => not_modified(&format!("{FRESH}ETag: \"other\"\r\n")),
        _ => ok(FRESH, "new"),
    });
    let proxy = Portcullis::start(&origin, "");
    let mut client = proxy.client();
    client.get("/", "");
    let reply = client.get("/", "");
    assert_ne!(reply.status, 304, "the client sent no condition");
    assert_eq!(client.get("/", "").text(), "new");
}

#[test]
fn head_never_harms_a_stored_body() {
    let origin = in_turn(|number| match number {
        1 => ok(&format!("{STALE}Content-Type: text/css\r\n"), "whole"),
        2 => ok(&format!("{FRESH}ETag: \"two\"\r\n"), "longer than that"),
        _ => ok(&format!("{FRESH}ETag: \"three\"\r\n"), "third"),
    });
    let proxy = Portcullis::start(&origin, "");
    let mut client = proxy.client();
    client.get("/", "");
    client.head_of("/", "");
    let reply = client.get("/", "");
    assert!(["whole", "third"].contains(&reply.text()), "{reply:?}");
}

#[test]
fn head_on_a_miss_leaves_get_a_whole_body() {
    let origin = numbered(FRESH);
    let proxy = Portcullis::start(&origin, "");
    let mut client = proxy.client();
    let head = client.head_of("/", "");
    assert_eq!(
        (head.status, head.field("content-length").as_deref()),
        (200, Some("1"))
    );
    let body = client.get("/", "");
    assert_eq!(body.body.len(), 1);
    assert!(is_hit(&mut client, "/", ""));
}

/// RFC 9111 section 4.3.5.
#[test]
fn a_head_that_passes_freshens_what_is_stale() {
    let origin = in_turn(|number| {
        match number {
        1 => ok(STALE, "body"),
        _ => "HTTP/1.1 200 OK\r\nCache-Control: max-age=600\r\nETag: \"one\"\r\nContent-Length: 4\r\n\r\n".to_owned(),
    }
    });
    let proxy = Portcullis::start(&origin, "");
    let mut client = proxy.client();
    client.get("/", "");
    client.send("HEAD / HTTP/1.1\r\nHost: img.example.com\r\n\r\n");
    assert_eq!(client.head().0, 200);
    let reply = client.get("/", "");
    assert!(status(&reply).hit, "{}", reply.head);
    assert_eq!((reply.text(), origin.count()), ("body", 2));
}
