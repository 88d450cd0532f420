//! Whatever bytes a client or an origin sends, the proxy answers or closes,
//! and the next client is served.

use std::io::{Read as _, Write as _};
use std::net::Shutdown;
use std::sync::{Arc, Mutex};

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::support::{Origin, Portcullis};

/// How many messages each of the two gets to see.
const CASES: u32 = 500;

/// Pieces that messages are made of, in any order, and noise between them.
fn message(line: &'static str) -> impl Strategy<Value = Vec<u8>> {
    let known = proptest::sample::select(vec![
        "\r\n",
        "\n",
        "\r",
        "\r\n\r\n",
        " ",
        ":",
        ": ",
        ",",
        "0",
        "5",
        "hello",
        "GET",
        "HEAD",
        "POST",
        "/",
        "http://a/",
        "*",
        "HTTP/1.1",
        "HTTP/1.0",
        "HTTP/1.1 200 OK\r\n",
        "HTTP/1.1 204 No Content\r\n",
        "HTTP/1.1 100 Continue\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\n\r\n",
        "Host: a\r\n",
        "Content-Length: 5\r\n",
        "Content-Length: 0\r\n",
        "Content-Length: 4, 5\r\n",
        "Transfer-Encoding: chunked\r\n",
        "Transfer-Encoding: gzip\r\n",
        "5\r\nhello\r\n",
        "0\r\n\r\n",
        "ffffffffffffffff\r\n",
        "Connection: close\r\n",
        "Connection: keep-alive, x\r\n",
        "Expect: 100-continue\r\n",
        "Upgrade: x\r\n",
        "Vary: *\r\n",
        "Cache-Control: a=\"\r\n",
        "\0",
    ]);
    let piece = prop_oneof![
        8 => known.prop_map(|piece| piece.as_bytes().to_vec()),
        1 => proptest::collection::vec(any::<u8>(), 0..40),
    ];
    let start = proptest::sample::select(vec![line, "", line]);
    (start, proptest::collection::vec(piece, 0..16))
        .prop_map(|(start, pieces)| [start.as_bytes().to_vec(), pieces.concat()].concat())
}

fn for_messages(line: &'static str, check: impl Fn(Vec<u8>)) {
    let mut runner = TestRunner::new(Config {
        cases: CASES,
        failure_persistence: None,
        max_shrink_iters: 0,
        ..Config::default()
    });
    let checked = runner.run(&message(line), |bytes| {
        check(bytes);
        Ok(())
    });
    checked.unwrap();
}

#[test]
fn of_a_client() {
    let portcullis = Portcullis::start(&Origin::ok(), "[access.user_agent]\nblock = [\"bad\"]\n");
    for_messages("GET / HTTP/1.1\r\nHost: a\r\n", |bytes| {
        let mut client = portcullis.client();
        // It may be closed before all is sent; that is an answer, too.
        let _ = client.stream.write_all(&bytes);
        let _ = client.stream.shutdown(Shutdown::Write);
        let mut answers = Vec::new();
        let ended = client.stream.read_to_end(&mut answers);
        if let Err(error) = ended {
            assert_eq!(
                error.kind(),
                std::io::ErrorKind::ConnectionReset,
                "{}",
                bytes.escape_ascii()
            );
        }
        assert!(
            answers.is_empty() || answers.starts_with(b"HTTP/1."),
            "{}",
            bytes.escape_ascii()
        );
        assert_eq!(
            portcullis.client().get("/", "").text(),
            "ok",
            "{}",
            bytes.escape_ascii()
        );
    });
}

#[test]
fn of_an_origin() {
    let saying = Arc::new(Mutex::new(Vec::new()));
    let said = Arc::clone(&saying);
    let origin = Origin::scripted(move |conversation| {
        while let Some(asked) = conversation.request() {
            if asked.line() == "GET /good HTTP/1.1" {
                conversation.say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
                continue;
            }
            let bytes = said.lock().unwrap().clone();
            conversation.say(bytes);
            return;
        }
    });
    let policy = "[access]\ndownstream = \"private\"\n[access.user_agent]\nblock = [\"bad\"]\n";
    let portcullis = Portcullis::start(&origin, policy);
    for_messages("HTTP/1.1 200 OK\r\n", |bytes| {
        (*saying.lock().unwrap()).clone_from(&bytes);
        let mut client = portcullis.client();
        client.send("GET /a.jpg HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        let mut answers = Vec::new();
        let ended = client.stream.read_to_end(&mut answers);
        // A body that breaks off before it began may end the connection.
        let begun = answers.is_empty() || answers.starts_with(b"HTTP/1.1 ");
        assert!(begun, "{}", bytes.escape_ascii());
        if let Err(error) = ended {
            assert_eq!(
                error.kind(),
                std::io::ErrorKind::ConnectionReset,
                "{}",
                bytes.escape_ascii()
            );
        }
        let next = portcullis.client().get("/good", "");
        assert_eq!(
            (next.status, next.text()),
            (200, "ok"),
            "{}",
            bytes.escape_ascii()
        );
    });
}
