//! A request on its way to the origin.

use std::io::Write as _;

use hyper::header::{CONTENT_LENGTH, HeaderValue, TRANSFER_ENCODING};
use hyper::{HeaderMap, Method, Request, Uri};

use super::Upload;
use crate::message::lines::Lines;

/// A request on its way to the origin.
#[derive(Debug, Default)]
pub struct OriginRequest {
    /// The method.
    pub method: Method,
    /// The target.
    pub uri: Uri,
    /// The fields, without the hop-by-hop ones.
    pub lines: Lines,
    /// Those that ask for less than the whole response, if it is not there or
    /// has changed.
    pub conditions: Lines,
    /// The body.
    pub body: Upload,
}

impl OriginRequest {
    /// The same request, which is listened to in the same way; only for one
    /// without a body.
    #[must_use]
    pub fn copy(&self) -> Self {
        debug_assert!(self.body.is_empty(), "a body cannot be copied");
        self.with_body(Upload::none_like(&self.body))
    }

    pub(super) fn with_body(&self, body: Upload) -> Self {
        Self {
            method: self.method.clone(),
            uri: self.uri.clone(),
            lines: self.lines.clone(),
            conditions: self.conditions.clone(),
            body,
        }
    }

    /// All fields but those of the body.
    pub fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        self.lines.add_to(&mut headers);
        self.conditions.add_to(&mut headers);
        headers
    }

    /// Appends the head of a request without a body: the very bytes that hyper
    /// would send, so that an origin cannot tell who asked; only that an
    /// origin that answered by HTTP/1.0 and keeps its connection is asked by
    /// 1.1 again.
    pub(super) fn encode(&self, head: &mut Vec<u8>) {
        let fields = [&self.lines, &self.conditions].map(Lines::as_bytes);
        head.extend_from_slice(self.method.as_str().as_bytes());
        head.push(b' ');
        match self.uri.path_and_query() {
            Some(target) if self.uri.authority().is_none() && !target.as_str().is_empty() => {
                head.extend_from_slice(target.as_str().as_bytes());
            }
            _ => write!(head, "{}", self.uri).expect("a vector takes every byte"),
        }
        head.extend_from_slice(b" HTTP/1.1\r\n");
        for lines in fields {
            head.extend_from_slice(lines);
        }
        head.extend_from_slice(b"\r\n");
    }

    /// As hyper sends it.
    pub(super) fn into_hyper(self) -> Request<Upload> {
        let mut headers = self.headers();
        if !self.body.is_empty() && !headers.contains_key(CONTENT_LENGTH) {
            // hyper sends no body with a GET that does not say that it has one.
            headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
        }
        let mut request = Request::new(self.body);
        *request.method_mut() = self.method;
        *request.uri_mut() = self.uri;
        *request.headers_mut() = headers;
        request
    }
}
