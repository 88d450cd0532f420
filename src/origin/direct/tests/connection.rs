//! What becomes of a connection, whatever its origin tries.

use std::cell::Cell;
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::{Arc, Mutex};

use bytes::BytesMut;
use hyper::header::HeaderName;
use hyper::{HeaderMap, Method, StatusCode, Version};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::yield_now;

use super::super::{Answer, FIRST, WIDE};
use super::{PATIENCE, Script, ask, connected, head_of, pause, read, run, settings};
use crate::log::counters::WorkerCounters;
use crate::origin::interim::{Hear, Listener};
use crate::origin::{Limits, OriginRequest, Origins};

#[test]
fn a_long_request_to_a_slow_origin_is_sent_to_its_end() {
    let mut request = OriginRequest::default();
    for number in 0..40 {
        let name: HeaderName = format!("x-{number}").parse().unwrap();
        request
            .lines
            .push_text(&name, &["y".repeat(200_000).as_bytes()]);
    }
    run(async {
        let (mut direct, mut peer) = connected().await;
        let answers = async {
            pause().await;
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                peer.read_buf(&mut head).await.unwrap();
            }
            peer.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
            head
        };
        let (answer, head) = tokio::join!(ask(&mut direct, &request), answers);
        assert!(answer.is_ok() && direct.keeps());
        let mut expected = Vec::new();
        request.encode(&mut expected);
        assert!(head == expected);
    });
}

/// What an origin says on one connection, and whether that is used again.
async fn is_kept(bytes: &str) -> bool {
    let (mut direct, mut peer) = connected().await;
    let request = Script::whole(Method::GET, b"").request();
    let says = async {
        head_of(&mut peer).await;
        peer.write_all(bytes.as_bytes()).await.unwrap();
    };
    let (answer, ()) = tokio::join!(ask(&mut direct, &request), says);
    let Answer { framing, held, .. } = answer.unwrap();
    assert!(read(&mut direct, framing, held).await.1);
    direct.keeps()
}

#[test]
fn a_connection_is_kept_if_the_response_lets_it_be() {
    let with = |start: &str, fields: &str| {
        format!("{start} 200 OK\r\nContent-Length: 2\r\n{fields}\r\nok")
    };
    run(async {
        for (fields, kept) in [
            ("", true),
            ("Connection: keep-alive\r\n", true),
            ("Connection: x, Close\r\n", false),
            ("Connection: close\r\nConnection: keep-alive\r\n", false),
        ] {
            assert_eq!(is_kept(&with("HTTP/1.1", fields)).await, kept, "{fields}");
        }
        assert!(!is_kept(&with("HTTP/1.0", "")).await);
        assert!(is_kept(&with("HTTP/1.0", "Connection: keep-alive\r\n")).await);
        let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n";
        assert!(is_kept(&format!("{chunked}\r\n")).await);
        assert!(is_kept(&format!("{chunked}T: u\r\n\r\n")).await);
        assert!(!is_kept(&format!("{chunked}\r\n\r\n")).await);
    });
}

#[test]
fn what_follows_a_response_answers_nobody() {
    const SMUGGLED: &str = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil";
    run(async {
        for first in [
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
            "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
            "HTTP/1.1 204 No Content\r\n\r\n",
            "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        ] {
            assert!(is_kept(first).await, "{first}");
            for more in ["\r\n", "x", SMUGGLED] {
                assert!(!is_kept(&format!("{first}{more}")).await, "{first}{more}");
            }
        }
    });
}

#[test]
fn what_comes_between_requests_ends_the_connection() {
    run(async {
        let (mut direct, mut peer) = connected().await;
        direct.quiet().unwrap();
        peer.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
        pause().await;
        assert_eq!(
            direct.quiet().unwrap_err().as_str(),
            "http_response_incomplete"
        );
        let (mut direct, peer) = connected().await;
        drop(peer);
        pause().await;
        assert_eq!(
            direct.quiet().unwrap_err().as_str(),
            "connection_terminated"
        );
        let ended = poll_fn(|cx| direct.poll_ended(cx)).await;
        assert_eq!(ended.unwrap(), 0);
    });
}

#[test]
fn who_may_ask_only_once_looks_at_what_the_runtime_does_not_know_yet() {
    run(async {
        let (mut direct, mut peer) = connected().await;
        assert!(direct.quiet_now().is_ok());
        peer.write_all(b"HTTP/1.1 408").await.unwrap();
        let unasked = direct.quiet_now().unwrap_err();
        assert_eq!(unasked.as_str(), "http_response_incomplete");
        let (mut direct, peer) = connected().await;
        drop(peer);
        let closed = direct.quiet_now().unwrap_err();
        assert_eq!(closed.as_str(), "connection_terminated");
    });
}

#[derive(Debug, Default)]
struct Ears(Mutex<Vec<(u64, u16)>>);

impl Hear for Ears {
    fn hear(&self, request: u64, status: StatusCode, version: Version, _: &HeaderMap) {
        assert_eq!(version, Version::HTTP_11);
        self.0.lock().unwrap().push((request, status.as_u16()));
    }
}

#[test]
fn interim_responses_are_told_of_but_not_for_ever() {
    let answered = |count: usize| {
        let bytes = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n".repeat(count);
        let bytes = format!("{bytes}HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        let script = Script::whole(Method::GET, bytes.as_bytes());
        let ears = Arc::new(Ears::default());
        let mut request = script.request();
        request
            .body
            .listen(Listener::new(7, Arc::clone(&ears) as _));
        let status = run(async {
            let (mut direct, peer) = connected().await;
            let answer = tokio::join!(ask(&mut direct, &request), script.play(peer)).0;
            answer.map(|answer| answer.head.status.as_u16())
        });
        let heard = std::mem::take(&mut *ears.0.lock().unwrap());
        assert!(heard.iter().all(|told| *told == (7, 103)));
        (status.map_err(|error| error.as_str()), heard.len())
    };
    assert_eq!(answered(2), (Ok(200), 2));
    assert_eq!(answered(20_000), (Ok(200), 20_000));
    assert_eq!(answered(20_001), (Err("http_protocol_error"), 20_000));
}

#[test]
fn an_idle_connection_that_the_origin_closes_is_forgotten_unasked() {
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let settings = settings(&listener.local_addr().unwrap().to_string());
        let counters = Arc::new(WorkerCounters::default());
        let origins = Origins::new(0, Arc::new(Limits::default()), Arc::clone(&counters));
        let asking = crate::origin::Asking {
            settings: &settings,
            client: None,
            stall_timeout: PATIENCE,
        };
        let script = Script::whole(Method::GET, b"");
        let answers = async {
            let (mut peer, _) = listener.accept().await.unwrap();
            head_of(&mut peer).await;
            peer.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                .await
                .unwrap();
            peer
        };
        let (answer, peer) = tokio::join!(origins.send(asking, script.request()), answers);
        drop(answer.unwrap());
        pause().await;
        assert_eq!(counters.origin.idle.get(), 1);
        drop(peer);
        while counters.origin.idle.get() > 0 {
            yield_now().await;
        }
        assert_eq!(counters.origin.stale.get(), 0);
    });
}

#[test]
fn an_idle_connection_holds_no_buffer_and_a_small_body_no_large_one() {
    run(async {
        let (mut direct, mut peer) = connected().await;
        let request = Script::whole(Method::GET, b"").request();
        let held = Rc::new(Cell::new(0));
        for length in [1_000_000, 1_000_000, 100, 100] {
            let body = vec![b'x'; length];
            let says = async {
                head_of(&mut peer).await;
                let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n");
                peer.write_all(head.as_bytes()).await.unwrap();
                peer.write_all(&body).await.unwrap();
            };
            let asks = async {
                let Answer {
                    framing,
                    held: rest,
                    ..
                } = ask(&mut direct, &request).await.unwrap();
                held.set(BytesMut::from(rest.clone()).capacity());
                read(&mut direct, framing, rest).await
            };
            let ((read, whole), ()) = tokio::join!(asks, says);
            assert!(read == body && whole && direct.keeps());
        }
        assert!(direct.room > FIRST, "large bodies are read in large parts");
        assert!(held.get() <= WIDE);
    });
}
