//! Responses by the letter of RFC 9110 and 9112: what an origin may say, what
//! sloppy ones say, and what a client gets of it.

use crate::support::{Origin, Portcullis};

/// Sends `request` on a connection of its own and reads all that comes.
fn all(portcullis: &Portcullis, request: &str) -> Vec<u8> {
    let mut client = portcullis.client();
    client.send(request);
    client.rest()
}

fn get(portcullis: &Portcullis, path: &str) -> (String, Vec<u8>) {
    let request = format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    let answer = all(portcullis, &request);
    let end = answer.windows(4).position(|w| w == b"\r\n\r\n").unwrap() + 4;
    let head = String::from_utf8_lossy(&answer[..end]).into_owned();
    (head, answer[end..].to_vec())
}

/// An origin that gives its one answer, and then closes.
fn once(answer: &'static [u8]) -> Origin {
    Origin::scripted(move |conversation| {
        if conversation.request().is_some() {
            conversation.say(answer);
        }
    })
}

const CLOSE_1_0: &[u8] = b"HTTP/1.0 200 OK\r\n\r\nhello";
const CLOSE_1_1: &[u8] = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello";
const LENGTH_1_0: &[u8] =
    b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\nhello";
const LENGTH_1_1: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
const CHUNKED: &[u8] =
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\nTrailer: x-t\r\n\r\n2;a=\"b\"\r\nhe\r\n03\r\nllo\r\n0\r\nX-T: 1\r\n\r\n";

#[test]
fn every_framing_of_the_origin_reaches_every_client() {
    for answer in [CLOSE_1_0, CLOSE_1_1, LENGTH_1_0, LENGTH_1_1, CHUNKED] {
        let shown = String::from_utf8_lossy(answer);
        let has_length = shown.contains("Content-Length");
        let portcullis = Portcullis::start(&once(answer), "");
        let mut client = portcullis.client();
        for _ in 0..2 {
            let reply = client.get("/", "");
            assert_eq!(reply.text(), "hello", "{shown}");
            assert!(reply.head.starts_with("HTTP/1.1 "), "{}", reply.head);
            assert_eq!(reply.field("content-length").is_some(), has_length);
            assert_eq!(reply.field("transfer-encoding").is_some(), !has_length);
            for name in ["connection", "trailer", "x-t", "keep-alive"] {
                assert_eq!(reply.field(name), None, "{name} of {shown}");
            }
        }
        let old = all(&portcullis, "GET / HTTP/1.0\r\n\r\n");
        let old = String::from_utf8(old).unwrap();
        assert!(old.starts_with("HTTP/1.0 200 OK\r\n"), "{old}");
        assert!(old.ends_with("\r\n\r\nhello"), "{old}");
        assert!(!old.contains("transfer-encoding"), "{old}");
    }
}

#[test]
fn an_old_client_that_asks_to_keep_a_connection_learns_where_the_body_ends() {
    for (answer, kept) in [(LENGTH_1_1, true), (CHUNKED, false)] {
        let portcullis = Portcullis::start(&once(answer), "");
        let asked = "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n";
        let answers = all(&portcullis, &format!("{asked}GET /2 HTTP/1.0\r\n\r\n"));
        let answers = String::from_utf8(answers).unwrap();
        assert_eq!(
            answers.matches("HTTP/1.0 200 OK").count(),
            if kept { 2 } else { 1 },
            "{answers}"
        );
        assert_eq!(answers.matches("hello").count(), if kept { 2 } else { 1 });
        assert_eq!(
            answers.contains("connection: keep-alive"),
            kept,
            "{answers}"
        );
    }
}

#[test]
fn lengths_that_are_said_twice_are_one_or_none() {
    for (fields, length) in [
        ("Content-Length: 5\r\nContent-Length: 5", Some("5")),
        ("Content-Length: 5, 5", Some("5")),
        ("Content-Length: 5\r\nTransfer-Encoding: chunked", None),
        ("Transfer-Encoding: chunked\r\nContent-Length: 2", None),
    ] {
        let chunked = length.is_none();
        let origin = Origin::scripted(move |conversation| {
            while conversation.request().is_some() {
                let body = if chunked {
                    "5\r\nhello\r\n0\r\n\r\n"
                } else {
                    "hello"
                };
                conversation.say(format!("HTTP/1.1 200 OK\r\n{fields}\r\n\r\n{body}"));
            }
        });
        let portcullis = Portcullis::start(&origin, "");
        let mut client = portcullis.client();
        for _ in 0..2 {
            let reply = client.get("/", "");
            assert_eq!(reply.text(), "hello", "{fields}");
            assert_eq!(reply.field("content-length").as_deref(), length, "{fields}");
        }
    }
}

#[test]
fn what_is_not_http_is_a_502_by_its_name() {
    for (answer, error) in [
        (&b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!"[..], "http_protocol_error"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\nhello", "http_protocol_error"),
        (b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "http_protocol_error"),
        (b"HTTP/1.1 099 Low\r\n\r\n", "http_protocol_error"),
        (b"HTTP/1.1 2000 High\r\n\r\n", "http_protocol_error"),
        (b"HTTP/1.1 200 OK\r\nX Y: 1\r\n\r\n", "http_protocol_error"),
        (b"220 mail.example ESMTP\r\n\r\n", "http_protocol_error"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", "http_response_transfer_coding"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nx", "http_response_transfer_coding"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: xchunked\r\n\r\nx", "http_response_transfer_coding"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: utf-8, chunked\r\n\r\n0\r\n\r\n", "http_response_transfer_coding"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "http_response_transfer_coding"),
        (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", "http_upgrade_failed"),
        (b"HTTP/1.1 200 OK\r\nContent", "http_response_incomplete"),
    ] {
        let portcullis = Portcullis::start(&once(answer), "");
        let reply = portcullis.client().get("/", "");
        let shown = String::from_utf8_lossy(answer);
        assert_eq!(reply.status, 502, "{shown}");
        let id = reply.field("portcullis-ref").unwrap();
        assert_eq!(reply.text(), format!("Bad Gateway\nReference: {id}\n"));
        let lines = portcullis.stop();
        assert_eq!(lines[0]["error"], error, "{shown}");
        assert_eq!((&lines[0]["ref"], &lines[0]["status"]), (&id.into(), &502.into()));
    }
}

#[test]
fn a_transfer_coding_that_is_none_says_nothing() {
    let answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: binary\r\nContent-Length: 2\r\n\r\nhello";
    let portcullis = Portcullis::start(&once(answer), "");
    let reply = portcullis.client().get("/", "");
    assert_eq!((reply.status, reply.text()), (200, "hello"));
    assert_eq!(reply.field("transfer-encoding").as_deref(), Some("chunked"));
}

#[test]
fn what_can_have_no_body_has_none_and_the_next_answer_is_its_own() {
    for answer in [
        "HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\nno",
        "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno\r\n0\r\n\r\n",
        "HTTP/1.1 204 No Content\r\n\r\n",
        "HTTP/1.1 304 Not Modified\r\nContent-Length: 2\r\nETag: \"x\"\r\n\r\n",
        "HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno\r\n0\r\n\r\n",
    ] {
        let origin = Origin::scripted(move |conversation| {
            while let Some(asked) = conversation.request() {
                match asked.line() {
                    "GET /next HTTP/1.1" => {
                        conversation.say("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnext")
                    }
                    _ => conversation.say(answer),
                }
            }
        });
        let toml = "[server]\nlisten = [\"127.0.0.1:0\"]\nworkers = 1\n";
        let portcullis = Portcullis::start(&origin, toml);
        let mut client = portcullis.client();
        for _ in 0..5 {
            client.send("GET / HTTP/1.1\r\nHost: a\r\nIf-None-Match: \"x\"\r\n\r\n");
            let (status, head) = client.head();
            assert_eq!(answer[9..12], status.to_string());
            assert!(!head.contains("transfer-encoding"), "{head}");
            assert!(status != 204 || !head.contains("content-length"), "{head}");
            let next = client.get("/next", "");
            assert_eq!((next.status, next.text()), (200, "next"), "after {answer}");
        }
    }
}

#[test]
fn head_has_the_fields_of_get_and_no_body() {
    for (fields, length) in [
        ("Content-Length: 12345\r\n", Some("12345")),
        ("Content-Length: 12345, 12345\r\n", Some("12345")),
        ("Transfer-Encoding: chunked\r\n", None),
        ("Transfer-Encoding: gzip, chunked\r\n", None),
        ("", None),
    ] {
        let answer = format!("HTTP/1.1 200 OK\r\n{fields}X-A: 1\r\n\r\n");
        let origin = Origin::scripted(move |conversation| {
            while conversation.request().is_some() {
                conversation.say(&answer);
            }
        });
        let portcullis = Portcullis::start(&origin, "");
        let mut client = portcullis.client();
        for _ in 0..2 {
            client.send("HEAD /a HTTP/1.1\r\nHost: a\r\n\r\n");
            let (status, head) = client.head();
            assert_eq!(status, 200);
            let found = crate::support::Reply::find(&head, "content-length");
            assert_eq!(found.as_deref(), length, "{fields}");
            assert!(head.contains("x-a: 1\r\n"), "{head}");
        }
    }
}

#[test]
fn status_and_reason_are_the_origins() {
    for line in [
        "HTTP/1.1 200 Fine, thanks",
        "HTTP/1.1 200 ",
        "HTTP/1.1 299 Odd",
        "HTTP/1.1 451 Unavailable For Legal Reasons",
        "HTTP/1.1 600 Beyond",
        "HTTP/1.1 999 No",
    ] {
        let answer = format!("{line}\r\nContent-Length: 0\r\n\r\n");
        let origin = Origin::scripted(move |conversation| {
            while conversation.request().is_some() {
                conversation.say(&answer);
            }
        });
        let portcullis = Portcullis::start(&origin, "");
        for request in [
            "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        ] {
            let (_, head) = portcullis.client().send(request).head();
            assert_eq!(head.split("\r\n").next(), Some(line), "{request}");
        }
    }
    let bare = once(b"HTTP/1.1 404\r\nContent-Length: 0\r\n\r\n");
    let (head, _) = get(&Portcullis::start(&bare, ""), "/");
    assert!(head.starts_with("HTTP/1.1 404 "), "{head}");
}

#[test]
fn fields_come_back_as_they_are() {
    let origin = once(
        b"HTTP/1.0 200 OK\r\nDate: Mon, 01 Jan 2024 00:00:00 GMT\r\nServer: Origin/1 (\xe9)\r\nSet-Cookie: a=1; Path=/\r\n\
          X-Empty:\r\nSet-Cookie: b=2\r\nSet-Cookie: a=3\r\nX_Odd.Name: kept\r\nVia: 1.1 fred\r\nContent-Length: 0\r\n\
          Connection: Cache-Control, Set-Cookie, X-Hop\r\nCache-Control: private\r\nX-Hop: 1\r\nProxy-Connection: x\r\n\r\n",
    );
    let portcullis = Portcullis::start(&origin, "");
    let answer = all(
        &portcullis,
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    );
    let lines: Vec<&[u8]> = answer.split(|byte| *byte == b'\n').collect();
    let of = |name: &str| -> Vec<&[u8]> {
        let found = lines
            .iter()
            .filter(|line| line.starts_with(name.as_bytes()));
        found.map(|line| line[name.len()..].trim_ascii()).collect()
    };
    assert_eq!(of("date:"), [b"Mon, 01 Jan 2024 00:00:00 GMT"]);
    assert_eq!(of("server:"), [b"Origin/1 (\xe9)"]);
    assert_eq!(of("set-cookie:"), [&b"a=1; Path=/"[..], b"b=2", b"a=3"]);
    assert_eq!(of("x-empty:"), [b""]);
    assert_eq!(of("x_odd.name:"), [b"kept"]);
    assert_eq!(of("cache-control:"), [b"private"]);
    assert!(of("x-hop:").is_empty() && of("proxy-connection:").is_empty());
    let via = of("via:");
    assert_eq!(via[0], b"1.1 fred");
    assert!(via[1].starts_with(b"1.0 portcullis-"), "{via:?}");
    // RFC 9110 section 6.6.1: who forwards a response without a date adds one.
    let (head, _) = get(&Portcullis::start(&once(LENGTH_1_1), ""), "/");
    assert_eq!(head.matches("\r\ndate: ").count(), 1, "{head}");
}

#[test]
fn too_many_fields_of_the_origin_are_its_fault() {
    let fields: String = (0..101).map(|n| format!("X-{n}: 1\r\n")).collect();
    let origin = Origin::scripted(move |conversation| {
        if conversation.request().is_some() {
            conversation.say(format!("HTTP/1.1 200 OK\r\n{fields}\r\n"));
        }
    });
    let portcullis = Portcullis::start(&origin, "");
    assert_eq!(portcullis.client().get("/", "").status, 502);
}

#[test]
fn informational_responses_do_not_stand_in_for_the_final_one() {
    let origin = once(
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 104 Whatever\r\nX-A: 1\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    );
    let portcullis = Portcullis::start(&origin, "");
    assert_eq!(portcullis.client().get("/", "").text(), "hello");
}

#[test]
fn ranges_and_conditions_pass_both_ways() {
    let origin = Origin::scripted(|conversation| {
        while let Some(asked) = conversation.request() {
            match asked.field("range").as_deref() {
                Some("bytes=9-") => conversation.say(
                    "HTTP/1.1 416 Range Not Satisfiable\r\nContent-Range: bytes */5\r\nContent-Length: 0\r\n\r\n",
                ),
                _ => conversation.say(
                    "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 1-2/5\r\nAccept-Ranges: bytes\r\nContent-Length: 2\r\n\r\nel",
                ),
            }
        }
    });
    let portcullis = Portcullis::start(&origin, "");
    let mut client = portcullis.client();
    let fields = "Range: bytes=1-2\r\nIf-Range: \"x\"\r\nIf-None-Match: W/\"y\", *\r\nIf-Modified-Since: x\r\nIf-Match: *\r\n";
    let part = client.get("/", fields);
    assert_eq!((part.status, part.text()), (206, "el"));
    assert_eq!(part.field("content-range").unwrap(), "bytes 1-2/5");
    let asked = origin.only();
    for (name, value) in [
        ("range", "bytes=1-2"),
        ("if-range", "\"x\""),
        ("if-none-match", "W/\"y\", *"),
        ("if-modified-since", "x"),
        ("if-match", "*"),
    ] {
        assert_eq!(asked.field(name).as_deref(), Some(value));
    }
    let none = client.get("/", "Range: bytes=9-\r\n");
    assert_eq!(none.status, 416);
    assert_eq!(none.field("content-range").unwrap(), "bytes */5");
}
