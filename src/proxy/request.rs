//! A request as its connection read it.

use std::rc::Rc;

use hyper::body::Incoming;
use hyper::{Method, Request, Uri, Version};

use crate::message::fields::Fields;
use crate::message::request_body::RequestBody;
use crate::message::unread::Unread;

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

impl ClientRequest {
    /// A request by HTTP/1. `unread` is told when a piece of its body was
    /// taken.
    pub fn by_http1(request: Request<Incoming>, unread: Option<&Rc<Unread>>) -> Self {
        let (head, body) = request.into_parts();
        Self {
            method: head.method,
            uri: head.uri,
            version: head.version,
            fields: Fields::from(&head.headers),
            body: unread.map(|unread| RequestBody::Http1(body, Rc::clone(unread))),
        }
    }
}
