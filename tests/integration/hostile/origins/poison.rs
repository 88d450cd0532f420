//! Answers that are well-formed, and meant to harm whoever comes next.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::KIND;
use crate::cache::support::{in_turn, ok, status};
use crate::support::{Origin, Portcullis, eventually, tried};

const ONE_WORKER: &str = "[server]\nlisten = [\"127.0.0.1:0\"]\nworkers = 1\n";

/// Defence: what a 304 adds to a stored head is bounded
/// (`cache/validation.rs`); a map of fields panics when it is full.
#[test]
fn validations_do_not_grow_what_is_stored() {
    const TIMES: usize = 500;
    const EACH: usize = 90;
    let count = AtomicUsize::new(0);
    // Each adds fields of its own. Whoever asks without conditions gets a body.
    let origin = Origin::answered_by(move |asked| {
        let number = count.fetch_add(1, Ordering::Relaxed);
        let fields = (0..EACH).map(|n| format!("X-{number}-{n}: 1\r\n"));
        let stale = "Cache-Control: max-age=1\r\nAge: 5\r\nETag: \"e\"\r\n";
        let fields = format!("{stale}{}", fields.collect::<String>());
        match asked.field("if-none-match") {
            None => ok(&fields, "body"),
            Some(_) => format!("HTTP/1.1 304 Not Modified\r\n{fields}\r\n"),
        }
    });
    let proxy = Portcullis::start(&origin, ONE_WORKER);
    let mut client = proxy.client();
    let mut lines = 0;
    for number in 0..TIMES {
        let reply = client.get("/", "");
        assert_eq!((reply.status, reply.text()), (200, "body"), "{number}");
        lines = reply.head.lines().count();
    }
    assert!(lines < 3 * EACH, "{lines} lines");
    let panics = proxy
        .server
        .counters()
        .sum(|worker| worker.requests.panics.get());
    assert_eq!(panics, 0);
    tried(KIND, TIMES);
}

/// Defence: a connection with anything beyond its answer on it is closed
/// (`origin/inflow.rs`, `origin/direct.rs`), also after a 204, a 304, HEAD and
/// an upload.
#[test]
fn what_stands_behind_an_answer_answers_nobody() {
    const EVIL: &str =
        "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nCache-Control: max-age=600\r\n\r\nevil";
    let answers = [
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX: y\r\n\r\n",
        "HTTP/1.1 204 No Content\r\n\r\n",
        "HTTP/1.1 204 No Content\r\nContent-Length: 99\r\n\r\n",
        "HTTP/1.1 304 Not Modified\r\nContent-Length: 99\r\n\r\n",
        "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
    ];
    let origin = Origin::scripted(move |conversation| {
        while let Some(asked) = conversation.request() {
            let number = asked.target().trim_start_matches('/').split('/').next();
            match number.and_then(|number| number.parse::<usize>().ok()) {
                Some(number) if asked.line().starts_with("HEAD") => {
                    let head = answers[number].split("\r\n\r\n").next().unwrap();
                    conversation.say(format!("{head}\r\n\r\n"));
                    pause(asked.target());
                    conversation.say(EVIL);
                }
                Some(number) => {
                    conversation.say(answers[number]);
                    pause(asked.target());
                    conversation.say(EVIL);
                }
                None => conversation.say("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnext"),
            }
        }
    });
    let mut count = 0;
    for cache in ["", "[cache]\nmemory = \"0\"\n"] {
        let proxy = Portcullis::start(&origin, &format!("{ONE_WORKER}{cache}"));
        for number in 0..answers.len() {
            for request in ["GET", "HEAD", "POST"] {
                let mut client = proxy.client();
                for turn in 0..3 {
                    let length = if request == "POST" {
                        "Content-Length: 4\r\n"
                    } else {
                        ""
                    };
                    client.ask(request, &format!("/{number}/{turn}"), length);
                    if request == "POST" {
                        client.send("body");
                    }
                    match request {
                        "HEAD" => drop(client.head()),
                        _ => assert_ne!(client.reply().body, b"evil"),
                    }
                    // Once it has come, by itself or with the answer.
                    let counters = proxy.server.counters();
                    eventually("that connection is closed", || {
                        counters.sum(|worker| worker.origin.idle.get() + worker.origin.busy.get())
                            == 0
                    });
                    // Not the same client, nor the next.
                    assert_eq!(client.get("/next", "").text(), "next", "{request} {number}");
                    assert_eq!(proxy.client().get("/next", "").text(), "next");
                    count += 1;
                }
            }
        }
        proxy.finish();
    }
    tried(KIND, count);
}

/// In every other turn what nobody asked for comes late.
fn pause(target: &str) {
    if target.ends_with('1') {
        std::thread::sleep(Duration::from_millis(3));
    }
}

/// Defence: nothing but what `origin.url` names is contacted, and what is for
/// the client goes on to the client as it came.
#[test]
fn redirects_and_hints_are_passed_on_and_not_followed() {
    let trap = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    trap.set_nonblocking(true).unwrap();
    let target = format!("http://{}/", trap.local_addr().unwrap());
    let fields = [
        format!("Location: {target}"),
        format!("Refresh: 0; url={target}"),
        format!("Link: <{target}>; rel=preload"),
        format!("Content-Location: {target}"),
        format!("X-Accel-Redirect: {target}"),
        format!("Refresh: 0;url={target}\r\nLocation: {target}"),
    ];
    let mut count = 0;
    for host in ["preserve", "origin", "assets.internal"] {
        for code in [200, 201, 300, 301, 302, 303, 305, 307, 308] {
            for field in fields.clone() {
                let answer = format!(
                    "HTTP/1.1 {code} X\r\n{field}\r\nAlt-Svc: h2=\"{target}\"\r\nContent-Length: 4\r\n\r\nbody"
                );
                count += redirected(&answer, host, &field);
            }
        }
    }
    assert!(trap.accept().is_err(), "nobody came");
    tried(KIND, count);
}

fn redirected(answer: &str, host: &str, field: &str) -> usize {
    let answer = answer.to_owned();
    let origin = Origin::answered_by(move |_| answer.clone());
    let policy = format!("{ONE_WORKER}[origin]\nurl = \"@origin@\"\nhost = \"{host}\"\n");
    let proxy = Portcullis::start(&origin, &policy);
    let reply = proxy.client().get("/", "");
    for line in field.lines() {
        let (name, value) = line.split_once(": ").unwrap();
        assert_eq!(reply.field(name).as_deref(), Some(value), "{}", reply.head);
    }
    assert_eq!((reply.text(), reply.field("alt-svc")), ("body", None));
    assert_eq!(origin.count(), 1, "asked once, and nobody else");
    1
}

/// Defence: what `Connection` names is removed once, but not what says how a
/// response may be used.
#[test]
fn a_response_cannot_name_away_what_guards_it() {
    let named = [
        "cache-control",
        "vary",
        "set-cookie",
        "content-length",
        "etag",
        "date",
        "age",
        "content-type",
        "content-security-policy",
        "access-control-allow-origin",
        "via",
        "pragma",
        "expires",
        "content-encoding",
        "content-range",
        "location",
    ];
    for one in named {
        let origin = in_turn(move |number| {
            let fields = format!("Connection: {one}\r\nCache-Control: private\r\nVary: x-a\r\n");
            ok(&fields, &number.to_string())
        });
        let proxy = Portcullis::start(&origin, ONE_WORKER);
        let mut client = proxy.client();
        assert_eq!(client.get("/", "X-A: 1\r\n").text(), "1", "{one}");
        let second = client.get("/", "X-A: 2\r\n");
        assert_eq!(second.text(), "2", "private stays private: {one}");
        assert_eq!(
            second.field("cache-control").as_deref(),
            Some("private"),
            "{one}"
        );
        assert_eq!(second.field("vary").as_deref(), Some("x-a"), "{one}");
    }
    tried(KIND, named.len());
}

/// Defence: numbers that no clock or counter holds are no freshness, and part
/// of another length than it says is not stored.
#[test]
fn ages_dates_and_ranges_that_lie() {
    let nines = "9".repeat(400);
    let fresh = "Cache-Control: max-age=600\r\n";
    let many: String = (0..100).map(|n| format!("x-{n},")).collect();
    let lies = [
        (
            200,
            format!("Cache-Control: max-age={nines}\r\nAge: {nines}\r\n"),
        ),
        (200, format!("{fresh}Age: {nines}\r\n")),
        (200, format!("{fresh}Age: 601\r\n")),
        (200, "Cache-Control: max-age=-1\r\n".to_owned()),
        (200, "Cache-Control: max-age=0x10\r\n".to_owned()),
        (200, "Expires: Thu, 01 Jan 1970 00:00:00 GMT\r\n".to_owned()),
        (200, "Expires: Fri, 31 Feb 9999 99:99:99 GMT\r\n".to_owned()),
        (
            200,
            "Date: Fri, 31 Dec 9999 23:59:59 GMT\r\nExpires: Thu, 01 Jan 1970 00:00:00 GMT\r\n"
                .to_owned(),
        ),
        (206, format!("{fresh}Content-Range: bytes 5-8/4\r\n")),
        (206, format!("{fresh}Content-Range: bytes 0-3/{nines}\r\n")),
        (206, format!("{fresh}Content-Range: bytes 0-99/100\r\n")),
        (
            206,
            format!("{fresh}Content-Type: multipart/byteranges; boundary=x\r\n"),
        ),
        (416, format!("{fresh}Content-Range: bytes 0-3/4\r\n")),
        (200, "Cache-Control: max-age=0, max-age=600\r\n".to_owned()),
        (200, format!("{fresh}Vary: *\r\n")),
        (200, format!("{fresh}Vary: {many}\r\n")),
        (200, format!("{fresh}Vary: x-\u{e4}\r\n")),
    ];
    for (code, fields) in &lies {
        let (code, answer) = (*code, fields.clone());
        let origin = in_turn(move |number| {
            crate::cache::support::response(&format!("{code} X"), &answer, &format!("b{number:03}"))
        });
        let proxy = Portcullis::start(&origin, ONE_WORKER);
        let mut client = proxy.client();
        for range in ["", "Range: bytes=1-2\r\n", ""] {
            let reply = client.get("/", &format!("X-A: {range:?}\r\n{range}"));
            let told = status(&reply);
            assert!(!told.hit || told.ttl.unwrap() <= 600, "{fields}: {told:?}");
            // Section 9: what a client can provoke stays for ten seconds.
            let may_hit =
                code == 200 && fields.contains(&nines) || code == 416 && told.ttl <= Some(10);
            assert!(!told.hit || may_hit, "{code} {fields}: a hit");
        }
        let panics = proxy
            .server
            .counters()
            .sum(|worker| worker.requests.panics.get());
        assert_eq!(panics, 0, "{fields}");
    }
    tried(KIND, lies.len());
}

/// Defence: of one URL at most 16 forms are kept, whatever varies (section 9).
#[test]
fn a_form_for_each_request_does_not_fill_memory() {
    let origin = Origin::answered_by(|asked| {
        let body = "b".repeat(64 * 1024);
        ok(
            &format!(
                "Cache-Control: max-age=600\r\nVary: x-n\r\nX: {}\r\n",
                asked.target()
            ),
            &body,
        )
    });
    let proxy = Portcullis::start(&origin, ONE_WORKER);
    let mut client = proxy.client();
    for number in 0..100 {
        client.get("/", &format!("X-N: {number}\r\n"));
    }
    let hits = (0..100).filter(|number| {
        let told = client.get(
            "/",
            &format!("X-N: {number}\r\nCache-Control: only-if-cached\r\n"),
        );
        told.status == 200
    });
    assert!((1..=16).contains(&hits.count()));
    tried(KIND, 100);
}

/// Defence: a request without a body is sent once more on another connection
/// (`origin/exchange.rs`), one with a body is not, and no place is lost.
#[test]
fn each_kept_connection_is_closed_as_the_next_request_comes() {
    let origin = Origin::scripted(|conversation| {
        conversation.request();
        conversation.say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        conversation.head();
    });
    let policy = format!(
        "{ONE_WORKER}[origin]\nurl = \"@origin@\"\nmax_connections = 2\nretries = 0\n[cache]\nmemory = \"0\"\n"
    );
    let proxy = Portcullis::start(&origin, &policy);
    let mut client = proxy.client();
    for _ in 0..100 {
        // The second one on the connection of the first.
        assert_eq!(client.get("/", "").text(), "ok");
        assert_eq!(client.get("/", "").text(), "ok");
        client
            .ask("POST", "/", "Content-Length: 4\r\n")
            .send("body");
        let reply = client.reply();
        assert!([200, 502].contains(&reply.status), "{}", reply.head);
        if reply.field("connection").as_deref() == Some("close") {
            client = proxy.client();
        }
    }
    eventually("none is busy", || {
        proxy
            .server
            .counters()
            .sum(|worker| worker.origin.busy.get())
            == 0
    });
    tried(KIND, 300);
}
