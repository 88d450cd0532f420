//! Clients that do everything a byte at a time.

use std::io::{Read as _, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use tokio_rustls::rustls::ClientConnection;
use tokio_rustls::rustls::version::TLS13;

use super::{Door, MANY, WHOLE, gets_in, is_ended};
use crate::connections::endless;
use crate::http2::held;
use crate::support::{Frame, Origin, eventually, kind, tried};
use crate::tls_clients::Edge;

const PAUSE: Duration = Duration::from_millis(20);

/// So many of each kind at a time.
const EACH: usize = 4;

/// A body's beginning, and what comes of it bit by bit.
const UPLOADS: [(&str, &str); 6] = [
    ("Content-Length: 1000000\r\n\r\n", "x"),
    ("Transfer-Encoding: chunked\r\n\r\n", "1\r\nx\r\n"),
    ("Transfer-Encoding: chunked\r\n\r\n1000\r\n", "x"),
    ("Transfer-Encoding: chunked\r\n\r\n1", "0"),
    ("Transfer-Encoding: chunked\r\n\r\n1;", "x"),
    ("Transfer-Encoding: chunked\r\n\r\n0\r\n", "a: b\r\n"),
];

/// Others are served all the while.
fn while_others_are_served(address: SocketAddr, attack: impl FnOnce() + Send) {
    std::thread::scope(|scope| {
        let attack = scope.spawn(attack);
        while !attack.is_finished() {
            assert!(gets_in(address, b""));
            std::thread::sleep(PAUSE);
        }
    });
}

fn start(origin: &Origin, server: &str, tables: &str) -> Edge {
    Edge::start_by(origin, "handshake_timeout = \"500ms\"", server, tables)
}

#[test]
fn an_upload_bit_by_bit_is_given_up() {
    let origin = Origin::ok();
    let edge = start(&origin, "stall_timeout = \"500ms\"\n", "");
    let door = &Door::of(&edge);
    let head = "POST /u HTTP/1.1\r\nHost: img.example.com\r\n";
    while_others_are_served(door.plain, || {
        std::thread::scope(|scope| {
            for (start, more) in UPLOADS {
                for _ in 0..EACH {
                    scope.spawn(move || {
                        let mut client = door.client();
                        client.send(head).send(start);
                        let ended = is_ended(&mut client.stream, more.as_bytes(), PAUSE);
                        assert!(ended, "{start:?} and {more:?}");
                    });
                    scope.spawn(move || {
                        let mut client = door.tls();
                        client.send(head).send(start);
                        let ended = is_ended(&mut client.stream, more.as_bytes(), PAUSE);
                        assert!(ended, "{start:?} and {more:?} by TLS");
                    });
                }
            }
            for bytes in [
                Frame::bytes(kind::DATA, 0, 1, b"x"),
                Frame::bytes(kind::DATA, 8, 1, &[9, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
            ] {
                for _ in 0..EACH {
                    let bytes = bytes.clone();
                    scope.spawn(move || uploads_by_http2(door, &bytes));
                }
            }
        });
    });
    eventually("closed", || edge.counted(|c| c.open.get()) == 0);
    let gets = |asked: &crate::support::Asked| asked.line().starts_with("GET ");
    assert!(origin.asked().iter().all(gets), "none looks complete");
    tried(MANY, EACH * (2 * UPLOADS.len() + 2));
}

/// Only its stream ends.
fn uploads_by_http2(door: &Door, bytes: &[u8]) {
    let mut wire = door.wire();
    wire.headers(1, 4, &Frame::ask("POST", "/u"));
    let start = Instant::now();
    let tick = Some(PAUSE);
    wire.stream.sock.set_read_timeout(tick).unwrap();
    let mut seen = Vec::new();
    loop {
        assert!(start.elapsed() < Duration::from_secs(10), "it goes on");
        if !wire.try_send(bytes) {
            return;
        }
        let mut part = [0; 4096];
        match wire.stream.read(&mut part) {
            Ok(0) => return,
            Ok(length) => seen.extend_from_slice(&part[..length]),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(_) => return,
        }
        // 408 and the end of the stream, or its reset.
        if seen
            .windows(5)
            .any(|frame| matches!(frame, [1, 4 | 5, 0, 0, 0] | [3, 0, 0, 0, 0]))
        {
            return;
        }
    }
}

#[test]
fn a_handshake_bit_by_bit_is_given_up() {
    let edge = start(&Origin::ok(), "", "");
    let name = "img.example.com".try_into().unwrap();
    let config = edge.config_for(&[&TLS13], b"h2");
    let address = edge.address();
    let mut hello = Vec::new();
    let mut connection = ClientConnection::new(config.into(), name).unwrap();
    connection.write_tls(&mut hello).unwrap();
    assert!(hello.len() > 200);
    // Each byte in a record of its own, too.
    let records = hello[5..].iter().flat_map(|byte| [22, 3, 1, 0, 1, *byte]);
    let records: Vec<u8> = records.collect();
    while_others_are_served(edge.portcullis.address, || {
        std::thread::scope(|scope| {
            for (bytes, length) in [(&hello, 1), (&records, 6)] {
                for _ in 0..2 * EACH {
                    scope.spawn(move || dribble(address, bytes.chunks(length)));
                }
            }
        });
    });
    let failed = edge.counted(|c| c.failed_handshakes.get());
    assert_eq!(failed as usize, 4 * EACH);
    tried(MANY, 4 * EACH);
}

/// Sends these one by one; they must not get through.
fn dribble<'a>(address: SocketAddr, pieces: impl Iterator<Item = &'a [u8]>) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_nodelay(true).unwrap();
    let start = Instant::now();
    for piece in pieces {
        assert!(
            start.elapsed() < Duration::from_secs(10),
            "each byte bought time"
        );
        if stream.write_all(piece).is_err() {
            return;
        }
        std::thread::sleep(PAUSE);
    }
    panic!("it was waited for");
}

#[test]
fn a_proxy_header_bit_by_bit_is_given_up() {
    let tables = "[client]\nproxy_protocol = true\ntrusted_proxies = [\"127.0.0.1\"]\n";
    let edge = start(&Origin::ok(), "header_timeout = \"500ms\"\n", tables);
    let v1 = b"PROXY TCP4 192.0.2.1 192.0.2.2 4711 80\r\n".to_vec();
    let mut v2 = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x01\x00".to_vec();
    v2.resize(v2.len() + 256, 1);
    std::thread::scope(|scope| {
        for address in [edge.portcullis.address, edge.address()] {
            for header in [&v1, &v2] {
                for _ in 0..EACH {
                    scope.spawn(move || dribble(address, header.chunks(1)));
                }
            }
        }
    });
    let without = edge.counted(|c| c.no_proxy_headers.get());
    assert_eq!(without as usize, 4 * EACH);
    assert!(gets_in(edge.portcullis.address, &v1));
    tried(MANY, 4 * EACH);
}

/// And not only who reads nothing at all.
#[test]
fn an_answer_read_byte_by_byte_is_cut() {
    let edge = start(&endless(), "stall_timeout = \"500ms\"\n", "");
    let door = Door::of(&edge);
    std::thread::scope(|scope| {
        for _ in 0..EACH {
            scope.spawn(|| reads(&mut door.client().stream));
            scope.spawn(|| reads(&mut door.tls().stream));
        }
        let stalled = || edge.counted(|c| c.stalled.get()) as usize;
        eventually("all are cut", || stalled() == 2 * EACH);
    });
    eventually("closed", || edge.counted(|c| c.open.get()) == 0);
    tried(MANY, 2 * EACH);
}

fn reads(stream: &mut (impl Write + std::io::Read)) {
    stream.write_all(WHOLE.as_bytes()).unwrap();
    let start = Instant::now();
    while stream.read(&mut [0]).is_ok_and(|length| length > 0) {
        if start.elapsed() > Duration::from_secs(2) {
            return;
        }
        std::thread::sleep(PAUSE);
    }
}

/// By HTTP/2 a request waits for its answer beside others that are slow.
#[test]
fn one_slow_stream_among_others_is_cut_alone() {
    let (origin, let_go) = held();
    let edge = start(&origin, "stall_timeout = \"500ms\"\n", "");
    let mut wire = Door::of(&edge).wire();
    for stream in (0..20).map(|n| 1 + 2 * n) {
        wire.headers(stream, 4, &Frame::ask("POST", "/u"));
    }
    wire.get(101, "/a");
    let mut cut = 0;
    while cut < 20 {
        let frame = wire.next().expect("the connection goes on");
        cut += usize::from(frame.kind == kind::HEADERS && frame.stream != 101);
    }
    let_go.send(()).unwrap();
    assert_eq!(wire.answer(101), Ok(200));
    tried(MANY, 20);
}
