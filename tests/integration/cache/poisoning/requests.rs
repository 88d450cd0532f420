//! Requests that are more than they seem: bodies, methods, framing, ranges.

use super::{EVIL, attacked, echoing};
use crate::cache::support::{FRESH, echo, in_turn, is_hit, ok, response};
use crate::support::{Origin, Portcullis, eventually};

/// Defence: a GET with a body is neither answered from the cache nor stored
/// (section 9).
#[test]
fn a_fat_get_is_nobodys_but_its_own() {
    for method in ["GET", "HEAD"] {
        for body in [
            "Content-Length: 6\r\n\r\nq=evil",
            "Transfer-Encoding: chunked\r\n\r\n6\r\nq=evil\r\n0\r\n\r\n",
        ] {
            let (origin, proxy) = echoing("");
            let mut attacker = proxy.client();
            attacker.send(format!(
                "{method} / HTTP/1.1\r\nHost: img.example.com\r\n{body}"
            ));
            attacker.head();
            let mut client = proxy.client();
            let victim = client.get("/", "");
            assert!(!victim.text().contains(EVIL), "{victim:?}");
            assert_eq!(origin.count(), 2);
            attacker = proxy.client();
            attacker.send(format!(
                "{method} / HTTP/1.1\r\nHost: img.example.com\r\n{body}"
            ));
            attacker.head();
            assert_eq!(origin.count(), 3, "nor is it answered from the cache");
            assert!(is_hit(&mut client, "/", "Content-Length: 0\r\n"));
        }
    }
}

/// Defence: the override fields end here; the method that is keyed is the one
/// that the origin sees.
#[test]
fn a_method_cannot_be_overridden() {
    let fields =
        "X-HTTP-Method-Override: DELETE\r\nX-HTTP-Method: DELETE\r\nX-Method-Override: DELETE\r\n";
    let told = attacked("", fields);
    assert!(
        told.contains("GET / HTTP/1.1\r\n") && !told.contains("DELETE"),
        "{told}"
    );
}

/// Defence: only GET fills (and HEAD never stores, shortens or removes a body).
#[test]
fn head_stores_nothing_that_get_would_be_given() {
    let origin = Origin::answered_by(|asked| match asked.line().starts_with("HEAD ") {
        true => response("404 Not Found", &format!("{FRESH}X-Evil: evil\r\n"), ""),
        false => ok(FRESH, "body"),
    });
    let proxy = Portcullis::start(&origin, "");
    let mut client = proxy.client();
    client.head_of("/", "");
    for _ in 0..2 {
        let victim = client.get("/", "");
        assert_eq!((victim.status, victim.text()), (200, "body"));
        assert!(!victim.head.contains(EVIL));
        client.head_of("/", "");
    }
}

/// Defence: no range or condition of a client gets into a fill, and what they
/// are answered where they are passed on fills nothing (section 9).
#[test]
fn ranges_and_conditions_make_no_stored_response() {
    let origin = || {
        Origin::answered_by(|asked| {
            let partial = |range: &str| {
                let fields = format!("{FRESH}Content-Range: bytes {range}/4\r\n");
                response("206 Partial Content", &fields, "evil")
            };
            if asked.field("range").is_some() || asked.field("request-range").is_some() {
                return partial("0-3");
            }
            let conditional = |name: &&str| asked.field(name).is_some();
            if ["if-match", "if-unmodified-since"].iter().any(conditional) {
                return response("412 Precondition Failed", FRESH, "evil");
            }
            if ["if-none-match", "if-modified-since"]
                .iter()
                .any(conditional)
            {
                return format!("HTTP/1.1 304 Not Modified\r\n{FRESH}\r\n");
            }
            ok(FRESH, "body")
        })
    };
    for attack in [
        "Range: bytes=0-0",
        "Range: bytes=1-",
        "Range: bytes=-1",
        "Range: bytes=99999-",
        "Range: bytes=0-0,2-2",
        "Range: evil=1",
        "Range: bytes=0-0\r\nIf-Range: \"x\"",
        "Request-Range: bytes=0-0",
        "If-Match: \"evil\"",
        "If-Unmodified-Since: Mon, 01 Jan 1990 00:00:00 GMT",
        "If-None-Match: *",
        "If-None-Match: \"evil\"",
        "If-Modified-Since: Fri, 01 Jan 2100 00:00:00 GMT",
    ] {
        let origin = origin();
        let proxy = Portcullis::start(&origin, "");
        let mut client = proxy.client();
        client.get("/", &format!("{attack}\r\n"));
        for _ in 0..2 {
            let victim = client.get("/", "");
            assert_eq!((victim.status, victim.text()), (200, "body"), "{attack}");
        }
    }
}

/// Defence: `Content-Length` beside `Transfer-Encoding` does not count and the
/// connection ends with the request (section 10), so that no second request
/// hides in the first.
#[test]
fn a_smuggled_request_is_none() {
    for method in ["POST", "GET"] {
        let (origin, proxy) = echoing("");
        let mut attacker = proxy.client();
        let smuggled = "GET /victim HTTP/1.1\r\nHost: img.example.com\r\nX-Evil: evil\r\n\r\n";
        attacker.send(format!(
            "{method} /victim HTTP/1.1\r\nHost: img.example.com\r\nContent-Length: {}\r\n\
             Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n{smuggled}",
            5 + smuggled.len()
        ));
        attacker.reply();
        attacker.until_cut();
        let victim = proxy.client().get("/victim", "");
        assert!(!victim.text().contains(EVIL), "{victim:?}");
        let heads = origin.asked();
        assert!(heads.iter().all(|asked| asked.field("x-evil").is_none()));
    }
}

/// Defence: an origin connection on which more came than one response is not
/// used again, so that a surplus response is never taken for the next one's.
#[test]
fn a_second_response_is_not_stored_for_the_next_request() {
    let origin = Origin::scripted(|conversation| {
        while let Some(asked) = conversation.request() {
            let target = asked.target().to_owned();
            let one = ok(FRESH, &target);
            match target.as_str() {
                "/attack" => conversation.say(one + &ok(FRESH, "evil")),
                _ => conversation.say(one),
            }
        }
    });
    let proxy = Portcullis::start(&origin, "");
    let mut client = proxy.client();
    for number in 0..20 {
        client.get(
            "/attack",
            &format!("Cookie: {number}\r\nCache-Control: no-store\r\n"),
        );
        let path = format!("/victim{number}");
        assert_eq!(client.get(&path, "").text(), path);
        assert_eq!(client.get(&path, "").text(), path);
    }
}

/// Defence: a body cut short is never stored, and never made to look whole.
#[test]
fn a_response_cut_short_is_not_kept() {
    let origin = Origin::scripted(|conversation| {
        if conversation.connection > 0 {
            while conversation.request().is_some() {
                conversation.say(ok(FRESH, "whole"));
            }
            return;
        }
        conversation.request();
        conversation.say(format!(
            "HTTP/1.1 200 OK\r\n{FRESH}Content-Length: 9\r\n\r\nevil"
        ));
    });
    let proxy = Portcullis::start(&origin, "");
    let mut attacker = proxy.client();
    attacker.ask("GET", "/", "").until_cut();
    eventually("the victim gets all", || {
        proxy.client().get("/", "").text() == "whole"
    });
}

/// Defence: credentials of one client make no response for another (RFC 9111
/// section 3.5), whatever else the request is.
#[test]
fn what_one_clients_credentials_fetched_is_its_own() {
    let origin = Origin::answered_by(|asked| match asked.field("authorization") {
        Some(_) => ok(FRESH, "secret"),
        None => response("401 Unauthorized", "WWW-Authenticate: Basic\r\n", "no"),
    });
    let proxy = Portcullis::start(&origin, "");
    let mut client = proxy.client();
    for attack in ["", "Connection: Authorization\r\n", "Range: bytes=0-\r\n"] {
        let fields = format!("Authorization: Basic eA==\r\n{attack}");
        assert!(
            client.get("/", &fields).text().starts_with("secret"),
            "{attack}"
        );
        assert_eq!(client.get("/", "").status, 401, "{attack}");
    }
}

/// Defence: `_` and other odd characters make no name that is passed on
/// (section 4): an origin that folds them (CGI) would read another field.
#[test]
fn names_that_an_origin_folds_into_others_are_dropped() {
    let origin = echo(FRESH);
    let proxy = Portcullis::start(&origin, "");
    let fields = "Content_Length: 9\r\nX_Forwarded_For: evil\r\nAccept_Encoding: evil\r\nX!Host: evil\r\nX~: evil\r\n";
    proxy.client().get("/", fields);
    let names = origin.only().names();
    let odd = |name: &String| !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    assert!(!names.iter().any(odd), "{names:?}");
}

/// Defence: what never passes on (section 4) does not get there behind a stale answer either, though
/// the stored form has it; and what comes takes the place of what was stale.
#[test]
fn what_vary_names_and_never_passes_on() {
    const PRIVATE: &str = "Forwarded: for=192.0.2.1\r\nX-Real-IP: 192.0.2.2\r\n\
        X-Original-URL: /admin\r\nX-HTTP-Method-Override: DELETE\r\nX_Own: 3\r\n\
        TE: trailers\r\nUpgrade: h2c\r\nProxy-Authorization: Basic eA==\r\n\
        CF-Connecting-IP: 192.0.2.4\r\n";
    let names = PRIVATE.lines().filter_map(|line| line.split_once(':'));
    let names: Vec<_> = names.map(|(name, _)| name.to_lowercase()).collect();
    let vary = format!("Vary: Own, {}\r\n", names.join(", "));
    let stale = "Cache-Control: max-age=1, stale-while-revalidate=60\r\nAge: 5\r\n";
    let first = format!("{stale}{vary}");
    let next = format!("{FRESH}{vary}");
    let origin = in_turn(move |number| match number {
        1 => ok(&first, "old"),
        _ => ok(&next, "new"),
    });
    let proxy = Portcullis::start(&origin, "[client]\nheader = \"cf-connecting-ip\"\n");
    let mut client = proxy.client();
    let fields = format!("{PRIVATE}Own: 5\r\n");
    client.get("/", &fields);
    eventually("the new one is served", || {
        client.get("/", &fields).text() == "new"
    });
    for asked in origin.asked() {
        let head = asked.head.to_lowercase();
        assert!(head.contains("\r\nown: 5\r\n"), "{head}");
        for name in &names {
            assert!(!head.contains(&format!("\r\n{name}:")), "{name}: {head}");
        }
    }
    assert_eq!(origin.count(), 2);
}
