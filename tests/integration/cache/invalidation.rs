//! Unsafe methods invalidate what they may have changed (RFC 9111 section 4.4).

use super::support::{FRESH, in_turn, is_hit, ok, response};
use crate::support::{Client, Origin, Portcullis};

/// Sends `method` to `path` with a body.
fn change(client: &mut Client, method: &str, path: &str) -> u16 {
    client
        .ask(method, path, "Content-Length: 1\r\n")
        .send("x")
        .reply()
        .status
}

/// An origin whose answers to unsafe methods have these fields.
fn changed_with(status: &'static str, fields: &'static str) -> Origin {
    Origin::answered_by(move |asked| match asked.line().starts_with("GET ") {
        true => ok(&format!("{FRESH}Vary: X-Lang\r\n"), "x"),
        false => response(status, fields, ""),
    })
}

#[test]
fn all_forms_of_the_target_go() {
    for method in ["POST", "PUT", "PATCH", "DELETE"] {
        let proxy = Portcullis::start(&changed_with("204 Done", ""), "");
        let mut client = proxy.client();
        for (path, fields) in [("/", ""), ("/", "X-Lang: de\r\n"), ("/other", "")] {
            client.get(path, fields);
        }
        client.get("/a.png", "Accept: image/webp\r\n");
        assert_eq!(change(&mut client, method, "/"), 204);
        assert_eq!(change(&mut client, method, "/a.png"), 204);
        assert!(!is_hit(&mut client, "/", ""), "{method}");
        assert!(!is_hit(&mut client, "/", "X-Lang: de\r\n"), "{method}");
        assert!(
            !is_hit(&mut client, "/a.png", "Accept: image/webp\r\n"),
            "{method}"
        );
        assert!(is_hit(&mut client, "/other", ""), "{method}");
    }
}

#[test]
fn a_failed_or_safe_request_invalidates_nothing() {
    for (method, status) in [
        ("POST", "404 No"),
        ("PUT", "500 No"),
        ("DELETE", "403 No"),
        ("OPTIONS", "200 OK"),
    ] {
        let proxy = Portcullis::start(&changed_with(status, ""), "");
        let mut client = proxy.client();
        client.get("/", "");
        change(&mut client, method, "/");
        assert!(is_hit(&mut client, "/", ""), "{method} {status}");
    }
}

#[test]
fn redirects_count_as_success() {
    let proxy = Portcullis::start(&changed_with("303 See Other", ""), "");
    let mut client = proxy.client();
    client.get("/", "");
    change(&mut client, "POST", "/");
    assert!(!is_hit(&mut client, "/", ""));
}

#[test]
fn what_the_answer_names_goes_too_if_it_is_of_the_same_host() {
    for (fields, gone) in [
        ("Location: /new\r\n", true),
        ("Content-Location: /new\r\n", true),
        ("Content-Location: new\r\n", true),
        ("Location: http://img.example.com/new\r\n", true),
        ("Location: http://IMG.example.com:80/x/../new#f\r\n", true),
        ("Location: http://other.example/new\r\n", false),
        ("Location: https://img.example.com/new\r\n", false),
        ("Location: http://img.example.com:81/new\r\n", false),
        ("Location: %%%\r\n", false),
    ] {
        let proxy = Portcullis::start(&changed_with("201 Created", fields), "");
        let mut client = proxy.client();
        client.get("/new", "");
        client.get("/old", "");
        change(&mut client, "POST", "/here");
        assert_eq!(!is_hit(&mut client, "/new", ""), gone, "{fields}");
        assert!(is_hit(&mut client, "/old", ""), "{fields}");
    }
}

/// What a POST is answered is nothing that a GET may have.
#[test]
fn a_response_to_an_unsafe_method_is_not_stored() {
    let origin = in_turn(|number| {
        let fields = format!("{FRESH}Content-Location: /\r\n");
        ok(&fields, &number.to_string())
    });
    let proxy = Portcullis::start(&origin, "");
    let mut client = proxy.client();
    change(&mut client, "POST", "/");
    assert_eq!(client.get("/", "").text(), "2");
}

/// A route that loses its cache and gets it back has nothing in it that was
/// changed meanwhile.
#[test]
fn a_change_counts_while_the_route_has_no_cache() {
    let proxy = Portcullis::start(
        &changed_with("204 Done", ""),
        "[[route]]\nname = \"a\"\n[route.cache]\nenabled = true\n",
    );
    let mut client = proxy.client();
    client.get("/", "");
    assert!(is_hit(&mut client, "/", ""));
    proxy.change_policy("enabled = true", "enabled = false");
    assert_eq!(change(&mut client, "POST", "/"), 204);
    proxy.change_policy("enabled = false", "enabled = true");
    assert!(!is_hit(&mut client, "/", ""));
}

/// A client that is refused changes nothing.
#[test]
fn a_denied_request_invalidates_nothing() {
    let origin = changed_with("204 Done", "");
    let proxy = Portcullis::start(&origin, "[access.user_agent]\nblock = [\"bad\"]\n");
    let mut client = proxy.client();
    client.get("/", "");
    let fields = "User-Agent: bad\r\nContent-Length: 0\r\n";
    assert_eq!(client.ask("DELETE", "/", fields).reply().status, 403);
    assert!(is_hit(&mut client, "/", ""));
    assert_eq!(origin.count(), 1);
}

/// What was fetched before a change and comes after it is not kept.
#[test]
fn a_fill_that_began_before_a_change_is_not_stored() {
    let gate = super::support::Gate::default();
    let wait = gate.clone();
    let origin = Origin::scripted(move |conversation| {
        while let Some(asked) = conversation.request() {
            let old = asked.field("x-old").is_some();
            if old {
                wait.wait();
            }
            conversation.say(ok(FRESH, if old { "old" } else { "new" }));
        }
    });
    let proxy = Portcullis::start(&origin, "");
    let mut early = proxy.client();
    early.ask("GET", "/", "X-Old: 1\r\n");
    crate::support::eventually("it is asked for", || origin.count() == 1);
    change(&mut proxy.client(), "PUT", "/");
    gate.open();
    assert_eq!(early.reply().text(), "old");
    assert_eq!(proxy.client().get("/", "").text(), "new");
}
