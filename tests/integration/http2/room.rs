//! How much room a client may take, and that it is given back.

use std::time::Duration;

use h2::Reason;

use tokio_rustls::rustls::version::TLS13;

use super::{held, http2, start, wire};
use crate::support::{Frame, Http2, Origin, eventually, kind, read_reply};
use crate::tls_clients::Edge;

#[test]
fn streams_beyond_max_streams_are_refused() {
    let (origin, let_go) = held();
    let edge = Edge::start_with(&origin, "max_streams = 3", "");
    let mut wire = wire(&edge);
    let settings = wire.until(kind::SETTINGS);
    let most: Vec<_> = settings
        .payload
        .chunks(6)
        .filter(|pair| pair[1] == 3)
        .collect();
    assert_eq!(most, [[0, 3, 0, 0, 0, 3]]);
    for stream in [1, 3, 5, 7] {
        wire.get(stream, &format!("/{stream}"));
    }
    assert_eq!(wire.answer(7), Err(7), "REFUSED_STREAM");
    eventually("three are asked", || origin.count() == 3);
    (0..3).for_each(|_| let_go.send(()).unwrap());
    let mut ended = 0;
    while ended < 3 {
        ended += usize::from(wire.until(kind::DATA).ends());
    }
    wire.get(9, "/now");
    assert_eq!(wire.answer(9), Ok(200));
    assert_eq!(origin.count(), 4);
}

#[test]
fn a_client_that_keeps_to_max_streams_waits() {
    let (origin, let_go) = held();
    let edge = Edge::start_with(&origin, "max_streams = 2", "");
    let mut client = http2(&edge);
    client.get("/now", "");
    assert_eq!(client.most_streams(), 2);
    (0..10).for_each(|_| let_go.send(()).unwrap());
    let paths: Vec<_> = (0..10).map(|n| format!("/{n}")).collect();
    assert!(client.all(&paths).iter().all(Result::is_ok));
}

/// Opens `count` streams for which the origin is asked.
fn hold(client: &mut Http2, origin: &Origin, count: usize) -> Vec<h2::client::ResponseFuture> {
    (0..count)
        .map(|n| {
            let before = origin.count();
            let (response, _) = client
                .open(Http2::request("GET", &format!("/held/{n}"), ""), true)
                .unwrap();
            eventually("asked", || {
                client.turn();
                origin.count() > before
            });
            response
        })
        .collect()
}

#[test]
fn streams_count_among_the_connections() {
    let (origin, let_go) = held();
    let edge = start(&origin, "max_connections = 4\n");
    let mut client = http2(&edge);
    for _ in 0..3 {
        // A connection, and two streams beside its first: as many as one more
        // would leave are fewer than it has.
        let held = hold(&mut client, &origin, 3);
        let refused = client
            .try_ask(Http2::request("GET", "/now", ""))
            .unwrap_err();
        assert_eq!(refused.reason(), Some(Reason::REFUSED_STREAM));
        (0..3).for_each(|_| let_go.send(()).unwrap());
        for response in held {
            assert_eq!(client.wait(read_reply(response)).unwrap().text(), "ok");
        }
        assert_eq!(client.get("/now", "").text(), "ok");
    }
    assert_eq!(edge.counted(|c| c.refused_streams.get()), 3);
    assert_eq!(edge.counted(|c| c.refused.get()), 0);
    // All is given back while it is idle.
    let mut others: Vec<_> = (0..3).map(|_| http2(&edge)).collect();
    for other in &mut others {
        assert_eq!(other.get("/now", "").text(), "ok");
    }
    assert_eq!(client.get("/now", "").text(), "ok");
    assert_eq!(edge.counted(|c| c.evicted.get()), 0);
}

#[test]
fn what_a_connection_held_is_free_when_it_is_gone() {
    for ends in ["reset", "cancelled"] {
        let (origin, let_go) = held();
        let edge = start(&origin, "max_connections = 6\n");
        let mut first = wire(&edge);
        for stream in [1, 3, 5, 7] {
            first.get(stream, &format!("/{stream}"));
        }
        eventually("asked", || origin.count() == 4);
        match ends {
            "reset" => drop(first),
            _ => {
                // All that is read at once.
                let reset = 8u32.to_be_bytes();
                let mut bytes = Vec::new();
                for stream in [1, 3, 5, 7] {
                    bytes.extend(Frame::bytes(kind::RST_STREAM, 0, stream, &reset));
                }
                let block = Frame::block(&Frame::get("/now"));
                bytes.extend(Frame::bytes(kind::HEADERS, 5, 9, &block));
                first.send(&bytes);
                assert_eq!(first.answer(9), Ok(200));
                drop(first);
            }
        }
        eventually("closed", || edge.counted(|c| c.open.get()) == 0);
        drop(let_go);
        let mut client = http2(&edge);
        let answered = client.all(&vec!["/now".to_owned(); 4]);
        assert!(answered.iter().all(Result::is_ok), "{ends}");
        assert_eq!(edge.counted(|c| c.refused_streams.get()), 0, "{ends}");
    }
}

/// By one connection each they would need as many as there may be.
#[test]
fn a_few_connections_do_not_keep_others_from_connecting() {
    let (origin, let_go) = held();
    let edge = start(&origin, "max_connections = 40\n");
    let mut greedy: Vec<_> = (0..4).map(|_| wire(&edge)).collect();
    for client in &mut greedy {
        (0..100).for_each(|n| {
            client.get(2 * n + 1, "/held");
        });
        assert_eq!(client.answer(199), Err(7), "REFUSED_STREAM");
    }
    let mut client = http2(&edge);
    assert_eq!(client.get("/now", "").text(), "ok");
    assert_eq!(edge.client().get("/now", "").text(), "ok");
    assert_eq!(edge.counted(|c| c.refused.get()), 0);
    drop((greedy, let_go));
}

#[test]
fn a_busy_connection_gives_back_what_it_does_not_use() {
    let (origin, let_go) = held();
    let edge = start(&origin, "max_connections = 40\n");
    let mut first = wire(&edge);
    (0..20).for_each(|n| {
        first.get(2 * n + 1, &format!("/a{n}"));
    });
    eventually("asked", || origin.count() == 20);
    let mut second = wire(&edge);
    (0..19).for_each(|_| let_go.send(()).unwrap());
    (0..19).for_each(|_| while !first.until(kind::DATA).ends() {});
    // One is open still; as many as it had and more are free for another.
    first.get(41, "/now");
    assert_eq!(first.answer(41), Ok(200));
    (0..18).for_each(|n| {
        second.get(2 * n + 1, &format!("/b{n}"));
    });
    eventually("asked", || origin.count() == 20 + 1 + 18);
    assert_eq!(edge.counted(|c| c.refused_streams.get()), 0);
    drop(let_go);
}

#[test]
fn an_idle_connection_makes_room_for_a_stream() {
    let (origin, let_go) = held();
    let edge = start(&origin, "max_connections = 3\n");
    let mut idle = edge.client();
    assert_eq!(idle.get("/now", "").text(), "ok");
    let mut resting = http2(&edge);
    assert_eq!(resting.get("/now", "").text(), "ok");
    let mut client = http2(&edge);
    let held = hold(&mut client, &origin, 2);
    // It goes where another was closed for it, the oldest first.
    assert_eq!(idle.rest(), b"");
    eventually("closed", || edge.counted(|c| c.evicted.get()) == 1);
    let refused = client
        .try_ask(Http2::request("GET", "/now", ""))
        .unwrap_err();
    assert_eq!(refused.reason(), Some(Reason::REFUSED_STREAM));
    assert_eq!(resting.get("/now", "").text(), "ok");
    (0..2).for_each(|_| let_go.send(()).unwrap());
    for response in held {
        assert!(client.wait(read_reply(response)).is_ok());
    }
}

#[test]
fn an_idle_connection_makes_room_for_another() {
    let (origin, _let_go) = held();
    let edge = start(&origin, "max_connections = 1\n");
    let mut first = http2(&edge);
    assert_eq!(first.get("/now", "").text(), "ok");
    assert_eq!(http2(&edge).get("/now", "").text(), "ok");
    assert!(first.ended().is_ok(), "GOAWAY with NO_ERROR");
}

#[test]
fn a_busy_connection_makes_room_for_nobody() {
    let (origin, let_go) = held();
    let edge = start(&origin, "max_connections = 1\n");
    let mut busy = http2(&edge);
    let held = hold(&mut busy, &origin, 1);
    let config = edge.config_for(&[&TLS13], b"h2");
    let other = Http2::try_connect(edge.address(), config, &h2::client::Builder::new());
    assert!(other.is_err());
    let_go.send(()).unwrap();
    for response in held {
        assert_eq!(busy.wait(read_reply(response)).unwrap().text(), "ok");
    }
    // Nothing is lost where it is idle for a while.
    std::thread::sleep(Duration::from_millis(20));
    assert_eq!(busy.get("/now", "").text(), "ok");
}
