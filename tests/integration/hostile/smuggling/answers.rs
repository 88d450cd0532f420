//! Answers of an origin that could be read as two, or as another's.

use std::fmt;

use super::grammar::{Numbers, put};
use super::pieces::{BODIES, CODINGS, LENGTHS, OTHERS};

/// What an origin says to one request.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    /// By which it is asked.
    pub(super) method: &'static str,
    /// More fields of that request.
    pub(super) fields: &'static str,
    /// With a pause between them.
    pub(super) parts: Vec<Vec<u8>>,
    /// Whether what is not the first response may come after it: then nobody can
    /// tell it from an answer to who asks within the pause.
    pub(super) late: bool,
}

const LINES: &[&[u8]] = &[
    b"HTTP/1.1 204 No Content\r\n",
    b"HTTP/1.1 304 Not Modified\r\n",
    b"HTTP/1.1 205 Reset Content\r\n",
    b"HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 0-2/3\r\n",
    b"HTTP/1.1 404 Not Found\r\n",
    b"HTTP/1.1 500 No\r\n",
    b"HTTP/1.0 200 OK\r\n",
    b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n",
    b"HTTP/1.1 102 Processing\r\nContent-Length: 5\r\n\r\nHTTP/1.1 200 OK\r\n",
    b"HTTP/1.1 103 Early Hints\r\nTransfer-Encoding: chunked\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\n",
    b"HTTP/1.1 103 Early Hints\r\nX-A: b\nX-B: c\r\n\r\nHTTP/1.1 200 OK\r\n",
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n",
    b"HTTP/1.1 199 Odd\r\n\r\nHTTP/1.1 200 OK\r\n",
    b"HTTP/1.1 200\r\n",
    b"HTTP/1.1 200 \r\n",
    b"HTTP/1.1  200 OK\r\n",
    b"HTTP/1.1 200 OK\n",
    b"HTTP/1.1 200 OK\r\r\n",
    b"HTTP/1.1 200 O\rK\r\n",
    b"HTTP/1.1 200 O\0K\r\n",
    b"HTTP/1.1 200 \xff\xfe\r\n",
    b"HTTP/1.1 200 a\tb\r\n",
    b"HTTP/1.1 0200 OK\r\n",
    b"HTTP/1.1 20 OK\r\n",
    b"HTTP/1.1 000 OK\r\n",
    b"HTTP/1.1 099 OK\r\n",
    b"HTTP/1.1 600 OK\r\n",
    b"HTTP/1.1 999 OK\r\n",
    b"HTTP/1.1 +20 OK\r\n",
    b"HTTP/1.2 200 OK\r\n",
    b"HTTP/2 200 OK\r\n",
    b"http/1.1 200 OK\r\n",
    b"\r\nHTTP/1.1 200 OK\r\n",
    b" HTTP/1.1 200 OK\r\n",
    b"ICY 200 OK\r\n",
];

const USUAL: &[&[u8]] = &[b"HTTP/1.1 200 OK\r\n"];

const STORED: &[&[u8]] = &[
    b"",
    b"",
    b"Cache-Control: max-age=60\r\n",
    b"Cache-Control: max-age=60\r\nETag: \"a\"\r\n",
    b"Cache-Control: no-store\r\n",
];

/// How it is asked: by method, and with what fields.
const ASKED: &[(&str, &str)] = &[
    ("GET", ""),
    ("GET", ""),
    ("GET", "If-None-Match: \"a\"\r\n"),
    ("GET", "Range: bytes=0-1\r\n"),
    ("HEAD", ""),
    ("POST", ""),
    ("DELETE", ""),
];

/// The answer of this number.
pub(super) fn answer(number: usize) -> Answer {
    let mut numbers = Numbers((number as u64) << 20 | 1 << 60 | super::seed());
    let (method, fields) = numbers.pick(ASKED);
    let mut head: Vec<&[u8]> = vec![match numbers.one_in(2) {
        true => numbers.pick(LINES),
        false => numbers.pick(USUAL),
    }];
    head.push(numbers.pick(STORED));
    match numbers.below(8) {
        0 | 1 => head.push(numbers.pick(LENGTHS)),
        2 => head.push(numbers.pick(CODINGS)),
        3 => head.push(CODINGS[0]),
        4 => head.extend([numbers.pick(LENGTHS), CODINGS[0]]),
        5 => head.extend([numbers.pick(CODINGS), LENGTHS[numbers.below(3)]]),
        6 => head.push(LENGTHS[numbers.below(2)]),
        _ => {}
    }
    if numbers.one_in(4) {
        head.push(numbers.pick(OTHERS));
    }
    head.push(if numbers.one_in(16) { b"\n" } else { b"\r\n" });
    let (before, after) = numbers.pick(BODIES);
    let evil: &[u8] = match numbers.one_in(3) {
        true => b"",
        false => b"HTTP/1.1 200 OK\r\nX-Evil: 1\r\nContent-Length: 4\r\n\r\nevil",
    };
    let [length, part] = [before.len() + evil.len() + after.len(), before.len()];
    let head = put(&head.concat(), b"{L}", length.to_string().as_bytes());
    let head = put(&head, b"{K}", part.to_string().as_bytes());
    let pieces = [&head[..], before, evil, after];
    let cut = numbers.below(4).min(pieces.len() - 1);
    let parts = match cut {
        0 => vec![pieces.concat()],
        cut => vec![pieces[..cut].concat(), pieces[cut..].concat()],
    };
    Answer {
        method,
        fields,
        parts,
        late: cut > 0,
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?}:", self.method, self.fields)?;
        self.parts
            .iter()
            .try_for_each(|part| write!(f, " {}", part.escape_ascii()))
    }
}
