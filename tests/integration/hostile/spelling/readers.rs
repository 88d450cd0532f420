//! How origins read a request target: written apart from how the proxy does.

/// One step of a reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// Up to the `?` or `#`.
    UpToQuery,
    /// `%41` is `A`.
    Decode,
    /// `%u0041` is `A`, too.
    DecodeUnicode,
    /// What is longer than UTF-8 allows, and letters of full width.
    Fold,
    /// `\` is `/`.
    Backslashes,
    /// `;...` goes from each segment.
    Parameters,
    /// Up to the NUL.
    UpToNul,
    /// Dots and blanks at the end of a segment go, and the name of a stream.
    Windows,
}

use Step::{Backslashes, Decode, DecodeUnicode, Fold, Parameters, UpToNul, UpToQuery, Windows};

/// Origins, by what they do one after the other; all end with removing empty
/// and dot segments, as a file system does.
const READERS: &[(&str, &[Step])] = &[
    ("a key-value store", &[UpToQuery]),
    ("nginx", &[UpToQuery, Decode]),
    ("tomcat", &[UpToQuery, Parameters, Decode, Backslashes]),
    ("jetty", &[UpToQuery, Decode, Parameters]),
    (
        "a servlet that decodes again",
        &[UpToQuery, Parameters, Decode, Decode],
    ),
    ("php that decodes again", &[UpToQuery, Decode, Decode]),
    ("node that decodes the whole", &[Decode, UpToQuery]),
    (
        "node that decodes the whole twice",
        &[Decode, Decode, UpToQuery],
    ),
    (
        "node behind nginx",
        &[UpToQuery, Decode, UpToQuery, Backslashes],
    ),
    ("c", &[UpToQuery, Decode, UpToNul]),
    (
        "c that decodes again",
        &[UpToQuery, Decode, Decode, UpToNul],
    ),
    ("iis", &[UpToQuery, Decode, Backslashes, Windows]),
    ("old iis", &[UpToQuery, Decode, Fold, Backslashes, Windows]),
    (
        "iis that decodes again",
        &[
            UpToQuery,
            Decode,
            DecodeUnicode,
            Decode,
            Backslashes,
            Windows,
        ],
    ),
    (
        "windows",
        &[UpToQuery, Decode, Backslashes, Fold, Backslashes, Windows],
    ),
    (
        "old tomcat",
        &[UpToQuery, Parameters, Decode, Fold, Backslashes],
    ),
    ("java that folds", &[UpToQuery, Decode, Fold, Parameters]),
];

/// The path that each reader has of a target.
pub(super) fn read(target: &[u8]) -> impl Iterator<Item = (&'static str, Vec<u8>)> + '_ {
    READERS.iter().map(|(name, steps)| {
        let path = steps
            .iter()
            .fold(target.to_vec(), |path, step| apply(*step, &path));
        (*name, tidy(&path))
    })
}

fn apply(step: Step, path: &[u8]) -> Vec<u8> {
    let up_to = |ends: &[u8]| path.split(|b| ends.contains(b)).next().unwrap().to_vec();
    match step {
        UpToQuery => up_to(b"?#"),
        UpToNul => up_to(b"\0"),
        Decode => decode(path),
        DecodeUnicode => decode_unicode(path),
        Fold => fold(path),
        Backslashes => path
            .iter()
            .map(|b| if *b == b'\\' { b'/' } else { *b })
            .collect(),
        Parameters => each(path, |s| s.split(|b| *b == b';').next().unwrap()),
        Windows => each(path, windows),
    }
}

fn each(path: &[u8], change: impl Fn(&[u8]) -> &[u8]) -> Vec<u8> {
    let segments: Vec<&[u8]> = path.split(|byte| *byte == b'/').map(change).collect();
    segments.join(&b'/')
}

/// `premium::$INDEX_ALLOCATION` and `premium. ` are the folder `premium`.
fn windows(segment: &[u8]) -> &[u8] {
    if segment == b"." || segment == b".." {
        return segment;
    }
    let mut name = match segment.windows(2).position(|two| two == b":$") {
        Some(_) => segment.split(|b| *b == b':').next().unwrap(),
        None => segment,
    };
    while let [rest @ .., b'.' | b' '] = name {
        name = rest;
    }
    name
}

fn hex(text: &[u8]) -> Option<u32> {
    let text = std::str::from_utf8(text).ok()?;
    let digits = text.bytes().all(|byte| byte.is_ascii_hexdigit());
    digits.then(|| u32::from_str_radix(text, 16).ok())?
}

fn decode(path: &[u8]) -> Vec<u8> {
    let (mut out, mut at) = (Vec::new(), 0);
    while at < path.len() {
        let escape = path.get(at + 1..at + 3).and_then(hex);
        match escape.filter(|_| path[at] == b'%') {
            Some(value) => {
                out.push(u8::try_from(value).unwrap());
                at += 3;
            }
            None => {
                out.push(path[at]);
                at += 1;
            }
        }
    }
    out
}

fn decode_unicode(path: &[u8]) -> Vec<u8> {
    let (mut out, mut at) = (Vec::new(), 0);
    while at < path.len() {
        let rest = &path[at..];
        let value = match rest {
            [b'%', b'u' | b'U', ..] => rest.get(2..6).and_then(hex),
            _ => None,
        };
        match value.and_then(|value| u8::try_from(value).ok()) {
            Some(value) => {
                out.push(value);
                at += 6;
            }
            None => {
                out.push(path[at]);
                at += 1;
            }
        }
    }
    out
}

/// Text of 2 to 4 bytes for what has 1 in UTF-8, and U+FF01 to U+FF5E.
fn fold(path: &[u8]) -> Vec<u8> {
    let (mut out, mut at) = (Vec::new(), 0);
    let low = |byte: u8| byte & 0xc0 == 0x80;
    while at < path.len() {
        let (byte, length) = match &path[at..] {
            [0xc0..=0xc1, b, ..] if low(*b) => ((path[at] & 1) << 6 | b & 0x3f, 2),
            [0xe0, 0x80..=0x81, b, ..] if low(*b) => ((path[at + 1] & 1) << 6 | b & 0x3f, 3),
            [0xf0, 0x80, 0x80..=0x81, b, ..] if low(*b) => ((path[at + 2] & 1) << 6 | b & 0x3f, 4),
            [0xef, 0xbc, b @ 0x81..=0xbf, ..] => (b - 0x60, 3),
            [0xef, 0xbd, b @ 0x80..=0x9e, ..] => (b - 0x20, 3),
            _ => (path[at], 1),
        };
        out.push(byte);
        at += length;
    }
    out
}

/// A slash at the end stays: a file has none, a folder may.
fn tidy(path: &[u8]) -> Vec<u8> {
    let mut kept: Vec<&[u8]> = Vec::new();
    let mut folder = false;
    for segment in path.split(|byte| *byte == b'/') {
        folder = matches!(segment, b"" | b"." | b"..");
        match segment {
            b"" | b"." => {}
            b".." => drop(kept.pop()),
            _ => kept.push(segment),
        }
    }
    let end: &[u8] = if folder && !kept.is_empty() {
        b"/"
    } else {
        b""
    };
    [b"/", &*kept.join(&b'/'), end].concat()
}

#[test]
fn they_read() {
    let has = |target: &str, path: &str| read(target.as_bytes()).any(|(_, p)| p == path.as_bytes());
    for spelling in [
        "/premium/a",
        "/x/../premium//a?b",
        "/premium;v/a",
        "/premium;%2f..%2fx/a",
        "/x%5c..%5cpremium%5ca",
        "/x/%252e%252e/premium/a",
        "/%c1%b0remium%c0%afa",
        "/%e0%81%b0remium%f0%80%80%afa",
        "/%ef%bd%90remium%ef%bc%8fa",
        "/%25u0070remium%25u002fa",
        "/premium./a%20",
        "/premium::$INDEX_ALLOCATION/a",
        "/premium/a%3fb",
        "/premium/a%2500b",
    ] {
        assert!(has(spelling, "/premium/a"), "{spelling}");
    }
    assert!(!has("/x/premium/a", "/premium/a"));
}
