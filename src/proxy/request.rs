//! A request as its connection read it.

use hyper::body::Incoming;
use hyper::{Method, Request, Uri, Version};

use crate::message::fields::Fields;
use crate::message::request_body::RequestBody;

/// A request as its connection read it.
#[derive(Debug)]
pub struct ClientRequest {
    /// The method.
    pub method: Method,
    /// The target.
    pub uri: Uri,
    /// HTTP/1.0, HTTP/1.1 or HTTP/2.
    pub version: Version,
    /// All its fields.
    pub fields: Fields,
    /// Its body, not yet read; `None`: it has none.
    pub body: Option<RequestBody>,
}

impl From<Request<Incoming>> for ClientRequest {
    fn from(request: Request<Incoming>) -> Self {
        let (head, body) = request.into_parts();
        Self {
            method: head.method,
            uri: head.uri,
            version: head.version,
            fields: Fields::from(&head.headers),
            body: Some(RequestBody::Http1(body)),
        }
    }
}
