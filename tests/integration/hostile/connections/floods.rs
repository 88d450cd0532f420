//! Frames, beyond those that `http2::floods` sends, that cost more to take than
//! to send.

use std::time::Duration;

use tokio_rustls::rustls::version::TLS13;

use super::{Door, FLOODS, gets_in, program};
use crate::support::{Frame, Origin, Wire, eventually, kind, tried};
use crate::tls_clients::Edge;

const TURNS: u32 = 20_000;

fn ask(stream: u32, flags: u8) -> Vec<u8> {
    Frame::bytes(
        kind::HEADERS,
        flags,
        stream,
        &Frame::block(&Frame::get("/a")),
    )
}

/// What a turn of each flood sends; streams are its own.
type Flood = (&'static str, fn(u32) -> Vec<u8>);

/// A stream with a body, and a frame that makes the server reset it.
fn made_to_reset(turn: u32, kind_of: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
    let stream = 1 + 2 * turn;
    let mut bytes = ask(stream, 4);
    bytes.extend(Frame::bytes(kind_of, flags, stream, payload));
    bytes
}

const ALL: [Flood; 14] = [
    ("no window", |n| {
        made_to_reset(n, kind::WINDOW_UPDATE, 0, &[0; 4])
    }),
    ("data behind the end", |n| {
        let stream = 1 + 2 * n;
        [ask(stream, 5), Frame::bytes(kind::DATA, 0, stream, b"x")].concat()
    }),
    ("a head behind the end", |n| {
        let stream = 1 + 2 * n;
        [ask(stream, 5), ask(stream, 5)].concat()
    }),
    ("waits for itself", |n| {
        let stream = 1 + 2 * n;
        let itself = [&stream.to_be_bytes()[..], &[16]].concat();
        made_to_reset(n, kind::PRIORITY, 0, &itself)
    }),
    ("a body that is longer than it says", |n| {
        let stream = 1 + 2 * n;
        let mut fields = Frame::ask("POST", "/a").to_vec();
        fields.push(("content-length", b"1"));
        let head = Frame::bytes(kind::HEADERS, 4, stream, &Frame::block(&fields));
        [head, Frame::bytes(kind::DATA, 1, stream, b"xx")].concat()
    }),
    ("trailers that are none", |n| {
        let block = Frame::block(&[(":path", b"/")]);
        made_to_reset(n, kind::HEADERS, 5, &block)
    }),
    ("a field in capitals", |n| {
        let mut fields = Frame::get("/a").to_vec();
        fields.push(("X-A", b"1"));
        Frame::bytes(kind::HEADERS, 5, 1 + 2 * n, &Frame::block(&fields))
    }),
    ("no fields", |n| {
        Frame::bytes(kind::HEADERS, 5, 1 + 2 * n, &[])
    }),
    ("a field without a name", |n| {
        Frame::bytes(kind::HEADERS, 5, 1 + 2 * n, &[0, 0, 0].repeat(100))
    }),
    ("resets of what is over", |_| {
        Frame::bytes(kind::RST_STREAM, 0, 1, &[0, 0, 0, 8])
    }),
    ("windows of what is over", |_| {
        Frame::bytes(kind::WINDOW_UPDATE, 0, 1, &[0, 0, 0, 1])
    }),
    ("data of what is over", |_| {
        Frame::bytes(kind::DATA, 0, 1, b"x")
    }),
    ("farewells", |_| Frame::bytes(kind::GOAWAY, 0, 0, &[0; 8])),
    ("settings acknowledged", |_| {
        Frame::bytes(kind::SETTINGS, 1, 0, &[])
    }),
];

/// Sends it until nobody takes it; whether it was not all taken.
fn is_stopped(door: &Door, flood: fn(u32) -> Vec<u8>) -> bool {
    let mut wire = door.wire();
    wire.get(1, "/a");
    assert_eq!(wire.answer(1), Ok(200));
    for start in (1..TURNS).step_by(100) {
        let bytes: Vec<u8> = (start..start + 100).flat_map(flood).collect();
        if !wire.try_send(&bytes) {
            return true;
        }
    }
    // It may have been told and not have looked; or is refused from here on.
    wire.stream
        .sock
        .set_read_timeout(Some(Duration::from_secs(5)))
        .unwrap();
    let mut ended = std::iter::from_fn(|| wire.next());
    ended.any(|frame| frame.kind == kind::GOAWAY)
}

#[test]
fn floods_are_stopped() {
    let origin = Origin::answering(
        "HTTP/1.1 200 OK\r\nCache-Control: max-age=600\r\nContent-Length: 2\r\n\r\nok",
    );
    let edge = Edge::start_with(&origin, "", "");
    let door = &Door::of(&edge);
    std::thread::scope(|scope| {
        for half in ALL.chunks(ALL.len() / 2) {
            scope.spawn(move || {
                for (what, flood) in half {
                    assert!(is_stopped(door, *flood), "{what} went on");
                    assert!(gets_in(door.plain, b""), "after {what}");
                }
            });
        }
    });
    eventually("closed", || edge.counted(|c| c.open.get()) == 0);
    assert!(origin.count() < 2000, "{} were asked for", origin.count());
    tried(FLOODS, ALL.len() * TURNS as usize);
}

/// Fields as references to one that was sent once: 8 bytes stand for 30 KiB.
#[test]
fn bombs_of_fields_cost_no_memory() {
    const BOMBS: u32 = 2000;
    let origin = Origin::ok();
    let (edge, folder) = (
        Edge::start_with(&origin, "", ""),
        tempfile::tempdir().unwrap(),
    );
    let (program, tls) = program(&edge, &origin, &folder, "");
    assert!(gets_in(program.address, b""));
    let memory = program.memory("VmRSS");
    let door = Door {
        tls,
        ..Door::of(&edge)
    };
    std::thread::scope(|scope| {
        for (name, count) in [("x-a", 8), ("cookie", 8), ("cookie", 900)] {
            let (door, address) = (&door, program.address);
            scope.spawn(move || {
                let mut wire = door.wire();
                let long = vec![b'y'; if count > 8 { 1 } else { 3900 }];
                let mut remembered = Frame::block(&[(name, &long)]);
                remembered[0] = 0x40;
                let plain = Frame::block(&Frame::get("/a"));
                let first = [&plain[..], &remembered].concat();
                wire.frame(kind::HEADERS, 5, 1, &first);
                let bomb = [plain, vec![0xbe; count]].concat();
                for turn in 1..=BOMBS {
                    let frame = Frame::bytes(kind::HEADERS, 5, 1 + 2 * turn, &bomb);
                    if !wire.try_send(&frame) {
                        break;
                    }
                    // Nobody reads.
                }
                assert!(gets_in(address, b""));
            });
        }
    });
    let grown = program.memory("VmHWM").saturating_sub(memory);
    println!("bombs of fields: {grown} bytes more at most");
    assert!(grown < 64 << 20, "{grown} bytes more");
    tried(FLOODS, 3 * BOMBS as usize);
}

/// Each of as many streams as may be asks for a MiB, and none is read.
#[test]
fn streams_that_nobody_reads_cost_little_memory() {
    const CONNECTIONS: usize = 4;
    let body = "x".repeat(1 << 20);
    let answer = format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let origin = Origin::answered_by(move |_| answer.clone());
    let (edge, folder) = (
        Edge::start_with(&origin, "", ""),
        tempfile::tempdir().unwrap(),
    );
    let (program, tls) = program(&edge, &origin, &folder, "stall_timeout = \"1h\"");
    let mut wires = Vec::new();
    for connection in 0..CONNECTIONS {
        let mut wire = Wire::silent(tls, edge.config_for(&[&TLS13], b"h2"));
        wire.greet(&[(4, 0x7fff_ffff)]);
        for stream in 0..100 {
            wire.get(1 + 2 * stream, &format!("/{connection}/{stream}"));
        }
        wires.push(wire);
    }
    eventually("all were asked for", || origin.count() == CONNECTIONS * 100);
    // Until no more of what the origin sends is taken.
    let mut before = 0;
    eventually("it takes no more", || {
        std::thread::sleep(Duration::from_millis(200));
        let now = program.memory("VmHWM");
        std::mem::replace(&mut before, now) == now
    });
    println!("streams that nobody reads: {before} bytes");
    assert!(before < 128 << 20, "{before} bytes");
    drop(wires);
    tried(FLOODS, CONNECTIONS * 100);
}
