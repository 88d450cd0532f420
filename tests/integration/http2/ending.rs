//! A drain, a reload and a hand-over lose no request.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use h2::Reason;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::version::TLS13;

use super::{held, http2, start, wire, with_tls};
use crate::support::{Http2, Origin, Reply, eventually, kind, read_reply};

#[test]
fn streams_in_flight_are_answered_while_it_drains() {
    let (origin, let_go) = held();
    let edge = start(&origin, "");
    let mut client = http2(&edge);
    let mut idle = http2(&edge);
    assert_eq!(idle.get("/now", "").text(), "ok");
    let flying: Vec<_> = (0..5)
        .map(|n| {
            client
                .open(Http2::request("GET", &format!("/{n}"), ""), true)
                .unwrap()
                .0
        })
        .collect();
    eventually("asked", || {
        client.turn();
        origin.count() == 6
    });
    edge.portcullis.server.stop().drain();
    assert!(idle.ended().is_ok(), "GOAWAY with NO_ERROR");
    (0..5).for_each(|_| let_go.send(()).unwrap());
    for response in flying {
        assert_eq!(client.wait(read_reply(response)).unwrap().text(), "ok");
    }
    assert!(client.ended().is_ok());
    assert_eq!(edge.portcullis.stop().len(), 6);
}

#[test]
fn what_crosses_the_farewell_is_answered_or_known_to_be_unseen() {
    let (origin, let_go) = held();
    let edge = start(&origin, "");
    let mut wire = wire(&edge);
    wire.get(1, "/held");
    eventually("asked", || origin.count() == 1);
    edge.portcullis.server.stop().drain();
    let first = wire.until(kind::GOAWAY);
    assert_eq!((first.code(0), first.code(4)), (0x7fff_ffff, 0));
    // It has not heard of it yet.
    wire.get(3, "/now");
    assert_eq!(wire.answer(3), Ok(200));
    let_go.send(()).unwrap();
    drop(wire);
    edge.portcullis.finish();
}

/// What waits to be sent is sent, as slowly as it is taken.
#[test]
fn a_slow_reader_gets_all_while_it_drains() {
    const LENGTH: usize = 220 << 10;
    let head =
        format!("HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: {LENGTH}\r\n\r\n");
    let answer = head + &"x".repeat(LENGTH);
    let origin = Origin::answered_by(move |_| answer.clone());
    let edge = start(&origin, "");
    assert_eq!(http2(&edge).get("/a", "").body.len(), LENGTH);
    let mut wire = super::silent(&edge);
    let socket = socket2::SockRef::from(&wire.stream.sock);
    socket.set_recv_buffer_size(8 * 1024).unwrap();
    wire.greet(&[(4, 1 << 24)]);
    wire.frame(kind::WINDOW_UPDATE, 0, 0, &(1u32 << 24).to_be_bytes());
    wire.get(1, "/a").until(kind::HEADERS);
    edge.portcullis.server.stop().drain();
    // For longer than anything is waited for that has no reason to last.
    std::thread::sleep(std::time::Duration::from_secs(4));
    let mut left = LENGTH;
    while left > 0 {
        left -= wire.until(kind::DATA).payload.len();
    }
    drop(wire);
    let lines = edge.portcullis.stop();
    assert!(
        lines.iter().all(|line| line["error"].is_null()),
        "{lines:#?}"
    );
}

/// Of a client that opens no more; what it has asked for it still gets.
#[test]
fn a_farewell_of_the_client_cuts_nothing() {
    let (origin, let_go) = held();
    let edge = start(&origin, "");
    let mut wire = wire(&edge);
    wire.frame(kind::PING, 0, 0, b"12345678");
    let ping = wire.until(kind::PING);
    assert_eq!((ping.flags, &ping.payload[..]), (1, &b"12345678"[..]));
    wire.get(1, "/held");
    eventually("asked", || origin.count() == 1);
    wire.frame(kind::GOAWAY, 0, 0, &[0; 8]);
    let_go.send(()).unwrap();
    assert_eq!(wire.answer(1), Ok(200));
    assert!(wire.until(kind::DATA).ends());
    assert!(matches!(wire.end(), None | Some(0)));
    let lines = edge.portcullis.stop();
    assert!(lines[0]["error"].is_null(), "{lines:?}");
}

#[test]
fn who_ends_the_connection_within_a_request_is_gone() {
    let (origin, let_go) = held();
    let edge = start(&origin, "");
    let mut wire = wire(&edge);
    wire.get(1, "/held");
    eventually("asked", || origin.count() == 1);
    wire.stream.conn.send_close_notify();
    let _ = std::io::Write::flush(&mut wire.stream);
    wire.end();
    drop((wire, let_go));
    super::is_well(&edge);
    let lines = edge.portcullis.stop();
    assert_eq!(lines.len(), 2);
    assert!(
        lines.iter().any(|line| line["error"].is_string()),
        "{lines:#?}"
    );
}

#[test]
fn who_answers_no_ping_is_not_waited_for() {
    let edge = start(&Origin::ok(), "drain_timeout = \"1h\"\n");
    let mut wire = wire(&edge);
    wire.get(1, "/a");
    assert_eq!(wire.answer(1), Ok(200));
    edge.portcullis.server.stop().drain();
    assert_eq!(wire.end(), Some(0));
    edge.portcullis.finish();
}

/// Asks on one connection after another until `stop`, 20 at a time. A request
/// that was refused unseen may be sent again (RFC 9113 section 8.7); nothing
/// else may fail.
fn load(address: SocketAddr, config: &ClientConfig, stop: &AtomicBool, answered: &AtomicUsize) {
    while !stop.load(Ordering::Relaxed) {
        let builder = h2::client::Builder::new();
        let Ok(mut client) = Http2::try_connect(address, config.clone(), &builder) else {
            assert!(stop.load(Ordering::Relaxed), "no connection");
            return;
        };
        while !stop.load(Ordering::Relaxed) {
            let replies = client.all(&vec!["/a".to_owned(); 20]);
            let done = replies.iter().filter(|one| is_answered(one)).count();
            answered.fetch_add(done, Ordering::Relaxed);
            if done < 20 {
                break;
            }
        }
    }
}

/// Whether it was answered; else it must be known not to have been seen.
fn is_answered(answered: &Result<Reply, h2::Error>) -> bool {
    match answered {
        Ok(reply) => {
            assert_eq!((reply.status, reply.text()), (200, "ok"));
            true
        }
        Err(error) => {
            let unseen = error.is_go_away() && error.reason() == Some(Reason::NO_ERROR);
            let refused = error.reason() == Some(Reason::REFUSED_STREAM);
            assert!(unseen || refused, "{error:?}");
            false
        }
    }
}

#[test]
fn a_reload_under_load_loses_nothing() {
    let edge = start(&Origin::ok(), "");
    let (address, config) = (edge.address(), edge.config_for(&[&TLS13], b"h2"));
    let (stop, answered) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| load(address, &config, &stop, &answered));
        }
        for turn in 0..20 {
            let before = answered.load(Ordering::Relaxed);
            edge.portcullis.swap(|_| {});
            eventually("answered", || {
                answered.load(Ordering::Relaxed) > before + turn
            });
        }
        stop.store(true, Ordering::Relaxed);
    });
    let lines = edge.portcullis.stop();
    assert_eq!(lines.len(), answered.load(Ordering::Relaxed));
}

#[test]
fn a_drain_under_load_cuts_nothing() {
    let edge = start(&Origin::ok(), "");
    let (address, config) = (edge.address(), edge.config_for(&[&TLS13], b"h2"));
    let (stop, answered) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| load(address, &config, &stop, &answered));
        }
        eventually("under load", || answered.load(Ordering::Relaxed) > 500);
        stop.store(true, Ordering::Relaxed);
        edge.portcullis.server.stop().drain();
    });
    let lines = edge.portcullis.stop();
    assert_eq!(lines.len(), answered.load(Ordering::Relaxed));
    let errors: Vec<_> = lines
        .iter()
        .filter(|line| !line["error"].is_null())
        .collect();
    assert!(errors.is_empty(), "{errors:#?}");
}

#[test]
fn a_hand_over_under_load_loses_nothing() {
    let (origin, folder) = (Origin::ok(), tempfile::tempdir().unwrap());
    let edge = start(&origin, "");
    let mut program = with_tls(&edge, &origin, &folder);
    let address = program.1;
    let config = edge.config_for(&[&TLS13], b"h2");
    let (stop, answered) = (AtomicBool::new(false), AtomicUsize::new(0));
    let heir = std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| load(address, &config, &stop, &answered));
        }
        let more = |answered: &AtomicUsize| {
            let before = answered.load(Ordering::Relaxed);
            eventually("under load", || {
                answered.load(Ordering::Relaxed) > before + 300
            });
        };
        more(&answered);
        program.0.signal("USR2");
        let heir = crate::hand_over::heir(&mut program.0);
        more(&answered);
        stop.store(true, Ordering::Relaxed);
        heir
    });
    heir.signal("TERM");
    eventually("ended", || !heir.runs());
    let file = program.0.file("log");
    let (ended, _folder, _) = program.0.end();
    assert_eq!(ended.code(), Some(0));
    let lines = std::fs::read_to_string(file).unwrap();
    assert_eq!(lines.lines().count(), answered.load(Ordering::Relaxed));
}
