//! Requests on their way to the origin, and responses on their way back.

use std::sync::mpsc;
use std::sync::{Arc, Mutex};

use crate::support::{Origin, Portcullis};

#[test]
fn a_get_and_what_the_origin_is_told() {
    let origin = Origin::ok();
    let portcullis = Portcullis::start(&origin, "[cache_key]\nfield = \"x-cache-key\"\n");
    let reply = portcullis.client().get(
        "//a/./b.jpg?x=1",
        "X-Forwarded-For: 198.51.100.1\r\nForwarded: for=198.51.100.1\r\nX-Forwarded-Host: evil\r\n\
         X-Real-IP: 1.1.1.1\r\nX-Original-URL: /admin\r\nX-Rewrite-URL: /admin\r\nX-Host: evil\r\n\
         X-HTTP-Method: PUT\r\nX-HTTP-Method-Override: PUT\r\nX-Method-Override: PUT\r\nProxy: http://evil\r\n\
         X_Forwarded_For: 1\r\nX-Cache-Key: mine\r\nX-Forwarded-Anything: 1\r\nExpect: x\r\nX-Kept: yes\r\n\
         Connection: keep-alive, X-Named\r\nX-Named: 1\r\nTE: trailers\r\nKeep-Alive: 1\r\nUpgrade: websocket\r\n\
         Proxy-Authorization: x\r\nAccept: image/webp,*/*\r\nVia: 1.0 fred\r\nCookie: c=1\r\n",
    );
    assert_eq!(reply.text(), "ok");
    let asked = origin.only();
    assert_eq!(asked.line(), "GET /a/b.jpg?x=1 HTTP/1.1");
    let mut names: Vec<_> = asked
        .head
        .lines()
        .skip(1)
        .filter_map(|l| Some(l.split_once(':')?.0))
        .collect();
    names.sort_unstable();
    assert_eq!(
        names,
        [
            "accept",
            "accept-encoding",
            "cookie",
            "host",
            "via",
            "via",
            "x-cache-key",
            "x-forwarded-for",
            "x-forwarded-host",
            "x-forwarded-proto",
            "x-kept",
        ]
    );
    for (name, value) in [
        ("host", "img.example.com"),
        ("x-forwarded-for", "127.0.0.1"),
        ("x-forwarded-host", "img.example.com"),
        ("x-forwarded-proto", "http"),
        ("accept", "image/webp,*/*;q=0.8"),
        ("accept-encoding", "identity"),
        ("x-cache-key", "http://img.example.com/a/b.jpg?x=1 webp"),
    ] {
        assert_eq!(asked.field(name).as_deref(), Some(value), "{name}");
    }
}

#[test]
fn a_trusted_peer_is_believed() {
    let origin = Origin::ok();
    let portcullis = Portcullis::start(
        &origin,
        "[client]\ntrusted_proxies = [\"127.0.0.1\", \"10.0.0.0/8\"]\n",
    );
    portcullis.client().get(
        "/",
        "X-Forwarded-For: 6.6.6.6, 203.0.113.9\r\nX-Forwarded-For: 10.0.0.1\r\nX-Forwarded-Proto: https\r\n",
    );
    let asked = origin.only();
    assert_eq!(
        asked.field("x-forwarded-for").unwrap(),
        "203.0.113.9, 10.0.0.1, 127.0.0.1"
    );
    assert_eq!(asked.field("x-forwarded-proto").unwrap(), "https");
}

#[test]
fn the_field_that_names_a_client_is_a_trusted_peers_own() {
    for (trusted, passed) in [("", None), ("\"127.0.0.1\"", Some("203.0.113.9"))] {
        let origin = Origin::ok();
        let policy =
            format!("[client]\ntrusted_proxies = [{trusted}]\nheader = \"cf-connecting-ip\"\n");
        let portcullis = Portcullis::start(&origin, &policy);
        portcullis
            .client()
            .get("/", "CF-Connecting-IP: 203.0.113.9\r\n");
        assert_eq!(origin.only().field("cf-connecting-ip").as_deref(), passed);
    }
}

#[test]
fn a_response_is_passed_on_without_what_ends_here() {
    let origin = Origin::answering(
        "HTTP/1.1 302 Found\r\nLocation: /b\r\nConnection: X-Named, close\r\nX-Named: 1\r\nKeep-Alive: 5\r\n\
         Alt-Svc: h3=\":443\"\r\nVia: 1.1 fred\r\nSet-Cookie: a\r\nSet-Cookie: b\r\nVary: Origin, accept\r\n\
         Content-Length: 0\r\n\r\n",
    );
    let portcullis = Portcullis::start(&origin, "");
    let reply = portcullis.client().get("/a.png", "");
    assert_eq!(
        (reply.status, reply.field("location").as_deref()),
        (302, Some("/b"))
    );
    for gone in ["x-named", "keep-alive", "alt-svc", "connection"] {
        assert_eq!(reply.field(gone), None, "{gone}");
    }
    assert_eq!(reply.head.matches("set-cookie: ").count(), 2);
    assert_eq!(reply.head.matches("via: 1.1 ").count(), 2, "{}", reply.head);
    assert_eq!(reply.field("vary").unwrap(), "Origin, accept");
    assert_eq!(origin.asked().len(), 1, "redirects are not followed");
}

#[test]
fn image_paths_vary_and_others_do_not() {
    let portcullis = Portcullis::start(&Origin::ok(), "");
    let mut client = portcullis.client();
    assert_eq!(client.get("/a.png", "").field("vary").unwrap(), "Accept");
    assert_eq!(client.get("/a.css", "").field("vary"), None);
}

#[test]
fn head_keeps_the_length_of_the_origin() {
    let origin = Origin::answering("HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n");
    let portcullis = Portcullis::start(&origin, "");
    let mut client = portcullis.client();
    for _ in 0..2 {
        client.send("HEAD /a HTTP/1.1\r\nHost: a\r\n\r\n");
        let (status, head) = client.head();
        assert_eq!(status, 200);
        assert!(head.contains("content-length: 1234\r\n"), "{head}");
    }
    assert_eq!(
        origin.asked()[1].connection,
        0,
        "the connection was used again"
    );
}

#[test]
fn bodies_stream_both_ways() {
    let (said, heard) = mpsc::channel();
    let said = Mutex::new(said);
    let origin = Origin::scripted(move |conversation| {
        let head = conversation.head().unwrap();
        assert!(head.contains("transfer-encoding: chunked"), "{head}");
        conversation.say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        // Each part of the upload is answered before the next is sent.
        for _ in 0..3 {
            let part = conversation.take(b"2\r\nab\r\n".len()).unwrap();
            said.lock().unwrap().send(part).unwrap();
            conversation.say("3\r\nxyz\r\n");
        }
        assert_eq!(conversation.take(5).unwrap(), b"0\r\n\r\n", "no trailers");
        conversation.say("0\r\n\r\n");
    });
    let portcullis = Portcullis::start(&origin, "");
    let mut client = portcullis.client();
    client
        .send("POST /up HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: x-t\r\n\r\n");
    client.send("2\r\nab\r\n");
    assert_eq!(client.head().0, 200);
    for part in 0..3 {
        assert_eq!(heard.recv().unwrap(), b"2\r\nab\r\n");
        assert_eq!(client.take(8), b"3\r\nxyz\r\n");
        client.send(if part < 2 {
            "2\r\nab\r\n"
        } else {
            "0\r\nx-t: 1\r\n\r\n"
        });
    }
    assert_eq!(client.take(5), b"0\r\n\r\n");
}

#[test]
fn bodies_keep_their_framing() {
    let origin = Origin::ok();
    let portcullis = Portcullis::start(&origin, "");
    let mut client = portcullis.client();
    for (request, length, chunked) in [
        (
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc",
            Some("3"),
            false,
        ),
        (
            "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
            None,
            true,
        ),
        (
            "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
            None,
            true,
        ),
        (
            "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
            Some("3"),
            false,
        ),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
            Some("0"),
            false,
        ),
    ] {
        client.send(request);
        assert_eq!(client.reply().text(), "ok", "{request}");
        let asked = origin.asked().pop().unwrap();
        assert_eq!(
            asked.field("content-length").as_deref(),
            length,
            "{request}"
        );
        assert_eq!(
            asked.field("transfer-encoding").is_some(),
            chunked,
            "{request}"
        );
        assert_eq!(
            asked.body.len(),
            if length == Some("0") { 0 } else { 3 },
            "{request}"
        );
    }
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n");
    assert_eq!(client.reply().text(), "ok");
    assert_eq!(origin.asked().pop().unwrap().field("content-length"), None);
    assert_eq!(
        client.rest(),
        b"",
        "closed after a request with two lengths"
    );
}

#[test]
fn expect_100_is_met_when_the_origin_takes_the_body() {
    let origin = Origin::ok();
    let portcullis = Portcullis::start(&origin, "");
    let mut client = portcullis.client();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n");
    assert_eq!(client.head().0, 100);
    client.send("abc");
    assert_eq!(client.reply().text(), "ok");
    assert_eq!(origin.only().body, b"abc");
}

#[test]
fn a_slow_reader_slows_the_origin() {
    let sent = Arc::new(Mutex::new(0_usize));
    let counter = Arc::clone(&sent);
    let origin = Origin::scripted(move |conversation| {
        conversation.request();
        conversation.say("HTTP/1.1 200 OK\r\nContent-Length: 67108864\r\n\r\n");
        for _ in 0..1024 {
            conversation.say([0_u8; 65_536]);
            *counter.lock().unwrap() += 65_536;
        }
    });
    let portcullis = Portcullis::start(&origin, "");
    let mut client = portcullis.client();
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    client.head();
    let mut before = 0;
    // Until the origin is stuck.
    loop {
        std::thread::sleep(std::time::Duration::from_millis(200));
        let now = *sent.lock().unwrap();
        if now == before && now > 0 {
            break;
        }
        before = now;
    }
    assert!(
        before < 40 << 20,
        "{before} bytes were taken from the origin with nobody reading"
    );
    assert_eq!(client.take(67_108_864).len(), 67_108_864);
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let origin = Origin::scripted(|conversation| {
        while let Some(asked) = conversation.request() {
            let path = asked.line().split(' ').nth(1).unwrap().to_owned();
            conversation.say(format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{path}",
                path.len()
            ));
        }
    });
    let portcullis = Portcullis::start(&origin, "[access.user_agent]\nblock = [\"bad\"]\n");
    let mut client = portcullis.client();
    let mut requests = String::new();
    for index in 0..20 {
        let agent = if index % 3 == 0 {
            "User-Agent: bad\r\n"
        } else {
            ""
        };
        requests.push_str(&format!("GET /{index} HTTP/1.1\r\nHost: a\r\n{agent}\r\n"));
    }
    client.send(requests);
    for index in 0..20 {
        let reply = client.reply();
        match index % 3 {
            0 => assert_eq!(reply.status, 403),
            _ => assert_eq!(reply.text(), format!("/{index}")),
        }
    }
}

#[test]
fn http_1_0_is_spoken_where_it_is_spoken() {
    let origin = Origin::answering(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    );
    let portcullis = Portcullis::start(&origin, "");
    let mut client = portcullis.client();
    client.send("GET /a HTTP/1.0\r\n\r\n");
    let (status, head) = client.head();
    assert_eq!(status, 200);
    assert!(
        head.starts_with("HTTP/1.0 ") && !head.contains("chunked"),
        "{head}"
    );
    assert_eq!(client.rest(), b"ok");
    let asked = origin.only();
    assert_eq!(asked.line(), "GET /a HTTP/1.1");
    assert_eq!(asked.field("host").unwrap(), portcullis.address.to_string());
}

#[test]
fn a_request_that_was_here_is_a_loop() {
    let echo = Origin::scripted(|conversation| {
        while let Some(asked) = conversation.request() {
            let via = asked.field("via").unwrap();
            conversation.say(format!(
                "HTTP/1.1 200 OK\r\nX-Was: {via}\r\nContent-Length: 0\r\n\r\n"
            ));
        }
    });
    let portcullis = Portcullis::start(&echo, "");
    let mut client = portcullis.client();
    let via = client.get("/", "").field("x-was").unwrap();
    assert!(via.starts_with("1.1 portcullis-"), "{via}");
    assert_eq!(
        client.get("/", &format!("Via: 1.0 fred, {via}\r\n")).status,
        508
    );
}
