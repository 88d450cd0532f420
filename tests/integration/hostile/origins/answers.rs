//! Answers that are none, or another than they seem.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::KIND;
use super::stage::{ASKERS, Asker, KEPT, Seen, Stage, WAYS};
use crate::support::tried;

/// What must become of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// 502, and this is the error.
    Refused(&'static str),
    /// Its head is good: it is passed on, and cut.
    Cut,
    /// Passed on with this status to the end.
    Passed(u16),
}

use Fate::{Cut, Passed, Refused};

const PROTOCOL: Fate = Refused("http_protocol_error");
const CODING: Fate = Refused("http_response_transfer_coding");
const INCOMPLETE: Fate = Refused("http_response_incomplete");

fn head(fields: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\nCache-Control: max-age=600\r\n{fields}\r\n").into_bytes()
}

fn with(fields: &str, body: &str) -> Vec<u8> {
    [&head(fields), body.as_bytes()].concat()
}

fn chunked(body: &str) -> Vec<u8> {
    with("Transfer-Encoding: chunked\r\n", body)
}

fn line(line: &[u8]) -> Vec<u8> {
    [line, b"\r\nContent-Length: 4\r\n\r\nevil"].concat()
}

/// What is no HTTP at all.
fn garbage() -> Vec<(Vec<u8>, Fate)> {
    vec![
        (b"evil".to_vec(), PROTOCOL),
        (b"<html>evil</html>\r\n\r\n".to_vec(), PROTOCOL),
        (vec![0; 1000], PROTOCOL),
        (vec![0xff; 1000], PROTOCOL),
        (b"\x15\x03\x03\x00\x02\x02\x28".to_vec(), PROTOCOL),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), PROTOCOL),
        (b"\0\0\x12\x04\0\0\0\0\0\0\x03\0\0\0\x80".to_vec(), PROTOCOL),
        (b"SSH-2.0-evil\r\n".to_vec(), PROTOCOL),
        (b"+OK evil\r\n\r\n".to_vec(), PROTOCOL),
        (b"GET /evil HTTP/1.1\r\nHost: a\r\n\r\n".to_vec(), PROTOCOL),
        (line(b"HTTP/1.1 000 No"), PROTOCOL),
        (line(b"HTTP/1.1 099 Low"), PROTOCOL),
        (line(b"HTTP/1.1 1000 High"), PROTOCOL),
        (line(b"HTTP/1.1 -20 Minus"), PROTOCOL),
        (line(b"HTTP/1.1 20 Short"), PROTOCOL),
        (line(b"HTTP/1.1 2\xd9\xa00 Arabic"), PROTOCOL),
        (line(b"HTTP/2 200 OK"), PROTOCOL),
        (line(b"HTTP/0.9 200 OK"), PROTOCOL),
        (line(b"HTTP/11 200 OK"), PROTOCOL),
        (line(b"http/1.1 200 OK"), PROTOCOL),
        (line(b"HTTP/1.1 200 O\0K"), PROTOCOL),
        (line(b"HTTP/1.1 200 O\x1b[31mK"), PROTOCOL),
        (line(b"HTTP/1.1 200 O\x7fK"), PROTOCOL),
        (line(b"HTTP/1.1 200 O\rSet-Cookie: a=b"), PROTOCOL),
        (line(b"HTTP/1.1 600 Beyond"), Passed(600)),
        (line(b"HTTP/1.1 999 Beyond"), Passed(999)),
        (line(b"HTTP/1.1 200 "), Passed(200)),
    ]
}

/// Fields that are none, or too many, or too long.
fn fields() -> Vec<(Vec<u8>, Fate)> {
    let many = |count: usize| -> String { (0..count).map(|n| format!("X-{n}: 1\r\n")).collect() };
    let ok = "Content-Length: 4\r\n";
    let bare = |field: &[u8]| {
        [
            b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n",
            field,
            b"\r\n\r\nevil",
        ]
        .concat()
    };
    vec![
        (bare(b"X-A: a\0b"), PROTOCOL),
        (bare(b"X-A: a\rb"), PROTOCOL),
        (bare(b"X-\0: a"), PROTOCOL),
        (bare(b"X-\xc3\xa4: a"), PROTOCOL),
        (bare(b"X A: a"), PROTOCOL),
        (bare(b"X-A : a"), PROTOCOL),
        (bare(b": a"), PROTOCOL),
        (bare(b"evil"), PROTOCOL),
        (bare(b" X-A: a"), PROTOCOL),
        (bare(b"X-A: a\r\n b"), PROTOCOL),
        (bare(b"X-A: \x1b]0;evil\x07"), PROTOCOL),
        (bare(b"X-A: \xff\xfe\x80"), Passed(200)),
        (with(&(many(98) + ok), "evil"), Passed(200)),
        (with(&(many(99) + ok), "evil"), PROTOCOL),
        (with(&(many(5000) + ok), "evil"), PROTOCOL),
        (
            with(&format!("X: {}\r\n{ok}", "y".repeat(1 << 20)), "evil"),
            PROTOCOL,
        ),
        (
            with(&format!("{}: y\r\n{ok}", "X".repeat(1 << 17)), "evil"),
            PROTOCOL,
        ),
        (
            with(&format!("X: {}\r\n{ok}", "y".repeat(1 << 17)), "evil"),
            Passed(200),
        ),
        (
            with(
                &format!("ETag: \"{}\"\r\n{ok}", "e".repeat(1 << 17)),
                "evil",
            ),
            Passed(200),
        ),
        (
            with(
                &format!("Cache-Tag: {}\r\n{ok}", "tag,".repeat(10_000)),
                "evil",
            ),
            Passed(200),
        ),
        (
            with(&format!("Vary: {}\r\n{ok}", "x-a,".repeat(10_000)), "evil"),
            Passed(200),
        ),
        (
            with(
                &format!("Cache-Control: {}\r\n{ok}", "a=\",".repeat(10_000)),
                "evil",
            ),
            Passed(200),
        ),
        (
            with(
                &format!("Connection: {}\r\n{ok}", "content-length,".repeat(5000)),
                "evil",
            ),
            Passed(200),
        ),
        (
            with(
                &format!("Age: {}\r\nExpires: 0\r\nDate: 0\r\n{ok}", "9".repeat(999)),
                "evil",
            ),
            Passed(200),
        ),
        (
            with(
                &format!(
                    "Alt-Svc: h3=\":443\"\r\nVia: {}\r\n{ok}",
                    "1.1 a,".repeat(999)
                ),
                "evil",
            ),
            Passed(200),
        ),
        (
            with(
                &format!(
                    "Upgrade: h2c\r\nKeep-Alive: a\r\nProxy-Connection: a\r\nTE: trailers\r\n{ok}"
                ),
                "evil",
            ),
            Passed(200),
        ),
    ]
}

/// Lengths that two readers could read differently.
fn lengths() -> Vec<(Vec<u8>, Fate)> {
    vec![
        (
            with("Content-Length: 4\r\nContent-Length: 5\r\n", "evil!"),
            PROTOCOL,
        ),
        (with("Content-Length: 4, 5\r\n", "evil!"), PROTOCOL),
        (with("Content-Length: -4\r\n", "evil"), PROTOCOL),
        (with("Content-Length: +4\r\n", "evil"), PROTOCOL),
        (with("Content-Length: 0x4\r\n", "evil"), PROTOCOL),
        (with("Content-Length: 4.0\r\n", "evil"), PROTOCOL),
        (with("Content-Length: 4 4\r\n", "evil"), PROTOCOL),
        (
            with("Content-Length: 18446744073709551616\r\n", "evil"),
            PROTOCOL,
        ),
        (with("Content-Length: \u{664}\r\n", "evil"), PROTOCOL),
        (with("Content-Length: 9999999999999\r\n", "evil"), Cut),
        (with("Content-Length: 5\r\n", "evil"), Cut),
        (
            with("Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n"),
            CODING,
        ),
        (
            with("Transfer-Encoding: chunked, identity\r\n", "0\r\n\r\n"),
            CODING,
        ),
        (
            with("Transfer-Encoding: \"chunked\"\r\n", "0\r\n\r\n"),
            CODING,
        ),
        (
            with("Transfer-Encoding: chunked;a=b\r\n", "0\r\n\r\n"),
            CODING,
        ),
        (
            with(
                "Transfer-Encoding: x\r\nTransfer-Encoding: chunked\r\n",
                "0\r\n\r\n",
            ),
            CODING,
        ),
    ]
}

/// Chunks that are none, or never end.
fn chunks() -> Vec<(Vec<u8>, Fate)> {
    vec![
        (chunked("4\nevil\r\n0\r\n\r\n"), Cut),
        (chunked("4\r\nevil\n0\r\n\r\n"), Cut),
        (chunked("4\r\nevilX\r\n0\r\n\r\n"), Cut),
        (chunked("-4\r\nevil\r\n0\r\n\r\n"), Cut),
        (chunked("+4\r\nevil\r\n0\r\n\r\n"), Cut),
        (chunked("0x4\r\nevil\r\n0\r\n\r\n"), Cut),
        (chunked("4 4\r\nevil\r\n0\r\n\r\n"), Cut),
        (chunked("\r\nevil\r\n0\r\n\r\n"), Cut),
        (chunked(";a\r\nevil\r\n0\r\n\r\n"), Cut),
        (chunked("ffffffffffffffff\r\nevil"), Cut),
        (chunked("10000000000000004\r\nevil\r\n0\r\n\r\n"), Cut),
        (chunked("4\r\nevil\r\n"), Cut),
        (chunked("4\r\nevil\r\n0\r\n"), Cut),
        (chunked("4\r\nevil\r\n0\r\nX-A: 1\r\n"), Cut),
        (chunked("4\r\nevil\r\n0\r\nno colon\r\n\r\n"), Cut),
        (chunked("4\r\nevil\r\n0\r\nX-A: a\0\r\n\r\n"), Cut),
        (chunked("4\r\nevil\r\n0\r\nX-A: a\nX-B: b\r\n\r\n"), Cut),
        (chunked(&format!("4;{}", "x".repeat(1 << 20))), Cut),
        (
            chunked(&"1;xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\r\ne\r\n".repeat(3000)),
            Cut,
        ),
        (
            chunked(&format!(
                "4\r\nevil\r\n0\r\n{}",
                "X-A: a\r\n".repeat(100_000)
            )),
            Cut,
        ),
        (
            chunked(&format!("4\r\nevil\r\n0\r\nX-A: {}", "a".repeat(1 << 20))),
            Cut,
        ),
    ]
}

/// What comes before the answer, or instead of it.
fn interim() -> Vec<(Vec<u8>, Fate)> {
    let flood = |status: &str| {
        format!("HTTP/1.1 {status}\r\n\r\n")
            .repeat(25_000)
            .into_bytes()
    };
    let late = |before: &[u8]| [before, &with("Content-Length: 4\r\n", "evil")].concat();
    vec![
        (
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"
                .to_vec(),
            Refused("http_upgrade_failed"),
        ),
        (
            b"HTTP/1.1 101 Switching Protocols\r\n\r\nevil".to_vec(),
            Refused("http_upgrade_failed"),
        ),
        (
            b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n".to_vec(),
            INCOMPLETE,
        ),
        (b"HTTP/1.1 200 OK\r\nContent-Le".to_vec(), INCOMPLETE),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n".to_vec(),
            INCOMPLETE,
        ),
        (flood("100 Continue"), PROTOCOL),
        (flood("102 Processing"), PROTOCOL),
        (flood("199 Odd"), PROTOCOL),
        (
            late(b"HTTP/1.1 100 Continue\r\nContent-Length: 9\r\n\r\n"),
            Passed(200),
        ),
        (
            late(
                b"HTTP/1.1 103 Early Hints\r\nTransfer-Encoding: chunked\r\nSet-Cookie: a\r\n\r\n",
            ),
            Passed(200),
        ),
        (
            b"HTTP/1.1 204 No Content\r\nContent-Length: 4\r\n\r\nevil".to_vec(),
            Passed(204),
        ),
        (
            b"HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nevil\r\n0\r\n\r\n"
                .to_vec(),
            Passed(204),
        ),
        (
            b"HTTP/1.1 304 Not Modified\r\nContent-Length: 4\r\n\r\nevil".to_vec(),
            Passed(304),
        ),
    ]
}

/// Whether this asker can see that fate: some of it shows in a body only.
fn expected(asker: Asker, fate: Fate, seen: &Seen) -> bool {
    let has_body = asker != Asker::Http1("HEAD");
    match (fate, seen) {
        (Refused(_), Seen::Whole(status, _)) => {
            // What is wrong with its framing is nothing to a HEAD.
            *status == 502 || !has_body && *status == 200
        }
        (Cut, Seen::Whole(status, _)) => !has_body && *status == 200,
        (Cut, Seen::Cut) => true,
        (Passed(wanted), Seen::Whole(status, _)) => *status == wanted,
        (Refused(_) | Passed(_), Seen::Cut) => false,
    }
}

/// Plays each of these on every way to every asker. Afterwards the same URL
/// gives what the origin says by then: nothing of it was stored.
fn play(answers: &[(Vec<u8>, Fate)], resets: bool) {
    let healed = Arc::new(AtomicBool::new(false));
    let is_healed = Arc::clone(&healed);
    let script: Vec<Vec<u8>> = answers.iter().map(|(bytes, _)| bytes.clone()).collect();
    let server = "stall_timeout = \"5s\"\n";
    let keys = "response_timeout = \"5s\"";
    let mut stage = Stage::start(server, keys, move |head, wire| {
        if is_healed.load(Ordering::Relaxed) {
            let _ = wire.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhealed");
            return true;
        }
        let number = head.split(['/', ' ']).nth(4).unwrap();
        let _ = wire.write_all(&script[number.parse::<usize>().unwrap()]);
        let _ = wire.flush();
        if resets {
            // What was said is to arrive first.
            std::thread::sleep(Duration::from_millis(5));
            wire.reset();
        }
        false
    });
    let mut count = 0;
    for (number, (bytes, fate)) in answers.iter().enumerate() {
        for path in WAYS
            .iter()
            .flat_map(|way| KEPT.map(|kept| format!("/{way}/{kept}/{number}")))
        {
            for asker in ASKERS {
                // A URL of its own for each, so that none is answered by another's.
                let seen = stage.ask(asker, &format!("{path}/{}", asker.name()));
                let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(200)]);
                assert!(
                    resets || expected(asker, *fate, &seen),
                    "{asker:?} {path}: {fate:?}, not {seen:?}: {shown}"
                );
                count += 1;
            }
        }
    }
    healed.store(true, Ordering::Relaxed);
    for (number, (_, fate)) in answers.iter().enumerate() {
        let asked_again = matches!(fate, Refused(_) | Cut);
        for path in WAYS.map(|way| format!("/{way}/cached/{number}/GET")) {
            if asked_again {
                let seen = stage.ask(Asker::Http1("GET"), &path);
                let Seen::Whole(200, body) = &seen else {
                    panic!("{path}: {seen:?}")
                };
                assert_eq!(body, b"healed", "{path}");
            }
        }
    }
    stage.serves();
    named(answers, resets, &stage.end());
    tried(KIND, count);
}

/// Each failure has its name of RFC 9209 in the log.
fn named(answers: &[(Vec<u8>, Fate)], resets: bool, lines: &[serde_json::Value]) {
    for line in lines.iter().filter(|line| line["status"] == 502 && !resets) {
        let url = line["url"].as_str().unwrap();
        let number = url
            .split('/')
            .nth(5)
            .and_then(|number| number.parse::<usize>().ok());
        let Some((bytes, Refused(error))) = number.map(|number| &answers[number]) else {
            panic!("{line}")
        };
        let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(200)]);
        // Those before the answer to an upload are not counted: hyper reads it.
        let floods =
            line["method"] == "POST" && bytes.starts_with(b"HTTP/1.1 1") && bytes.len() > 400_000;
        let error = match floods && *error == "http_protocol_error" {
            true => "http_response_incomplete",
            false => error,
        };
        assert_eq!(line["error"], error, "{shown}: {line}");
    }
}

/// Defence: what is not HTTP is refused (`origin/head.rs`).
#[test]
fn garbage_is_a_502() {
    play(&garbage(), false);
}

/// Defence: bounds of a head, and which bytes it may have.
#[test]
fn fields_that_are_none_or_too_many() {
    play(&fields(), false);
}

/// Defence: one length at most, and no coding but `chunked`.
#[test]
fn lengths_have_one_reading() {
    play(&lengths(), false);
}

/// Defence: chunks are read strictly, and only so much beside them.
#[test]
fn chunks_that_are_none() {
    play(&chunks(), false);
}

/// Defence: interim responses are counted, and 101 is no answer.
#[test]
fn before_the_answer_and_instead_of_it() {
    play(&interim(), false);
}

/// The same behind a reset: nothing is half stored, no place is lost.
#[test]
fn a_reset_behind_each_of_them() {
    let mut all = lengths();
    all.extend(chunks().into_iter().take(16));
    all.retain(|(_, fate)| !matches!(fate, Passed(_)));
    play(&all, true);
}
