//! Requests by the letter of RFC 9110 and 9112: what an intermediary takes,
//! refuses, changes and passes on.

use crate::support::{Client, Origin, Portcullis};

/// Says which request it answers.
fn echo() -> Origin {
    Origin::scripted(|conversation| {
        while let Some(asked) = conversation.request() {
            let line = format!("{}\n", asked.line());
            conversation.say(format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{line}",
                line.len()
            ));
        }
    })
}

/// Sends `request` on a connection of its own and reads all that comes.
fn all(portcullis: &Portcullis, request: impl AsRef<[u8]>) -> String {
    let mut client = portcullis.client();
    client.send(request);
    String::from_utf8(client.rest()).unwrap()
}

fn status_lines(answers: &str) -> Vec<&str> {
    let lines = answers.lines();
    lines.filter(|line| line.starts_with("HTTP/1.")).collect()
}

#[test]
fn what_connection_names_ends_here_and_what_makes_the_message_does_not() {
    let origin = Origin::ok();
    let portcullis = Portcullis::start(&origin, "");
    let always = "X-Foo: 1\r\nX-Bar: 2\r\nReferer: https://a.example/\r\nAuthorization: Basic eA==\r\nCookie: a=b\r\n";
    for (lines, gone) in [
        ("", &[][..]),
        ("Connection: keep-alive\r\n", &[]),
        ("Connection: x-foo\r\n", &["x-foo"]),
        ("connection: X-FOO, Referer\r\n", &["x-foo", "referer"]),
        ("Connection: , ,x-foo,\t\r\n", &["x-foo"]),
        (
            "Connection: x-foo\r\nConnection: x-bar\r\n",
            &["x-foo", "x-bar"],
        ),
        ("Connection: connection, \"x-bar\", x foo\r\n", &[]),
        (
            "Connection: host, cookie, authorization, content-length, transfer-encoding\r\n",
            &[],
        ),
        ("Connection: X-Forwarded-For, x-foo\r\n", &["x-foo"]),
        ("Connection: \r\n", &[]),
    ] {
        let mut client = portcullis.client();
        client.send(format!(
            "POST / HTTP/1.1\r\nHost: a\r\n{always}{lines}Content-Length: 2\r\n\r\nab"
        ));
        assert_eq!(client.reply().text(), "ok", "{lines}");
        let asked = origin.asked().pop().unwrap();
        assert_eq!(asked.body, b"ab");
        for name in [
            "x-foo",
            "x-bar",
            "referer",
            "authorization",
            "cookie",
            "host",
        ] {
            assert_eq!(
                asked.field(name).is_none(),
                gone.contains(&name),
                "{name} after {lines}"
            );
        }
        assert_eq!(asked.field("connection"), None);
        assert_eq!(asked.field("x-forwarded-for").unwrap(), "127.0.0.1");
    }
}

#[test]
fn an_upgrade_is_not_made_and_the_request_goes_on() {
    let origin = Origin::ok();
    let portcullis = Portcullis::start(&origin, "");
    let mut client = portcullis.client();
    for fields in [
        "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: eA==\r\n",
        "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n",
        "Upgrade: TLS/1.3\r\n",
    ] {
        assert_eq!(client.get("/", fields).text(), "ok", "{fields}");
        let asked = origin.asked().pop().unwrap();
        for name in ["upgrade", "connection", "http2-settings"] {
            assert_eq!(asked.field(name), None, "{name}");
        }
    }
    assert_eq!(origin.asked().len(), 3, "on one connection");
}

#[test]
fn via_tells_the_version_received() {
    let origin = Origin::ok();
    let portcullis = Portcullis::start(&origin, "");
    let via = |request: &str| {
        all(&portcullis, request);
        origin.asked().pop().unwrap().field("via").unwrap()
    };
    let one = via("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert!(one.starts_with("1.1 portcullis-"), "{one}");
    let zero = via("GET / HTTP/1.0\r\nHost: a\r\n\r\n");
    assert_eq!(zero, one.replacen("1.1", "1.0", 1));
}

#[test]
fn max_forwards_is_counted_for_options() {
    let origin = Origin::ok();
    let portcullis = Portcullis::start(&origin, "[access.user_agent]\nblock = [\"bad\"]\n");
    let mut client = portcullis.client();
    let mut ask = |method: &str, value: &str, more: &str| {
        client.send(format!(
            "{method} /a HTTP/1.1\r\nHost: a\r\nMax-Forwards: {value}\r\n{more}\r\n"
        ));
        client.reply()
    };
    assert_eq!(ask("OPTIONS", "2", "").status, 200);
    let last = || origin.asked().pop().unwrap().field("max-forwards").unwrap();
    assert_eq!(last(), "1");
    assert_eq!(ask("OPTIONS", "many", "").status, 200);
    assert_eq!(last(), "many");
    assert_eq!(ask("GET", "0", "").status, 200);
    assert_eq!(last(), "0");
    let here = ask("OPTIONS", "0", "");
    assert_eq!(here.status, 204);
    assert!(here.field("allow").unwrap().starts_with("GET, HEAD"));
    assert_eq!(ask("OPTIONS", "0", "User-Agent: bad\r\n").status, 403);
    assert_eq!(origin.asked().len(), 3);
}

#[test]
fn expect_is_met_here_whatever_it_says() {
    let origin = Origin::ok();
    let portcullis = Portcullis::start(&origin, "[access.user_agent]\nblock = [\"bad\"]\n");
    // HTTP/1.0 knows no 100, and an expectation that nobody knows is not ours.
    for head in [
        "POST / HTTP/1.0\r\nConnection: keep-alive\r\nExpect: 100-continue\r\n",
        "POST / HTTP/1.1\r\nExpect: 200-maybe\r\n",
        "POST / HTTP/1.1\r\nExpect: 100-Continue\r\n",
    ] {
        let mut client = portcullis.client();
        client.send(format!("{head}Host: a\r\nContent-Length: 3\r\n\r\nabc"));
        let mut reply = client.reply();
        if head.contains("100-Continue") {
            assert_eq!(reply.status, 100);
            reply = client.reply();
        }
        assert_eq!((reply.status, reply.text()), (200, "ok"), "{head}");
        let asked = origin.asked().pop().unwrap();
        assert_eq!((asked.field("expect"), &*asked.body), (None, &b"abc"[..]));
    }
    let mut old = portcullis.client();
    old.send("POST / HTTP/1.0\r\nConnection: keep-alive\r\nHost: a\r\nUser-Agent: bad\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabc");
    assert_eq!(old.reply().status, 403);
    assert_eq!(old.get("/", "").text(), "ok", "its body was read");
}

#[test]
fn a_length_that_is_no_number_is_refused_and_the_connection_closed() {
    let origin = Origin::ok();
    let portcullis = Portcullis::start(&origin, "");
    for fields in [
        "Content-Length: 2, 2",
        "Content-Length: +2",
        "Content-Length: -2",
        "Content-Length: 0x2",
        "Content-Length: 2 2",
        "Content-Length: 2.0",
        "Content-Length: ",
        "Content-Length: 99999999999999999999999",
        "Content-Length : 2",
        "Content-Length: 2\r\nContent-Length: 3",
        "Transfer-Encoding: chunked, gzip",
        "Transfer-Encoding: chunked, chunked",
        "Transfer-Encoding: chunked, identity",
        "Transfer-Encoding: chunked,",
        "Transfer-Encoding: xchunked",
        "Transfer-Encoding: \"chunked\"",
        "Transfer-Encoding: \r\nTransfer-Encoding: chunked",
        "X-Folded: a\r\n b",
        "X Y: a",
        ": a",
        "X-Null: a\0b",
    ] {
        let answers = all(
            &portcullis,
            format!(
                "POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n2\r\nab\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
            ),
        );
        assert_eq!(
            status_lines(&answers),
            ["HTTP/1.1 400 Bad Request"],
            "{fields}"
        );
    }
    let answers = all(
        &portcullis,
        "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    );
    assert!(status_lines(&answers)[0].ends_with("400 Bad Request"));
    assert!(origin.asked().is_empty());
}

#[test]
fn a_length_beside_chunked_does_not_count_and_nothing_follows() {
    for fields in [
        "Content-Length: 3\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: CHUNKED\r\nContent-Length: 3",
    ] {
        let origin = echo();
        let portcullis = Portcullis::start(&origin, "");
        let answers = all(
            &portcullis,
            format!(
                "POST /a HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n2\r\nab\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
            ),
        );
        assert_eq!(status_lines(&answers), ["HTTP/1.1 200 OK"], "{fields}");
        let asked = origin.only();
        assert_eq!(asked.body, b"ab");
        assert_eq!(asked.field("content-length"), None);
        assert_eq!(asked.field("transfer-encoding").unwrap(), "chunked");
    }
}

#[test]
fn chunk_extensions_and_trailers_are_for_one_connection() {
    let origin = Origin::ok();
    let portcullis = Portcullis::start(&origin, "");
    let mut client = portcullis.client();
    client.send(
        "PUT /a HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nTrailer: x-t, content-length\r\nTransfer-Encoding: chunked\r\n\r\n\
         2;a=b;c=\"d\"\r\nab\r\n0003 ; x\r\ncde\r\n0;last\r\nX-T: 1\r\nContent-Length: 9\r\n\r\n",
    );
    assert_eq!(client.reply().text(), "ok");
    // The scripted origin fails on trailers.
    let asked = origin.only();
    assert_eq!(asked.body, b"abcde");
    for name in ["te", "trailer", "x-t", "content-length"] {
        assert_eq!(asked.field(name), None, "{name}");
    }
    assert_eq!(client.get("/", "").text(), "ok", "the connection goes on");
}

#[test]
fn pipelined_requests_go_on_after_a_refusal_and_end_at_a_close() {
    let origin = echo();
    let portcullis = Portcullis::start(&origin, "[access.user_agent]\nblock = [\"bad\"]\n");
    let get = |path: &str, fields: &str| format!("GET {path} HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
    let answers = all(
        &portcullis,
        [
            get("/1", ""),
            get("/%zz", ""),
            get("/2", "User-Agent: bad\r\n"),
            get("/3", "Connection: x, close\r\n"),
            get("/4", ""),
        ]
        .concat(),
    );
    let statuses: Vec<&str> = status_lines(&answers).iter().map(|l| &l[9..12]).collect();
    assert_eq!(statuses, ["200", "400", "403", "200"]);
    assert!(answers.contains("connection: close\r\n"), "{answers}");
    let answers = all(
        &portcullis,
        format!("{}GET\r\n\r\n{}", get("/5", ""), get("/6", "")),
    );
    let statuses: Vec<&str> = status_lines(&answers).iter().map(|l| &l[9..12]).collect();
    assert_eq!(statuses, ["200", "400"], "{answers}");
    let paths: Vec<String> = origin.asked().iter().map(|a| a.line().to_owned()).collect();
    assert_eq!(
        paths,
        ["GET /1 HTTP/1.1", "GET /3 HTTP/1.1", "GET /5 HTTP/1.1"]
    );
}

#[test]
fn http_1_0_keeps_a_connection_only_if_it_asks_to() {
    let portcullis = Portcullis::start(&Origin::ok(), "");
    let answers = all(&portcullis, "GET / HTTP/1.0\r\n\r\nGET / HTTP/1.0\r\n\r\n");
    assert_eq!(answers.matches("HTTP/1.0 200 OK").count(), 1);
    let answers = all(
        &portcullis,
        "GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\nGET / HTTP/1.0\r\n\r\n",
    );
    assert_eq!(answers.matches("HTTP/1.0 200 OK").count(), 2, "{answers}");
    assert!(answers.contains("connection: keep-alive\r\n"), "{answers}");
}

#[test]
fn there_is_one_host() {
    let origin = Origin::ok();
    let portcullis = Portcullis::start(&origin, "");
    for (request, status, host) in [
        ("GET / HTTP/1.1\r\n", 400, None),
        ("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n", 400, None),
        ("GET / HTTP/1.1\r\nHost: a, b\r\n", 400, None),
        ("GET / HTTP/1.1\r\nHost: \r\n", 400, None),
        ("GET http://a/ HTTP/1.1\r\nHost: b\r\n", 400, None),
        ("GET http://u@a/ HTTP/1.1\r\nHost: a\r\n", 400, None),
        ("GET http://A:80/x HTTP/1.1\r\nHost: a\r\n", 200, Some("a")),
        // The target names it: RFC 9112 section 3.2.2.
        ("GET https://a:8443/x HTTP/1.1\r\n", 200, Some("a:8443")),
        ("GET http://b HTTP/1.0\r\n", 200, Some("b")),
    ] {
        let mut client = portcullis.client();
        client.send(format!("{request}\r\n"));
        assert_eq!(client.reply().status, status, "{request}");
        if let Some(host) = host {
            let asked = origin.asked().pop().unwrap();
            assert_eq!(asked.field("host").unwrap(), host, "{request}");
            assert_eq!(asked.field("x-forwarded-proto").unwrap(), "http");
            assert!(asked.line().starts_with("GET /"), "{}", asked.line());
        }
    }
    assert_eq!(origin.asked().len(), 3);
}

#[test]
fn values_arrive_byte_for_byte_and_in_order() {
    let (send, heard) = std::sync::mpsc::channel();
    let send = std::sync::Mutex::new(send);
    let origin = Origin::scripted(move |conversation| {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let Some(byte) = conversation.take(1) else {
                return;
            };
            head.extend(byte);
        }
        send.lock().unwrap().send(head).unwrap();
        conversation.say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    });
    let portcullis = Portcullis::start(&origin, "");
    let mut client = portcullis.client();
    client.send(b"GET /a HTTP/1.1\r\nHost: a\r\nX-Many: 1\r\nCookie: b=1\r\nX-Many:2\r\nX-Text:\t \xe9\xff \"\\ \r\nX-Many: \r\nX-Long: ");
    client.send([b'x'; 20_000]);
    client.send("\r\n\r\n");
    assert_eq!(client.reply().text(), "ok");
    let head = heard.recv().unwrap();
    let lines: Vec<&[u8]> = head.split(|byte| *byte == b'\n').collect();
    let of = |name: &str| -> Vec<&[u8]> {
        let found = lines
            .iter()
            .filter(|line| line.starts_with(name.as_bytes()));
        found.map(|line| line[name.len()..].trim_ascii()).collect()
    };
    assert_eq!(of("x-many:"), [&b"1"[..], b"2", b""]);
    assert_eq!(of("x-text:"), [&b"\xe9\xff \"\\"[..]]);
    assert_eq!(of("x-long:")[0].len(), 20_000);
}

#[test]
fn a_head_the_library_refuses_is_answered_and_closed() {
    let origin = Origin::ok();
    let portcullis = Portcullis::start(&origin, "");
    let fields: String = (0..101).map(|n| format!("X-{n}: 1\r\n")).collect();
    let long = "x".repeat(70_000);
    for (request, status) in [
        (format!("GET / HTTP/1.1\r\n{fields}\r\n"), "431"),
        (format!("GET /{long} HTTP/1.1\r\nHost: a\r\n\r\n"), "414"),
        ("GET / HTTP/2.0\r\n\r\n".to_owned(), "400"),
        ("G(T / HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(), "400"),
        ("GET /<a> HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(), "400"),
    ] {
        let answers = all(&portcullis, &request);
        let start: String = request.chars().take(20).collect();
        assert_eq!(&answers[9..12], status, "{start}");
    }
    assert_eq!(portcullis.client().get("/", "").text(), "ok");
    assert_eq!(origin.asked().len(), 1);
}

#[test]
fn a_get_or_head_with_a_body_takes_it_along() {
    let origin = Origin::ok();
    let portcullis = Portcullis::start(&origin, "");
    let mut client: Client = portcullis.client();
    client.send("GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n");
    assert_eq!(client.reply().text(), "ok");
    client.send("DELETE / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(client.reply().text(), "ok");
    let asked = origin.asked().pop().unwrap();
    for name in ["content-length", "transfer-encoding"] {
        assert_eq!(asked.field(name), None, "a body that nobody sent");
    }
}
