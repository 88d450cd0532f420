//! A line of an access log, read.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, SeqAccess, Visitor};

use super::{Skip, quick};

/// What stands at the end of a value that was cut when it was logged.
const CUT_MARK: &str = "...[cut]";

/// The shortest text that a cut value leaves, its mark included: 4 KiB less a
/// character that was not to be cut in two.
const SHORTEST_CUT: usize = 4096 - 3 + CUT_MARK.len();

/// A line, as far as a replay needs it. Its texts are parts of the line where
/// JSON has no escape in them.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Line<'a> {
    #[serde(borrow, default)]
    pub(super) time: Logged<'a>,
    #[serde(borrow, default, rename = "ref")]
    pub(super) reference: Logged<'a>,
    #[serde(default)]
    pub(super) generation: Option<u64>,
    #[serde(borrow, default)]
    pub(super) method: Logged<'a>,
    #[serde(borrow, default)]
    pub(super) url: Logged<'a>,
    #[serde(default)]
    pub(super) status: Option<u16>,
    #[serde(borrow, default)]
    pub(super) peer: Logged<'a>,
    #[serde(borrow, default)]
    pub(super) client: Logged<'a>,
    #[serde(borrow, default)]
    pub(super) client_from: Logged<'a>,
    #[serde(borrow, default)]
    pub(super) client_header: Logged<'a>,
    #[serde(borrow, default)]
    pub(super) forwarded: Logged<'a>,
    #[serde(borrow, default)]
    pub(super) country: Logged<'a>,
    #[serde(borrow, default)]
    pub(super) route: Logged<'a>,
    #[serde(borrow, default)]
    pub(super) verdict: Logged<'a>,
    #[serde(borrow, default)]
    pub(super) rule: Logged<'a>,
    #[serde(borrow, default)]
    pub(super) would_deny: Logged<'a>,
    #[serde(borrow, default)]
    pub(super) variant: Logged<'a>,
    #[serde(borrow, default)]
    pub(super) accept: Logged<'a>,
    #[serde(borrow, default)]
    pub(super) cache_key: Logged<'a>,
    #[serde(borrow, default)]
    pub(super) user_agent: Logged<'a>,
    #[serde(borrow, default)]
    pub(super) referer: Logged<'a>,
    #[serde(borrow, default)]
    pub(super) origin_field: Logged<'a>,
    #[serde(borrow, default)]
    pub(super) sec_fetch: Logged<'a>,
    #[serde(borrow, default)]
    pub(super) request_method: Logged<'a>,
    #[serde(borrow, default)]
    pub(super) error: Logged<'a>,
}

/// A value of a line.
#[derive(Clone, Debug, Default, Hash)]
pub(super) enum Logged<'a> {
    /// The line does not have its key: nobody knows.
    #[default]
    Unknown,
    /// Null: there was none.
    Absent,
    /// One line.
    One(Cow<'a, str>),
    /// A list; a field that came on several lines.
    Several(Vec<Cow<'a, str>>),
}

impl<'a> Line<'a> {
    /// Reads a line, without its end.
    pub(super) fn read(line: &'a [u8]) -> Result<Self, Skip> {
        // A derived reader would take an array for an object.
        if line.trim_ascii_start().first() != Some(&b'{') {
            return Err(Skip::NotJson);
        }
        let text = std::str::from_utf8(line).map_err(|_| Skip::NotJson)?;
        if let Some(line) = quick::read(text) {
            return Ok(line);
        }
        serde_json::from_str(text).map_err(|error| match error.classify() {
            serde_json::error::Category::Data => Skip::NotALogLine,
            _ => Skip::NotJson,
        })
    }
}

impl Logged<'_> {
    /// The text, if it is one.
    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::One(text) => Some(text),
            Self::Unknown | Self::Absent | Self::Several(_) => None,
        }
    }

    /// Its lines.
    pub(super) fn lines(&self) -> &[Cow<'_, str>] {
        match self {
            Self::Unknown | Self::Absent => &[],
            Self::One(text) => std::slice::from_ref(text),
            Self::Several(texts) => texts,
        }
    }

    /// Whether nobody knows all of it: its key is not there, or it was cut.
    pub(super) fn is_partial(&self) -> bool {
        matches!(self, Self::Unknown) || self.lines().iter().any(|line| is_cut(line))
    }

    /// Whether a part of it may have been bytes outside UTF-8.
    pub(super) fn may_be_raw(&self) -> bool {
        // A backslash is escaped in JSON, so its text is no part of the line.
        let is_escaped = |line: &&Cow<'_, str>| matches!(line, Cow::Owned(_));
        self.lines()
            .iter()
            .filter(is_escaped)
            .any(|line| has_raw(line))
    }
}

/// Whether a value was cut when it was logged. A value that only ends like one
/// that was may pass for it.
pub(super) fn is_cut(text: &str) -> bool {
    text.len() >= SHORTEST_CUT && text.ends_with(CUT_MARK)
}

/// What is left of a value that was cut.
pub(super) fn without_mark(text: &str) -> &str {
    match is_cut(text) {
        true => &text[..text.len() - CUT_MARK.len()],
        false => text,
    }
}

/// Whether there is a `\xNN` that may stand for a byte outside UTF-8, or for
/// itself.
fn has_raw(text: &str) -> bool {
    raw_at(text).is_some()
}

/// The place of the first `\xNN` and its byte.
fn raw_at(text: &str) -> Option<(usize, u8)> {
    text.match_indices("\\x").find_map(|(at, _)| {
        let digits = text.get(at + 2..at + 4)?;
        let byte = u8::from_str_radix(digits, 16).ok()?;
        (byte >= 0x80 && !digits.contains('+')).then_some((at, byte))
    })
}

/// The bytes of a text if every `\xNN` stands for a byte.
pub(super) fn raw_bytes(mut text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    while let Some((at, byte)) = raw_at(text) {
        bytes.extend_from_slice(&text.as_bytes()[..at]);
        bytes.push(byte);
        text = &text[at + 4..];
    }
    bytes.extend_from_slice(text.as_bytes());
    bytes
}

impl<'de: 'a, 'a> Deserialize<'de> for Logged<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(LoggedVisitor)
    }
}

struct LoggedVisitor;

impl<'de> Visitor<'de> for LoggedVisitor {
    type Value = Logged<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string, a list of strings, or null")
    }

    #[inline]
    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Logged<'de>, E> {
        Ok(Logged::One(text.into()))
    }

    fn visit_str<E>(self, text: &str) -> Result<Logged<'de>, E> {
        Ok(Logged::One(text.to_owned().into()))
    }

    #[inline]
    fn visit_unit<E>(self) -> Result<Logged<'de>, E> {
        Ok(Logged::Absent)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Logged<'de>, A::Error> {
        let mut texts = Vec::new();
        while let Some(Text(text)) = list.next_element()? {
            texts.push(text);
        }
        Ok(Logged::Several(texts))
    }
}

/// A string, borrowed where it can be.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_the_log_writes() {
        let text = r#"{"ref":"a","method":"GET","url":"http://a/\u001B","forwarded":["b","c\\xFF"],
            "peer":null,"status":200,"total_ms":1.5,"would_deny":[],"new":{"x":[1]}}"#;
        let line = Line::read(text.as_bytes()).unwrap();
        assert!(matches!(&line.method, Logged::One(Cow::Borrowed("GET"))));
        assert_eq!(line.url.text(), Some("http://a/\u{1b}"));
        assert_eq!(line.forwarded.lines(), ["b", "c\\xFF"]);
        assert!(line.forwarded.may_be_raw() && !line.url.may_be_raw());
        assert!(matches!(line.peer, Logged::Absent) && !line.peer.is_partial());
        assert!(matches!(line.referer, Logged::Unknown) && line.referer.is_partial());
        assert!(line.would_deny.lines().is_empty());
    }

    #[test]
    fn says_what_is_wrong_with_the_rest() {
        let deep = format!("{{\"a\":{}", "[".repeat(100_000));
        for (text, skip) in [
            (&b""[..], Skip::NotJson),
            (b"[\"a\"]", Skip::NotJson),
            (b"{\"method\":\"GET\"", Skip::NotJson),
            (b"{\"url\":\"\xff\"}", Skip::NotJson),
            (deep.as_bytes(), Skip::NotJson),
            (b"{\"url\":7}", Skip::NotALogLine),
            (b"{\"url\":\"a\",\"url\":\"b\"}", Skip::NotALogLine),
            (b"{\"url\":{\"a\":1}}", Skip::NotALogLine),
            (b"{\"status\":70000}", Skip::NotALogLine),
        ] {
            assert_eq!(Line::read(text).err(), Some(skip), "{}", text.len());
        }
    }

    #[test]
    fn cut_and_raw() {
        let cut = format!("{}{CUT_MARK}", "a".repeat(4096));
        assert!(is_cut(&cut) && without_mark(&cut).len() == 4096);
        let literal = format!("a{CUT_MARK}");
        assert!(!is_cut(&literal) && without_mark(&literal) == literal);
        assert_eq!(raw_bytes("a\\xFFb\\x41\\\\xC3"), b"a\xffb\\x41\\\xc3");
        assert!(!has_raw("\\x41 \\xg \\x") && !has_raw("\\x+f"));
    }
}
