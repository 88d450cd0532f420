//! A request's head as bytes (RFC 9112 sections 2.1, 3 and 5).

use std::io::Write as _;

use hyper::header::TRANSFER_ENCODING;
use hyper::{Request, Uri};

/// Room for a name, a value and what stands between them is made by this
/// guess, in bytes a field; it grows where that is too little.
const FIELD: usize = 48;

/// Appends the head of a request without a body: the very bytes that hyper
/// would send, so that an origin cannot tell who asked; only that an origin
/// that answered by HTTP/1.0 and keeps its connection is asked by 1.1 again.
pub(super) fn encode<B>(request: &Request<B>, head: &mut Vec<u8>) {
    let headers = request.headers();
    head.reserve(FIELD * (headers.len() + 2));
    head.extend_from_slice(request.method().as_str().as_bytes());
    head.push(b' ');
    push_target(head, request.uri());
    head.extend_from_slice(b" HTTP/1.1\r\n");
    for (name, value) in headers {
        // There is no body to be coded.
        if name == TRANSFER_ENCODING {
            continue;
        }
        head.extend_from_slice(name.as_str().as_bytes());
        head.extend_from_slice(b": ");
        head.extend_from_slice(value.as_bytes());
        head.extend_from_slice(b"\r\n");
    }
    head.extend_from_slice(b"\r\n");
}

fn push_target(head: &mut Vec<u8>, uri: &Uri) {
    match uri.path_and_query() {
        Some(target) if uri.authority().is_none() && !target.as_str().is_empty() => {
            head.extend_from_slice(target.as_str().as_bytes());
        }
        _ => write!(head, "{uri}").expect("a vector takes every byte"),
    }
}
