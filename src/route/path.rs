//! One spelling for a path, so that no other spelling of it meets another rule.

use std::borrow::Cow;

use super::reading::{Reading, plain_reading, readings};

/// Why a path is answered 400.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// A `%` that two hexadecimal digits do not follow.
    #[error("a % in the path is not followed by two hexadecimal digits")]
    BadEscape,
    /// A control character, raw or encoded.
    #[error("the path has a control character")]
    Control,
    /// More `..` than segments before them, in the path or in a reading of it.
    #[error("the path climbs above the root")]
    ClimbsAboveRoot,
    /// An origin that decodes, cuts or cleans once more would see another route
    /// or exempt path.
    #[error("the path can be read as another one, which would meet other rules")]
    Ambiguous,
}

/// A path in its one normal form, with the two readings that are matched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NormalPath<'a> {
    path: Cow<'a, str>,
    /// With sub-delims, `:` and `@` decoded; `None`: as `path`.
    matched: Option<Vec<u8>>,
    /// What an origin may take it for, if that is something else.
    readings: Vec<Reading>,
}

impl<'a> NormalPath<'a> {
    /// Normalises `raw`, an absolute path without query or the `*` of
    /// `OPTIONS *`, as section 5 says.
    ///
    /// # Errors
    ///
    /// [`PathError`], each of which is a 400.
    pub fn new(raw: &'a str, merge_slashes: bool) -> Result<Self, PathError> {
        if is_plain(raw.as_bytes()) || raw == "*" {
            return Ok(Self {
                path: raw.into(),
                matched: None,
                readings: Vec::new(),
            });
        }
        let decoded = decode_unreserved(raw.as_bytes())?;
        let path = remove_dot_segments(&decoded, merge_slashes)?;
        let path = String::from_utf8(path).expect("what is not ASCII was percent-encoded");
        Ok(Self {
            matched: path
                .contains('%')
                .then(|| decode_delimiters(path.as_bytes())),
            readings: readings(path.as_bytes())?,
            path: path.into(),
        })
    }

    /// The path as it is keyed and sent to the origin.
    pub fn as_str(&self) -> &str {
        &self.path
    }

    /// The bytes that patterns are matched against.
    pub fn matched(&self) -> &[u8] {
        self.matched.as_deref().unwrap_or(self.path.as_bytes())
    }

    /// What an origin may take it for: other paths, each of which has to meet
    /// the same rules.
    pub fn readings(&self) -> &[Reading] {
        &self.readings
    }

    /// The plain reading of section 5, which spellings of one path share.
    pub fn plain_reading(&self) -> Cow<'_, [u8]> {
        let path = self.path.as_bytes();
        if self.readings.is_empty() {
            return path.into();
        }
        plain_reading(path).map_or(path.into(), Cow::Owned)
    }

    /// What follows the last `.` of the last segment.
    pub fn extension(&self) -> Option<&str> {
        let ends = |byte: &u8| matches!(byte, b'.' | b'/');
        let at = self.path.as_bytes().iter().rposition(ends)?;
        self.path[at..].strip_prefix('.')
    }
}

/// Whether a path is its own normal form, seen in one pass: nothing to
/// decode, encode, cut or merge. Most paths are.
fn is_plain(path: &[u8]) -> bool {
    let mut before = UNRESERVED;
    for &byte in path {
        let kind = KIND[usize::from(byte)];
        if ODD[usize::from(before)] >> kind & 1 == 1 {
            return false;
        }
        before = kind;
    }
    path.first() == Some(&b'/') && before != DOT
}

/// What is not plain behind a byte of each kind, a bit a kind: dots and empty
/// segments, dots that Windows drops, and its names of streams (`:$`).
static ODD: [u8; 8] = {
    let always = 1 << ENCODED | 1 << SEMICOLON;
    let mut odd = [always; 8];
    odd[SLASH as usize] |= 1 << SLASH | 1 << DOT;
    odd[DOT as usize] |= 1 << SLASH;
    odd[COLON as usize] |= 1 << DOLLAR;
    odd
};

const ENCODED: u8 = 0;
const UNRESERVED: u8 = 1;
const DOT: u8 = 2;
const DELIMITER: u8 = 3;
const SEMICOLON: u8 = 4;
const SLASH: u8 = 5;
const COLON: u8 = 6;
const DOLLAR: u8 = 7;

/// What a byte is in a path (RFC 3986 section 3.3).
static KIND: [u8; 256] = {
    let mut table = [ENCODED; 256];
    let mut byte = 0_u8;
    while byte < 128 {
        table[byte as usize] = match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'~' => UNRESERVED,
            b'.' => DOT,
            b'!' | b'&'..=b',' | b'=' | b'@' => DELIMITER,
            b';' => SEMICOLON,
            b':' => COLON,
            b'$' => DOLLAR,
            b'/' => SLASH,
            _ => ENCODED,
        };
        byte += 1;
    }
    table
};

/// unreserved, sub-delims, `:`, `@` and `/`: what may stand raw.
fn is_path_byte(byte: u8) -> bool {
    KIND[usize::from(byte)] != ENCODED
}

fn is_unreserved(byte: u8) -> bool {
    matches!(KIND[usize::from(byte)], UNRESERVED | DOT)
}

/// sub-delims, `:` and `@`: allowed raw in a segment, without a meaning to us.
fn is_delimiter(byte: u8) -> bool {
    matches!(
        KIND[usize::from(byte)],
        DELIMITER | SEMICOLON | COLON | DOLLAR
    )
}

/// Decodes unreserved characters, writes other escapes in upper case, and
/// encodes what RFC 3986 does not allow raw.
pub(super) fn decode_unreserved(raw: &[u8]) -> Result<Vec<u8>, PathError> {
    let mut out = Vec::with_capacity(raw.len() + 8);
    let mut rest = raw;
    while let [byte, tail @ ..] = rest {
        rest = tail;
        if *byte == b'%' {
            let value = hex_pair(tail).ok_or(PathError::BadEscape)?;
            rest = &tail[2..];
            push_decoded(&mut out, value)?;
        } else if is_control(*byte) {
            return Err(PathError::Control);
        } else if is_path_byte(*byte) {
            out.push(*byte);
        } else {
            push_escape(&mut out, *byte);
        }
    }
    Ok(out)
}

fn push_decoded(out: &mut Vec<u8>, value: u8) -> Result<(), PathError> {
    if is_control(value) {
        return Err(PathError::Control);
    }
    if is_unreserved(value) {
        out.push(value);
    } else {
        push_escape(out, value);
    }
    Ok(())
}

fn push_escape(out: &mut Vec<u8>, value: u8) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    out.extend([
        b'%',
        HEX[usize::from(value >> 4)],
        HEX[usize::from(value & 15)],
    ]);
}

fn is_control(byte: u8) -> bool {
    byte < 0x20 || byte == 0x7f
}

/// The value of two hexadecimal digits at the start of `text`.
fn hex_pair(text: &[u8]) -> Option<u8> {
    let digit = |at: usize| char::from(*text.get(at)?).to_digit(16);
    u8::try_from(digit(0)? * 16 + digit(1)?).ok()
}

/// Removes `.` and `..` segments (RFC 3986 section 5.2.4) and, if wanted,
/// empty ones.
pub(super) fn remove_dot_segments(path: &[u8], merge_slashes: bool) -> Result<Vec<u8>, PathError> {
    let mut out: Vec<u8> = Vec::with_capacity(path.len());
    let mut segments = path.split(|byte| *byte == b'/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        let last = segments.peek().is_none();
        match segment {
            b"." => {}
            b".." => {
                let parent = out.iter().rposition(|byte| *byte == b'/');
                out.truncate(parent.ok_or(PathError::ClimbsAboveRoot)?);
            }
            b"" if merge_slashes && !last => continue,
            _ => {
                out.push(b'/');
                out.extend(segment);
                continue;
            }
        }
        // A dot segment at the end leaves the folder's slash.
        if last {
            out.push(b'/');
        }
    }
    if out.is_empty() {
        out.push(b'/');
    }
    Ok(out)
}

/// Decodes sub-delims, `:` and `@`, so that patterns match either spelling.
pub(super) fn decode_delimiters(path: &[u8]) -> Vec<u8> {
    decode_where(path, is_delimiter)
}

/// Decodes every escape, once; what is no escape stays as it is.
pub(super) fn decode_all(path: &[u8]) -> Vec<u8> {
    decode_where(path, |_| true)
}

fn decode_where(path: &[u8], wanted: fn(u8) -> bool) -> Vec<u8> {
    let mut out = Vec::with_capacity(path.len());
    let mut rest = path;
    while let [byte, tail @ ..] = rest {
        match hex_pair(tail).filter(|value| *byte == b'%' && wanted(*value)) {
            Some(value) => {
                out.push(value);
                rest = &tail[2..];
            }
            None => {
                out.push(*byte);
                rest = tail;
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn normal(raw: &str) -> Result<String, PathError> {
        NormalPath::new(raw, true).map(|path| path.as_str().to_owned())
    }

    #[test]
    fn one_spelling() {
        for (raw, expected) in [
            ("/", "/"),
            ("/a/b.jpg", "/a/b.jpg"),
            ("/a%2fb", "/a%2Fb"),
            ("/%61%2D%7e", "/a-~"),
            ("//a///b//", "/a/b/"),
            ("/a/./b/../c", "/a/c"),
            ("/a/..", "/"),
            ("/a/b/..", "/a/"),
            ("/a/.", "/a/"),
            ("/a/%2e%2E/b", "/b"),
            ("/a/%2e/b", "/a/b"),
            ("/a\\b", "/a%5Cb"),
            ("/{x}|^[y]", "/%7Bx%7D%7C%5E%5By%5D"),
            ("/m\u{fc}", "/m%C3%BC"),
            ("/a,b%2Cc;d", "/a,b%2Cc;d"),
            ("/.well-known/x", "/.well-known/x"),
            ("/a/...", "/a/..."),
            ("/%2525", "/%2525"),
        ] {
            assert_eq!(normal(raw).as_deref(), Ok(expected), "{raw}");
        }
    }

    #[test]
    fn refused() {
        for (raw, error) in [
            ("/%", PathError::BadEscape),
            ("/%4", PathError::BadEscape),
            ("/%zz", PathError::BadEscape),
            ("/%00", PathError::Control),
            ("/%1F", PathError::Control),
            ("/%7f", PathError::Control),
            ("/a\u{7f}", PathError::Control),
            ("/..", PathError::ClimbsAboveRoot),
            ("/a/../..", PathError::ClimbsAboveRoot),
            ("/a/..%2f..%2f..", PathError::ClimbsAboveRoot),
            ("/a/..%5c..%5c..", PathError::ClimbsAboveRoot),
            ("/a/%252e%252e/%252e%252e/", PathError::ClimbsAboveRoot),
            ("/..;/x", PathError::ClimbsAboveRoot),
        ] {
            assert_eq!(normal(raw), Err(error), "{raw}");
        }
    }

    #[test]
    fn slashes_stay_if_so_configured() {
        let path = NormalPath::new("//a//b/", false).unwrap();
        assert_eq!(path.as_str(), "//a//b/");
        assert_eq!(&*path.plain_reading(), b"/a/b/");
    }

    #[test]
    fn what_is_matched_and_the_plain_reading() {
        let path = NormalPath::new("/a%2Cb/c;v=1/%252fd", true).unwrap();
        assert_eq!(path.as_str(), "/a%2Cb/c;v=1/%252fd");
        assert_eq!(path.matched(), b"/a,b/c;v=1/%252fd");
        assert_eq!(&*path.plain_reading(), b"/a,b/c/d");
        let path = NormalPath::new("/a/b", true).unwrap();
        assert!(path.readings().is_empty());
        assert_eq!(path.matched(), b"/a/b");
    }

    #[test]
    fn extensions() {
        let extension = |raw: &str| {
            NormalPath::new(raw, true)
                .unwrap()
                .extension()
                .map(str::to_owned)
        };
        assert_eq!(extension("/a.tar.gz").as_deref(), Some("gz"));
        assert_eq!(extension("/a.jp%67").as_deref(), Some("jpg"));
        assert_eq!(extension("/a.b/c"), None);
        assert_eq!(extension("/a."), Some(String::new()));
        assert_eq!(extension("/"), None);
        assert_eq!(extension("/a/.b").as_deref(), Some("b"));
    }

    proptest! {
        #[test]
        fn normalising_is_idempotent_and_never_panics(raw in "/[a/.%25ceEf;\\\\ü ]{0,24}", merge: bool) {
            if let Ok(once) = NormalPath::new(&raw, merge) {
                let again = NormalPath::new(once.as_str(), merge);
                prop_assert_eq!(again.as_ref().map(NormalPath::as_str), Ok(once.as_str()));
                prop_assert!(once.as_str().is_ascii());
            }
        }

        #[test]
        fn the_short_way_is_the_long_way(raw in "/[a/.;:$@-]{0,24}") {
            let long = decode_unreserved(raw.as_bytes()).and_then(|p| remove_dot_segments(&p, true));
            if is_plain(raw.as_bytes()) {
                prop_assert_eq!(long, Ok(raw.clone().into_bytes()));
                prop_assert_eq!(readings(raw.as_bytes()), Ok(Vec::new()));
                prop_assert_eq!(plain_reading(raw.as_bytes()), Ok(raw.into_bytes()));
            }
        }
    }
}
