//! A body's length that can be read in only one way (section 10).

use hyper::header::{CONTENT_LENGTH, HeaderName, HeaderValue, TRANSFER_ENCODING};
use hyper::{HeaderMap, StatusCode};

use crate::message::decimal::Digits;
use crate::message::field::{Single, entries, single};
use crate::message::fields::{Fields, Name};
use crate::message::lines::Lines;

static TRANSFER_CODINGS: HeaderName = TRANSFER_ENCODING;

/// Of a number that can be counted, whatever its digits are.
const MOST_DIGITS: usize = 19;

/// Why a request whose length is ambiguous is refused.
pub const AMBIGUOUS: &str = "Transfer-Encoding is repeated or is not `chunked`";

/// A `Transfer-Encoding` that is not exactly `chunked`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ambiguous;

/// hyper takes any list of codings that ends in `chunked`; others may not.
/// (It has refused conflicting lengths and dropped a `Content-Length` beside
/// a `Transfer-Encoding` already.)
pub(super) fn check(fields: &Fields) -> Result<(), Ambiguous> {
    match fields.contains(Name::TRANSFER_ENCODING) {
        true => is_chunked(fields.single(Name::TRANSFER_ENCODING)),
        false => Ok(()),
    }
}

/// Adds the length of a request as we write it: some readers take zeros in
/// front for octal. Without one, a body goes on as chunked.
pub(super) fn push_length(lines: &mut Lines, received: &[u8]) {
    if let Some(length) = number(received) {
        lines.push_known(Name::CONTENT_LENGTH, Digits::of(length).as_bytes());
    }
}

fn is_chunked(coding: Single<'_>) -> Result<(), Ambiguous> {
    match coding {
        Single::One(coding) if coding.eq_ignore_ascii_case(b"chunked") => Ok(()),
        Single::Missing | Single::One(_) | Single::Several => Err(Ambiguous),
    }
}

/// The same for a response. A coding that exists would have to be undone
/// here, since the field that names it ends here. A word that is none
/// (`binary`, `utf-8`) says nothing: such a body ends with the connection
/// (RFC 9112 section 6.3), and is passed on as it came.
pub(super) fn check_response(headers: &HeaderMap) -> Result<(), Ambiguous> {
    if !headers.contains_key(&TRANSFER_CODINGS) {
        return Ok(());
    }
    let coding = single(headers, &TRANSFER_CODINGS);
    is_chunked(coding).or_else(|error| match coding {
        Single::One(coding) if is_no_coding(coding) => Ok(()),
        _ => Err(error),
    })
}

/// Whether no registered coding is named, nor something like `chunked`.
fn is_no_coding(coding: &[u8]) -> bool {
    const CODINGS: [&[u8]; 5] = [b"gzip", b"x-gzip", b"deflate", b"compress", b"x-compress"];
    let coding = coding.to_ascii_lowercase();
    let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'-';
    coding.iter().all(is_word)
        && !CODINGS.contains(&&*coding)
        && memchr::memmem::find(&coding, b"chunk").is_none()
}

/// Whether a response that can have no body announces one, which may be on
/// its way all the same: what follows on that connection is not to be trusted.
/// (A 304 may rightly have the length of what was not sent.)
pub(super) fn announces_too_much(status: StatusCode, headers: &HeaderMap) -> bool {
    status == StatusCode::NO_CONTENT
        && (headers.contains_key(TRANSFER_ENCODING)
            || headers
                .get(CONTENT_LENGTH)
                .is_some_and(|length| length != "0"))
}

/// Leaves an origin's response with one length: none beside
/// `Transfer-Encoding`, which counts alone (RFC 9112 section 6.3), none with a
/// 204, and equal repeated ones as one (RFC 9110 section 8.6). hyper has
/// refused unequal ones where a body follows.
pub(super) fn settle(status: StatusCode, headers: &mut HeaderMap) {
    if headers.contains_key(TRANSFER_ENCODING) || status == StatusCode::NO_CONTENT {
        headers.remove(CONTENT_LENGTH);
        return;
    }
    let mut lines = headers.get_all(CONTENT_LENGTH).iter();
    match (lines.next(), lines.next()) {
        (None, _) => {}
        (Some(only), None) if is_length(only.as_bytes()) => {}
        _ => match one_length(headers) {
            Some(length) => drop(headers.insert(CONTENT_LENGTH, length)),
            None => drop(headers.remove(CONTENT_LENGTH)),
        },
    }
}

/// The one number that all entries are; hyper knows a body's length without.
fn one_length(headers: &HeaderMap) -> Option<HeaderValue> {
    let lines = headers.get_all(CONTENT_LENGTH).iter();
    let mut entries = lines.flat_map(|line| entries(line.as_bytes()));
    let first = entries.next()?;
    let length = number(first)?;
    let one = entries.all(|entry| entry == first);
    one.then(|| Digits::of(length).into())
}

/// Whether it is a number of bytes that can be counted, as we would write it:
/// in digits alone, without zeros in front.
pub(super) fn is_length(text: &[u8]) -> bool {
    let plain = text == b"0" || !text.starts_with(b"0");
    plain && (1..=MOST_DIGITS).contains(&text.len()) && text.iter().all(u8::is_ascii_digit)
}

/// A number in digits alone.
fn number(text: &[u8]) -> Option<u64> {
    let digits = text.iter().all(u8::is_ascii_digit);
    digits
        .then(|| str::from_utf8(text).ok()?.parse().ok())
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    fn settled(fields: &[(&'static str, &'static str)]) -> String {
        let mut headers = headers(fields);
        settle(StatusCode::OK, &mut headers);
        let lengths: Vec<_> = headers.get_all(CONTENT_LENGTH).iter().collect();
        format!("{lengths:?}")
    }

    #[test]
    fn a_204_may_announce_no_body() {
        let too_much = |status, name, value| announces_too_much(status, &headers(&[(name, value)]));
        let none = StatusCode::NO_CONTENT;
        assert!(too_much(none, "content-length", "2"));
        assert!(too_much(none, "transfer-encoding", "chunked"));
        assert!(!too_much(none, "content-length", "0"));
        assert!(!too_much(StatusCode::NOT_MODIFIED, "content-length", "2"));
        assert!(!announces_too_much(none, &HeaderMap::new()));
    }

    #[test]
    fn a_response_has_one_length_at_most() {
        let length = |values: &[&'static str]| {
            let fields: Vec<_> = values.iter().map(|v| ("content-length", *v)).collect();
            settled(&fields)
        };
        assert_eq!(length(&[]), "[]");
        assert_eq!(length(&["5"]), "[\"5\"]");
        assert_eq!(length(&["5", "5"]), "[\"5\"]");
        assert_eq!(length(&["5, 5", "5"]), "[\"5\"]");
        assert_eq!(length(&["5", "6"]), "[]");
        assert_eq!(length(&["+5"]), "[]");
        assert_eq!(length(&["5,"]), "[]");
        assert_eq!(
            length(&["18446744073709551615"]),
            "[\"18446744073709551615\"]"
        );
        assert_eq!(length(&["18446744073709551616"]), "[]");
        let mut none = headers(&[("content-length", "0")]);
        settle(StatusCode::NO_CONTENT, &mut none);
        assert!(none.is_empty());
    }

    #[test]
    fn a_coding_counts_alone() {
        let chunked = ("transfer-encoding", "chunked");
        let gzip = ("transfer-encoding", "gzip, chunked");
        assert_eq!(settled(&[("content-length", "5"), chunked]), "[]");
        assert_eq!(check(&headers(&[chunked]).into()), Ok(()));
        assert_eq!(check(&headers(&[gzip]).into()), Err(Ambiguous));
        assert_eq!(check(&headers(&[chunked, chunked]).into()), Err(Ambiguous));
    }
}
