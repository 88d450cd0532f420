//! A response's head as bytes (RFC 9112 sections 4 and 6), as hyper writes it.

use bytes::BufMut as _;
use hyper::StatusCode;
use hyper::body::Body as _;
use hyper::header::{CONNECTION, CONTENT_LENGTH, DATE, HeaderName, TRANSFER_ENCODING};

use super::date::Date;
use crate::message::decimal::Digits;
use crate::message::fields::{FieldLine, Name, Names};
use crate::proxy::ClientResponse;

/// How a body is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// It is not sent.
    Nothing,
    /// So many bytes.
    Length(u64),
    /// In chunks.
    Chunked,
}

/// What a head says of what follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) framing: Framing,
    /// Whether the connection is kept.
    pub(super) keep: bool,
}

/// What the shape of a head depends on beside the response.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    /// HEAD was asked.
    pub(super) head: bool,
    /// It is the last response of the connection.
    pub(super) last: bool,
}

/// Writes the head of a response to a GET or HEAD.
pub(super) fn encode(
    response: &ClientResponse,
    asked: Asked,
    date: &Date,
    out: &mut Vec<u8>,
) -> Said {
    let body = response.body();
    let known = match body.is_end_stream() {
        true => Some(0),
        false => body.size_hint().exact(),
    };
    let fields = |lines: &mut Lines<'_>| {
        lines.add_written(response.written());
        response
            .received()
            .for_each(|line| lines.add_received(line));
        response.each_other(|name, value| lines.add(name, value));
    };
    let line = (response.status(), response.reason());
    write(line, known, asked, fields, date, out)
}

/// The same, of a body of `known` length; `fields` adds the lines. A reason is
/// given where it is not the one that the status always has.
pub(super) fn write(
    (status, reason): (StatusCode, Option<&[u8]>),
    known: Option<u64>,
    asked: Asked,
    fields: impl FnOnce(&mut Lines<'_>),
    date: &Date,
    out: &mut Vec<u8>,
) -> Said {
    let bodiless = matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    status_line(status, reason, out);
    let mut lines = Lines {
        known,
        to_head: asked.head,
        out,
        length: None,
        has_date: false,
        keep: !asked.last,
    };
    fields(&mut lines);
    let Lines {
        length,
        has_date,
        keep,
        ..
    } = lines;
    if !has_date {
        date.write(out);
    }
    if asked.last {
        line(b"connection", b"close", out);
    }
    let framing = match (length.or(known), bodiless || asked.head) {
        (Some(known), true) => {
            if length.is_none() && !bodiless && known > 0 {
                length_line(known, out);
            }
            Framing::Nothing
        }
        (None, true) => Framing::Nothing,
        (Some(known), false) => {
            if length.is_none() {
                length_line(known, out);
            }
            Framing::Length(known)
        }
        (None, false) => {
            line(b"transfer-encoding", b"chunked", out);
            Framing::Chunked
        }
    };
    out.extend_from_slice(b"\r\n");
    Said { framing, keep }
}

/// What is told of connection, length and time.
const TOLD: Names = Names::of(&[
    Name::CONNECTION,
    Name::CONTENT_LENGTH,
    Name::DATE,
    Name::TRANSFER_ENCODING,
]);

/// The lines of a head that a response's own fields make.
pub(super) struct Lines<'a> {
    /// The length of the body. Where it is 0, a Content-Length only says what
    /// a HEAD would get.
    known: Option<u64>,
    to_head: bool,
    out: &'a mut Vec<u8>,
    /// The Content-Length that was written.
    length: Option<u64>,
    has_date: bool,
    keep: bool,
}

impl Lines<'_> {
    /// Adds lines that have a Date, and nothing about connection or length.
    fn add_written(&mut self, written: &[u8]) {
        self.has_date |= !written.is_empty();
        self.out.extend_from_slice(written);
    }

    /// Adds a line that was received.
    fn add_received(&mut self, line: FieldLine<'_>) {
        let start = match line.known {
            Some(name) if TOLD.contains(name) => return self.add(name.name(), line.value),
            Some(name) => name.line_start(),
            None => {
                let start = self.out.len();
                self.out.extend_from_slice(line.name);
                self.out[start..].make_ascii_lowercase();
                b": "
            }
        };
        self.out.reserve(start.len() + line.value.len() + 2);
        self.out.extend_from_slice(start);
        self.out.extend_from_slice(line.value);
        self.out.extend_from_slice(b"\r\n");
    }

    pub(super) fn add(&mut self, name: &HeaderName, value: &[u8]) {
        if *name == CONTENT_LENGTH {
            let text = str::from_utf8(value).ok();
            let length = text.and_then(|text| text.parse().ok());
            let repeated = self.length.is_some();
            if repeated || length.is_none() || self.known == Some(0) && !self.to_head {
                return;
            }
            self.length = length;
        } else if *name == TRANSFER_ENCODING {
            return;
        } else if *name == DATE {
            self.has_date = true;
        } else if *name == CONNECTION {
            if !self.keep {
                return;
            }
            self.keep = !value.eq_ignore_ascii_case(b"close");
        }
        line(name.as_str().as_bytes(), value, self.out);
    }
}

fn line(name: &[u8], value: &[u8], out: &mut Vec<u8>) {
    out.reserve(name.len() + value.len() + 4);
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

fn length_line(length: u64, out: &mut Vec<u8>) {
    line(b"content-length", Digits::of(length).as_bytes(), out);
}

fn status_line(status: StatusCode, reason: Option<&[u8]>, out: &mut Vec<u8>) {
    match status {
        _ if reason.is_some() => {}
        StatusCode::OK => return out.extend_from_slice(b"HTTP/1.1 200 OK\r\n"),
        StatusCode::FORBIDDEN => return out.extend_from_slice(b"HTTP/1.1 403 Forbidden\r\n"),
        _ => {}
    }
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(status.as_str().as_bytes());
    out.put_u8(b' ');
    let canonical = || status.canonical_reason().unwrap_or("<none>").as_bytes();
    out.extend_from_slice(reason.unwrap_or_else(canonical));
    out.extend_from_slice(b"\r\n");
}
