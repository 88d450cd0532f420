//! A response's head as bytes (RFC 9112 sections 4 and 6), as hyper writes it.

use std::io::Write as _;

use bytes::BufMut as _;
use hyper::body::Body;
use hyper::header::{CONNECTION, CONTENT_LENGTH, DATE, TRANSFER_ENCODING};
use hyper::http::response::Parts;
use hyper::{HeaderMap, StatusCode};

use super::date::Date;

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

/// Writes the head of a response to a GET, or to a HEAD, whose body is `body`.
pub(super) fn encode(
    head: &Parts,
    body: &impl Body,
    to_head: bool,
    date: &Date,
    out: &mut Vec<u8>,
) -> Said {
    let bodiless = matches!(
        head.status,
        StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED
    );
    let known = match body.is_end_stream() {
        true => Some(0),
        false => body.size_hint().exact(),
    };
    status_line(head.status, out);
    let fields = fields(&head.headers, known, to_head, out);
    if !fields.date {
        date.write(out);
    }
    let framing = match (fields.length.or(known), bodiless || to_head) {
        (Some(length), true) => {
            if fields.length.is_none() && !bodiless && length > 0 {
                length_field(length, out);
            }
            Framing::Nothing
        }
        (None, true) => Framing::Nothing,
        (Some(length), false) => {
            if fields.length.is_none() {
                length_field(length, out);
            }
            Framing::Length(length)
        }
        (None, false) => {
            out.extend_from_slice(b"transfer-encoding: chunked\r\n");
            Framing::Chunked
        }
    };
    out.extend_from_slice(b"\r\n");
    Said {
        framing,
        keep: fields.keep,
    }
}

/// What was written.
struct Fields {
    /// The Content-Length.
    length: Option<u64>,
    date: bool,
    keep: bool,
}

/// Where `known` is 0, a Content-Length only says what a HEAD would get.
fn fields(headers: &HeaderMap, known: Option<u64>, to_head: bool, out: &mut Vec<u8>) -> Fields {
    let mut fields = Fields {
        length: None,
        date: false,
        keep: true,
    };
    for (name, value) in headers {
        if *name == CONTENT_LENGTH {
            let length = value.to_str().ok().and_then(|text| text.parse().ok());
            if fields.length.is_some() || length.is_none() || known == Some(0) && !to_head {
                continue;
            }
            fields.length = length;
        } else if *name == TRANSFER_ENCODING {
            continue;
        } else if *name == DATE {
            fields.date = true;
        } else if *name == CONNECTION {
            fields.keep &= !value.as_bytes().eq_ignore_ascii_case(b"close");
        }
        out.extend_from_slice(name.as_str().as_bytes());
        out.extend_from_slice(b": ");
        out.extend_from_slice(value.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    fields
}

fn status_line(status: StatusCode, out: &mut Vec<u8>) {
    if status == StatusCode::OK {
        return out.extend_from_slice(b"HTTP/1.1 200 OK\r\n");
    }
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(status.as_str().as_bytes());
    out.put_u8(b' ');
    let reason = status.canonical_reason().unwrap_or("<none>");
    out.extend_from_slice(reason.as_bytes());
    out.extend_from_slice(b"\r\n");
}

fn length_field(length: u64, out: &mut Vec<u8>) {
    write!(out, "content-length: {length}\r\n").expect("memory takes all text");
}
