//! `multipart/byteranges` (RFC 9110 section 14.6): several ranges in one body.

use std::ops::Range;

use crate::message::decimal::Digits;
use bytes::Bytes;
use hyper::header::HeaderValue;
use smallvec::SmallVec;

/// A body of several ranges: each part's own head, its bytes, and so on, and
/// then the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parts {
    /// In the order they are sent.
    pub parts: Vec<Part>,
    /// What is sent after the last one.
    pub closing: Bytes,
}

/// A range, and what is sent before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// The boundary and the part's own fields.
    pub before: Bytes,
    /// Which bytes of the stored body follow.
    pub range: Range<u64>,
}

/// What parts the parts: 32 hexadecimal digits, which nobody can have put
/// into a body who does not know what it was made from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Boundary([u8; 32]);

impl Parts {
    /// Parts for `ranges` of a body of `length` bytes; `kind` is the body's
    /// Content-Type.
    pub(super) fn new(
        boundary: Boundary,
        kind: Option<&HeaderValue>,
        ranges: &[Range<u64>],
        length: u64,
    ) -> Self {
        let parts = ranges.iter().enumerate().map(|(at, range)| {
            let mut before = Vec::with_capacity(192);
            // The line end before a boundary belongs to it (RFC 2046 section
            // 5.1.1), and there is none before the first.
            let start: &[u8] = if at == 0 { b"--" } else { b"\r\n--" };
            before.extend_from_slice(start);
            before.extend_from_slice(&boundary.0);
            if let Some(kind) = kind {
                before.extend_from_slice(b"\r\nContent-Type: ");
                before.extend_from_slice(kind.as_bytes());
            }
            before.extend_from_slice(b"\r\nContent-Range: ");
            before.extend_from_slice(&content_range(range, length));
            before.extend_from_slice(b"\r\n\r\n");
            Part {
                before: before.into(),
                range: range.clone(),
            }
        });
        Self {
            parts: parts.collect(),
            closing: [b"\r\n--", &boundary.0[..], b"--\r\n"].concat().into(),
        }
    }

    /// How long all of it is, in bytes.
    pub fn length(&self) -> u64 {
        let part = |part: &Part| part.before.len() as u64 + (part.range.end - part.range.start);
        self.parts.iter().map(part).sum::<u64>() + self.closing.len() as u64
    }
}

impl Boundary {
    /// A boundary of two random numbers, or numbers as good as random.
    pub(super) fn new(halves: [u64; 2]) -> Self {
        let mut digits = [0; 32];
        for (at, digit) in digits.iter_mut().enumerate() {
            let nibble = halves[at / 16] >> (60 - at % 16 * 4) & 15;
            *digit = b"0123456789abcdef"[nibble as usize];
        }
        Self(digits)
    }

    /// The Content-Type of the whole.
    pub(super) fn content_type(self) -> HeaderValue {
        let text = [b"multipart/byteranges; boundary=", &self.0[..]].concat();
        HeaderValue::from_maybe_shared(Bytes::from(text)).expect("printable ASCII")
    }
}

/// `bytes <first>-<last>/<length>` (RFC 9110 section 14.4); the range is not
/// empty.
pub(super) fn content_range(range: &Range<u64>, length: u64) -> SmallVec<[u8; 96]> {
    let mut text = SmallVec::from_slice(b"bytes ");
    text.extend_from_slice(Digits::of(range.start).as_bytes());
    text.push(b'-');
    text.extend_from_slice(Digits::of(range.end - 1).as_bytes());
    text.push(b'/');
    text.extend_from_slice(Digits::of(length).as_bytes());
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_boundary_is_both_numbers() {
        let boundary = Boundary::new([0x0123_4567_89ab_cdef, 0xfedc_ba98_7654_3210]);
        assert_eq!(
            boundary.content_type(),
            "multipart/byteranges; boundary=0123456789abcdeffedcba9876543210"
        );
    }
}
