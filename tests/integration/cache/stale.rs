//! Stale responses: served while they are fetched anew, and where the origin fails.

use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use super::support::{FRESH, Gate, STALE, in_turn, is_hit, logged, numbered, ok, response, status};
use crate::support::{Client, Origin, Portcullis, Reply, eventually};

/// Stale, and may be served for a while: by `stale-while-revalidate` or
/// `stale-if-error`.
fn stale(allowance: &str) -> String {
    format!("Cache-Control: max-age=1, {allowance}=60\r\nAge: 5\r\nETag: \"one\"\r\n")
}

/// Answers `first` with the body `old`; what comes later waits for the gate
/// and gets `new`.
fn held_back(first: String, gate: &Gate) -> Origin {
    let gate = gate.clone();
    in_turn(move |number| match number {
        1 => ok(&first, "old"),
        _ => {
            gate.wait();
            ok(FRESH, "new")
        }
    })
}

#[test]
fn one_fetch_behind_while_stale_is_served() {
    let gate = Gate::default();
    let origin = held_back(stale("stale-while-revalidate"), &gate);
    let proxy = Portcullis::start(&origin, "");
    let mut client = proxy.client();
    client.get("/", "");
    for _ in 0..5 {
        let reply = proxy.client().get("/", "");
        assert_eq!(reply.text(), "old");
        let told = status(&reply);
        assert!(told.hit && told.ttl.unwrap() < 0, "{told:?}");
        assert!(reply.field("age").unwrap().parse::<u64>().unwrap() >= 5);
    }
    eventually("it is fetched", || origin.count() == 2);
    gate.open();
    eventually("the new one is served", || {
        client.get("/", "").text() == "new"
    });
    assert_eq!(origin.count(), 2);
    let told: Vec<_> = logged(proxy).into_iter().flatten().collect();
    let count = |word: &str| told.iter().filter(|told| *told == word).count();
    assert_eq!((count("miss"), count("joined")), (1, 0), "{told:?}");
    assert!(count("stale") >= 5 && count("hit") >= 1, "{told:?}");
}

/// What the origin has instead is too long to be stored: it is fetched once,
/// not behind every answer.
#[test]
fn what_became_too_long_is_fetched_once() {
    let long = "x".repeat(64 * 1024);
    for known in [true, false] {
        let long = long.clone();
        let origin = in_turn(move |number| match (number, known) {
            (1, _) => ok(&stale("stale-while-revalidate"), "old"),
            (_, true) => ok(FRESH, &long),
            (_, false) => {
                let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n";
                let chunk = format!("{:x}\r\n{long}\r\n0\r\n\r\n", long.len());
                format!("{head}{FRESH}\r\n{chunk}")
            }
        });
        let proxy = Portcullis::start(&origin, "[cache]\nmax_object = \"16 KiB\"\n");
        let mut client = proxy.client();
        client.get("/", "");
        eventually("the old one is gone", || {
            client.get("/", "Cache-Control: only-if-cached\r\n").status == 504
        });
        assert_eq!(origin.count(), 2, "{known}");
    }
}

/// Also where nobody is to wait for responses of that key.
#[test]
fn one_fetch_behind_where_the_key_is_not_shared() {
    let gate = Gate::default();
    let wait = gate.clone();
    let origin = in_turn(move |number| match number {
        1 => ok(&stale("stale-while-revalidate"), "old"),
        2 => ok("Cache-Control: no-store\r\n", "own"),
        _ => {
            wait.wait();
            ok(FRESH, "new")
        }
    });
    let proxy = Portcullis::start(&origin, "");
    let mut client = proxy.client();
    client.get("/", "");
    let own = client.get("/", "Origin: http://a.test\r\n");
    assert_eq!(own.text(), "own");
    for _ in 0..5 {
        assert_eq!(client.get("/", "").text(), "old");
    }
    let behind = || proxy.server.counters().sum(|w| w.cache.background.get());
    assert_eq!(behind(), 1);
    gate.open();
    eventually("the new one is served", || {
        client.get("/", "").text() == "new"
    });
    assert_eq!(origin.count(), 3);
}

#[test]
fn an_origin_that_fails_is_not_asked_behind_every_stale_answer() {
    let origin = in_turn(|number| match number {
        1 => ok(&stale("stale-while-revalidate"), "old"),
        _ => response("500 Internal Server Error", "", "broken"),
    });
    let proxy = Portcullis::start(&origin, "");
    let mut client = proxy.client();
    let start = Instant::now();
    for _ in 0..100 {
        assert_eq!(client.get("/", "").text(), "old");
    }
    eventually("it is asked", || origin.count() > 1);
    let seconds = start.elapsed().as_secs() as usize;
    assert!(origin.count() <= seconds + 3, "{}", origin.count());
}

#[test]
fn a_304_behind_makes_it_fresh() {
    let origin = in_turn(|number| match number {
        1 => ok(&stale("stale-while-revalidate"), "old"),
        _ => super::support::not_modified(FRESH),
    });
    let proxy = Portcullis::start(&origin, "");
    let mut client = proxy.client();
    client.get("/", "");
    eventually("it is fresh", || {
        let reply = client.get("/", "");
        assert_eq!(reply.text(), "old");
        status(&reply).ttl.unwrap() > 0
    });
    assert_eq!(origin.count(), 2);
}

/// Section 9: the fetch is nobody's, so it says nothing of whoever set it off.
#[test]
fn a_fetch_behind_carries_no_clients_fields_but_the_keys() {
    let gate = Gate::default();
    let first = format!(
        "{}Vary: X-Lang\r\nLast-Modified: Wed, 01 Jan 2025 00:00:00 GMT\r\n",
        stale("stale-while-revalidate")
    );
    let origin = held_back(first, &gate);
    let proxy = Portcullis::start(&origin, "[cache_key]\nfield = \"x-cache-key\"\n");
    let mut client = proxy.client();
    let fields = "X-Lang: de\r\nAccept-Encoding: gzip\r\n";
    client.get("/a.png", fields);
    let more = "Cookie: a=1\r\nX-Anything: 1\r\nUser-Agent: me\r\nReferer: http://a/\r\n\
        Accept-Language: de\r\nIf-None-Match: \"mine\"\r\nIf-Modified-Since: Thu, 02 Jan 2025 00:00:00 GMT\r\n\
        X-Forwarded-For: 203.0.113.9\r\nAuthorization: Basic eA==\r\nRange: bytes=0-1\r\nTE: trailers\r\n\
        Via: 1.0 fred\r\n";
    assert!(is_hit(&mut client, "/a.png", &format!("{fields}{more}")));
    eventually("it is fetched", || origin.count() == 2);
    gate.open();
    let asked = origin.last();
    for (name, value) in [
        ("x-lang", "de"),
        ("accept", "*/*"),
        ("accept-encoding", "gzip"),
        ("host", "img.example.com"),
        ("x-cache-key", "http://img.example.com/a.png original"),
        ("if-none-match", "\"one\""),
        ("if-modified-since", "Wed, 01 Jan 2025 00:00:00 GMT"),
        ("x-forwarded-proto", "http"),
        ("x-forwarded-host", "img.example.com"),
    ] {
        assert_eq!(asked.field(name).as_deref(), Some(value), "{name}");
    }
    let allowed = [
        "accept",
        "accept-encoding",
        "host",
        "if-modified-since",
        "if-none-match",
        "via",
        "x-cache-key",
        "x-forwarded-host",
        "x-forwarded-proto",
        "x-lang",
    ];
    assert_eq!(asked.names(), allowed);
}

#[test]
fn a_fetch_behind_that_fails_harms_nobody_and_is_tried_again() {
    let origin = in_turn(|number| match number {
        1 => ok(&stale("stale-while-revalidate"), "old"),
        2 => response("500 No", "", "down"),
        3 => response("503 No", "Cache-Control: no-store\r\n", "down"),
        4 => response("429 No", "", "down"),
        _ => ok(FRESH, "new"),
    });
    let proxy = Portcullis::start(&origin, "");
    let mut client = proxy.client();
    eventually("the new one is served", || {
        let reply = client.get("/", "");
        assert_eq!(reply.status, 200);
        reply.text() == "new"
    });
    assert_eq!(origin.count(), 5);
}

/// What a client gets for `/` after the origin answered `fields` once and
/// then `second`.
fn after(policy: &str, fields: &str, second: &'static str) -> Reply {
    let first = ok(fields, "old");
    let origin = in_turn(move |number| match number {
        1 => first.clone(),
        _ => response(second, "", "new"),
    });
    let proxy = Portcullis::start(&origin, policy);
    let mut client = proxy.client();
    client.get("/", "");
    client.get("/", "")
}

#[test]
fn stale_where_the_origin_fails() {
    let configured = "[cache]\nstale_if_error = \"60s\"\n";
    for (code, expected) in [
        ("500 No", "old"),
        ("502 No", "old"),
        ("503 No", "old"),
        ("504 No", "old"),
        ("404 No", "new"),
        ("400 No", "new"),
    ] {
        for (policy, fields) in [
            ("", stale("stale-if-error")),
            (configured, STALE.to_owned()),
        ] {
            let reply = after(policy, &fields, code);
            assert_eq!(reply.text(), expected, "{code} {fields}");
            if expected == "old" {
                assert_eq!(reply.status, 200);
                let told = status(&reply);
                // Whether it counts as a hit is open: it was asked for in vain.
                assert!(told.hit || told.fwd.as_deref() == Some("stale"), "{told:?}");
            }
        }
    }
}

#[test]
fn stale_is_never_served_where_the_origin_forbids_it() {
    let configured = "[cache]\nstale_if_error = \"60s\"\nstale_while_revalidate = \"60s\"\n";
    let own = "stale-if-error=60, stale-while-revalidate=60";
    for (policy, directives) in [
        (configured, "max-age=1, must-revalidate".to_owned()),
        (configured, "max-age=1, proxy-revalidate".to_owned()),
        (configured, "max-age=1, no-cache".to_owned()),
        (configured, "max-age=600, no-cache".to_owned()),
        (configured, "s-maxage=1".to_owned()),
        (configured, "s-maxage=1, max-age=600".to_owned()),
        ("", format!("max-age=1, must-revalidate, {own}")),
        ("", format!("max-age=1, proxy-revalidate, {own}")),
        ("", format!("max-age=1, no-cache, {own}")),
    ] {
        let fields = format!("Cache-Control: {directives}\r\nAge: 5\r\nETag: \"one\"\r\n");
        let reply = after(policy, &fields, "500 No");
        assert!(reply.status >= 500, "{directives}: {reply:?}");
        assert!(!status(&reply).hit, "{directives}");
    }
    let fields = format!("Cache-Control: s-maxage=1, {own}\r\nAge: 5\r\n");
    assert_eq!(
        after("", &fields, "500 No").text(),
        "old",
        "its own windows"
    );
    let over = "Cache-Control: max-age=1, stale-if-error=60\r\nAge: 100\r\nETag: \"one\"\r\n";
    assert_eq!(after("", over, "500 No").status, 500, "beyond the window");
}

/// An origin that answers one request and is then gone.
fn answers_once(answer: String) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        use std::io::{Read as _, Write as _};
        let (mut stream, _) = listener.accept().unwrap();
        drop(listener);
        let _ = stream.read(&mut [0; 4096]);
        let _ = stream.write_all(answer.as_bytes());
    });
    address
}

#[test]
fn stale_where_the_origin_is_gone() {
    for (fields, expected) in [(stale("stale-if-error"), 200), (STALE.to_owned(), 502)] {
        let address = answers_once(ok(&format!("{fields}Connection: close\r\n"), "old"));
        let proxy = Portcullis::start_at(address, "");
        let mut client = proxy.client();
        client.get("/", "");
        eventually("its port is closed", || {
            std::net::TcpStream::connect(address).is_err()
        });
        let reply = client.get("/", "");
        assert_eq!(reply.status, expected);
        if expected == 200 {
            assert_eq!(reply.text(), "old");
            assert_eq!(logged(proxy)[1].as_deref(), Some("stale"));
        }
    }
}

#[test]
fn stale_where_the_origin_says_nothing() {
    let gate = Gate::default();
    let origin = held_back(stale("stale-if-error"), &gate);
    let policy = "[origin]\nurl = \"@origin@\"\nresponse_timeout = \"200ms\"\nretries = 0\n";
    let proxy = Portcullis::start(&origin, policy);
    let mut client = proxy.client();
    client.get("/", "");
    assert_eq!(client.get("/", "").text(), "old");
    assert_eq!(client.get("/other", "").status, 504);
    gate.open();
}

/// Section 9: at most one request a second and key.
#[test]
fn a_clients_no_cache_is_worth_one_request_a_second() {
    for fields in [
        "Cache-Control: no-cache\r\n",
        "Cache-Control: max-age=0\r\n",
        "Pragma: no-cache\r\n",
    ] {
        let origin = numbered(FRESH);
        let proxy = Portcullis::start(&origin, "");
        let mut client = proxy.client();
        let start = Instant::now();
        for _ in 0..50 {
            client.get("/", fields);
            proxy.client().get("/", fields);
        }
        let most = 2 + start.elapsed().as_secs() as usize;
        assert!(origin.count() <= most, "{} for {fields}", origin.count());
        let before = origin.count();
        eventually("it is asked after all", || {
            client.get("/", fields);
            origin.count() > before
        });
    }
}

#[test]
fn the_responses_own_no_cache_is_obeyed_every_time() {
    let origin = numbered("Cache-Control: no-cache, max-age=600\r\nETag: \"one\"\r\n");
    let proxy = Portcullis::start(&origin, "");
    let mut client: Client = proxy.client();
    for number in 1..=5 {
        assert_eq!(client.get("/", "").text(), number.to_string());
    }
}

/// Nothing newer is stored where the origin fails, and it is not asked more
/// often for that.
#[test]
fn a_clients_no_cache_is_worth_no_more_where_the_origin_fails() {
    let asked = AtomicUsize::new(0);
    let origin = Origin::scripted(move |conversation| {
        while conversation.request().is_some() {
            match asked.fetch_add(1, Ordering::Relaxed) {
                0 => conversation.say(ok(FRESH, "kept")),
                _ => return,
            }
        }
    });
    let proxy = Portcullis::start(&origin, "");
    let mut client = proxy.client();
    client.get("/", "");
    let anew = "Cache-Control: no-cache\r\n";
    eventually("it is asked", || client.get("/", anew).status == 502);
    let (start, before) = (Instant::now(), origin.count());
    for _ in 0..50 {
        client.get("/", anew);
    }
    // A connection that turns out to be closed is one request more.
    let most = 2 * (2 + start.elapsed().as_secs() as usize);
    let more = origin.count() - before;
    assert!(more <= most, "{more}");
}

/// Whoever only wants heads sets off the same fetch, of the whole.
#[test]
fn a_head_keeps_a_response_fresh_too() {
    let origin = in_turn(|number| match number {
        1 => ok(&stale("stale-while-revalidate"), "old"),
        _ => ok(FRESH, "renewed"),
    });
    let proxy = Portcullis::start(&origin, "");
    let mut client = proxy.client();
    client.get("/", "");
    eventually("it is fresh", || {
        let reply = client.head_of("/", "");
        assert!(status(&reply).hit);
        reply.field("content-length").as_deref() == Some("7")
    });
    assert!(origin.last().line().starts_with("GET "));
    assert_eq!(client.get("/", "").text(), "renewed");
    assert_eq!(origin.count(), 2);
}

#[test]
fn a_part_of_what_is_stale_is_served_and_all_of_it_fetched() {
    let origin = in_turn(|number| match number {
        1 => ok(&stale("stale-while-revalidate"), "old"),
        _ => ok(FRESH, "new"),
    });
    let proxy = Portcullis::start(&origin, "");
    let mut client = proxy.client();
    client.get("/", "");
    eventually("it is fresh", || {
        let reply = client.get("/", "Range: bytes=1-1\r\n");
        assert_eq!(reply.status, 206);
        reply.text() == "e"
    });
    assert_eq!(origin.last().field("range"), None);
    assert_eq!(client.get("/", "").text(), "new");
}

#[test]
fn a_crowd_shares_the_failure_and_gets_what_is_stale() {
    let gate = Gate::default();
    let wait = gate.clone();
    let origin = in_turn(move |number| match number {
        1 => ok("Cache-Control: max-age=1, stale-if-error=60\r\n", "old"),
        _ => {
            wait.wait();
            response("503 No", "", "down")
        }
    });
    let proxy = Portcullis::start(&origin, "");
    let mut client = proxy.client();
    client.get("/", "");
    let only = "Cache-Control: only-if-cached\r\n";
    eventually("it is stale", || client.get("/", only).status == 504);
    let mut crowd: Vec<_> = (0..10).map(|_| proxy.client()).collect();
    for client in &mut crowd {
        client.ask("GET", "/", "");
    }
    eventually("the origin is asked", || origin.count() == 2);
    gate.open();
    for client in &mut crowd {
        assert_eq!(client.reply().text(), "old");
    }
}

/// An error that says for how long it may be stored is no better than what is
/// stored.
#[test]
fn an_error_that_may_be_stored_does_not_replace_what_stands_in_for_it() {
    let origin = in_turn(|number| match number {
        1 => ok(&stale("stale-if-error"), "old"),
        _ => response("503 No", FRESH, "down"),
    });
    let proxy = Portcullis::start(&origin, "");
    let mut client = proxy.client();
    client.get("/", "");
    for count in [2, 3] {
        let reply = client.get("/", "");
        assert_eq!((reply.status, reply.text()), (200, "old"));
        assert_eq!(status(&reply).fwd_status, Some(503));
        assert_eq!(origin.count(), count);
    }
}
