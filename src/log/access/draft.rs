//! One line in the making.

use std::time::Duration;

use super::escape::{push_parts, push_string};

/// A line, all of it but what is only known when the response is over:
/// `status` and `bytes`, `cache`, the times, and `error` at its end.
#[derive(Debug, Default)]
pub struct Draft {
    pub(super) text: Vec<u8>,
    pub(super) status_at: usize,
    pub(super) cache_at: usize,
    pub(super) times_at: usize,
}

/// A key of a line, with all that stands around it, made by `key!`.
#[derive(Clone, Copy, Debug)]
pub struct Key(&'static str);

impl Key {
    /// The key that is written so, comma, quotes and colon included.
    #[doc(hidden)]
    pub const fn written(text: &'static str) -> Self {
        Self(text)
    }
}

/// The [`Key`] of that name.
macro_rules! key {
    ($name:literal) => {
        $crate::log::access::Key::written(concat!(",\"", $name, "\":"))
    };
}

pub(crate) use key;

/// How a request ended.
#[derive(Clone, Copy, Debug)]
pub struct Outcome<'a> {
    /// The status.
    pub status: u16,
    /// Bytes of the body that were sent.
    pub bytes: u64,
    /// What the cache did.
    pub cache: Option<&'a str>,
    /// From the request to the origin until its response head.
    pub origin: Option<Duration>,
    /// From the request's head to the end of its response.
    pub total: Duration,
    /// What went wrong.
    pub error: Option<&'a str>,
}

impl Draft {
    pub(super) fn new(mut text: Vec<u8>) -> Self {
        text.clear();
        Self {
            text,
            status_at: 0,
            cache_at: 0,
            times_at: 0,
        }
    }

    /// A string, or null.
    pub fn string(&mut self, key: Key, value: Option<&[u8]>) {
        self.key(key);
        push_string_or_null(&mut self.text, value);
    }

    /// A string of several parts.
    pub fn joined(&mut self, key: Key, parts: &[&[u8]]) {
        self.key(key);
        push_parts(&mut self.text, parts);
    }

    /// A text of ours, which needs no escape, or null.
    pub fn word(&mut self, key: Key, value: Option<&'static str>) {
        self.key(key);
        match value {
            None => self.text.extend_from_slice(b"null"),
            Some(word) => {
                self.text.push(b'"');
                self.text.extend_from_slice(word.as_bytes());
                self.text.push(b'"');
            }
        }
    }

    /// A whole number.
    pub fn number(&mut self, key: Key, value: u64) {
        self.key(key);
        push_number(&mut self.text, value);
    }

    /// A field: null, a string, or a list where it was sent on several lines.
    pub fn lines<'v>(&mut self, key: Key, lines: impl Iterator<Item = &'v [u8]>) {
        let mut lines = lines.peekable();
        let first = lines.next();
        if lines.peek().is_none() {
            return self.string(key, first);
        }
        self.list(key, first.into_iter().chain(lines));
    }

    /// A list of strings, be it empty.
    pub fn list<'v>(&mut self, key: Key, values: impl Iterator<Item = &'v [u8]>) {
        self.key(key);
        self.text.push(b'[');
        for (index, value) in values.enumerate() {
            if index > 0 {
                self.text.push(b',');
            }
            push_string(&mut self.text, value);
        }
        self.text.push(b']');
    }

    /// `status` and `bytes` belong here.
    pub fn status_here(&mut self) {
        self.status_at = self.text.len();
    }

    /// `cache` belongs here.
    pub fn cache_here(&mut self) {
        self.cache_at = self.text.len();
    }

    /// The times belong here.
    pub fn times_here(&mut self) {
        self.times_at = self.text.len();
    }

    /// Appends the finished line. Its places were told in their order.
    pub(super) fn finish(&self, outcome: &Outcome<'_>, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.text[..self.status_at]);
        out.extend_from_slice(b",\"status\":");
        push_number(out, u64::from(outcome.status));
        out.extend_from_slice(b",\"bytes\":");
        push_number(out, outcome.bytes);
        out.extend_from_slice(&self.text[self.status_at..self.cache_at]);
        out.extend_from_slice(b",\"cache\":");
        push_string_or_null(out, outcome.cache);
        out.extend_from_slice(&self.text[self.cache_at..self.times_at]);
        out.extend_from_slice(b",\"origin_ms\":");
        push_millis(out, outcome.origin);
        out.extend_from_slice(b",\"total_ms\":");
        push_millis(out, Some(outcome.total));
        out.extend_from_slice(&self.text[self.times_at..]);
        out.extend_from_slice(b",\"error\":");
        push_string_or_null(out, outcome.error);
        out.extend_from_slice(b"}\n");
    }

    fn key(&mut self, key: Key) {
        self.text.extend_from_slice(key.0.as_bytes());
    }
}

fn push_string_or_null(out: &mut Vec<u8>, value: Option<impl AsRef<[u8]>>) {
    match value {
        Some(value) => push_string(out, value.as_ref()),
        None => out.extend_from_slice(b"null"),
    }
}

fn push_number(out: &mut Vec<u8>, mut value: u64) {
    let mut digits = [0; 20];
    let mut start = digits.len();
    loop {
        start -= 1;
        digits[start] = b'0' + (value % 10) as u8;
        value /= 10;
        if value == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[start..]);
}

/// Milliseconds with three decimals.
fn push_millis(out: &mut Vec<u8>, time: Option<Duration>) {
    let Some(time) = time else {
        return out.extend_from_slice(b"null");
    };
    let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
    push_number(out, micros / 1000);
    out.push(b'.');
    out.extend([100, 10, 1].map(|place| b'0' + (micros / place % 10) as u8));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_in_its_order() {
        let mut draft = Draft::new(b"left over".to_vec());
        draft.text.extend_from_slice(b"{\"time\":0");
        draft.string(key!("ref"), Some(b"a\"b"));
        draft.status_here();
        draft.lines(key!("user_agent"), [&b"x"[..]].into_iter());
        draft.cache_here();
        draft.lines(key!("referer"), [&b"y"[..], b"z"].into_iter());
        draft.times_here();
        draft.lines(key!("origin_field"), std::iter::empty());
        draft.list(key!("would_deny"), std::iter::empty());
        draft.number(key!("generation"), 7);
        let mut out = Vec::new();
        let outcome = Outcome {
            status: 403,
            bytes: 1_234_567,
            cache: Some("hit"),
            origin: None,
            total: Duration::from_micros(12_034),
            error: Some("x"),
        };
        draft.finish(&outcome, &mut out);
        assert_eq!(
            String::from_utf8(out).unwrap(),
            concat!(
                r#"{"time":0,"ref":"a\"b","status":403,"bytes":1234567,"user_agent":"x","cache":"hit","referer":["y","z"],"#,
                r#""origin_ms":null,"total_ms":12.034,"origin_field":null,"would_deny":[],"generation":7,"error":"x"}"#,
                "\n"
            )
        );
    }
}
