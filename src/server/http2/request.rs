//! A request by HTTP/2 as one that any other protocol could have brought (RFC
//! 9113 sections 8.2 and 8.3).

use bytes::Bytes;
use h2::RecvStream;
use hyper::header::{CONTENT_LENGTH, COOKIE, HOST};
use hyper::http::uri::Parts as UriParts;
use hyper::{HeaderMap, Request, StatusCode, Uri};

use crate::message::fields::Fields;
use crate::message::request_body::{RequestBody, StreamBody};
use crate::proxy::ClientRequest;

/// As many fields as by HTTP/1.
const MOST_FIELDS: usize = 100;

/// Why a request is not looked at.
pub(super) type Refused = (StatusCode, &'static str);

/// The request; its head may have `most` bytes, as it would by HTTP/1.
///
/// The library has refused what is malformed by itself: fields about the
/// connection, upper case, pseudo-fields that are missing, repeated or late.
pub(super) fn read(request: Request<RecvStream>, most: usize) -> Result<ClientRequest, Refused> {
    let (head, body) = request.into_parts();
    let (uri, host) = target(head.uri, head.headers.contains_key(HOST));
    let host = host.as_deref().map(str::as_bytes);
    let fields = fields(&head.headers, host, most)?;
    if uri
        .path_and_query()
        .is_some_and(|target| target.as_str().len() > most)
    {
        return Err((
            StatusCode::URI_TOO_LONG,
            "the target is over server.max_header_bytes",
        ));
    }
    Ok(ClientRequest {
        method: head.method,
        uri,
        version: head.version,
        fields,
        body: (!body.is_end_stream()).then(|| {
            let length = head.headers.get(CONTENT_LENGTH);
            let length = length.and_then(|length| length.to_str().ok()?.parse().ok());
            RequestBody::Http2(StreamBody::new(body, length))
        }),
    })
}

/// The target as most requests by HTTP/1 have it, and its authority as their
/// `Host`. Where there is one already they are left to be compared.
fn target(uri: Uri, has_host: bool) -> (Uri, Option<String>) {
    let mut parts = uri.into_parts();
    match (parts.authority, parts.path_and_query) {
        (Some(authority), Some(path)) if !has_host => {
            let mut plain = UriParts::default();
            plain.path_and_query = Some(path);
            let uri = Uri::from_parts(plain).expect("a path alone is a target");
            (uri, Some(authority.as_str().to_owned()))
        }
        (authority, path) => {
            parts.authority = authority;
            parts.path_and_query = path;
            let uri = Uri::from_parts(parts).expect("it was taken apart here");
            (uri, None)
        }
    }
}

/// The fields, `host` first, the parts of a `Cookie` as one (RFC 9113 section
/// 8.2.3), and equal lengths as one (RFC 9110 section 8.6).
fn fields(map: &HeaderMap, host: Option<&[u8]>, most: usize) -> Result<Fields, Refused> {
    let mut text = Vec::with_capacity(1024);
    let mut places = Vec::with_capacity(map.len() + 1);
    let mut add = |name: &[u8], parts: &mut dyn Iterator<Item = &[u8]>| {
        let start = text.len();
        text.extend_from_slice(name);
        let value = text.len();
        for (index, part) in parts.enumerate() {
            if index > 0 {
                text.extend_from_slice(b"; ");
            }
            text.extend_from_slice(part);
        }
        places.push((start, name.len(), text.len() - value));
    };
    if let Some(host) = host {
        add(b"host", &mut std::iter::once(host));
    }
    if !has_plain_length(map) {
        return Err((StatusCode::BAD_REQUEST, "Content-Length is not a number"));
    }
    let (mut cookies, mut lengths) = (Some(()), Some(()));
    for (name, value) in map {
        let value = value.as_bytes().trim_ascii();
        match *name {
            COOKIE if cookies.take().is_some() => {
                let parts = map.get_all(COOKIE).iter();
                let mut parts = parts.map(|part| part.as_bytes().trim_ascii());
                add(name.as_str().as_bytes(), &mut parts);
            }
            CONTENT_LENGTH if lengths.take().is_some() => {
                add(name.as_str().as_bytes(), &mut std::iter::once(value));
            }
            COOKIE | CONTENT_LENGTH => {}
            _ => add(name.as_str().as_bytes(), &mut std::iter::once(value)),
        }
    }
    // As it would be written by HTTP/1: two bytes between a name and its value,
    // and two behind.
    if text.len() + 4 * places.len() > most || places.len() > MOST_FIELDS {
        return Err(too_large());
    }
    let mut fields = Fields::within(Bytes::from(text), places.len());
    for (start, name, value) in places {
        if !fields.push((start, name), (start + name, value)) {
            return Err(too_large());
        }
    }
    Ok(fields)
}

/// Whether each `Content-Length` is a number. The library has refused those
/// that differ, and takes nothing at all for 0; what is sent on is one.
fn has_plain_length(map: &HeaderMap) -> bool {
    let mut lengths = map.get_all(CONTENT_LENGTH).iter();
    lengths.all(|length| {
        let digits = length.as_bytes();
        !digits.is_empty() && digits.iter().all(u8::is_ascii_digit)
    })
}

fn too_large() -> Refused {
    (
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
        "the head is over server.max_header_bytes or 100 fields",
    )
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    fn map(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in lines {
            map.append(*name, HeaderValue::from_static(value));
        }
        map
    }

    fn told(fields: &Fields) -> String {
        let line = |name: &[u8], value: &[u8]| {
            format!(
                "{}: {}\n",
                String::from_utf8_lossy(name),
                String::from_utf8_lossy(value)
            )
        };
        fields.iter().map(|one| line(one.name, one.value)).collect()
    }

    #[test]
    fn a_cookie_is_one_again_and_repeated_fields_stay() {
        let map = map(&[
            ("cookie", "a=b"),
            ("accept", "x"),
            ("cookie", " c=d "),
            ("accept", "y"),
        ]);
        let fields = fields(&map, Some(b"a.test"), 1000).unwrap();
        assert_eq!(
            told(&fields),
            "host: a.test\ncookie: a=b; c=d\naccept: x\naccept: y\n"
        );
    }

    #[test]
    fn there_is_one_length_and_it_is_a_number() {
        let same = map(&[("content-length", "2"), ("content-length", "2")]);
        let same = fields(&same, None, 1000).unwrap();
        assert_eq!(told(&same), "content-length: 2\n");
        for value in ["", "+0", "2, 2", " 2", "0x2"] {
            let (status, _) = fields(&map(&[("content-length", value)]), None, 1000).unwrap_err();
            assert_eq!(status, StatusCode::BAD_REQUEST, "{value:?}");
        }
    }

    #[test]
    fn a_head_may_be_as_large_as_by_http1() {
        let one = map(&[("a", "bcd")]);
        assert!(fields(&one, None, 8).is_ok());
        assert_eq!(fields(&one, None, 7).unwrap_err(), too_large());
        let mut many = HeaderMap::new();
        for _ in 0..99 {
            many.append("a", HeaderValue::from_static("b"));
        }
        assert!(fields(&many, Some(b"h"), 10_000).is_ok());
        many.append("a", HeaderValue::from_static("b"));
        assert!(fields(&many, Some(b"h"), 10_000).is_err());
    }

    #[test]
    fn the_authority_is_the_host() {
        let uri = || Uri::from_static("https://a.test:8443/p?q");
        let (plain, host) = target(uri(), false);
        assert_eq!(
            (plain, host.as_deref()),
            (Uri::from_static("/p?q"), Some("a.test:8443"))
        );
        assert_eq!(target(uri(), true), (uri(), None));
        let connect = Uri::from_static("a.test:443");
        assert_eq!(target(connect.clone(), false), (connect, None));
    }
}
