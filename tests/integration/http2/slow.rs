//! Clients that take their time, or somebody else's.

use std::io::Write as _;
use std::time::{Duration, Instant};

use tokio_rustls::rustls::version::TLS13;

use super::{http2, is_well, silent, start, wire, with_tls};
use crate::connections::endless;
use crate::support::{Frame, Http2, Origin, Wire, eventually, kind, read_reply};
use crate::tls_clients::Edge;

const ENHANCE_YOUR_CALM: u32 = 11;

#[test]
fn a_block_of_fields_has_its_time_and_no_more() {
    let edge = start(&Origin::ok(), "header_timeout = \"500ms\"\n");
    let mut wire = wire(&edge);
    // Much time between requests is not the matter.
    wire.get(1, "/a");
    assert_eq!(wire.answer(1), Ok(200));
    std::thread::sleep(Duration::from_millis(700));
    wire.get(3, "/a");
    assert_eq!(wire.answer(3), Ok(200));
    let start = Instant::now();
    wire.headers(5, 1, &Frame::get("/a"));
    while edge.counted(|c| c.header_timeouts.get()) == 0 {
        assert!(
            start.elapsed() < Duration::from_secs(10),
            "each frame bought time"
        );
        wire.try_send(&Frame::bytes(kind::CONTINUATION, 0, 5, &[]));
        // The library takes no more than a few.
        std::thread::sleep(Duration::from_millis(200));
    }
    assert!(start.elapsed() >= Duration::from_millis(500));
    let code = wire.end();
    assert!(matches!(code, None | Some(ENHANCE_YOUR_CALM)), "{code:?}");
    is_well(&edge);
}

#[test]
fn half_a_block_is_not_waited_for() {
    let edge = start(&Origin::ok(), "header_timeout = \"300ms\"\n");
    let mut wire = wire(&edge);
    wire.headers(1, 1, &Frame::get("/a"));
    assert_eq!(wire.end(), Some(ENHANCE_YOUR_CALM));
    assert_eq!(edge.counted(|c| c.header_timeouts.get()), 1);
    is_well(&edge);
}

/// Of a block that is all in one frame the end of the frame is waited for.
#[test]
fn half_a_frame_of_fields_is_not_waited_for() {
    let edge = start(
        &Origin::ok(),
        "header_timeout = \"300ms\"\nidle_timeout = \"1s\"\n",
    );
    let mut wire = wire(&edge);
    wire.get(1, "/a");
    assert_eq!(wire.answer(1), Ok(200));
    let block = Frame::bytes(kind::HEADERS, 5, 3, &Frame::block(&Frame::get("/a")));
    let start = Instant::now();
    for byte in &block[..block.len() - 1] {
        if !wire.try_send(&[*byte]) || start.elapsed() > Duration::from_secs(10) {
            break;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    wire.end();
    assert!(start.elapsed() < Duration::from_secs(9));
    is_well(&edge);
}

#[test]
fn a_preface_has_its_time_and_no_more() {
    let edge = start(&Origin::ok(), "header_timeout = \"500ms\"\n");
    let start = Instant::now();
    let mut nothing = silent(&edge);
    assert_eq!(nothing.end(), None);
    let mut dribble = silent(&edge);
    for byte in b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".iter().cycle() {
        if edge.counted(|c| c.silent_closed.get()) == 2 {
            break;
        }
        assert!(start.elapsed() < Duration::from_secs(10));
        dribble.try_send(&[*byte]);
        std::thread::sleep(Duration::from_millis(50));
    }
    is_well(&edge);
}

#[test]
fn an_idle_connection_is_told_to_go() {
    let edge = start(&Origin::ok(), "idle_timeout = \"500ms\"\n");
    let mut client = http2(&edge);
    assert_eq!(client.get("/a", "").text(), "ok");
    assert!(client.ended().is_ok(), "GOAWAY with NO_ERROR");
    let mut wire = wire(&edge);
    assert_eq!(wire.end(), Some(0));
    // Pings keep nothing alive.
    let mut pings = super::wire(&edge);
    let start = Instant::now();
    while pings.try_send(&Frame::bytes(kind::PING, 0, 0, &[0; 8])) {
        assert!(start.elapsed() < Duration::from_secs(10));
        std::thread::sleep(Duration::from_millis(20));
        if edge.counted(|c| c.idle_closed.get()) == 3 {
            break;
        }
    }
    drop((wire, pings));
    is_well(&edge);
}

/// By streams that are waited for one cannot hold more than by one.
#[test]
fn streams_without_a_window_are_cut() {
    let edge = start(&endless(), "stall_timeout = \"700ms\"\n");
    let mut wire = silent(&edge);
    wire.greet(&[(4, 0)]);
    for stream in (0..100).map(|n| 1 + 2 * n) {
        wire.get(stream, &format!("/{stream}"));
    }
    let mut cut = 0;
    while cut < 100 {
        let frame = wire.until(kind::RST_STREAM);
        assert_eq!(frame.code(0), 8);
        cut += 1;
    }
    assert_eq!(edge.counted(|c| c.stalled.get()), 100);
    wire.frame(kind::SETTINGS, 0, 0, &[0, 4, 0, 1, 0, 0]);
    wire.get(201, "/b").until(kind::DATA);
    drop(wire);
    is_over(&edge);
    let lines = edge.portcullis.stop();
    let stalled = lines
        .iter()
        .filter(|line| line["error"] == "the client stalled within the response");
    assert_eq!(stalled.count(), 100);
}

fn is_over(edge: &Edge) {
    eventually("closed", || edge.counted(|c| c.open.get()) == 0);
    eventually("no origin is busy", || {
        let counters = edge.portcullis.server.counters();
        counters.sum(|worker| worker.origin.busy.get()) == 0
    });
}

/// Each stream has room for much, the connection for nothing any more.
#[test]
fn streams_without_a_window_of_their_connection_are_cut() {
    let edge = start(&endless(), "stall_timeout = \"700ms\"\n");
    let mut wire = silent(&edge);
    wire.greet(&[(4, 1 << 24)]);
    for stream in (0..20).map(|n| 1 + 2 * n) {
        wire.get(stream, "/a");
    }
    for _ in 0..20 {
        assert_eq!(wire.until(kind::RST_STREAM).code(0), 8);
    }
    assert_eq!(edge.counted(|c| c.stalled.get()), 20);
    drop(wire);
    is_over(&edge);
}

#[test]
fn a_window_byte_by_byte_is_a_stall() {
    let edge = start(&endless(), "stall_timeout = \"700ms\"\n");
    let mut wire = silent(&edge);
    wire.greet(&[(4, 0)]);
    wire.get(1, "/a");
    let start = Instant::now();
    while edge.counted(|c| c.stalled.get()) == 0 {
        assert!(
            start.elapsed() < Duration::from_secs(10),
            "each byte bought time"
        );
        wire.frame(kind::WINDOW_UPDATE, 0, 1, &1u32.to_be_bytes());
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(edge.counted(|c| c.floods.get()), 0);
    drop(wire);
    is_over(&edge);
}

#[test]
fn who_reads_nothing_is_cut() {
    let edge = start(&endless(), "stall_timeout = \"700ms\"\n");
    let mut wire = silent(&edge);
    wire.greet(&[(4, 0x7fff_ffff)]);
    wire.frame(kind::WINDOW_UPDATE, 0, 0, &0x7000_0000u32.to_be_bytes());
    for stream in (0..20).map(|n| 1 + 2 * n) {
        wire.get(stream, "/a");
    }
    eventually("cut", || edge.counted(|c| c.stalled.get()) > 0);
    is_over(&edge);
    drop(wire);
}

#[test]
fn a_slow_reader_is_left_alone() {
    let edge = start(&endless(), "stall_timeout = \"700ms\"\n");
    let mut wire = silent(&edge);
    wire.greet(&[(4, 0)]);
    wire.get(1, "/a").get(3, "/a");
    for _ in 0..60 {
        for stream in [1, 3] {
            wire.frame(kind::WINDOW_UPDATE, 0, stream, &2000u32.to_be_bytes());
        }
        wire.frame(kind::WINDOW_UPDATE, 0, 0, &4000u32.to_be_bytes());
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(edge.counted(|c| c.stalled.get()), 0);
    drop(wire);
    is_over(&edge);
}

/// The origin gives a little now and then; what is waited for is the origin,
/// also where a neighbour takes all of the connection's window for a moment.
#[test]
fn a_slow_origin_is_not_a_slow_client() {
    let origin = Origin::scripted(|conversation| {
        while let Some(asked) = conversation.request() {
            if asked.target() == "/large" {
                let body = vec![b'x'; 1 << 20];
                conversation.say(format!(
                    "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n",
                    body.len()
                ));
                conversation.say(body);
                continue;
            }
            conversation.say("HTTP/1.1 200 OK\r\nContent-Length: 40\r\n\r\n");
            for _ in 0..40 {
                conversation.stream.write_all(b"x").unwrap();
                std::thread::sleep(Duration::from_millis(50));
            }
        }
    });
    let edge = start(&origin, "stall_timeout = \"500ms\"\n");
    let mut client = http2(&edge);
    let (slow, _) = client
        .open(Http2::request("GET", "/slow", ""), true)
        .unwrap();
    let slow = async { read_reply(slow).await.unwrap() };
    let send = client.requests();
    let is_over = std::cell::Cell::new(false);
    let large = async {
        while !is_over.get() {
            let request = Http2::request("GET", "/large", "");
            let send = send.clone().ready().await;
            let (response, _) = send.unwrap().send_request(request, true).unwrap();
            assert_eq!(read_reply(response).await.unwrap().body.len(), 1 << 20);
        }
    };
    let slow = async {
        let reply = slow.await;
        is_over.set(true);
        reply
    };
    let (reply, ()) = client.wait(async { tokio::join!(slow, large) });
    assert_eq!(reply.body, b"x".repeat(40));
    assert_eq!(edge.counted(|c| c.stalled.get()), 0);
}

/// However many streams have all the room there is and read nothing, little
/// waits for each of them.
#[test]
fn who_reads_nothing_takes_little_memory() {
    let (origin, folder) = (endless(), tempfile::tempdir().unwrap());
    let edge = start(&origin, "");
    let (program, address) = with_tls(&edge, &origin, &folder);
    let config = edge.config_for(&[&TLS13], b"h2");
    let attack = || {
        let mut wire = Wire::silent(address, config.clone());
        wire.greet(&[(4, 0x7fff_ffff)]);
        wire.frame(kind::WINDOW_UPDATE, 0, 0, &0x7000_0000u32.to_be_bytes());
        for stream in (0..100).map(|n| 1 + 2 * n) {
            wire.get(stream, "/a");
        }
        wire.until(kind::DATA);
        wire
    };
    drop(attack());
    let before = program.memory("VmRSS");
    let held: Vec<_> = (0..5).map(|_| attack()).collect();
    eventually("most have been asked for", || origin.count() >= 450);
    let grown = program.memory("VmRSS").saturating_sub(before);
    assert!(grown < 64 << 20, "{grown} bytes for 500 streams");
    drop(held);
}

/// What is large and stored is always ready to be sent: it is not to keep
/// what has to be fetched, nor what is logged when a response is out.
#[test]
fn a_large_response_keeps_no_other_one_waiting() {
    const LARGE: usize = 8 << 20;
    const OTHER: usize = 512 << 10;
    let origin = Origin::answered_by(|asked| {
        let (length, cached) = match asked.target() {
            "/large" => (LARGE, "max-age=60"),
            _ => (OTHER, "no-store"),
        };
        let body = "x".repeat(length);
        format!(
            "HTTP/1.1 200 OK\r\nCache-Control: {cached}\r\nContent-Length: {length}\r\n\r\n{body}"
        )
    });
    let edge = start(&origin, "");
    http2(&edge).get("/large", "");
    let sent = || {
        let counters = edge.portcullis.server.counters();
        counters.sum(|worker| worker.requests.sent.get())
    };
    eventually("it is stored", || sent() == LARGE as u64);
    let mut wire = silent(&edge);
    wire.greet(&[(4, 1 << 30)]);
    wire.frame(kind::WINDOW_UPDATE, 0, 0, &(1u32 << 30).to_be_bytes());
    wire.get(1, "/large").get(3, "/other");
    let mut read = [0, 0];
    while read[1] < OTHER {
        let data = wire.until(kind::DATA);
        read[data.stream as usize / 2] += data.payload.len();
        // Slower than it is sent, or it would all be out at times.
        std::thread::sleep(Duration::from_millis(2));
    }
    assert!(read[0] < LARGE, "it was only sent behind the other");
    while sent() == LARGE as u64 {
        assert!(
            !wire.until(kind::DATA).ends(),
            "it is logged only at the end"
        );
        std::thread::sleep(Duration::from_millis(2));
    }
    assert_eq!(sent(), (LARGE + OTHER) as u64);
}
