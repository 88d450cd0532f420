//! Origins that take their time, or stand still.

use std::io::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::KIND;
use super::stage::{ASKERS, Asker, KEPT, PLACES, Seen, Stage, WAYS, plain};
use crate::support::{Origin, Portcullis, eventually, tried};

const SERVER: &str = "stall_timeout = \"300ms\"\n";
const ORIGIN: &str = "response_timeout = \"300ms\"";

/// A head or a body as it never ends.
const ENDLESS: [(&str, &str, &str); 5] = [
    ("", "", "nothing"),
    (
        "",
        "HTTP/1.1 200 OK\r\nX-A: aaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        "a head, byte by byte",
    ),
    (
        "HTTP/1.1 102 Processing\r\n\r\n",
        "",
        "an interim response, then nothing",
    ),
    (
        "",
        "HTTP/1.1 100 Continue\r\n\r\n",
        "interim responses, slowly",
    ),
    ("HTTP/1.1 200 OK\r\nX-A: b\r\n", "", "half a head"),
];

/// Defence: `response_timeout` is for the whole head, however it comes.
#[test]
fn a_head_that_takes_forever_is_a_504() {
    let mut count = 0;
    for (first, drip, what) in ENDLESS {
        let mut stage = Stage::start(SERVER, ORIGIN, move |_, wire| {
            let begun = Instant::now();
            let mut alive = wire.write_all(first.as_bytes()).is_ok();
            for byte in drip.bytes().cycle().map(Some).chain([None]) {
                if !alive || begun.elapsed() > Duration::from_secs(2) {
                    break;
                }
                alive = byte
                    .is_none_or(|byte| wire.write_all(&[byte]).and_then(|()| wire.flush()).is_ok());
                std::thread::sleep(Duration::from_millis(20));
            }
            if drip.is_empty() {
                let _ = wire.flush();
                std::thread::sleep(Duration::from_millis(700));
            }
            false
        });
        let way = WAYS[count % WAYS.len()];
        for asker in ASKERS {
            let path = format!("/{way}/{}/{}", KEPT[count % 2], asker.name());
            let begun = Instant::now();
            let seen = stage.ask(asker, &path);
            assert!(
                matches!(seen, Seen::Whole(504, _)),
                "{what} {asker:?} {path}: {seen:?}"
            );
            assert!(begun.elapsed() < Duration::from_secs(2), "{what}");
            count += 1;
        }
        stage.serves();
        for line in stage.end().iter().filter(|line| line["status"] == 504) {
            assert_eq!(line["error"], "http_response_timeout", "{what}");
        }
    }
    tried(KIND, count);
}

/// Defence: `stall_timeout`, and more attacks than there are places.
#[test]
fn a_body_that_stands_still_is_cut() {
    let mut stage = Stage::start(SERVER, "response_timeout = \"5s\"", |head, wire| {
        let framing = match head.contains("/chunked") {
            true => "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
            false => "Content-Length: 10\r\n\r\nabc",
        };
        let answer = format!("HTTP/1.1 200 OK\r\nCache-Control: max-age=600\r\n{framing}");
        let _ = wire
            .write_all(answer.as_bytes())
            .and_then(|()| wire.flush());
        // Until we are left.
        let _ = wire.read(&mut [0; 16]);
        false
    });
    let mut count = 0;
    for way in WAYS {
        for turn in 0..=PLACES {
            let asker = [Asker::Http1("GET"), Asker::Http1("POST"), Asker::Http2][turn % 3];
            let framing = ["chunked", "length"][turn % 2];
            let seen = stage.ask(
                asker,
                &format!("/{way}/{}/{framing}/{turn}", KEPT[turn % 2]),
            );
            assert_eq!(seen, Seen::Cut, "{way} {asker:?} {framing}");
            count += 1;
        }
    }
    stage.serves();
    for line in stage.end() {
        if line["url"].as_str().unwrap().ends_with("/ok") {
            continue;
        }
        assert_eq!(line["error"], "connection_read_timeout", "{line}");
    }
    tried(KIND, count);
}

/// Defence: a fill that nobody waits for has to come at a pace
/// (`proxy/cached/fetch/pump.rs`): one byte at a time would hold a place of
/// `origin.max_connections` for years.
#[test]
fn a_body_that_drips_for_nobody_is_given_up() {
    let leave = Arc::new(AtomicBool::new(false));
    let left = Arc::clone(&leave);
    let mut stage = Stage::start(SERVER, ORIGIN, move |_, wire| {
        let head =
            "HTTP/1.1 200 OK\r\nCache-Control: max-age=600\r\nContent-Length: 1000000\r\n\r\n";
        let mut alive = wire.write_all(head.as_bytes()).is_ok();
        while alive && !left.load(Ordering::Relaxed) {
            alive = wire.write_all(b"x").and_then(|()| wire.flush()).is_ok();
            std::thread::sleep(Duration::from_millis(50));
        }
        false
    });
    for way in WAYS {
        for turn in 0..PLACES {
            let mut client = plain(&stage);
            client.ask("GET", &format!("/{way}/cached/{turn}"), "");
            assert_eq!(client.head().0, 200);
            client.leave();
        }
    }
    let counters = stage.edge.portcullis.server.counters();
    eventually("they are given up", || {
        counters.sum(|worker| worker.origin.busy.get()) == 0
    });
    leave.store(true, Ordering::Relaxed);
    stage.serves();
    stage.end();
    tried(KIND, WAYS.len() * PLACES);
}

/// Defence: `stall_timeout` of an upload that the origin does not take.
#[test]
fn uploads_that_nobody_reads_are_given_up() {
    let held = Arc::new(Mutex::new(Vec::new()));
    let origin = Origin::scripted(move |conversation| {
        let head = conversation.head().unwrap_or_default();
        match head.starts_with("GET") {
            true => conversation
                .say("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"),
            // Held open, and never read.
            false => held
                .lock()
                .unwrap()
                .push(conversation.stream.try_clone().unwrap()),
        }
    });
    let policy = format!(
        "[server]\nlisten = [\"127.0.0.1:0\"]\nworkers = 1\n{SERVER}[origin]\nurl = \"@origin@\"\nmax_connections = {PLACES}\nconnect_timeout = \"8s\"\n"
    );
    let proxy = Portcullis::start(&origin, &policy);
    for turn in 0..=PLACES {
        let mut client = proxy.client();
        let framing = match turn % 2 {
            0 => "Content-Length: 1000000000\r\n",
            _ => "Transfer-Encoding: chunked\r\n",
        };
        client.ask("POST", "/", framing);
        let mut stream = client.stream.try_clone().unwrap();
        let sends = std::thread::spawn(move || {
            let piece = [b"4000\r\n".as_slice(), &[b'x'; 0x4000], b"\r\n"].concat();
            while stream.write_all(&piece).is_ok() {}
        });
        assert_eq!(client.head().0, 504, "{framing}");
        client.leave();
        sends.join().unwrap();
    }
    assert_eq!(proxy.client().get("/ok", "").text(), "ok");
    let lines = proxy.stop();
    let errors = lines
        .iter()
        .filter(|line| line["error"] == "connection_write_timeout");
    assert_eq!(errors.count(), PLACES + 1, "{lines:?}");
    tried(KIND, PLACES + 1);
}

/// Defence: an early answer is passed on, whatever becomes of the upload.
#[test]
fn answers_before_the_question_is_over() {
    let mut stage = Stage::start(SERVER, ORIGIN, |_, _| false);
    for way in WAYS {
        for asker in ASKERS {
            // Closed without a word, behind the whole request.
            let seen = stage.ask(asker, &format!("/{way}/cached/{}", asker.name()));
            assert!(
                matches!(seen, Seen::Whole(502, _)),
                "{way} {asker:?}: {seen:?}"
            );
        }
    }
    stage.serves();
    for line in stage.end().iter().filter(|line| line["status"] == 502) {
        assert_eq!(line["error"], "connection_terminated", "{line}");
    }
    tried(KIND, WAYS.len() * ASKERS.len());
}
