//! What is downloaded comes whole, or never looks so.

use h2::Reason;

use super::{http2, is_well, start, wire};
use crate::connections::endless;
use crate::support::{Http2, Origin, eventually, kind};

/// So many bytes, none like the one 251 before it.
fn pattern(length: usize) -> Vec<u8> {
    (0..length)
        .map(|at| (at % 251) as u8 ^ (at >> 13) as u8)
        .collect()
}

/// Of each length that it is asked for by the path; `/chunked/` without one.
fn sized() -> Origin {
    Origin::scripted(|conversation| {
        while let Some(asked) = conversation.request() {
            let (kind, length) = asked.target()[1..].split_once('/').unwrap();
            let body = pattern(length.parse().unwrap());
            if kind != "chunked" {
                let stored = if kind == "stored" {
                    "Cache-Control: max-age=60\r\n"
                } else {
                    ""
                };
                conversation.say(format!(
                    "HTTP/1.1 200 OK\r\n{stored}Content-Length: {length}\r\n\r\n"
                ));
                conversation.say(body);
                continue;
            }
            conversation.say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
            for part in body.chunks(10_007) {
                conversation.say(format!("{:x}\r\n", part.len()));
                conversation.say(part);
                conversation.say("\r\n");
            }
            conversation.say("0\r\n\r\n");
        }
    })
}

#[test]
fn bytes_are_exact() {
    let edge = start(&sized(), "");
    let mut client = http2(&edge);
    for length in [0, 1, 16_384, 65_535, 65_536, 1 << 20] {
        let expected = pattern(length);
        for kind in ["plain", "chunked", "stored", "stored"] {
            let reply = client.get(&format!("/{kind}/{length}"), "");
            assert!(
                reply.body == expected,
                "{kind} {length}: {}",
                reply.body.len()
            );
        }
    }
}

#[test]
fn fifty_mebibytes_and_others_beside_them() {
    let edge = start(&sized(), "");
    let mut client = http2(&edge);
    let mut paths = vec![
        format!("/plain/{}", 50 << 20),
        format!("/chunked/{}", 50 << 20),
    ];
    paths.extend((0..60).map(|n| format!("/plain/{}", 1000 * n)));
    let answered = client.all(&paths);
    for (path, answered) in paths.iter().zip(answered) {
        let length = path.rsplit('/').next().unwrap().parse().unwrap();
        assert!(answered.unwrap().body == pattern(length), "{path}");
    }
    assert_eq!(edge.counted(|c| c.floods.get()), 0);
}

#[test]
fn a_slow_stream_holds_up_no_other() {
    let edge = start(&endless(), "");
    let mut wire = wire(&edge);
    // Nothing more of this one fits through its window.
    wire.get(1, "/endless");
    let mut left = 65_535;
    while left > 0 {
        left -= wire.until(kind::DATA).payload.len();
    }
    drop(wire);
    let edge = start(&sized(), "");
    let mut wire = super::wire(&edge);
    wire.frame(kind::WINDOW_UPDATE, 0, 0, &(1u32 << 24).to_be_bytes());
    wire.get(1, "/plain/1000000").get(3, "/plain/100");
    loop {
        let frame = wire.until(kind::DATA);
        if frame.stream == 3 && frame.ends() {
            break;
        }
    }
    // And goes on when there is room.
    wire.frame(kind::WINDOW_UPDATE, 0, 1, &(1u32 << 24).to_be_bytes());
    while !wire.until(kind::DATA).ends() {}
    drop(wire);
    edge.portcullis.finish();
}

#[test]
fn what_the_origin_cuts_is_reset() {
    let origin = Origin::scripted(|conversation| {
        if let Some(asked) = conversation.request() {
            conversation.say(match asked.target() {
                "/length" => "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc",
                "/stored" => {
                    "HTTP/1.1 200 OK\r\nCache-Control: max-age=9\r\nContent-Length: 10\r\n\r\nabc"
                }
                "/well" => "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
                _ => "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
            });
        }
    });
    let edge = start(&origin, "");
    let mut client = http2(&edge);
    for path in ["/length", "/chunked", "/stored"] {
        let cut = client.try_ask(Http2::request("GET", path, "")).unwrap_err();
        assert_eq!(cut.reason(), Some(Reason::INTERNAL_ERROR), "{path}");
    }
    drop(client);
    is_well(&edge);
    let lines = edge.portcullis.stop();
    for line in &lines[..3] {
        assert!(line["error"].is_string(), "{line}");
        assert_eq!(line["status"], 200);
    }
}

#[test]
fn a_cancelled_download_gives_its_origin_back() {
    let origin = endless();
    let edge = start(&origin, "");
    let mut wire = wire(&edge);
    wire.frame(kind::WINDOW_UPDATE, 0, 0, &(1u32 << 20).to_be_bytes());
    wire.get(1, "/a").until(kind::DATA);
    let leases = || {
        let counters = edge.portcullis.server.counters();
        counters.sum(|worker| worker.origin.busy.get())
    };
    assert_eq!(leases(), 1);
    wire.frame(kind::RST_STREAM, 0, 1, &8u32.to_be_bytes());
    eventually("the origin's connection is closed", || leases() == 0);
    // The connection goes on.
    wire.get(3, "/b");
    while wire.until(kind::DATA).stream != 3 {}
    drop(wire);
    eventually("that too", || leases() == 0);
    let mut errors: Vec<_> = edge
        .portcullis
        .stop()
        .into_iter()
        .map(|line| line["error"].clone())
        .collect();
    errors.sort_by_key(ToString::to_string);
    assert_eq!(errors.len(), 2, "{errors:?}");
    assert_eq!(errors[0], "the client cancelled the response");
    assert_eq!(errors[1], "the client went away within the response");
}

#[test]
fn a_request_cancelled_before_its_answer_ends_at_the_origin() {
    let (origin, let_go) = super::held();
    let edge = start(&origin, "");
    let mut wire = wire(&edge);
    wire.get(1, "/a");
    eventually("asked", || origin.count() == 1);
    wire.frame(kind::RST_STREAM, 0, 1, &8u32.to_be_bytes());
    wire.get(3, "/now");
    assert_eq!(wire.answer(3), Ok(200));
    let counters = edge.portcullis.server.counters();
    eventually("only that connection is kept", || {
        counters.sum(|worker| worker.origin.busy.get()) <= 1
    });
    drop((wire, let_go));
    is_well(&edge);
    let lines = edge.portcullis.stop();
    assert!(
        lines.iter().any(|line| line["error"].is_string()),
        "{lines:#?}"
    );
}

/// Larger than a frame.
#[test]
fn a_large_head_comes_whole() {
    let large = "x".repeat(20_000);
    let answer = format!("HTTP/1.1 200 OK\r\nX-Large: {large}\r\nContent-Length: 2\r\n\r\nok");
    let origin = Origin::answered_by(move |_| answer.clone());
    let edge = start(&origin, "");
    let reply = http2(&edge).get("/a", "");
    assert_eq!((reply.status, reply.text()), (200, "ok"));
    assert_eq!(
        reply.field("x-large").map(|large| large.len()),
        Some(20_000)
    );
}
