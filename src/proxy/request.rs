//! A request as its connection read it.

use hyper::body::Incoming;
use hyper::{Method, Request, Uri, Version};

use crate::message::fields::Fields;

/// A request as its connection read it.
#[derive(Debug)]
pub struct ClientRequest {
    /// The method.
    pub method: Method,
    /// The target.
    pub uri: Uri,
    /// HTTP/1.0 or HTTP/1.1.
    pub version: Version,
    /// All its fields.
    pub fields: Fields,
    /// Its body, not yet read; `None`: it has none.
    pub body: Option<Incoming>,
}

impl From<Request<Incoming>> for ClientRequest {
    fn from(request: Request<Incoming>) -> Self {
        let (head, body) = request.into_parts();
        Self {
            method: head.method,
            uri: head.uri,
            version: head.version,
            fields: Fields::from(&head.headers),
            body: Some(body),
        }
    }
}
