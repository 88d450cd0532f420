//! Field lines of a message of ours, as they are sent.

use hyper::HeaderMap;
use hyper::header::{HeaderName, HeaderValue};
use memchr::memchr3;

use super::fields::{FieldLine, Name};

/// Field lines, each with its end. Nothing in one can end it or begin another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lines(Vec<u8>);

impl Lines {
    /// None yet, with room for so many bytes.
    pub fn with_capacity(bytes: usize) -> Self {
        Self(Vec::with_capacity(bytes))
    }

    /// Adds a line.
    pub fn push(&mut self, name: &HeaderName, value: &HeaderValue) {
        self.push_text(name, &[value.as_bytes()]);
    }

    /// Adds a line whose value stands in parts. A value that would end the line
    /// is not added.
    pub fn push_text(&mut self, name: &HeaderName, value: &[&[u8]]) {
        let start = self.0.len();
        self.0.extend_from_slice(name.as_str().as_bytes());
        self.0.extend_from_slice(b": ");
        let name_end = self.0.len();
        for part in value {
            self.0.extend_from_slice(part);
        }
        if ends_line(&self.0[name_end..]) {
            return self.0.truncate(start);
        }
        self.0.extend_from_slice(b"\r\n");
    }

    /// The same of a name that has a number, and of one part.
    pub fn push_known(&mut self, name: Name, value: &[u8]) {
        if !ends_line(value) {
            self.push_whole(name.line_start(), value);
        }
    }

    /// Adds a line that was received, whose value ends no line. A name without
    /// a number is put in lower case, and added if `is_passed_on` says so of
    /// that.
    pub fn push_received(&mut self, line: FieldLine<'_>, is_passed_on: impl FnOnce(&[u8]) -> bool) {
        debug_assert!(!ends_line(line.value), "it was read as one line");
        if let Some(name) = line.known {
            return self.push_whole(name.line_start(), line.value);
        }
        let start = self.0.len();
        self.0.extend_from_slice(line.name);
        self.0[start..].make_ascii_lowercase();
        if !is_passed_on(&self.0[start..]) {
            return self.0.truncate(start);
        }
        self.push_whole(b": ", line.value);
    }

    fn push_whole(&mut self, start: &[u8], value: &[u8]) {
        self.0.reserve(start.len() + value.len() + 2);
        self.0.extend_from_slice(start);
        self.0.extend_from_slice(value);
        self.0.extend_from_slice(b"\r\n");
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// As they are sent.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Adds them to a map.
    pub fn add_to(&self, map: &mut HeaderMap) {
        let lines = self.0.split_inclusive(|byte| *byte == b'\n');
        for line in lines.filter_map(|line| line.strip_suffix(b"\r\n")) {
            let Some(colon) = line.iter().position(|byte| *byte == b':') else {
                continue;
            };
            let name = HeaderName::from_bytes(&line[..colon]);
            let value = line.get(colon + 2..).map(HeaderValue::from_bytes);
            if let (Ok(name), Some(Ok(value))) = (name, value) {
                map.append(name, value);
            }
        }
    }
}

fn ends_line(value: &[u8]) -> bool {
    memchr3(b'\r', b'\n', 0, value).is_some()
}

impl From<&HeaderMap> for Lines {
    fn from(map: &HeaderMap) -> Self {
        let mut lines = Self::default();
        for (name, value) in map {
            lines.push(name, value);
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(lines: &Lines) -> &str {
        str::from_utf8(lines.as_bytes()).unwrap()
    }

    #[test]
    fn lines_as_they_are_sent() {
        let mut lines = Lines::default();
        assert!(lines.is_empty());
        let host = HeaderName::from_static("host");
        lines.push(&host, &HeaderValue::from_static("a"));
        lines.push_text(&host, &[b"b", b":", b"80"]);
        lines.push_known(Name::USER_AGENT, b"d");
        for name in ["X-Own", "X-Other", "ACCEPT"] {
            let line = FieldLine {
                known: Name::of(name.as_bytes()),
                name: name.as_bytes(),
                value: b"c",
            };
            lines.push_received(line, |name| name == b"x-own");
        }
        let expected = "host: a\r\nhost: b:80\r\nuser-agent: d\r\nx-own: c\r\naccept: c\r\n";
        assert_eq!(text(&lines), expected);
    }

    #[test]
    fn no_line_ends_another() {
        let mut lines = Lines::default();
        let host = HeaderName::from_static("host");
        for value in [&b"a\r\nx: y"[..], b"a\n", b"\r", b"a\0"] {
            lines.push_text(&host, &[b"ok", value]);
            lines.push_known(Name::HOST, value);
        }
        assert!(lines.is_empty());
    }

    proptest! {
        #[test]
        fn the_way_to_a_map_and_back(
            fields in proptest::collection::vec(("[a-z-]{1,8}", "[!-~\u{e9}][ -~\u{e9}:]{0,6}[!-~]"), 0..9)
        ) {
            let mut map = HeaderMap::new();
            for (name, value) in &fields {
                let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
                map.append(name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
            }
            let mut back = HeaderMap::new();
            Lines::from(&map).add_to(&mut back);
            prop_assert_eq!(back, map);
        }
    }
}
