//! What is uploaded reaches the origin whole, or never looks so.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use h2::Reason;

use super::{http2, is_well, start, wire};
use crate::support::{Frame, Http2, Origin, eventually, kind, read_reply, send_all};
use crate::tls_clients::Edge;

/// An origin that remembers all bytes of uploads, and never answers one.
fn recording() -> (Origin, Arc<Mutex<Vec<u8>>>) {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let record = Arc::clone(&seen);
    let origin = Origin::scripted(move |conversation| {
        let (mut part, mut own) = ([0; 4096], Vec::new());
        while let Ok(length @ 1..) = std::io::Read::read(&mut conversation.stream, &mut part) {
            own.extend_from_slice(&part[..length]);
            if own.starts_with(b"GET ") {
                own.clear();
                conversation.say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
                continue;
            }
            record.lock().unwrap().extend_from_slice(&part[..length]);
        }
    });
    (origin, seen)
}

#[test]
fn a_length_goes_on_and_none_is_chunked() {
    let origin = Origin::ok();
    let edge = start(&origin, "");
    let mut client = http2(&edge);
    for size in [0, 1, 100_000, 5 << 20] {
        let body = b"0123456789".repeat(size / 10 + 1);
        let length = format!("content-length: {}\r\n", body.len());
        for fields in [&length[..], ""] {
            let request = Http2::request("POST", "/a", fields);
            assert_eq!(client.upload(request, &body).unwrap().text(), "ok");
            let asked = origin.last();
            assert!(asked.body == body, "{size}: {}", asked.body.len());
            let (own, coding) = (
                asked.field("content-length"),
                asked.field("transfer-encoding"),
            );
            match fields {
                "" => assert_eq!((own, coding.as_deref()), (None, Some("chunked"))),
                _ => assert_eq!((own, coding), (Some(body.len().to_string()), None)),
            }
        }
    }
    let empty = Http2::request("POST", "/a", "content-length: 0\r\n");
    assert_eq!(client.try_ask(empty).unwrap().text(), "ok");
    assert_eq!(origin.last().body, b"");
    assert_eq!(client.ask("POST", "/a", "").text(), "ok");
    assert_eq!(edge.counted(|c| c.floods.get()), 0);
}

#[test]
fn trailers_of_a_request_stay_here() {
    let origin = Origin::ok();
    let edge = start(&origin, "");
    let mut wire = wire(&edge);
    wire.headers(1, 4, &Frame::ask("POST", "/a"));
    wire.frame(kind::DATA, 0, 1, b"abc");
    wire.headers(
        1,
        5,
        &[("x-trailer", b"1"), ("transfer-encoding-x", b"chunked")],
    );
    assert_eq!(wire.answer(1), Ok(200));
    let asked = origin.only();
    assert_eq!(asked.body, b"abc");
    assert!(!asked.head.contains("x-trailer"));
}

#[test]
fn who_waits_with_a_body_is_told_to_go_on() {
    let origin = Origin::ok();
    let edge = start(&origin, "");
    let mut client = http2(&edge);
    let request = Http2::request("PUT", "/a", "expect: 100-continue\r\ncontent-length: 3\r\n");
    let (mut response, mut body) = client.open(request, false).unwrap();
    let told = client.wait(std::future::poll_fn(|cx| response.poll_informational(cx)));
    assert_eq!(told.unwrap().unwrap().status(), 100);
    body.send_data(Bytes::from_static(b"abc"), true).unwrap();
    assert_eq!(client.wait(response).unwrap().status(), 200);
    assert_eq!(origin.only().body, b"abc");
    assert_eq!(origin.only().field("expect"), None);
}

#[test]
fn who_is_denied_is_not() {
    let origin = Origin::ok();
    let rules = "[access.user_agent]\nblock = [\"bot\"]\n";
    let edge = Edge::start_by(&origin, "", "", rules);
    let mut wire = wire(&edge);
    let mut fields = Frame::ask("PUT", "/a").to_vec();
    fields.extend([("user-agent", &b"bot"[..]), ("expect", b"100-continue")]);
    wire.headers(1, 4, &fields);
    assert_eq!(wire.answer(1), Ok(403));
    // Its body is not wanted, and others go on. It may be on its way already.
    wire.frame(kind::DATA, 0, 1, &[0; 16_384]);
    wire.frame(kind::DATA, 1, 1, &[0; 1000]);
    fields.pop();
    for turn in 1..40 {
        let stream = 1 + 2 * turn;
        wire.headers(stream, 4, &fields);
        wire.frame(kind::DATA, 0, stream, &[0; 16_384]);
        wire.frame(kind::DATA, 1, stream, &[0; 16_384]);
        assert_eq!(wire.answer(stream), Ok(403), "{turn}");
    }
    wire.get(99, "/well");
    assert_eq!(wire.answer(99), Ok(200));
    assert_eq!(origin.count(), 1);
    assert_eq!(edge.counted(|c| c.floods.get()), 0);
    drop(wire);
    is_well(&edge);
}

#[test]
fn what_is_over_max_body_is_413() {
    let (origin, seen) = recording();
    let edge = start(&origin, "max_body = \"100 KiB\"\n");
    let mut client = http2(&edge);
    let body = vec![b'x'; 200 << 10];
    let length = format!("content-length: {}\r\n", body.len());
    let at_once = client.upload(Http2::request("PUT", "/a", &length), &body);
    assert_eq!(at_once.unwrap().status, 413);
    assert!(seen.lock().unwrap().is_empty());
    let midway = client.upload(Http2::request("PUT", "/a", ""), &body);
    assert_eq!(midway.unwrap().status, 413);
    let seen = seen.lock().unwrap().clone();
    assert!(!seen.ends_with(b"\r\n0\r\n\r\n"));
    assert_eq!(client.get("/b", "").status, 200);
    let lines = edge.portcullis.stop();
    assert_eq!(lines.iter().filter(|line| line["status"] == 413).count(), 2);
}

#[test]
fn a_cancelled_upload_never_looks_complete() {
    let (origin, seen) = recording();
    let edge = start(&origin, "");
    for fields in ["content-length: 100000\r\n", ""] {
        for whole in [true, false] {
            seen.lock().unwrap().clear();
            let mut client = http2(&edge);
            let request = Http2::request("PUT", "/a", fields);
            let (_response, mut body) = client.open(request, false).unwrap();
            let part = Bytes::from(vec![b'x'; 1000]);
            client.wait(send_all(&mut body, part, false)).unwrap();
            client.turn();
            eventually("some came", || {
                seen.lock().unwrap().ends_with(b"xxx") || seen.lock().unwrap().ends_with(b"xxx\r\n")
            });
            if whole {
                drop(client);
            } else {
                body.send_reset(Reason::CANCEL);
                client.turn();
                assert_eq!(client.get("/well", "").status, 200);
            }
            is_given_up(&edge, &seen);
        }
    }
    is_well(&edge);
}

fn is_given_up(edge: &Edge, seen: &Mutex<Vec<u8>>) {
    eventually("all requests to the origin have ended", || {
        let counters = edge.portcullis.server.counters();
        counters.sum(|worker| worker.origin.busy.get()) == 0
    });
    let text = String::from_utf8_lossy(&seen.lock().unwrap()).into_owned();
    assert!(!text.contains("\r\n0\r\n\r\n"), "{}", text.len());
}

#[test]
fn lies_about_a_length_are_cut() {
    let (origin, seen) = recording();
    let edge = start(&origin, "");
    for (index, (length, sent)) in [("3", "abcdef"), ("6", "abc"), ("0", "abc")]
        .into_iter()
        .enumerate()
    {
        let mut wire = wire(&edge);
        let path = format!("/{index}");
        let mut fields = Frame::ask("POST", &path).to_vec();
        fields.push(("content-length", length.as_bytes()));
        wire.headers(1, 4, &fields);
        wire.frame(kind::DATA, 1, 1, sent.as_bytes());
        let answer = wire.answer(1);
        assert!(
            matches!(answer, Err(1) | Ok(400)),
            "{length} {sent}: {answer:?}"
        );
    }
    for lengths in [
        ["3", "4"],
        ["3", "3"],
        ["3, 3", ""],
        ["+3", ""],
        ["3 ", ""],
        ["x", ""],
        ["99999999999999999999", ""],
    ] {
        let mut wire = wire(&edge);
        let mut fields = Frame::ask("POST", "/lengths").to_vec();
        let lines = lengths.iter().filter(|length| !length.is_empty());
        fields.extend(lines.map(|length| ("content-length", length.as_bytes())));
        wire.headers(1, 4, &fields);
        // Two of the same are one; a blank behind it is none of it.
        let answer = match lengths {
            ["3", "3"] | ["3 ", ""] | ["3, 3", ""] => {
                wire.frame(kind::DATA, 1, 1, b"abc");
                wire.try_send(&[]);
                continue;
            }
            _ => wire.answer(1),
        };
        assert!(
            matches!(answer, Err(1) | Ok(400 | 413)),
            "{lengths:?}: {answer:?}"
        );
    }
    is_well(&edge);
    let seen = String::from_utf8_lossy(&seen.lock().unwrap()).into_owned();
    assert!(!seen.contains("abcdef"), "{seen}");
}

#[test]
fn an_upload_that_stops_is_given_up() {
    let origin = Origin::ok();
    let edge = start(&origin, "stall_timeout = \"500ms\"\n");
    let mut wire = wire(&edge);
    wire.headers(1, 4, &Frame::ask("POST", "/a"));
    wire.frame(kind::DATA, 0, 1, b"abc");
    let answer = wire.answer(1);
    assert!(matches!(answer, Ok(408) | Err(_)), "{answer:?}");
    wire.get(3, "/well");
    assert_eq!(wire.answer(3), Ok(200));
    drop(wire);
    is_well(&edge);
    assert!(
        origin
            .asked()
            .iter()
            .all(|asked| asked.line().starts_with("GET"))
    );
}

#[test]
fn uploads_beside_each_other_keep_their_bytes() {
    let origin = Origin::answered_by(|asked| {
        let name = &asked.target().as_bytes()[1..];
        let own = asked.body.chunks(name.len()).all(|part| part == name);
        let text = if own { "own" } else { "mixed" };
        format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{text}",
            text.len()
        )
    });
    let edge = start(&origin, "");
    let mut client = http2(&edge);
    let mut asked = Vec::new();
    for n in 10..40 {
        let request = Http2::request("PUT", &format!("/{n}"), "");
        let (response, mut stream) = client.open(request, false).unwrap();
        let body = Bytes::from(n.to_string().repeat(40_000));
        asked.push(async move {
            let sent = send_all(&mut stream, body, true);
            let (_, answered) = tokio::join!(sent, read_reply(response));
            answered.unwrap()
        });
    }
    let replies = client.wait(futures_util::future::join_all(asked));
    assert!(replies.iter().all(|reply| reply.text() == "own"));
}

/// The origin has seen enough before it has read all.
#[test]
fn an_answer_before_the_end_of_an_upload_gets_there() {
    let origin = Origin::scripted(|conversation| {
        while let Some(head) = conversation.head() {
            if head.starts_with("GET ") {
                conversation.say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
                continue;
            }
            conversation.take(10);
            conversation
                .say("HTTP/1.1 409 Conflict\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno");
            let _ = conversation.stream.shutdown(std::net::Shutdown::Write);
            while conversation.take(1).is_some() {}
        }
    });
    let edge = start(&origin, "");
    let mut wire = wire(&edge);
    wire.headers(1, 4, &Frame::ask("PUT", "/a"));
    wire.frame(kind::DATA, 0, 1, &[b'x'; 10_000]);
    assert_eq!(wire.answer(1), Ok(409));
    while !wire.until(kind::DATA).ends() {}
    // What still comes does no harm.
    wire.frame(kind::DATA, 0, 1, &[b'x'; 10_000]);
    wire.frame(kind::DATA, 1, 1, &[b'x'; 10_000]);
    wire.get(3, "/b");
    assert_eq!(wire.answer(3), Ok(200));
    drop(wire);
    is_well(&edge);
}

/// What is on its way when they are denied is no flood.
#[test]
fn hundreds_of_denied_uploads_leave_the_connection_open() {
    let rules = "[access.user_agent]\nblock = [\"bot\"]\n";
    let edge = Edge::start_by(&Origin::ok(), "", "", rules);
    let mut client = http2(&edge);
    let body = vec![b'x'; 128 << 10];
    for turn in 0..300 {
        let request = Http2::request("PUT", "/a", "user-agent: bot\r\n");
        let answered = client.upload(request, &body);
        assert_eq!(answered.unwrap().status, 403, "{turn}");
    }
    let requests = (0..100).map(|_| {
        let request = Http2::request("PUT", "/a", "user-agent: bot\r\n");
        client.open(request, false).unwrap()
    });
    let mut asked = Vec::new();
    for (response, mut stream) in requests.collect::<Vec<_>>() {
        let body = Bytes::from(body.clone());
        asked.push(async move {
            let sent = send_all(&mut stream, body, true);
            tokio::join!(sent, read_reply(response)).1
        });
    }
    let replies = client.wait(futures_util::future::join_all(asked));
    assert!(
        replies
            .into_iter()
            .all(|reply| reply.unwrap().status == 403)
    );
    assert_eq!(client.get("/a", "").status, 200);
    assert_eq!(edge.counted(|c| c.floods.get()), 0);
}
