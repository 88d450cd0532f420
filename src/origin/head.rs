//! A response's head out of bytes (RFC 9112 sections 2 to 6).

use std::mem::MaybeUninit;

use bytes::Bytes;
use hyper::ext::ReasonPhrase;
use hyper::{Method, StatusCode, Version};

use super::ReceivedHead;
use super::chunked::Chunked;
use super::error::Flaw;
use crate::message::field;
use crate::message::fields::{Fields, Name, Names};

/// The longest head, in bytes.
pub(super) const MOST_BYTES: usize = super::pool::BUFFER;

/// The longest name of a field, in bytes: what a map of fields takes.
const LONGEST_NAME: usize = u16::MAX as usize;

/// The most fields in one.
const MOST_FIELDS: usize = 100;

/// What stands at the beginning of some bytes.
#[derive(Debug)]
pub(super) struct Head {
    /// Its fields are parts of the bytes.
    pub(super) received: Box<ReceivedHead>,
    /// How the end of its body is known.
    pub(super) framing: Framing,
    /// The origin reads another request after this response.
    pub(super) keeps: bool,
    /// How many bytes it took.
    pub(super) length: usize,
}

/// How the end of a body is known.
#[derive(Debug)]
pub(super) enum Framing {
    /// So many bytes are to come.
    Length(u64),
    /// It says when it ends. Boxed: it is rarer, and needs room.
    Chunked(Box<Chunked>),
    /// It ends with the connection.
    Close,
}

/// What the fields say about the message that they belong to.
#[derive(Debug, Default)]
struct Notes {
    close: bool,
    keep_alive: bool,
    /// The last of the codings is `chunked`, if there are any.
    chunked: Option<bool>,
    length: Option<Result<u64, Flaw>>,
}

/// The head at the beginning of `bytes`; `None` while it is not all there.
///
/// # Errors
///
/// [`Flaw`]: it is none.
pub(super) fn parse(bytes: &Bytes, asked_by: &Method) -> Result<Option<Head>, Flaw> {
    let mut fields = [const { MaybeUninit::uninit() }; MOST_FIELDS];
    let mut head = httparse::Response::new(&mut []);
    let parser = httparse::ParserConfig::default();
    let parsed = parser.parse_response_with_uninit_headers(&mut head, bytes, &mut fields)?;
    let httparse::Status::Complete(length) = parsed else {
        return match bytes.len() < MOST_BYTES {
            true => Ok(None),
            false => Err(Flaw::TooLarge),
        };
    };
    if length > MOST_BYTES {
        return Err(Flaw::TooLarge);
    }
    let code = head.code.expect("a complete head has a status");
    let status = StatusCode::from_u16(code).map_err(|_| Flaw::Status)?;
    let version = match head.version {
        Some(0) => Version::HTTP_10,
        _ => Version::HTTP_11,
    };
    let mut received = Box::new(ReceivedHead {
        status,
        version,
        reason: match head.reason == status.canonical_reason() {
            true => None,
            false => ReasonPhrase::try_from(head.reason.unwrap_or_default().as_bytes()).ok(),
        },
        fields: Fields::within(bytes.slice(..length), head.headers.len()),
    });
    let start = bytes.as_ptr() as usize;
    let notes = take_fields(head.headers, start, &mut received.fields)?;
    Ok(Some(Head {
        framing: framing(&notes, status, version, asked_by)?,
        keeps: !notes.close
            && !notes.are_doubtful()
            && (version == Version::HTTP_11 || notes.keep_alive),
        received,
        length,
    }))
}

/// `start` is where the text is of which they are parts.
fn take_fields(
    found: &[httparse::Header<'_>],
    start: usize,
    fields: &mut Fields,
) -> Result<Notes, Flaw> {
    let mut notes = Notes::default();
    let place = |part: &[u8]| ((part.as_ptr() as usize).wrapping_sub(start), part.len());
    for field in found {
        let name = field.name.as_bytes();
        if name.len() > LONGEST_NAME || !fields.push(place(name), place(field.value)) {
            return Err(Flaw::TooLarge);
        }
    }
    const NOTED: Names = Names::of(&[
        Name::CONTENT_LENGTH,
        Name::CONNECTION,
        Name::TRANSFER_ENCODING,
    ]);
    for line in fields.iter() {
        match line.known {
            Some(name) if NOTED.contains(name) => notes.take(name, line.value),
            _ => {}
        }
    }
    Ok(notes)
}

impl Notes {
    fn take(&mut self, name: Name, value: &[u8]) {
        if name == Name::CONTENT_LENGTH {
            for entry in field::entries(value) {
                self.length = Some(match (self.length.take(), number(entry)) {
                    (None, Some(length)) => Ok(length),
                    (Some(Ok(known)), Some(length)) if known == length => Ok(known),
                    _ => Err(Flaw::Length),
                });
            }
        } else if name == Name::CONNECTION {
            for word in field::entries(value) {
                self.close |= word.eq_ignore_ascii_case(b"close");
                self.keep_alive |= word.eq_ignore_ascii_case(b"keep-alive");
            }
        } else if name == Name::TRANSFER_ENCODING {
            let last = field::entries(value).next_back();
            // Of a line with other bytes than text nothing is believed.
            let is_text = value.is_ascii();
            let chunked = last.filter(|last| last.eq_ignore_ascii_case(b"chunked"));
            self.chunked = Some(is_text && chunked.is_some());
        }
    }
}

impl Notes {
    /// Whether the origin may think that its response ends elsewhere: it tells
    /// of two lengths, or of one that is none beside which it is not asked.
    fn are_doubtful(&self) -> bool {
        match &self.length {
            None => false,
            Some(length) => length.is_err() || self.chunked.is_some(),
        }
    }
}

/// RFC 9112 section 6.3.
fn framing(
    notes: &Notes,
    status: StatusCode,
    version: Version,
    asked_by: &Method,
) -> Result<Framing, Flaw> {
    let has_none = status.is_informational()
        || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
        || *asked_by == Method::HEAD;
    if has_none {
        return Ok(Framing::Length(0));
    }
    match (notes.chunked, notes.length) {
        (Some(_), _) if version == Version::HTTP_10 => Err(Flaw::Coding),
        (Some(true), _) => Ok(Framing::Chunked(Box::default())),
        (Some(false), _) | (None, None) => Ok(Framing::Close),
        (None, Some(length)) => length.map(Framing::Length),
    }
}

/// A number of bytes that can be counted, written in digits alone.
fn number(text: &[u8]) -> Option<u64> {
    let digit = |number: u64, byte: &u8| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        number.checked_mul(10)?.checked_add(digit)
    };
    let number = text.iter().try_fold(0, digit)?;
    (!text.is_empty() && number < u64::MAX - 1).then_some(number)
}

/// Whether the end of a head may be in `bytes`, of which `seen` had none: so
/// that one which comes byte by byte is not read anew with each.
pub(super) fn may_end(bytes: &[u8], seen: usize) -> bool {
    let tail = &bytes[seen.saturating_sub(3)..];
    let mut ends = memchr::memchr_iter(b'\n', tail).map(|at| &tail[at + 1..]);
    ends.any(|after| after.starts_with(b"\n") || after.starts_with(b"\r\n"))
}

impl From<httparse::Error> for Flaw {
    fn from(error: httparse::Error) -> Self {
        use httparse::Error;
        match error {
            Error::HeaderName | Error::HeaderValue | Error::NewLine | Error::Token => Self::Field,
            Error::Status => Self::Status,
            Error::TooManyHeaders => Self::TooLarge,
            Error::Version => Self::Version,
        }
    }
}
