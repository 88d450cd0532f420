//! Messages that go on for ever and say nothing.

use std::time::Duration;

use super::{Door, LAST, MANY, gets_in, is_ended};
use crate::support::{Client, Origin, Portcullis, tried};
use crate::tls_clients::Edge;

const UPLOAD: &str =
    "POST /u HTTP/1.1\r\nHost: img.example.com\r\nTransfer-Encoding: chunked\r\n\r\n";

/// What a body begins with, and goes on with.
const BODIES: [(&str, &str); 7] = [
    ("", "0"),
    ("1", " "),
    ("1", "\t "),
    ("1;", "x"),
    ("1", ";a=\"b\""),
    ("0\r\n", "a: b\r\n"),
    ("0\r\na: ", "b"),
];

/// What a head begins with, and goes on with.
const HEADS: [(&str, &str); 8] = [
    ("", "\r\n"),
    ("", "G"),
    ("GET /", "a"),
    ("GET ", " "),
    ("GET / HTTP/1.1\r\n", "a: b\r\n"),
    ("GET / HTTP/1.1\r\n", "a"),
    ("GET / HTTP/1.1\r\nHost: a\r\nx: ", "y"),
    ("GET / HTTP/1.1\r\nHost: a\r\nx:", " "),
];

/// No time ends any of them.
const PATIENT: &str = "header_timeout = \"1h\"\nidle_timeout = \"1h\"\nstall_timeout = \"1h\"\n";

fn many(bytes: &str) -> Vec<u8> {
    bytes.as_bytes().repeat(64 * 1024 / bytes.len())
}

#[test]
fn what_never_ends_is_ended() {
    let origin = Origin::ok();
    let edge = Edge::start_with(&origin, "", PATIENT);
    let door = &Door::of(&edge);
    let bodies = BODIES.map(|(start, more)| (format!("{UPLOAD}{start}"), more));
    let heads = HEADS.map(|(start, more)| (start.to_owned(), more));
    std::thread::scope(|scope| {
        for (start, more) in bodies.into_iter().chain(heads) {
            scope.spawn(move || {
                let (mut plain, mut tls) = (door.client(), door.tls());
                plain.send(&start);
                let ended = is_ended(&mut plain.stream, &many(more), Duration::ZERO);
                assert!(ended, "{start:?} and {more:?} without end");
                tls.send(&start);
                let ended = is_ended(&mut tls.stream, &many(more), Duration::ZERO);
                assert!(ended, "{start:?} and {more:?} without end, by TLS");
                assert!(gets_in(door.plain, b""), "after {start:?}");
            });
        }
    });
    assert!(
        origin
            .asked()
            .iter()
            .all(|asked| asked.line().starts_with("GET "))
    );
    tried(MANY, 2 * (BODIES.len() + HEADS.len()));
}

/// Pieces of a body may have zeros and blanks, and be large.
#[test]
fn what_only_looks_so_is_served() {
    let chunk = format!("{}0000400 \t\r\n{}\r\n", "0".repeat(20), "x".repeat(1024));
    let large = format!(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{}0\r\n\r\n",
        chunk.repeat(2000)
    );
    let small = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok".to_owned();
    let origin = Origin::answered_by(move |asked| match asked.target() {
        "/large" => large.clone(),
        _ => small.clone(),
    });
    let edge = Edge::start_with(&origin, "", PATIENT);
    let mut client = edge.portcullis.client();
    client.send("POST /large HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx");
    assert_eq!(client.reply().body.len(), 2000 * 1024);
    assert_eq!(client.get("/large", "").body.len(), 2000 * 1024);
    client.send(UPLOAD);
    for _ in 0..2000 {
        client
            .send("0000000000000400 \t\r\n")
            .send([b'x'; 1024])
            .send("\r\n");
    }
    client.send("0\r\n\r\n");
    assert_eq!(client.reply().text(), "ok");
    client
        .send(UPLOAD)
        .send("200000\r\n")
        .send(vec![b'x'; 2 << 20])
        .send("\r\n0\r\n\r\n");
    assert_eq!(client.reply().text(), "ok");
    assert_eq!(client.get("/a", "").text(), "ok");
}

/// What the origin says and goes on with, where a request has a body and where
/// it has none.
const ANSWERS: [(&str, &str); 6] = [
    ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "0"),
    (
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1",
        " ",
    ),
    (
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;",
        "x",
    ),
    (
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n",
        "a: b\r\n",
    ),
    ("", "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"),
    ("", "\r\n"),
];

#[test]
fn an_answer_that_never_ends_is_cut() {
    for (start, more) in ANSWERS {
        let (ended, is_over) = std::sync::mpsc::channel();
        let ended = std::sync::Mutex::new(ended);
        let origin = Origin::scripted(move |conversation| {
            let asked = conversation.request().unwrap();
            if asked.target() == "/now" {
                return conversation.say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
            }
            conversation.say(start);
            let over = is_ended(&mut conversation.stream, &many(more), Duration::ZERO);
            ended.lock().unwrap().send(over).unwrap();
        });
        let policy = format!(
            "[server]\nlisten = [\"127.0.0.1:0\"]\nworkers = 1\n{PATIENT}[origin]\nurl = \"@origin@\"\nresponse_timeout = \"1h\"\n"
        );
        let portcullis = Portcullis::start(&origin, &policy);
        for request in [
            "GET /e HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
            "POST /e HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
        ] {
            let mut client: Client = portcullis.client();
            client.send(request);
            let over = is_over.recv_timeout(Duration::from_secs(20));
            assert_eq!(over, Ok(true), "{start:?} and {more:?} to {request:.4}");
            let answer = client.until_cut();
            assert!(
                !answer.ends_with(b"0\r\n\r\n"),
                "{request:.4} looks complete"
            );
            let mut next = portcullis.client();
            next.send(LAST);
            assert_eq!(next.reply().text(), "ok");
        }
    }
    tried(MANY, 2 * ANSWERS.len());
}
