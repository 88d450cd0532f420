//! Clients that send much that asks for nothing, and those who only seem to.

use tokio_rustls::rustls::version::TLS13;

use super::{http2, is_well, silent, start, wire};
use crate::support::{Frame, Http2, Origin, Wire, eventually, kind};
use crate::tls_clients::Edge;

const ENHANCE_YOUR_CALM: u32 = 11;

/// Sends what `flood` makes of each turn until nobody takes it. How it ended.
fn flood(wire: &mut Wire, turns: u32, flood: impl Fn(u32) -> Vec<u8>) -> Option<u32> {
    for start in (0..turns).step_by(100) {
        let bytes: Vec<u8> = (start..start + 100).flat_map(&flood).collect();
        if !wire.try_send(&bytes) {
            break;
        }
    }
    wire.end()
}

/// That it ends a connection, is counted, and costs nobody else anything.
fn is_ended(what: &str, bytes: impl Fn(u32) -> Vec<u8>) {
    let origin = Origin::ok();
    let edge = start(&origin, "");
    let mut other = http2(&edge);
    assert_eq!(other.get("/a", "").text(), "ok");
    let mut attacker = wire(&edge);
    let code = flood(&mut attacker, 20_000, bytes);
    // What is not read may make the end a reset, which may overtake it.
    assert!(
        matches!(code, None | Some(ENHANCE_YOUR_CALM)),
        "{what}: {code:?}"
    );
    eventually(what, || edge.counted(|c| c.floods.get()) == 1);
    assert_eq!(other.get("/a", "").text(), "ok");
    drop((attacker, other));
    is_well(&edge);
}

#[test]
fn frames_that_ask_for_nothing() {
    is_ended("ping", |_| Frame::bytes(kind::PING, 0, 0, &[0; 8]));
    is_ended("answered ping", |_| Frame::bytes(kind::PING, 1, 0, &[0; 8]));
    is_ended("settings", |_| Frame::bytes(kind::SETTINGS, 0, 0, &[]));
    is_ended("large settings", |n| {
        let pair = [0, 4, 0, 0, 0, (n % 100) as u8];
        Frame::bytes(kind::SETTINGS, 0, 0, &pair.repeat(100))
    });
    is_ended("window", |_| {
        Frame::bytes(kind::WINDOW_UPDATE, 0, 0, &1u32.to_be_bytes())
    });
    is_ended("priority", |_| {
        Frame::bytes(kind::PRIORITY, 0, 1, &[0, 0, 0, 3, 16])
    });
    is_ended("unknown", |_| Frame::bytes(0xbe, 0xff, 0, b"x"));
}

#[test]
fn cancelled_requests() {
    is_ended("rapid reset", |n| {
        let stream = 1 + 2 * n;
        let mut bytes = Frame::bytes(kind::HEADERS, 5, stream, &Frame::block(&Frame::get("/a")));
        bytes.extend(Frame::bytes(
            kind::RST_STREAM,
            0,
            stream,
            &8u32.to_be_bytes(),
        ));
        bytes
    });
    // The client has the server reset them ("MadeYouReset", CVE-2025-8671).
    is_ended("made you reset", |n| {
        let stream = 1 + 2 * n;
        let mut bytes = Frame::bytes(kind::HEADERS, 5, stream, &Frame::block(&Frame::get("/a")));
        bytes.extend(Frame::bytes(
            kind::WINDOW_UPDATE,
            0,
            stream,
            &0x7fff_ffffu32.to_be_bytes(),
        ));
        bytes
    });
    is_ended("malformed requests", |n| {
        let block = Frame::block(&[(":method", b"GET"), (":path", b"/")]);
        Frame::bytes(kind::HEADERS, 5, 1 + 2 * n, &block)
    });
}

/// So slowly that each has been begun.
#[test]
fn requests_cancelled_once_they_are_seen() {
    let (origin, _let_go) = super::held();
    let edge = start(&origin, "");
    let mut wire = wire(&edge);
    for turn in 0..1000 {
        let stream = 1 + 2 * turn;
        let mut bytes = Frame::bytes(kind::HEADERS, 5, stream, &Frame::block(&Frame::get("/a")));
        bytes.extend(Frame::bytes(kind::PING, 0, 0, &[0; 8]));
        if !wire.try_send(&bytes) {
            break;
        }
        let mut frames = std::iter::from_fn(|| wire.next());
        if !frames.any(|frame| frame.kind == kind::PING) {
            break;
        }
        wire.try_send(&Frame::bytes(kind::RST_STREAM, 0, stream, &[0, 0, 0, 8]));
    }
    eventually("counted", || edge.counted(|c| c.floods.get()) == 1);
    drop(wire);
    is_well(&edge);
}

/// More at a time than it may have, without end.
#[test]
fn streams_that_are_refused_cost_nobody_else() {
    let (origin, _let_go) = super::held();
    let edge = Edge::start_with(&origin, "max_streams = 10", "");
    let mut other = http2(&edge);
    let mut wire = wire(&edge);
    let block = Frame::block(&Frame::get("/a"));
    for turn in 0..5000 {
        if !wire.try_send(&Frame::bytes(kind::HEADERS, 5, 1 + 2 * turn, &block)) {
            break;
        }
    }
    assert_eq!(other.get("/now", "").text(), "ok");
    // Those it had a right to, and the one that was just answered.
    assert!(origin.count() <= 11, "{}", origin.count());
    drop((wire, other));
    is_well(&edge);
}

#[test]
fn a_body_byte_by_byte() {
    let edge = start(&Origin::ok(), "");
    let mut other = http2(&edge);
    let mut wire = wire(&edge);
    wire.headers(1, 4, &Frame::ask("POST", "/a"));
    let bytes = Frame::bytes(kind::DATA, 0, 1, b"x").repeat(100);
    for _ in 0..200 {
        if !wire.try_send(&bytes) {
            break;
        }
    }
    assert_eq!(other.get("/a", "").text(), "ok");
    drop((wire, other));
    is_well(&edge);
}

#[test]
fn empty_data() {
    let (origin, _let_go) = super::held();
    let edge = start(&origin, "");
    let mut wire = wire(&edge);
    wire.headers(1, 4, &Frame::ask("POST", "/a"));
    let code = flood(&mut wire, 20_000, |_| Frame::bytes(kind::DATA, 0, 1, &[]));
    assert!(matches!(code, None | Some(ENHANCE_YOUR_CALM)), "{code:?}");
    eventually("counted", || edge.counted(|c| c.floods.get()) == 1);
    drop(wire);
    is_well(&edge);
}

#[test]
fn empty_data_with_padding() {
    let (origin, _let_go) = super::held();
    let edge = start(&origin, "");
    let mut wire = wire(&edge);
    wire.headers(1, 4, &Frame::ask("POST", "/a"));
    flood(&mut wire, 20_000, |_| {
        Frame::bytes(kind::DATA, 8, 1, &[3, 0, 0, 0])
    });
    drop(wire);
    is_well(&edge);
}

#[test]
fn a_block_that_never_ends() {
    let origin = Origin::ok();
    for (what, part) in [
        ("empty", &[][..]),
        ("full", &Frame::block(&[("x-a", &[b'x'; 100])])[..]),
    ] {
        let edge = start(&origin, "");
        let mut wire = wire(&edge);
        wire.headers(1, 1, &Frame::get("/a"));
        let code = flood(&mut wire, 20_000, |_| {
            Frame::bytes(kind::CONTINUATION, 0, 1, part)
        });
        assert!(
            matches!(code, None | Some(ENHANCE_YOUR_CALM)),
            "{what}: {code:?}"
        );
        eventually("counted", || edge.counted(|c| c.floods.get()) == 1);
        drop(wire);
        is_well(&edge);
    }
}

#[test]
fn blocks_in_many_pieces() {
    let edge = start(&Origin::ok(), "");
    let mut wire = wire(&edge);
    let block = Frame::block(&Frame::get("/a"));
    flood(&mut wire, 20_000, |n| {
        let stream = 1 + 2 * n;
        let mut bytes = Frame::bytes(kind::HEADERS, 1, stream, &[]);
        for byte in &block {
            bytes.extend(Frame::bytes(kind::CONTINUATION, 0, stream, &[*byte]));
        }
        bytes.extend(Frame::bytes(kind::CONTINUATION, 4, stream, &[]));
        bytes
    });
    eventually("counted", || edge.counted(|c| c.floods.get()) == 1);
    drop(wire);
    is_well(&edge);
}

/// An honest client that never reads is no flood, but takes no memory either.
#[test]
fn an_answer_to_each_ping_that_nobody_reads() {
    let edge = start(&Origin::ok(), "");
    let mut wire = wire(&edge);
    // So slow that time makes up for them.
    for _ in 0..30 {
        wire.send(&Frame::bytes(kind::PING, 0, 0, &[0; 8]).repeat(50));
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    wire.get(1, "/a");
    assert_eq!(wire.answer(1), Ok(200));
    assert_eq!(edge.counted(|c| c.floods.get()), 0);
}

#[test]
fn a_heavy_client_is_no_flood() {
    let body = "0123456789abcdef".repeat(64 * 1024);
    let answer = format!(
        "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let small =
        "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 2\r\n\r\nok".to_owned();
    let origin = Origin::answered_by(move |asked| match asked.target() {
        "/large" => answer.clone(),
        _ => small.clone(),
    });
    let edge = start(&origin, "");
    // It acknowledges by windows as small as any.
    let mut builder = h2::client::Builder::new();
    builder.initial_window_size(16_384).max_frame_size(16_384);
    let config = edge.config_for(&[&TLS13], b"h2");
    let mut client = Http2::connect_by(edge.address(), config, &builder);
    for _ in 0..10 {
        let large = client.all(&vec!["/large".to_owned(); 4]);
        assert!(
            large
                .into_iter()
                .all(|one| one.unwrap().body.len() == body.len())
        );
        let small = client.all(&vec!["/small".to_owned(); 1000]);
        assert!(small.into_iter().all(|one| one.unwrap().text() == "ok"));
    }
    assert_eq!(edge.counted(|c| c.floods.get()), 0);
}

/// A page is left before any of its images has come.
#[test]
fn a_page_that_is_left_is_no_flood() {
    let (origin, _let_go) = super::held();
    let edge = Edge::start_with(&origin, "", "");
    let mut wire = wire(&edge);
    let block = Frame::block(&Frame::get("/a"));
    let mut bytes = Vec::new();
    for stream in (0..128).map(|n| 1 + 2 * n) {
        bytes.extend(Frame::bytes(kind::HEADERS, 5, stream, &block));
    }
    for stream in (0..128).map(|n| 1 + 2 * n) {
        bytes.extend(Frame::bytes(kind::RST_STREAM, 0, stream, &[0, 0, 0, 8]));
    }
    wire.send(&bytes);
    wire.get(301, "/now");
    assert_eq!(wire.answer(301), Ok(200));
    assert_eq!(edge.counted(|c| c.floods.get()), 0);
    drop(wire);
    is_well(&edge);
}

#[test]
fn a_preface_that_is_none() {
    let edge = start(&Origin::ok(), "");
    for bytes in [
        &b"GET / HTTP/1.1\r\nHost: img.example.com\r\n\r\n"[..],
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\rx",
        &[0; 100],
    ] {
        let mut wire = silent(&edge);
        wire.try_send(bytes);
        let code = wire.end();
        assert!(matches!(code, None | Some(1)), "{code:?}");
    }
    eventually("counted", || edge.counted(|c| c.malformed_heads.get()) >= 3);
    is_well(&edge);
}
