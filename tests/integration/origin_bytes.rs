//! Whatever bytes an origin sends: the client gets one well-formed response
//! or a cut connection, and the next client is served.

use std::io::Read as _;
use std::net::TcpStream;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::support::{Origin, Portcullis};

const POLICY: &str = r#"
[server]
listen = ["127.0.0.1:0"]
workers = 1
stall_timeout = "200ms"
[origin]
url = "@origin@"
response_timeout = "200ms"
connect_timeout = "5s"
max_connections = 2
[[route]]
name = "ok"
paths = ["/ok"]
[route.origin]
url = "@origin@"
connect_timeout = "5s"
response_timeout = "5s"
max_connections = 2
"#;

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// What an origin does once it is asked.
#[derive(Clone, Debug)]
struct Script {
    bytes: Vec<u8>,
    then: Then,
    /// Before it has read the request.
    early: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    Close,
    Reset,
    Keep,
}

/// An origin that follows whatever script is set, but says `ok` to `/ok`.
struct Stage {
    portcullis: Portcullis,
    script: Arc<Mutex<Script>>,
    _origin: Origin,
}

impl Stage {
    fn new() -> Self {
        let script = Arc::new(Mutex::new(Script {
            bytes: Vec::new(),
            then: Then::Close,
            early: false,
        }));
        let read = Arc::clone(&script);
        let origin = Origin::scripted(move |conversation| {
            while let Some(head) = conversation.head() {
                if head.starts_with("GET /ok ") {
                    conversation.say(OK);
                    continue;
                }
                let script = read.lock().unwrap().clone();
                if !script.early && head.starts_with("POST") && conversation.take(4).is_none() {
                    return;
                }
                conversation.say(&script.bytes);
                if script.then == Then::Reset {
                    let socket = socket2::SockRef::from(&conversation.stream);
                    socket.set_linger(Some(Duration::ZERO)).unwrap();
                }
                let rest = if script.early && head.starts_with("POST") {
                    4
                } else {
                    0
                };
                if script.then != Then::Keep || conversation.take(rest).is_none() {
                    return;
                }
            }
        });
        Self {
            portcullis: Portcullis::start(&origin, POLICY),
            script,
            _origin: origin,
        }
    }

    /// What a client sees of the script, and that the next one is served.
    fn play(&self, method: &str, script: Script) -> Result<(), String> {
        *self.script.lock().unwrap() = script;
        let mut client = self.portcullis.client();
        let body = match method {
            "POST" => "Content-Length: 4\r\n\r\nbody",
            _ => "\r\n",
        };
        client.send(format!(
            "{method} /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{body}"
        ));
        let seen = until_closed(&mut client.stream)?;
        one_response(&seen, method)
            .map_err(|why| format!("{why}: {:?}", String::from_utf8_lossy(&seen)))?;
        let next = self.portcullis.client().get("/ok", "");
        match (next.status, next.text()) {
            (200, "ok") => Ok(()),
            other => Err(format!("the next client got {other:?}")),
        }
    }
}

/// All that comes; a reset is an end too.
fn until_closed(stream: &mut TcpStream) -> Result<Vec<u8>, String> {
    let mut seen = Vec::new();
    let mut part = [0; 4096];
    loop {
        match stream.read(&mut part) {
            Ok(0) => return Ok(seen),
            Ok(length) => seen.extend_from_slice(&part[..length]),
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return Ok(seen),
            Err(error) => return Err(format!("neither answered nor closed: {error}")),
        }
    }
}

/// Whether these bytes are one response, or the beginning of one, behind some
/// interim ones.
pub(crate) fn one_response(bytes: &[u8], method: &str) -> Result<(), String> {
    if bytes.is_empty() {
        return Ok(());
    }
    let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else {
        return Err("no head".to_owned());
    };
    let head: String = bytes[..end].iter().map(|byte| char::from(*byte)).collect();
    let body = &bytes[end + 4..];
    let mut lines = head.split("\r\n");
    let status = lines.next().unwrap_or_default();
    if !status.starts_with("HTTP/1.1 ") || status.contains(['\n', '\0']) {
        return Err("no status line".to_owned());
    }
    let code: u16 = status[9..12].parse().map_err(|_| "no status")?;
    let (mut lengths, mut codings) = (Vec::new(), Vec::new());
    for line in lines {
        let (name, value) = line.split_once(':').ok_or("a line without a colon")?;
        let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        if name.is_empty() || !name.bytes().all(token) || value.contains(['\r', '\n', '\0']) {
            return Err(format!("not a field: {line:?}"));
        }
        match name.to_ascii_lowercase().as_str() {
            "content-length" => lengths.push(value.trim().to_owned()),
            "transfer-encoding" => codings.push(value.trim().to_ascii_lowercase()),
            _ => {}
        }
    }
    if [102, 103].contains(&code) && lengths.is_empty() && codings.is_empty() {
        return one_response(body, method);
    }
    if code < 200 {
        return Err(format!("an interim {code}"));
    }
    let is_length = |length: &String| length.bytes().all(|byte| byte.is_ascii_digit());
    if lengths.len() > 1 || !lengths.iter().all(is_length) {
        return Err(format!("lengths {lengths:?}"));
    }
    if method == "HEAD" || code == 204 || code == 304 {
        return body.is_empty().then_some(()).ok_or("a body".to_owned());
    }
    match (lengths.as_slice(), codings.as_slice()) {
        ([length], []) => {
            let length: usize = length.parse().map_err(|_| "not a length")?;
            (body.len() <= length)
                .then_some(())
                .ok_or("more than its length".to_owned())
        }
        ([], [coding]) if coding == "chunked" => chunks(body),
        other => Err(format!("framed by {other:?}")),
    }
}

/// Whether these bytes are one chunked body, or the beginning of one.
fn chunks(mut body: &[u8]) -> Result<(), String> {
    loop {
        let Some(end) = body.windows(2).position(|window| window == b"\r\n") else {
            return (body.len() < 20).then_some(()).ok_or("no chunk".to_owned());
        };
        let size = std::str::from_utf8(&body[..end]).map_err(|_| "no size")?;
        let size = usize::from_str_radix(size, 16).map_err(|_| "no size")?;
        let rest = &body[end + 2..];
        if size == 0 {
            return [&b"\r\n"[..], b"\r", b""]
                .contains(&rest)
                .then_some(())
                .ok_or("more than the last chunk".to_owned());
        }
        if rest.len() < size + 2 {
            return Ok(());
        }
        if &rest[size..size + 2] != b"\r\n" {
            return Err("no end of a chunk".to_owned());
        }
        body = &rest[size + 2..];
    }
}

fn line() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        8 => Just("HTTP/1.1 200 OK"),
        1 => Just("HTTP/1.0 200 OK"),
        1 => Just("HTTP/1.1 204 No Content"),
        1 => Just("HTTP/1.1 304 Not Modified"),
        1 => Just("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK"),
        1 => Just("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK"),
        1 => Just("HTTP/1.1 101 Switching Protocols"),
        1 => Just("HTTP/1.1 099 Low"),
        1 => Just("HTTP/1.1 999 High"),
        1 => Just("HTTP/1.1 2000 Long"),
        1 => Just("HTTP/2.0 200 OK"),
        1 => Just("HTTP/1.1  200 OK"),
        1 => Just("ICY 200 OK"),
        1 => Just("HTTP/1.1 200"),
        1 => Just("HTTP/1.1 200 a\0b"),
    ]
    .prop_map(|line| line.as_bytes().to_vec())
}

fn field() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => Just(&b"Content-Length: 5"[..]),
        2 => Just(&b"Content-Length: 7"[..]),
        1 => Just(&b"Content-Length: +5"[..]),
        1 => Just(&b"Content-Length: 5, 5"[..]),
        1 => Just(&b"Content-Length: 5, 6"[..]),
        1 => Just(&b"Content-Length: 99999999999999999999"[..]),
        1 => Just(&b"Content-Length: -1"[..]),
        1 => Just(&b"Content-Length:"[..]),
        1 => Just(&b"Content-Length : 5"[..]),
        4 => Just(&b"Transfer-Encoding: chunked"[..]),
        1 => Just(&b"Transfer-Encoding: gzip, chunked"[..]),
        1 => Just(&b"Transfer-Encoding: chunked, gzip"[..]),
        1 => Just(&b"Transfer-Encoding: identity"[..]),
        1 => Just(&b"Transfer-Encoding:\x0bchunked"[..]),
        1 => Just(&b"Transfer-Encoding : chunked"[..]),
        1 => Just(&b"Connection: close"[..]),
        1 => Just(&b"Connection: content-length, transfer-encoding"[..]),
        1 => Just(&b"Connection: Upgrade\r\nUpgrade: x"[..]),
        1 => Just(&b"X-Folded: a\r\n b"[..]),
        1 => Just(&b"X-Nul: a\0b"[..]),
        1 => Just(&b"X-Bare: a\nX-Other: b"[..]),
        1 => Just(&b"X-Return: a\rb"[..]),
        1 => Just(&b"X-High: \xff\xfe"[..]),
        1 => Just(&b"no colon"[..]),
        1 => Just(&b": no name"[..]),
        1 => Just(&b"Trailer: x"[..]),
        1 => Just(&b"Date: now"[..]),
    ]
    .prop_map(<[u8]>::to_vec)
}

fn body() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => Just(&b"hello"[..]),
        1 => Just(&b""[..]),
        4 => Just(&b"5\r\nhello\r\n0\r\n\r\n"[..]),
        1 => Just(&b"5\r\nhello\r\n0\r\nX-Trailer: a\r\n\r\n"[..]),
        1 => Just(&b"5;ext=\"a\"\r\nhello\r\n0\r\n\r\n"[..]),
        1 => Just(&b"5\nhello\n0\n\n"[..]),
        1 => Just(&b"-5\r\nhello\r\n0\r\n\r\n"[..]),
        1 => Just(&b"ffffffffffffffffff\r\nhello"[..]),
        1 => Just(&b"5\r\nhelloo\r\n0\r\n\r\n"[..]),
        2 => Just(&b"helloHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"[..]),
        2 => Just(&b"5\r\nhello\r\n0\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"[..]),
    ]
    .prop_map(<[u8]>::to_vec)
}

/// A response that is more or less one, damaged in places.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let response =
        (line(), prop::collection::vec(field(), 0..4), body()).prop_map(|(line, fields, body)| {
            let mut bytes = line;
            for field in fields {
                bytes.extend_from_slice(b"\r\n");
                bytes.extend_from_slice(&field);
            }
            bytes.extend_from_slice(b"\r\n\r\n");
            bytes.extend_from_slice(&body);
            bytes
        });
    let damage = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3);
    let cut = prop::option::weighted(0.3, any::<prop::sample::Index>());
    let damaged = (response, damage, cut, prop::bool::weighted(0.3)).prop_map(
        |(mut bytes, damage, cut, damages)| {
            if damages {
                for (at, byte) in damage {
                    let at = at.index(bytes.len());
                    bytes[at] = byte;
                }
            }
            if let Some(cut) = cut {
                bytes.truncate(cut.index(bytes.len()));
            }
            bytes
        },
    );
    prop_oneof![
        9 => damaged,
        1 => prop::collection::vec(any::<u8>(), 0..200),
    ]
}

fn script() -> impl Strategy<Value = Script> {
    let then = prop_oneof![4 => Just(Then::Close), 2 => Just(Then::Reset), 2 => Just(Then::Keep)];
    (bytes(), then, any::<bool>()).prop_map(|(bytes, then, early)| Script { bytes, then, early })
}

#[test]
fn whatever_an_origin_sends() {
    let stage = Stage::new();
    let method = prop::sample::select(vec!["GET", "GET", "HEAD", "POST"]);
    let config = Config {
        cases: std::env::var("ORIGIN_BYTES").map_or(300, |cases| cases.parse().unwrap()),
        failure_persistence: None,
        max_shrink_iters: 200,
        ..Config::default()
    };
    TestRunner::new(config)
        .run(&(method, script()), |(method, script)| {
            stage.play(method, script).map_err(TestCaseError::fail)
        })
        .unwrap();
}

#[test]
fn one_response_is_never_read_as_two() {
    let stage = Stage::new();
    let evil = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil";
    for (fields, body) in [
        ("Content-Length: 5\r\n", "hello"),
        ("Content-Length: 5\r\nContent-Length: 5\r\n", "hello"),
        ("Content-Length: 5\r\nContent-Length: 50\r\n", "hello"),
        (
            "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
            "0\r\n\r\n",
        ),
        (
            "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
            "0\r\n\r\n",
        ),
        ("Transfer-Encoding: chunked\r\n", "5\r\nhello\r\n0\r\n\r\n"),
        (
            "Transfer-Encoding: chunked, chunked\r\n",
            "5\r\nhello\r\n0\r\n\r\n",
        ),
        (
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
            "0\r\n\r\n",
        ),
    ] {
        for _ in 0..5 {
            let bytes = format!("HTTP/1.1 200 OK\r\n{fields}\r\n{body}{evil}");
            let played = stage.play(
                "GET",
                Script {
                    bytes: bytes.into_bytes(),
                    then: Then::Keep,
                    early: false,
                },
            );
            assert_eq!(played, Ok(()), "{fields}");
        }
    }
}

#[test]
fn a_head_without_end_and_a_flood_of_interim_responses_are_given_up() {
    for flood in ["HTTP/1.1 200 OK\r\n", "HTTP/1.1 102 Processing\r\n\r\n"] {
        let line = if flood.contains("102") {
            flood
        } else {
            "X: yyyyyyyyyyyyyyyyyyyyyyy\r\n"
        };
        let origin = Origin::scripted(move |conversation| {
            let head = conversation.head().unwrap();
            if head.starts_with("GET /ok ") {
                conversation.say(OK);
                return;
            }
            conversation.say(flood);
            let many = line.repeat(100);
            while std::io::Write::write_all(&mut conversation.stream, many.as_bytes()).is_ok() {}
        });
        let portcullis = Portcullis::start(&origin, POLICY);
        let mut client = portcullis.client();
        client.send("GET /x HTTP/1.1\r\nHost: a\r\n\r\n");
        let mut statuses = std::iter::repeat_with(|| client.head().0);
        let last = statuses.by_ref().take(100).find(|status| *status != 102);
        let last = last.expect("no more than a hundred interim responses");
        assert!([502, 504].contains(&last), "{flood}: {last}");
        assert_eq!(portcullis.client().get("/ok", "").text(), "ok");
    }
}
