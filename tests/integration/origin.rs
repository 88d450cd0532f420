//! The origin's connections and failures.

use std::net::TcpListener;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use crate::support::{Origin, Portcullis, eventually};

fn with(settings: &str) -> String {
    format!(
        "[server]\nlisten = [\"127.0.0.1:0\"]\nworkers = 1\n[origin]\nurl = \"@origin@\"\n{settings}\n"
    )
}

#[test]
fn connections_are_used_again() {
    let origin = Origin::ok();
    let portcullis = Portcullis::start(&origin, &with(""));
    for _ in 0..3 {
        let mut client = portcullis.client();
        for _ in 0..3 {
            assert_eq!(client.get("/", "").text(), "ok");
        }
    }
    assert!(origin.asked().iter().all(|asked| asked.connection == 0));
    assert_eq!(origin.asked().len(), 9);
}

#[test]
fn requests_with_and_without_a_body_share_connections() {
    let origin = Origin::ok();
    let portcullis = Portcullis::start(&origin, &with(""));
    let mut client = portcullis.client();
    for _ in 0..3 {
        assert_eq!(client.get("/", "").text(), "ok");
        client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody");
        assert_eq!(client.reply().text(), "ok");
        client.send("DELETE / HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(client.reply().text(), "ok");
    }
    let asked = origin.asked();
    assert_eq!(asked.len(), 9);
    assert!(asked.iter().all(|asked| asked.connection == 0));
    assert!(
        asked
            .iter()
            .skip(1)
            .step_by(3)
            .all(|asked| asked.body == b"body")
    );
    let counters = portcullis.server.counters();
    assert_eq!(counters.sum(|worker| worker.origin.opened.get()), 1);
    assert_eq!(counters.sum(|worker| worker.origin.reused.get()), 8);
}

#[test]
fn what_an_origin_says_too_much_answers_nobody() {
    const EVIL: &str = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil";
    for late in [false, true] {
        let origin = Origin::scripted(move |conversation| {
            while let Some(asked) = conversation.request() {
                conversation.say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
                if late && asked.line().contains("/first") {
                    std::thread::sleep(Duration::from_millis(5));
                }
                if asked.line().contains("/first") {
                    conversation.say(EVIL);
                }
            }
        });
        let portcullis = Portcullis::start(&origin, &with(""));
        let mut client = portcullis.client();
        for _ in 0..10 {
            assert_eq!(client.get("/first", "").text(), "ok");
            let counters = portcullis.server.counters();
            eventually("it is closed", || {
                counters.sum(|worker| worker.origin.idle.get() + worker.origin.busy.get()) == 0
            });
            assert_eq!(client.get("/second", "").text(), "ok");
        }
    }
}

#[test]
fn a_connection_closed_while_idle_is_not_seen_by_the_client() {
    let origin = Origin::scripted(|conversation| {
        // One answer, then closed without a word.
        if conversation.request().is_some() {
            conversation.say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        }
    });
    let portcullis = Portcullis::start(&origin, &with("retries = 0"));
    let mut client = portcullis.client();
    for _ in 0..50 {
        // A POST, which is never asked twice; the pause lets the close arrive.
        client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx");
        assert_eq!(client.reply().text(), "ok");
        std::thread::sleep(Duration::from_millis(2));
    }
    assert_eq!(origin.asked().len(), 50);
}

#[test]
fn a_connection_closed_on_the_request_is_tried_again_if_that_is_safe() {
    for (method, retries, expected) in [("GET", 1, 200), ("GET", 0, 502), ("POST", 1, 502)] {
        let origin = Origin::scripted(|conversation| {
            conversation.request();
            if conversation.connection > 0 {
                conversation.say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
            }
        });
        let portcullis = Portcullis::start(&origin, &with(&format!("retries = {retries}")));
        let mut client = portcullis.client();
        client.send(format!("{method} / HTTP/1.1\r\nHost: a\r\n\r\n"));
        assert_eq!(client.reply().status, expected, "{method} {retries}");
    }
}

/// The origin closes a kept connection just as the next request is sent.
#[test]
fn a_request_that_crosses_a_close_is_sent_again_unseen_if_that_is_safe() {
    for (request, expected) in [
        ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", 200),
        ("DELETE / HTTP/1.1\r\nHost: a\r\n\r\n", 200),
        ("POST / HTTP/1.1\r\nHost: a\r\n\r\n", 502),
        (
            "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx",
            502,
        ),
    ] {
        let origin = Origin::scripted(|conversation| {
            conversation.request();
            conversation.say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
            // The second one gets no answer on the first connection.
            if conversation.request().is_some() && conversation.connection > 0 {
                conversation.say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
            }
        });
        let portcullis = Portcullis::start(&origin, &with("retries = 0"));
        let mut client = portcullis.client();
        assert_eq!(client.get("/", "").status, 200);
        client.send(request);
        assert_eq!(client.reply().status, expected, "{request}");
        let counters = portcullis.server.counters();
        let stale = counters.sum(|worker| worker.origin.stale.get());
        assert_eq!(stale, u64::from(expected == 200));
        assert_eq!(counters.sum(|worker| worker.origin.retried.get()), 0);
    }
}

#[test]
fn a_response_that_has_begun_is_never_asked_for_again() {
    let origin = Origin::scripted(|conversation| {
        conversation.request();
        conversation.say("HTTP/1.1 200");
    });
    let portcullis = Portcullis::start(&origin, &with(""));
    assert_eq!(portcullis.client().get("/", "").status, 502);
    assert_eq!(origin.asked().len(), 1);
    let lines = portcullis.stop();
    assert_eq!(lines[0]["error"], "http_response_incomplete");
}

#[test]
fn failures_have_their_status_and_name() {
    let closed = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let nobody = Portcullis::start_at(closed, &with(""));
    let reply = nobody.client().get("/", "");
    assert_eq!(reply.status, 502);
    let id = reply.field("portcullis-ref").unwrap();
    assert_eq!(reply.text(), format!("Bad Gateway\nReference: {id}\n"));
    let line = &nobody.stop()[0];
    assert_eq!(
        (&line["error"], &line["ref"]),
        (&"connection_refused".into(), &id.into())
    );

    for (answer, status, error) in [
        ("", 504, "http_response_timeout"),
        ("nonsense\r\n\r\n", 502, "http_protocol_error"),
        (
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
            502,
            "http_upgrade_failed",
        ),
    ] {
        let origin = Origin::scripted(move |conversation| {
            conversation.request();
            conversation.say(answer);
            conversation.request();
        });
        let portcullis = Portcullis::start(&origin, &with("response_timeout = \"200ms\""));
        assert_eq!(portcullis.client().get("/", "").status, status, "{answer}");
        assert_eq!(portcullis.stop()[0]["error"], error);
    }
}

#[test]
fn the_response_is_waited_for_only_once_the_request_is_sent() {
    let origin = Origin::ok();
    let portcullis = Portcullis::start(&origin, &with("response_timeout = \"300ms\""));
    let mut client = portcullis.client();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n");
    for _ in 0..5 {
        std::thread::sleep(Duration::from_millis(150));
        client.send("x");
    }
    assert_eq!(client.reply().text(), "ok");
}

#[test]
fn a_cut_response_never_looks_complete() {
    for (head, part) in [
        ("Content-Length: 10", "12345"),
        ("Transfer-Encoding: chunked", "5\r\n12345\r\n"),
    ] {
        for version in ["1.1", "1.0"] {
            let (go, gone) = mpsc::channel::<()>();
            let gone = std::sync::Mutex::new(gone);
            let origin = Origin::scripted(move |conversation| {
                conversation.request();
                conversation.say(format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n{part}"));
                let _ = gone.lock().unwrap().recv();
            });
            let portcullis = Portcullis::start(&origin, &with(""));
            let mut client = portcullis.client();
            client.send(format!("GET / HTTP/{version}\r\nHost: a\r\n\r\n"));
            let (status, reply) = client.head();
            assert_eq!(status, 200);
            go.send(()).unwrap();
            let rest = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| client.rest()));
            match (rest, reply.contains("content-length"), version) {
                (Ok(rest), true, _) => assert!(rest.len() < 10),
                (Ok(rest), false, "1.1") => assert!(!rest.ends_with(b"0\r\n\r\n")),
                // Only a reset tells an HTTP/1.0 client.
                (Ok(rest), false, _) => panic!("looks complete: {rest:?}"),
                (Err(_), ..) => {}
            }
            assert_eq!(portcullis.stop()[0]["error"], "http_response_incomplete");
        }
    }
}

#[test]
fn a_cut_upload_never_looks_complete() {
    let complete = Arc::new(AtomicUsize::new(0));
    let (count, ended) = (Arc::clone(&complete), Arc::new(AtomicUsize::new(0)));
    let over = Arc::clone(&ended);
    let origin = Origin::scripted(move |conversation| {
        if conversation.request().is_some() {
            count.fetch_add(1, Ordering::Relaxed);
        }
        over.fetch_add(1, Ordering::Relaxed);
    });
    let portcullis = Portcullis::start(&origin, &with(""));
    for framing in [
        "Content-Length: 10\r\n\r\n12345",
        "Transfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n",
    ] {
        let mut client = portcullis.client();
        client.send(format!("POST / HTTP/1.1\r\nHost: a\r\n{framing}"));
        std::thread::sleep(Duration::from_millis(50));
    }
    eventually("both uploads ended", || ended.load(Ordering::Relaxed) == 2);
    assert_eq!(complete.load(Ordering::Relaxed), 0);
}

#[test]
fn a_client_that_goes_away_ends_its_request() {
    let (tell, closed) = mpsc::channel();
    let tell = std::sync::Mutex::new(tell);
    let origin = Origin::scripted(move |conversation| {
        conversation.request();
        // No answer; the next read ends when the connection is closed.
        assert!(conversation.request().is_none());
        tell.lock().unwrap().send(()).unwrap();
    });
    // What fills the cache goes on without its client.
    let portcullis = Portcullis::start(&origin, &with("[cache]\nmemory = \"0\""));
    let mut client = portcullis.client();
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    eventually("asked", || origin.asked().len() == 1);
    drop(client);
    closed.recv_timeout(Duration::from_secs(5)).unwrap();
    let line = &portcullis.stop()[0];
    assert_eq!(
        (&line["status"], &line["verdict"]),
        (&499.into(), &"forward".into())
    );
}

#[test]
fn at_max_connections_requests_wait_in_line_and_then_503() {
    let origin = Origin::scripted(|conversation| {
        while let Some(asked) = conversation.request() {
            std::thread::sleep(Duration::from_millis(if asked.line().contains("/slow") {
                2000
            } else {
                20
            }));
            conversation.say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        }
    });
    for workers in [1, 2] {
        let settings = with("max_connections = 1\nconnect_timeout = \"1500ms\"")
            .replace("workers = 1", &format!("workers = {workers}"));
        let portcullis = Portcullis::start(&origin, &settings);
        let ask = |path: &'static str| {
            let mut client = portcullis.client();
            std::thread::spawn(move || client.get(path, "").status)
        };
        let many: Vec<_> = (0..8).map(|_| ask("/")).collect();
        let statuses: Vec<u16> = many
            .into_iter()
            .map(|asked| asked.join().unwrap())
            .collect();
        assert_eq!(statuses, [200; 8], "{workers} workers");
        let slow_ones = || {
            origin
                .asked()
                .iter()
                .filter(|a| a.line().contains("/slow"))
                .count()
        };
        let before = slow_ones();
        let slow = ask("/slow");
        eventually("the slow one is there", || slow_ones() > before);
        let start = Instant::now();
        assert_eq!(ask("/").join().unwrap(), 503);
        assert!(start.elapsed() >= Duration::from_millis(1400));
        assert_eq!(slow.join().unwrap(), 200);
        assert_eq!(ask("/").join().unwrap(), 200);
    }
}
