//! What no client says that keeps to RFC 9113.

use super::{is_well, start, wire};
use crate::support::{Frame, Origin, eventually, integer, kind};

const PROTOCOL_ERROR: u32 = 1;
const ENHANCE_YOUR_CALM: u32 = 11;

/// On a connection of its own each: the stream is answered 400 or reset, or
/// the connection ends; the origin hears nothing.
#[test]
fn requests_that_are_none() {
    let origin = Origin::ok();
    let edge = start(&origin, "");
    let get = Frame::get("/a");
    let with = |name: &'static str, value: &'static [u8]| {
        let mut fields = get.to_vec();
        fields.push((name, value));
        fields
    };
    let instead = |at: usize, value: &'static [u8]| {
        let mut fields = get.to_vec();
        fields[at].1 = value;
        fields
    };
    let without = |at: usize| {
        let mut fields = get.to_vec();
        fields.remove(at);
        fields
    };
    let late = || {
        let mut fields = with("x-a", b"b");
        fields.swap(3, 4);
        fields
    };
    let cases = [
        instead(0, b"GE T"),
        instead(0, b"GET\r\nX-Evil: 1"),
        instead(0, b""),
        instead(1, b"https\r\n"),
        instead(2, b"img.example.com\r\nX-Evil: 1"),
        instead(2, b"img.example.com evil"),
        instead(2, b"user@img.example.com"),
        instead(2, b"img.example.com/evil"),
        instead(2, b"img\0"),
        instead(2, b""),
        instead(3, b"/a HTTP/1.1\r\nX-Evil: 1\r\n\r\n"),
        instead(3, b"/a\r\nX-Evil: 1"),
        instead(3, b"/a b"),
        instead(3, b"/a\0"),
        instead(3, b"/a\tb"),
        instead(3, b""),
        without(0),
        without(1),
        without(3),
        with(":path", b"/b"),
        with(":method", b"PUT"),
        with(":authority", b"img.example.com"),
        with(":status", b"200"),
        with(":protocol", b"websocket"),
        with(":x", b"y"),
        with(":", b"y"),
        late(),
        with("X-Upper", b"1"),
        with("Host", b"img.example.com"),
        with("connection", b"close"),
        with("connection", b"host"),
        with("transfer-encoding", b"chunked"),
        with("keep-alive", b"1"),
        with("proxy-connection", b"keep-alive"),
        with("upgrade", b"h2c"),
        with("te", b"gzip"),
        with("te", b"trailers, gzip"),
        with("x-a", b"b\r\nX-Evil: 1"),
        with("x-a", b"b\nX-Evil: 1"),
        with("x-a", b"b\0c"),
        with("x a", b"b"),
        with("x-a:", b"b"),
        with("x-a\r\nx-evil", b"b"),
        with("", b"b"),
        with("content-length", b"5"),
        with("content-length", b""),
        with("content-length", b"+0"),
    ];
    for fields in cases {
        let shown = format!(
            "{:?}",
            fields
                .iter()
                .map(|(n, v)| (*n, String::from_utf8_lossy(v)))
                .collect::<Vec<_>>()
        );
        let mut wire = wire(&edge);
        wire.headers(1, 5, &fields);
        let answer = loop {
            match wire.next() {
                None => break Err(PROTOCOL_ERROR),
                Some(frame) if frame.kind == kind::GOAWAY => break Err(frame.code(4)),
                Some(frame) if frame.kind == kind::RST_STREAM => break Err(frame.code(0)),
                Some(frame) if frame.kind == kind::HEADERS => break Ok(frame.status()),
                Some(_) => {}
            }
        };
        assert!(
            matches!(answer, Ok(400) | Err(PROTOCOL_ERROR)),
            "{shown}: {answer:?}"
        );
    }
    assert_eq!(origin.count(), 0, "{:?}", origin.asked());
    is_well(&edge);
}

/// Whatever it did not refuse, the origin sees a request that is only one.
#[test]
fn a_path_is_sent_on_as_one() {
    let origin = Origin::ok();
    let edge = start(&origin, "");
    for path in [
        "/a?b\u{e4}",
        "/\u{e4}",
        "/a#b",
        "/a\\b",
        "/%0d%0aX-Evil:%201",
        "/a?%0d%0a",
        "/a?\u{7f}",
    ] {
        let mut wire = wire(&edge);
        wire.headers(1, 5, &Frame::get(path)).answer(1).ok();
    }
    for asked in origin.asked() {
        let mut words = asked.line().split(' ');
        assert!(
            words.clone().count() == 3 && words.next_back() == Some("HTTP/1.1"),
            "{}",
            asked.head
        );
        assert!(!asked.line().bytes().any(|byte| byte < 0x20 || byte == 0x7f));
        assert!(!asked.names().iter().any(|name| name.contains("evil")));
    }
    is_well(&edge);
}

/// Frames that end the connection, and the code that tells why.
#[test]
fn frames_out_of_order() {
    let edge = start(&Origin::ok(), "");
    let headers = |stream| Frame::bytes(kind::HEADERS, 5, stream, &Frame::block(&Frame::get("/a")));
    let opened = || {
        Frame::bytes(
            kind::HEADERS,
            4,
            1,
            &Frame::block(&Frame::ask("POST", "/a")),
        )
    };
    let two = |one: Vec<u8>, other: Vec<u8>| [one, other].concat();
    let cases: [(&str, Vec<u8>, &[u32]); 20] = [
        ("even stream", headers(2), &[1]),
        ("stream 0", headers(0), &[1]),
        ("data on 0", Frame::bytes(kind::DATA, 0, 0, b"x"), &[1]),
        (
            "data on idle",
            Frame::bytes(kind::DATA, 0, 5, b"x"),
            &[1, 5],
        ),
        (
            "reset on idle",
            Frame::bytes(kind::RST_STREAM, 0, 5, &[0; 4]),
            &[1],
        ),
        (
            "reset on 0",
            Frame::bytes(kind::RST_STREAM, 0, 0, &[0; 4]),
            &[1],
        ),
        (
            "window on idle",
            Frame::bytes(kind::WINDOW_UPDATE, 0, 5, &1u32.to_be_bytes()),
            &[1],
        ),
        ("ping on 1", Frame::bytes(kind::PING, 0, 1, &[0; 8]), &[1]),
        (
            "short ping",
            Frame::bytes(kind::PING, 0, 0, &[0; 7]),
            &[1, 6],
        ),
        (
            "settings on 1",
            Frame::bytes(kind::SETTINGS, 0, 1, &[]),
            &[1],
        ),
        (
            "odd settings",
            Frame::bytes(kind::SETTINGS, 0, 0, &[0; 5]),
            &[1, 6],
        ),
        (
            "settings over",
            Frame::bytes(kind::SETTINGS, 0, 0, &[0, 4, 0x80, 0, 0, 0]),
            &[1, 3],
        ),
        (
            "frame size",
            Frame::bytes(kind::SETTINGS, 0, 0, &[0, 5, 0, 0, 0, 1]),
            &[1],
        ),
        (
            "window of 0",
            Frame::bytes(kind::WINDOW_UPDATE, 0, 0, &[0; 4]),
            &[1],
        ),
        (
            "window over",
            Frame::bytes(kind::WINDOW_UPDATE, 0, 0, &0x7fff_ffffu32.to_be_bytes()),
            &[3],
        ),
        (
            "push",
            Frame::bytes(kind::PUSH_PROMISE, 4, 1, &[0, 0, 0, 2, 0x82]),
            &[1],
        ),
        (
            "continuation of nothing",
            Frame::bytes(kind::CONTINUATION, 4, 1, &[0x82]),
            &[1],
        ),
        (
            "between a block",
            two(
                Frame::bytes(kind::HEADERS, 1, 1, &[0x82]),
                Frame::bytes(kind::PING, 0, 0, &[0; 8]),
            ),
            &[1],
        ),
        (
            "too large a frame",
            Frame::bytes(kind::DATA, 0, 1, &[0; 16_385]),
            &[6],
        ),
        (
            "padding over",
            two(opened(), Frame::bytes(kind::DATA, 8, 1, &[9, 0, 0])),
            &[1],
        ),
    ];
    let count = cases.len() as u64;
    for (what, bytes, codes) in cases {
        let mut wire = wire(&edge);
        wire.try_send(&bytes);
        let code = wire.end();
        assert!(
            code.is_none_or(|code| codes.contains(&code)),
            "{what}: {code:?}"
        );
    }
    eventually("counted", || {
        edge.counted(|c| c.malformed_heads.get()) == count
    });
    is_well(&edge);
}

/// Frames for streams that are over end those, if anything.
#[test]
fn frames_that_come_late() {
    let edge = start(&Origin::ok(), "");
    let mut wire = wire(&edge);
    wire.get(1, "/a");
    assert_eq!(wire.answer(1), Ok(200));
    while !wire.until(kind::DATA).ends() {}
    wire.frame(kind::WINDOW_UPDATE, 0, 1, &100u32.to_be_bytes());
    wire.frame(kind::RST_STREAM, 0, 1, &8u32.to_be_bytes());
    wire.frame(kind::PRIORITY, 0, 1, &[0, 0, 0, 3, 1]);
    wire.get(3, "/a");
    assert_eq!(wire.answer(3), Ok(200));
    // A window beyond all measure is the stream's own matter.
    wire.headers(5, 4, &Frame::ask("POST", "/a"));
    wire.frame(kind::WINDOW_UPDATE, 0, 5, &0x7fff_ffffu32.to_be_bytes());
    assert_eq!(wire.answer(5), Err(3));
    wire.get(7, "/a");
    assert_eq!(wire.answer(7), Ok(200));
    // One whose number was passed over is closed; DATA on one that is, too.
    wire.frame(kind::DATA, 1, 1, b"late");
    wire.try_send(&Frame::bytes(
        kind::HEADERS,
        5,
        1,
        &Frame::block(&Frame::get("/a")),
    ));
    assert_eq!(wire.answer(1), Err(5), "STREAM_CLOSED");
    wire.get(9, "/a");
    assert_eq!(wire.answer(9), Ok(200));
    drop(wire);
    is_well(&edge);
}

#[test]
fn a_stream_that_waits_for_itself_is_an_error_or_nothing() {
    let edge = start(&Origin::ok(), "");
    let mut wire = wire(&edge);
    let mut payload = vec![0, 0, 0, 1, 16];
    payload.extend(Frame::block(&Frame::get("/a")));
    wire.try_send(&Frame::bytes(kind::HEADERS, 0x25, 1, &payload));
    while let Some(frame) = wire.next() {
        if matches!(frame.kind, kind::HEADERS | kind::RST_STREAM | kind::GOAWAY) {
            break;
        }
    }
    drop(wire);
    is_well(&edge);
}

/// Blocks that no table can make sense of.
#[test]
fn blocks_that_are_none() {
    let edge = start(&Origin::ok(), "");
    let mut larger = Vec::new();
    integer(&mut larger, 0x20, 5, 1 << 20);
    let mut far = Vec::new();
    integer(&mut far, 0x80, 7, 5000);
    let cases: [&[u8]; 8] = [
        &[0x80],
        &[0xff; 20],
        &far,
        &larger,
        &[0x00, 0x7f],
        &[0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f],
        &[0x00, 0x81, 0xff],
        &[0x82, 0x20],
    ];
    for block in cases {
        let mut wire = wire(&edge);
        wire.try_send(&Frame::bytes(kind::HEADERS, 5, 1, block));
        let code = wire.end();
        assert!(matches!(code, None | Some(1 | 9)), "{block:?}: {code:?}");
    }
    is_well(&edge);
}

/// A large field that is remembered once and named a thousand times.
#[test]
fn a_bomb_of_fields() {
    let origin = Origin::ok();
    let edge = start(&origin, "");
    let mut wire = wire(&edge);
    let mut block = Frame::block(&Frame::get("/a"));
    block.extend([0x40, 1, b'x']);
    integer(&mut block, 0, 7, 4000);
    block.extend([b'a'; 4000]);
    block.extend([0xbe; 8000]);
    wire.frame(kind::HEADERS, 5, 1, &block);
    assert!(matches!(wire.end(), None | Some(ENHANCE_YOUR_CALM)));
    eventually("counted", || edge.counted(|c| c.floods.get()) == 1);
    assert_eq!(origin.count(), 0);
    is_well(&edge);
}

/// As large as any that is read at all.
#[test]
fn a_small_bomb_of_fields() {
    let origin = Origin::ok();
    let edge = start(&origin, "");
    let mut wire = wire(&edge);
    let mut block = Frame::block(&Frame::get("/a"));
    block.extend([0x40, 1, b'x']);
    integer(&mut block, 0, 7, 4000);
    block.extend([b'a'; 4000]);
    wire.frame(kind::HEADERS, 5, 1, &block);
    assert_eq!(wire.answer(1), Ok(200));
    for turn in 0..100 {
        let stream = 3 + 2 * turn;
        let mut block = Frame::block(&Frame::get("/a"));
        block.extend([0xbe; 10]);
        wire.frame(kind::HEADERS, 5, stream, &block);
        assert_eq!(wire.answer(stream), Ok(431), "{turn}");
    }
    wire.get(301, "/a");
    assert_eq!(wire.answer(301), Ok(200));
    assert_eq!(origin.count(), 2);
    drop(wire);
    is_well(&edge);
}

/// Far more fields than are kept.
#[test]
fn a_list_beyond_measure() {
    let origin = Origin::ok();
    let edge = start(&origin, "");
    let mut wire = wire(&edge);
    let mut bytes = Frame::bytes(kind::HEADERS, 1, 1, &Frame::block(&Frame::get("/a")));
    let part = Frame::block(&[("x-a", &[b'x'; 1000])]).repeat(15);
    for turn in 0..100 {
        let end = if turn == 99 { 4 } else { 0 };
        bytes.extend(Frame::bytes(kind::CONTINUATION, end, 1, &part));
    }
    wire.try_send(&bytes);
    let mut answered = None;
    while let Some(frame) = wire.next() {
        match frame.kind {
            kind::GOAWAY => answered = Some(Err(frame.code(4))),
            kind::HEADERS => answered = Some(Ok(frame.status())),
            _ => continue,
        }
        break;
    }
    assert!(
        matches!(answered, None | Some(Ok(431) | Err(11))),
        "{answered:?}"
    );
    assert_eq!(origin.count(), 0);
    drop(wire);
    is_well(&edge);
}

#[test]
fn a_table_that_changes_its_size() {
    let edge = start(&Origin::ok(), "");
    let mut wire = wire(&edge);
    for (index, size) in [0, 4096, 1, 100, 4096].into_iter().enumerate() {
        let stream = 1 + 2 * index as u32;
        let mut block = Vec::new();
        integer(&mut block, 0x20, 5, size);
        block.extend(Frame::block(&Frame::get("/a")));
        wire.frame(kind::HEADERS, 5, stream, &block);
        assert_eq!(wire.answer(stream), Ok(200), "{size}");
    }
    // Our own table, by the client's settings.
    for size in [0u32, 1, 65_536, u32::MAX] {
        let mut payload = vec![0, 1];
        payload.extend(size.to_be_bytes());
        wire.frame(kind::SETTINGS, 0, 0, &payload);
    }
    wire.get(101, "/a");
    while !wire.until(kind::DATA).ends() {}
    drop(wire);
    is_well(&edge);
}

#[test]
fn frames_that_end_in_the_middle() {
    let (origin, _let_go) = super::held();
    let edge = start(&origin, "");
    let whole = Frame::bytes(kind::HEADERS, 5, 1, &Frame::block(&Frame::get("/a")));
    for length in [1, 8, 9, 10, whole.len() - 1] {
        let mut wire = wire(&edge);
        wire.send(&whole[..length]);
    }
    let mut upload = wire(&edge);
    upload.headers(1, 4, &Frame::ask("PUT", "/a"));
    upload.send(&Frame::bytes(kind::DATA, 1, 1, &[b'x'; 1000])[..500]);
    drop(upload);
    eventually("closed", || edge.counted(|c| c.open.get()) == 0);
    assert!(origin.asked().iter().all(|asked| asked.body.is_empty()));
    is_well(&edge);
}
