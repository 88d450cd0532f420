//! Responses, gates that hold them back, and how `Cache-Status` is read.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, SystemTime};

use crate::support::{Client, Origin, Portcullis, Reply, eventually};

/// May be stored, and stays fresh for as long as a test takes.
pub(crate) const FRESH: &str = "Cache-Control: max-age=600\r\n";

/// Stale from the first moment, with something to validate it by.
pub(crate) const STALE: &str = "Cache-Control: max-age=1\r\nAge: 5\r\nETag: \"one\"\r\n";

/// A response with these `fields`, each line with its CRLF.
pub(crate) fn response(status: &str, fields: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\n{fields}Content-Length: {length}\r\n\r\n{body}")
}

/// A 200 with these `fields`.
pub(crate) fn ok(fields: &str, body: &str) -> String {
    response("200 OK", fields, body)
}

/// A 304 with these `fields`.
pub(crate) fn not_modified(fields: &str) -> String {
    format!("HTTP/1.1 304 Not Modified\r\n{fields}\r\n")
}

/// An origin whose bodies say which request they answer: `1`, `2` and so on.
pub(crate) fn numbered(fields: &str) -> Origin {
    let fields = fields.to_owned();
    in_turn(move |number| ok(&fields, &number.to_string()))
}

/// An origin whose answers depend on how many requests it got, from 1.
pub(crate) fn in_turn(answer: impl Fn(usize) -> String + Send + Sync + 'static) -> Origin {
    let count = AtomicUsize::new(0);
    Origin::answered_by(move |_| answer(count.fetch_add(1, Ordering::Relaxed) + 1))
}

/// An origin that sends back the head and body that it got.
pub(crate) fn echo(fields: &'static str) -> Origin {
    Origin::answered_by(move |asked| {
        let body = format!("{}{}", asked.head, String::from_utf8_lossy(&asked.body));
        ok(fields, &body)
    })
}

/// `seconds` ago, as fields tell it.
pub(crate) fn ago(seconds: u64) -> String {
    httpdate::fmt_http_date(SystemTime::now() - Duration::from_secs(seconds))
}

/// Holds back whoever waits until it is opened.
#[derive(Clone, Default)]
pub(crate) struct Gate(Arc<(Mutex<bool>, Condvar)>);

impl Gate {
    pub(crate) fn open(&self) {
        *self.0.0.lock().unwrap() = true;
        self.0.1.notify_all();
    }

    pub(crate) fn wait(&self) {
        let limit = Duration::from_secs(30);
        let closed = self.0.0.lock().unwrap();
        let (closed, _) = (self.0.1)
            .wait_timeout_while(closed, limit, |open| !*open)
            .unwrap();
        assert!(*closed, "the gate was never opened");
    }
}

/// Our member of a `Cache-Status` (RFC 9211 section 2).
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Status {
    pub(crate) hit: bool,
    pub(crate) fwd: Option<String>,
    pub(crate) fwd_status: Option<u16>,
    pub(crate) ttl: Option<i64>,
    pub(crate) stored: bool,
    pub(crate) collapsed: bool,
}

/// The `Cache-Status` of a response, whose last member is ours.
pub(crate) fn status(reply: &Reply) -> Status {
    let lines = reply.head.lines().skip(1);
    let values = lines.filter_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("cache-status").then_some(value)
    });
    let list = values.collect::<Vec<_>>().join(",");
    let member = split(&list, ',').pop().unwrap_or_default();
    let mut items = split(&member, ';').into_iter();
    let name = items.next();
    assert_eq!(name.as_deref(), Some("portcullis"), "{}", reply.head);
    let mut status = Status::default();
    for item in items {
        status.read(&item);
    }
    status.assert_sound();
    status
}

impl Status {
    fn read(&mut self, item: &str) {
        match item.split_once('=').unwrap_or((item, "?1")) {
            ("hit", value) => self.hit = value == "?1",
            ("stored", value) => self.stored = value == "?1",
            ("collapsed", value) => self.collapsed = value == "?1",
            ("fwd", value) => self.fwd = Some(value.to_owned()),
            ("fwd-status", value) => self.fwd_status = Some(value.parse().unwrap()),
            ("ttl", value) => self.ttl = Some(value.parse().unwrap()),
            ("detail" | "key", _) => {}
            (name, _) => panic!("RFC 9211 knows no {name}"),
        }
    }

    /// What RFC 9211 section 2 says of the parameters together.
    fn assert_sound(&self) {
        const REASONS: [&str; 8] = [
            "bypass",
            "method",
            "uri-miss",
            "vary-miss",
            "miss",
            "request",
            "stale",
            "partial",
        ];
        assert_ne!(
            self.hit,
            self.fwd.is_some(),
            "hit and fwd exclude: {self:?}"
        );
        if let Some(reason) = &self.fwd {
            assert!(REASONS.contains(&reason.as_str()), "{self:?}");
        }
        let forwarded = self.fwd_status.is_some() || self.stored || self.collapsed;
        assert!(!(self.hit && forwarded), "what is for fwd only: {self:?}");
    }
}

/// `list` at each `separator` outside quoted strings, blanks trimmed.
fn split(list: &str, separator: char) -> Vec<String> {
    let (mut quoted, mut escaped) = (false, false);
    let parts = list.split(|c| {
        let inside = quoted;
        match c {
            _ if escaped => escaped = false,
            '\\' if inside => escaped = true,
            '"' => quoted = !inside,
            _ => {}
        }
        !inside && c == separator
    });
    parts.map(|part| part.trim().to_owned()).collect()
}

/// Whether a GET of `path` with these `fields` is a hit.
pub(crate) fn is_hit(client: &mut Client, path: &str, fields: &str) -> bool {
    status(&client.get(path, fields)).hit
}

/// Waits until `path` is stored, and asks nobody for it.
pub(crate) fn until_stored(proxy: &Portcullis, path: &str) {
    let mut client = proxy.client();
    eventually("it is stored", || {
        client.get(path, "Cache-Control: only-if-cached\r\n").status != 504
    });
}

/// The `cache` of each line of the log.
pub(crate) fn logged(proxy: Portcullis) -> Vec<Option<String>> {
    let lines = proxy.stop();
    let of = |line: &serde_json::Value| line["cache"].as_str().map(str::to_owned);
    lines.iter().map(of).collect()
}
