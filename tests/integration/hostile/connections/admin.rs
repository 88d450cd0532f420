//! The same towards the admin listener.

use std::io::Write as _;
use std::net::TcpStream;
use std::time::Duration;

use super::{MANY, descriptors, gets_in, is_ended, program};
use crate::support::{Client, Origin, tried};
use crate::tls_clients::Edge;

/// What each sends, and then no more.
const STAY: [&str; 4] = [
    "",
    "GET /heal",
    "POST /-/explain HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{",
    "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n",
];

const EACH: usize = 100;

/// What each begins with, and goes on with for ever.
const ENDLESS: [(&str, &str); 7] = [
    ("", "\r\n"),
    ("GET /", "a"),
    ("GET /healthz HTTP/1.1\r\n", "a: b\r\n"),
    ("GET /healthz HTTP/1.1\r\nHost: a\r\nx: ", "y"),
    (
        "POST /-/explain HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n1;",
        "x",
    ),
    (
        "POST /-/explain HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n",
        "400\r\n",
    ),
    (
        "POST /-/explain HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999\r\n\r\n",
        "x",
    ),
];

#[test]
fn it_answers_whatever_else_comes() {
    let origin = Origin::ok();
    let (edge, folder) = (
        Edge::start_with(&origin, "", ""),
        tempfile::tempdir().unwrap(),
    );
    let (program, _) = program(&edge, &origin, &folder, "");
    let is_healthy = || {
        let mut client = Client::connect(program.admin());
        client.get("/healthz", "").status == 200
    };
    assert!(is_healthy());
    let (files, memory) = (descriptors(&program), program.memory("VmRSS"));
    let mut crowd = Vec::new();
    for bytes in STAY {
        for _ in 0..EACH {
            let mut stream = TcpStream::connect(program.admin()).unwrap();
            // The oldest of many is closed.
            let _ = stream.write_all(bytes.as_bytes());
            crowd.push(stream);
        }
        assert!(is_healthy(), "beside {bytes:?}");
        let more = descriptors(&program).saturating_sub(files);
        assert!(more <= 64 + 8, "{more} files");
    }
    for (start, more) in ENDLESS {
        let mut client = Client::connect(program.admin());
        client.send(start);
        let bytes = more.as_bytes().repeat(64 * 1024 / more.len());
        let ended = is_ended(&mut client.stream, &bytes, Duration::ZERO);
        assert!(ended, "{start:?} and {more:?} without end");
        assert!(is_healthy(), "after {start:?}");
    }
    let grown = program.memory("VmHWM").saturating_sub(memory);
    assert!(grown < 32 << 20, "{grown} bytes more");
    assert!(gets_in(program.address, b""));
    tried(MANY, STAY.len() * EACH + ENDLESS.len());
}
