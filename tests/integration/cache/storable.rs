//! What may be stored, and what of it is kept.

use super::support::{FRESH, numbered, ok, response, status};
use crate::support::{Origin, Portcullis};

/// Whether what comes with `fields` to a request with `asked` is stored.
fn is_stored(policy: &str, asked: &str, fields: &str) -> bool {
    let origin = numbered(fields);
    let proxy = Portcullis::start(&origin, policy);
    let mut client = proxy.client();
    let first = status(&client.get("/", asked)).stored;
    let second = status(&client.get("/", asked)).hit;
    assert_eq!(first, second, "what is told is so: {asked}{fields}");
    assert_eq!(origin.count(), 2 - usize::from(second));
    second
}

#[test]
fn by_the_directives_of_the_response() {
    for (fields, stored) in [
        ("Cache-Control: max-age=600", true),
        ("Cache-Control: max-age=600, private", false),
        ("Cache-Control: max-age=600, PRIVATE", false),
        (
            "Cache-Control: max-age=600\r\nCache-Control: no-store",
            false,
        ),
        ("Cache-Control: max-age=600, private=\"x-mine\"", true),
        ("Cache-Control: max-age=600\r\nVary: *", false),
        (
            "Cache-Control: max-age=600, must-understand, no-store",
            true,
        ),
        (
            "Cache-Control: max-age=600, unknown, a=\"private, no-store\"",
            true,
        ),
        ("Cache-Control: public", false),
    ] {
        assert_eq!(
            is_stored("", "", &format!("{fields}\r\n")),
            stored,
            "{fields}"
        );
    }
}

#[test]
fn authorization_needs_leave() {
    let asked = "Authorization: Basic eA==\r\n";
    for (fields, stored) in [
        ("Cache-Control: max-age=600", false),
        ("Cache-Control: max-age=600, public", true),
        ("Cache-Control: max-age=600, must-revalidate", true),
        ("Cache-Control: s-maxage=600", true),
        ("Cache-Control: max-age=600, public, private", false),
        ("Expires: Fri, 01 Jan 2100 00:00:00 GMT", false),
    ] {
        assert_eq!(
            is_stored("", asked, &format!("{fields}\r\n")),
            stored,
            "{fields}"
        );
    }
}

#[test]
fn set_cookie_as_the_policy_says() {
    for (mode, stored, kept) in [
        ("", true, false),
        ("[cache]\nset_cookie = \"strip\"\n", true, false),
        ("[cache]\nset_cookie = \"keep\"\n", true, true),
        ("[cache]\nset_cookie = \"bypass\"\n", false, true),
    ] {
        let origin = numbered(&format!("{FRESH}Set-Cookie: id=1\r\nSet-Cookie: b=2\r\n"));
        let proxy = Portcullis::start(&origin, mode);
        let mut client = proxy.client();
        let first = client.get("/", "");
        assert_eq!(first.head.matches("set-cookie: ").count(), 2, "{mode}");
        let second = client.get("/", "");
        assert_eq!(status(&second).hit, stored, "{mode}");
        assert_eq!(second.head.contains("set-cookie: "), kept, "{mode}");
    }
}

/// A policy that keeps cookies may have been a mistake: what it stored says
/// nothing of them any more once it is gone.
#[test]
fn cookies_that_an_earlier_policy_kept_do_not_leave() {
    for mode in ["strip", "bypass"] {
        let origin = numbered(&format!("{FRESH}ETag: \"one\"\r\nSet-Cookie: id=1\r\n"));
        let proxy = Portcullis::start(&origin, "[cache]\nset_cookie = \"keep\"\n");
        let mut client = proxy.client();
        client.get("/", "");
        assert!(client.get("/", "").field("set-cookie").is_some());
        proxy.change_policy("\"keep\"", &format!("\"{mode}\""));
        for fields in ["", "If-None-Match: *\r\n", "Range: bytes=0-0\r\n"] {
            let hit = client.get("/", fields);
            assert!(status(&hit).hit, "{mode}");
            assert_eq!(hit.field("set-cookie"), None, "{mode} {fields}");
        }
    }
}

#[test]
fn fields_that_end_here_or_are_for_one_client_are_not_kept() {
    let origin = numbered(
        "Cache-Control: max-age=600, private=\"X-Mine, x-also\", no-cache=\"x-unsure\"\r\n\
         X-Mine: 1\r\nX-Also: 1\r\nX-Unsure: 1\r\nX-Named: 1\r\nConnection: x-named\r\n\
         Keep-Alive: timeout=5\r\nProxy-Authenticate: Basic\r\nX-Kept: 1\r\n",
    );
    let proxy = Portcullis::start(&origin, "");
    let mut client = proxy.client();
    let first = client.get("/", "");
    for name in ["x-mine", "x-also", "x-unsure"] {
        assert!(first.field(name).is_some(), "its own client gets {name}");
    }
    let hit = client.get("/", "");
    assert!(status(&hit).hit);
    for name in ["x-mine", "x-also", "x-unsure", "x-named", "keep-alive"] {
        assert_eq!(hit.field(name), None, "{name}");
    }
    assert_eq!(hit.field("x-kept").as_deref(), Some("1"));
}

/// Section 9: what an attacker can provoke is not worth keeping.
#[test]
fn errors_that_a_client_can_provoke_stay_for_ten_seconds_at_most() {
    for code in [
        400, 405, 411, 412, 413, 414, 415, 416, 417, 421, 426, 431, 501,
    ] {
        let origin = Origin::answered_by(move |_| {
            response(
                &format!("{code} No"),
                "Cache-Control: max-age=3600, public\r\n",
                "no",
            )
        });
        let proxy = Portcullis::start(&origin, "");
        let mut client = proxy.client();
        assert_eq!(client.get("/", "").status, code);
        let second = client.get("/", "");
        assert_eq!(second.status, code);
        let told = status(&second);
        assert!(!told.hit || told.ttl.unwrap() <= 10, "{code}: {told:?}");
    }
}

#[test]
fn partial_content_that_nobody_asked_for_is_not_stored() {
    let origin = Origin::answered_by(|_| {
        let fields = format!("{FRESH}Content-Range: bytes 0-1/10\r\n");
        response("206 Partial Content", &fields, "01")
    });
    let proxy = Portcullis::start(&origin, "");
    let mut client = proxy.client();
    for _ in 0..2 {
        let reply = client.get("/", "");
        let told = status(&reply);
        assert!(!told.hit && !told.stored, "{}", reply.head);
    }
    assert_eq!(origin.count(), 2);
}

#[test]
fn a_body_over_max_object_passes_through_and_is_not_stored() {
    let policy = "[cache]\nmax_object = \"1 KiB\"\n";
    let long = "x".repeat(10 * 1024);
    let chunked: String = (0..10)
        .map(|_| format!("400\r\n{}\r\n", "x".repeat(1024)))
        .collect();
    let chunked =
        format!("HTTP/1.1 200 OK\r\n{FRESH}Transfer-Encoding: chunked\r\n\r\n{chunked}0\r\n\r\n");
    for answer in [ok(FRESH, &long), chunked] {
        let origin = Origin::answered_by(move |_| answer.clone());
        let proxy = Portcullis::start(&origin, policy);
        let mut client = proxy.client();
        for number in 1..=2 {
            assert_eq!(client.get("/", "").text(), long);
            assert_eq!(origin.count(), number);
        }
    }
    let at_most = "x".repeat(1024);
    let origin = Origin::answered_by(move |_| ok(FRESH, &at_most));
    let proxy = Portcullis::start(&origin, policy);
    let mut client = proxy.client();
    client.get("/", "");
    assert!(status(&client.get("/", "")).hit);
}
