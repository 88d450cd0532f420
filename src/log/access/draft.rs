//! One line in the making.

use std::time::Duration;

use super::escape::{push_rest_of_parts, push_rest_of_string};
use super::text::{Piece, Text};

/// A line, all of it but what is only known when the response is over:
/// `status` and `bytes`, `cache`, the times, and `error` at its end.
#[derive(Debug, Default)]
pub struct Draft {
    pub(super) text: Text,
    pub(super) status_at: usize,
    pub(super) cache_at: usize,
    pub(super) times_at: usize,
}

/// A key of a line, with all that stands around it, made by `key!`. It ends
/// with the quotation mark of a string, which other values leave out.
#[derive(Clone, Copy, Debug)]
pub struct Key(Piece);

impl Key {
    /// The key that is written so, comma, quotes and colon included.
    #[doc(hidden)]
    pub const fn written(text: &'static str) -> Self {
        Self(Piece::of(text.as_bytes()))
    }
}

/// The [`Key`] of that name.
macro_rules! key {
    ($name:literal) => {
        const { &$crate::log::access::Key::written(concat!(",\"", $name, "\":\"")) }
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
    pub(super) fn new(mut text: Text) -> Self {
        text.clear();
        Self {
            text,
            status_at: 0,
            cache_at: 0,
            times_at: 0,
        }
    }

    /// A string, or null.
    pub fn string(&mut self, key: &Key, value: Option<&[u8]>) {
        push_string_or_null(&mut self.text, key, value);
    }

    /// A string of several parts.
    pub fn joined(&mut self, key: &Key, parts: &[&[u8]]) {
        self.text.push_piece(&key.0);
        push_rest_of_parts(&mut self.text, parts);
    }

    /// A text that needs no escape, or null.
    #[inline]
    pub fn word(&mut self, key: &Key, value: Option<&str>) {
        push_word_or_null(&mut self.text, key, value);
    }

    /// A whole number.
    pub fn number(&mut self, key: &Key, value: u64) {
        self.key(key);
        self.text.push_number(value);
    }

    /// A field: null, a string, or a list where it was sent on several lines.
    pub fn lines<'v>(&mut self, key: &Key, lines: impl Iterator<Item = &'v [u8]>) {
        let mut lines = lines.peekable();
        let first = lines.next();
        if lines.peek().is_none() {
            return self.string(key, first);
        }
        self.list(key, first.into_iter().chain(lines));
    }

    /// A list of strings, be it empty.
    pub fn list<'v>(&mut self, key: &Key, values: impl Iterator<Item = &'v [u8]>) {
        self.key(key);
        self.text.push(b"[");
        for (index, value) in values.enumerate() {
            self.text.push(if index > 0 { b",\"" } else { b"\"" });
            push_rest_of_string(&mut self.text, value);
        }
        self.text.push(b"]");
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
    pub(super) fn finish(&self, outcome: &Outcome<'_>, out: &mut Text) {
        out.push(&self.text[..self.status_at]);
        out.push_piece(&Piece::of(b",\"status\":"));
        out.push_number(u64::from(outcome.status));
        out.push_piece(&Piece::of(b",\"bytes\":"));
        out.push_number(outcome.bytes);
        out.push(&self.text[self.status_at..self.cache_at]);
        push_word_or_null(out, key!("cache"), outcome.cache);
        out.push(&self.text[self.cache_at..self.times_at]);
        out.push_piece(&Piece::of(b",\"origin_ms\":"));
        push_millis(out, outcome.origin);
        out.push_piece(&Piece::of(b",\"total_ms\":"));
        push_millis(out, Some(outcome.total));
        out.push(&self.text[self.times_at..]);
        push_string_or_null(out, key!("error"), outcome.error.map(str::as_bytes));
        out.push(b"}\n");
    }

    fn key(&mut self, key: &Key) {
        self.text.push_piece(&key.0.shorter());
    }
}

#[inline]
fn push_string_or_null(out: &mut Text, key: &Key, value: Option<&[u8]>) {
    match value {
        Some(value) => {
            out.push_piece(&key.0);
            push_rest_of_string(out, value);
        }
        None => push_null(out, key),
    }
}

#[inline]
fn push_word_or_null(out: &mut Text, key: &Key, value: Option<&str>) {
    match value {
        Some(word) => {
            out.push_piece(&key.0);
            out.push(word.as_bytes());
            out.push(b"\"");
        }
        None => push_null(out, key),
    }
}

#[inline]
fn push_null(out: &mut Text, key: &Key) {
    out.push_piece(&key.0.shorter());
    out.push(b"null");
}

/// Milliseconds with three decimals.
#[inline]
fn push_millis(out: &mut Text, time: Option<Duration>) {
    let Some(time) = time else {
        return out.push(b"null");
    };
    let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
    out.push_number(micros / 1000);
    out.push(b".");
    out.push_thousandth((micros % 1000) as u32);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_in_its_order() {
        let mut draft = Draft::new(Text::default());
        draft.text.push(b"{\"time\":0");
        draft.string(key!("ref"), Some(b"a\"b"));
        draft.status_here();
        draft.lines(key!("user_agent"), [&b"x"[..]].into_iter());
        draft.cache_here();
        draft.lines(key!("referer"), [&b"y"[..], b"z"].into_iter());
        draft.times_here();
        draft.lines(key!("origin_field"), std::iter::empty());
        draft.list(key!("would_deny"), std::iter::empty());
        draft.number(key!("generation"), 7);
        let mut out = Text::default();
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
            String::from_utf8(out.to_vec()).unwrap(),
            concat!(
                r#"{"time":0,"ref":"a\"b","status":403,"bytes":1234567,"user_agent":"x","cache":"hit","referer":["y","z"],"#,
                r#""origin_ms":null,"total_ms":12.034,"origin_field":null,"would_deny":[],"generation":7,"error":"x"}"#,
                "\n"
            )
        );
    }
}
