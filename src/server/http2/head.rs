//! The head of a response as HTTP/2 has it (RFC 9113 section 8.3.2).

use hyper::body::Body as _;
use hyper::header::{CONNECTION, CONTENT_LENGTH, DATE, HeaderName, HeaderValue, TRANSFER_ENCODING};
use hyper::{HeaderMap, Response, StatusCode};

use crate::message::decimal::Digits;
use crate::proxy::{Body, ClientResponse};
use crate::server::plain::Date;

/// Fields about a connection by HTTP/1, which here are an error (section
/// 8.2.2).
const OF_HTTP1: [HeaderName; 5] = [
    CONNECTION,
    TRANSFER_ENCODING,
    hyper::header::UPGRADE,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
];

/// A response, taken apart to be sent.
#[derive(Debug)]
pub(super) struct Parts {
    pub(super) head: Response<()>,
    pub(super) body: Body,
    /// Whether the body is sent.
    pub(super) has_body: bool,
    /// The length that the head announces, in bytes.
    pub(super) length: Option<u64>,
}

/// Takes the response to a request apart, which may be a HEAD.
pub(super) fn split(response: ClientResponse, to_head: bool, date: &Date) -> Parts {
    let (mut head, body) = response.into_response().into_parts();
    if head.headers.keys().any(|name| OF_HTTP1.contains(name)) {
        for name in OF_HTTP1 {
            head.headers.remove(name);
        }
    }
    if !head.headers.contains_key(DATE) {
        head.headers.insert(DATE, date.value());
    }
    let bodiless = matches!(
        head.status,
        StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED
    );
    let known = match body.is_end_stream() {
        true => Some(0),
        false => body.size_hint().exact(),
    };
    let length = settle_length(&mut head.headers, known, to_head, bodiless);
    let mut plain = Response::new(());
    *plain.status_mut() = head.status;
    *plain.headers_mut() = head.headers;
    Parts {
        head: plain,
        has_body: !to_head && !bodiless && length != Some(0),
        body,
        length,
    }
}

/// Leaves one length, the body's: of a body of `known` length, which may not
/// be sent.
fn settle_length(
    headers: &mut HeaderMap,
    known: Option<u64>,
    to_head: bool,
    bodiless: bool,
) -> Option<u64> {
    let written = headers.get(CONTENT_LENGTH);
    let written = written.and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    // Of what is not sent it says what would have been.
    let length = match known {
        Some(0) if !to_head => None,
        _ => written,
    };
    match length.or(known.filter(|known| !bodiless && (!to_head || *known > 0))) {
        Some(length) => drop(headers.insert(CONTENT_LENGTH, value_of(length))),
        None => drop(headers.remove(CONTENT_LENGTH)),
    }
    length.or(known)
}

fn value_of(length: u64) -> HeaderValue {
    HeaderValue::from_bytes(Digits::of(length).as_bytes()).expect("digits are a field value")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settled(written: &'static str, known: Option<u64>, to_head: bool, bodiless: bool) -> String {
        let mut headers = HeaderMap::new();
        if !written.is_empty() {
            headers.append(CONTENT_LENGTH, HeaderValue::from_static(written));
        }
        let length = settle_length(&mut headers, known, to_head, bodiless);
        let lines: Vec<_> = headers.get_all(CONTENT_LENGTH).iter().collect();
        format!("{lines:?} {length:?}")
    }

    #[test]
    fn one_length_as_by_http1() {
        assert_eq!(settled("", Some(5), false, false), "[\"5\"] Some(5)");
        assert_eq!(settled("5", Some(5), false, false), "[\"5\"] Some(5)");
        assert_eq!(settled("5", None, false, false), "[\"5\"] Some(5)");
        assert_eq!(settled("", None, false, false), "[] None");
        assert_eq!(settled("", Some(0), false, false), "[\"0\"] Some(0)");
        assert_eq!(settled("7", Some(0), false, true), "[] Some(0)");
        assert_eq!(settled("7", Some(0), true, false), "[\"7\"] Some(7)");
        assert_eq!(settled("", Some(0), true, false), "[] Some(0)");
        assert_eq!(settled("x", Some(3), false, false), "[\"3\"] Some(3)");
    }
}
