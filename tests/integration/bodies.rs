//! Bodies on their way in and out: how long, how slow, and how they end.

use std::io::{Read as _, Write as _};
use std::net::Shutdown;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use portcullis::log::counters::Counters;

use crate::support::{Client, Origin, Portcullis, eventually};

const LONG: &str = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\n";

pub(crate) fn with(server: &str, origin: &str) -> String {
    format!(
        "[server]\nlisten = [\"127.0.0.1:0\"]\nworkers = 1\n{server}\n[origin]\nurl = \"@origin@\"\n{origin}\n"
    )
}

/// Sends until the other side has enough.
/// How many requests went wrong in that way.
fn errors(counters: &Counters, name: &str) -> u64 {
    let of = |(error, count)| if error == name { count } else { 0 };
    counters.sum(|worker| worker.requests.errors().map(of).sum())
}

fn send_without_end(client: &Client) {
    let mut stream = client.stream.try_clone().unwrap();
    std::thread::spawn(move || while stream.write_all(&[b'x'; 16 * 1024]).is_ok() {});
}

/// Whether the response ends as it should not: by a reset, or before its end.
fn is_cut(client: &mut Client, version: &str) -> bool {
    let (_, head) = client.head();
    let mut rest = Vec::new();
    let read = client.stream.read_to_end(&mut rest);
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "));
    match (read, length) {
        (Err(error), _) => error.kind() == std::io::ErrorKind::ConnectionReset,
        (Ok(_), Some(length)) => rest.len() < length.parse().unwrap(),
        (Ok(_), None) => version == "1.1" && !rest.ends_with(b"0\r\n\r\n"),
    }
}

#[test]
fn a_body_that_says_it_is_too_long_is_refused_at_once() {
    let origin = Origin::ok();
    let portcullis = Portcullis::start(&origin, &with("max_body = \"10 B\"", ""));
    for expect in ["", "Expect: 100-continue\r\n"] {
        let mut client = portcullis.client();
        client.send(format!(
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n{expect}\r\n"
        ));
        let reply = client.reply();
        assert_eq!(reply.status, 413, "{expect}");
        assert!(reply.text().starts_with("Payload Too Large\nReference: "));
        assert_eq!(reply.field("connection").as_deref(), Some("close"));
        assert_eq!(client.rest(), b"");
    }
    assert!(origin.asked().is_empty());
    let mut client = portcullis.client();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n0123456789");
    assert_eq!(client.reply().text(), "ok");
    let lines = portcullis.stop();
    assert_eq!(lines[0]["error"], "http_request_error");
    assert_eq!(
        (&lines[0]["status"], &lines[0]["verdict"]),
        (&413.into(), &"forward".into())
    );
}

#[test]
fn a_chunked_body_is_cut_as_soon_as_it_is_too_long() {
    let complete = Arc::new(AtomicUsize::new(0));
    let ended = Arc::new(AtomicUsize::new(0));
    let (count, over) = (Arc::clone(&complete), Arc::clone(&ended));
    let origin = Origin::scripted(move |conversation| {
        if conversation.request().is_some() {
            count.fetch_add(1, Ordering::Relaxed);
        }
        over.fetch_add(1, Ordering::Relaxed);
    });
    let portcullis = Portcullis::start(&origin, &with("max_body = \"10 B\"", ""));
    let mut client = portcullis.client();
    client.send(
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n8\r\n01234567\r\n3\r\n890\r\n0\r\n\r\n",
    );
    let reply = client.reply();
    assert_eq!(reply.status, 413);
    assert_eq!(reply.field("connection").as_deref(), Some("close"));
    assert_eq!(client.rest(), b"");
    eventually("the origin's request has ended", || {
        ended.load(Ordering::Relaxed) == 1
    });
    assert_eq!(complete.load(Ordering::Relaxed), 0);
    assert_eq!(portcullis.stop()[0]["error"], "http_request_error");
}

#[test]
fn a_body_that_gets_too_long_within_the_response_cuts_it() {
    let origin = Origin::scripted(|conversation| {
        conversation.head();
        conversation.say("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n");
        conversation.take(1000);
    });
    let portcullis = Portcullis::start(&origin, &with("max_body = \"10 B\"", ""));
    let mut client = portcullis.client();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n");
    let mut rest = client.stream.try_clone().unwrap();
    std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(100));
        let _ = rest.write_all(b"b\r\n01234567890\r\n0\r\n\r\n");
    });
    assert!(is_cut(&mut client, "1.1"));
    assert_eq!(portcullis.stop()[0]["error"], "http_request_error");
}

#[test]
fn a_client_that_stalls_is_answered_408() {
    let ended = Arc::new(AtomicUsize::new(0));
    let over = Arc::clone(&ended);
    let origin = Origin::scripted(move |conversation| {
        assert!(conversation.request().is_none());
        over.fetch_add(1, Ordering::Relaxed);
    });
    let settings = with("stall_timeout = \"400ms\"", "max_connections = 1");
    let portcullis = Portcullis::start(&origin, &settings);
    for _ in 0..2 {
        let mut client = portcullis.client();
        client.send(LONG);
        let mut trickle = client.stream.try_clone().unwrap();
        std::thread::spawn(move || {
            while trickle.write_all(b"x").is_ok() {
                std::thread::sleep(Duration::from_millis(10));
            }
        });
        let reply = client.reply();
        assert_eq!(reply.status, 408);
        assert_eq!(reply.field("connection").as_deref(), Some("close"));
    }
    eventually("both requests ended", || ended.load(Ordering::Relaxed) == 2);
    assert_eq!(portcullis.stop()[0]["error"], "http_request_error");
}

#[test]
fn a_client_that_is_slow_but_moves_is_served() {
    let origin = Origin::ok();
    let portcullis = Portcullis::start(&origin, &with("stall_timeout = \"500ms\"", ""));
    let mut client = portcullis.client();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 20000\r\n\r\n");
    for _ in 0..20 {
        std::thread::sleep(Duration::from_millis(80));
        client.send([b'x'; 1000]);
    }
    assert_eq!(client.reply().text(), "ok");
    assert_eq!(origin.only().body.len(), 20000);
}

#[test]
fn an_origin_that_takes_nothing_is_given_up() {
    let (done, wait) = mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    let origin = Origin::scripted(move |conversation| {
        conversation.head();
        let _ = wait.lock().unwrap().recv();
    });
    let portcullis = Portcullis::start(&origin, &with("stall_timeout = \"400ms\"", ""));
    let mut client = portcullis.client();
    client.send(LONG);
    send_without_end(&client);
    let reply = client.reply();
    assert_eq!(reply.status, 504);
    assert_eq!(reply.field("connection").as_deref(), Some("close"));
    drop(done);
    let counters = portcullis.server.counters().clone();
    assert_eq!(portcullis.stop()[0]["error"], "connection_write_timeout");
    assert_eq!(errors(&counters, "connection_write_timeout"), 1);
}

#[test]
fn a_response_that_stalls_is_cut() {
    for (head, part) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n", "12345"),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n",
            "5\r\n12345\r\n",
        ),
        ("HTTP/1.0 200 OK\r\n", "12345"),
    ] {
        for version in ["1.1", "1.0"] {
            let origin = Origin::scripted(move |conversation| {
                conversation.request();
                conversation.say(format!("{head}\r\n{part}"));
                conversation.request();
            });
            let portcullis = Portcullis::start(&origin, &with("stall_timeout = \"300ms\"", ""));
            let mut client = portcullis.client();
            client.send(format!("GET / HTTP/{version}\r\nHost: a\r\n\r\n"));
            assert!(is_cut(&mut client, version), "{head} {version}");
            let counters = portcullis.server.counters().clone();
            assert_eq!(portcullis.stop()[0]["error"], "connection_read_timeout");
            assert_eq!(errors(&counters, "connection_read_timeout"), 1);
        }
    }
}

/// A client that has ended its side may still read: by HTTP/1.0 it must see
/// that the response was cut when it is taken for gone.
#[test]
fn a_response_that_is_given_up_for_a_half_closed_client_is_cut() {
    let origin = Origin::scripted(|conversation| {
        conversation.request();
        conversation.say("HTTP/1.1 200 OK\r\n\r\n12345");
        conversation.request();
    });
    let portcullis = Portcullis::start(&origin, "");
    for (method, version) in [("GET", "1.1"), ("GET", "1.0"), ("POST", "1.0")] {
        let body = match method {
            "POST" => "Content-Length: 1\r\n\r\nx",
            _ => "\r\n",
        };
        let mut client = portcullis.client();
        client.send(format!("{method} / HTTP/{version}\r\nHost: a\r\n{body}"));
        client.stream.shutdown(Shutdown::Write).unwrap();
        assert!(is_cut(&mut client, version), "{method} {version}");
    }
}

#[test]
fn a_client_that_has_ended_its_side_gets_its_answer() {
    let origin = Origin::scripted(|conversation| {
        while conversation.request().is_some() {
            std::thread::sleep(Duration::from_millis(100));
            conversation.say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        }
    });
    let portcullis = Portcullis::start(&origin, "");
    for request in [
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n",
    ] {
        let mut client = portcullis.client();
        client
            .send(request)
            .stream
            .shutdown(Shutdown::Write)
            .unwrap();
        assert_eq!(client.reply().text(), "ok", "{request}");
        assert_eq!(client.rest(), b"");
    }
}

#[test]
fn a_slow_origin_that_moves_is_waited_for() {
    let origin = Origin::scripted(|conversation| {
        conversation.request();
        conversation.say("HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n");
        for _ in 0..12 {
            std::thread::sleep(Duration::from_millis(100));
            conversation.say("x");
        }
    });
    let portcullis = Portcullis::start(&origin, &with("stall_timeout = \"400ms\"", ""));
    assert_eq!(portcullis.client().get("/", "").text(), "xxxxxxxxxxxx");
}

#[test]
fn an_early_answer_is_passed_on_though_the_connection_is_reset() {
    let origin = Origin::scripted(|conversation| {
        conversation.head();
        conversation.take(1 << 20);
        conversation.say(
            "HTTP/1.1 413 Payload Too Large\r\nConnection: close\r\nContent-Length: 4\r\n\r\nmine",
        );
        // Closed with much unread: a reset.
    });
    let portcullis = Portcullis::start(&origin, &with("", "max_connections = 1"));
    for round in 0..20 {
        let mut client = portcullis.client();
        client.send(LONG);
        send_without_end(&client);
        let reply = client.reply();
        assert_eq!((reply.status, reply.text()), (413, "mine"), "round {round}");
    }
}

#[test]
fn after_an_early_answer_the_rest_goes_to_the_origin() {
    let origin = Origin::scripted(|conversation| {
        loop {
            let Some(head) = conversation.head() else {
                return;
            };
            let length = if head.starts_with("POST") { 10 } else { 0 };
            conversation.say("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nearly");
            if conversation.take(length).is_none() {
                return;
            }
        }
    });
    let portcullis = Portcullis::start(&origin, &with("", "max_connections = 1"));
    let mut client = portcullis.client();
    for _ in 0..3 {
        client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n01234");
        assert_eq!(client.reply().text(), "early");
        client.send("56789");
        assert_eq!(client.get("/", "").text(), "early");
    }
    let opened = portcullis
        .server
        .counters()
        .sum(|worker| worker.origin.opened.get());
    assert_eq!(opened, 1);
}

#[test]
fn an_upload_that_stalls_after_the_answer_frees_the_connection() {
    for close in ["", "Connection: close\r\n"] {
        let origin = Origin::scripted(move |conversation| {
            while let Some(head) = conversation.head() {
                conversation.say(format!(
                    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n{close}\r\nearly"
                ));
                if head.starts_with("POST") {
                    assert_eq!(conversation.take(10), None);
                }
            }
        });
        let settings = with("stall_timeout = \"300ms\"", "max_connections = 1");
        let portcullis = Portcullis::start(&origin, &settings);
        let mut client = portcullis.client();
        client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n0");
        assert_eq!(client.reply().text(), "early");
        assert_eq!(portcullis.client().get("/", "").text(), "early", "{close}");
        assert_eq!(client.rest(), b"");
    }
}

#[test]
fn expectations_are_met_here() {
    let origin = Origin::scripted(|conversation| {
        let head = conversation.head().unwrap();
        assert!(!head.to_lowercase().contains("expect"), "{head}");
        conversation.say("HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\nno");
        conversation.take(3);
    });
    let portcullis = Portcullis::start(&origin, &with("", ""));
    let mut client = portcullis.client();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n");
    // Since the origin takes the body at once, so do we.
    let (mut status, _) = client.head();
    if status == 100 {
        client.send("abc");
        status = client.head().0;
    }
    assert_eq!(status, 401);
}

#[test]
fn slow_clients_cost_only_their_own_buffers() {
    let origin = Origin::scripted(|conversation| {
        while let Some(asked) = conversation.request() {
            if asked.line().contains("/long") {
                conversation.say("HTTP/1.1 200 OK\r\nContent-Length: 999999999\r\n\r\n");
                while conversation.stream.write_all(&[b'x'; 65536]).is_ok() {}
                return;
            }
            conversation.say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        }
    });
    let portcullis = Portcullis::start(&origin, &with("", ""));
    let slow: Vec<Client> = (0..100)
        .map(|_| {
            let mut client = portcullis.client();
            client.send("GET /long HTTP/1.1\r\nHost: a\r\n\r\n");
            client
        })
        .collect();
    eventually("all are asked for", || origin.asked().len() == 100);
    let start = Instant::now();
    let mut client = portcullis.client();
    for _ in 0..500 {
        assert_eq!(client.get("/", "").text(), "ok");
    }
    assert!(
        start.elapsed() < Duration::from_secs(8),
        "{:?}",
        start.elapsed()
    );
    drop(slow);
}

/// A real client sees that a response is cut.
#[test]
fn curl_sees_a_cut_response() {
    if Command::new("curl").arg("--version").output().is_err() {
        eprintln!("SKIPPED: there is no curl here");
        return;
    }
    for (head, part, reset) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n", "12345", false),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n",
            "5\r\n12345\r\n",
            false,
        ),
        // Only a reset tells that this is not the end.
        ("HTTP/1.0 200 OK\r\n", "12345", true),
    ] {
        for version in ["--http1.1", "--http1.0"] {
            let origin = Origin::scripted(move |conversation| {
                conversation.request();
                conversation.say(format!("{head}\r\n{part}"));
                std::thread::sleep(Duration::from_millis(100));
                if reset {
                    let socket = socket2::SockRef::from(&conversation.stream);
                    socket.set_linger(Some(Duration::ZERO)).unwrap();
                }
            });
            let portcullis = Portcullis::start(&origin, &with("", ""));
            let url = format!("http://{}/", portcullis.address);
            let curl = Command::new("curl")
                .args(["--silent", "--max-time", "10", version, &url])
                .output()
                .unwrap();
            let code = curl.status.code().unwrap();
            assert!([18, 56].contains(&code), "{head} {version}: {code}");
            assert_eq!(portcullis.stop()[0]["error"], "http_response_incomplete");
        }
    }
}
