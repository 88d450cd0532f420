//! The origin's response on its way to the client.

use std::sync::Arc;

use bytes::Bytes;
use hyper::body::Body as _;
use hyper::header::{self, HeaderValue};
use hyper::http::response::Parts;
use hyper::{HeaderMap, Response, StatusCode, Version};

use super::body::Body;
use super::framing;
use super::instance::Instance;
use super::record::Record;
use crate::config::{ResponseFields, Route};
use crate::message::{cache_control, connection, vary};
use crate::origin::{Download, OriginError};

/// What the shape of a response depends on beside the origin.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    /// HEAD was asked.
    pub(super) head: bool,
    /// By which version.
    pub(super) version: Version,
}

/// What becomes of a response on its way.
#[derive(Clone, Debug)]
pub(super) struct Edit {
    asked: Asked,
    /// What the choice of an image format calls for.
    vary: Option<HeaderValue>,
    fields: Option<Arc<ResponseFields>>,
    private: bool,
}

impl Edit {
    pub(super) fn new(route: &Route, vary: Option<HeaderValue>, asked: Asked) -> Self {
        Self {
            asked,
            vary,
            fields: route.response.clone(),
            private: route.private,
        }
    }

    /// Whether a response with that status has a body (RFC 9112 section 6.3).
    fn has_body(&self, status: StatusCode) -> bool {
        !self.asked.head && !matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
    }

    /// What must hold comes last: `Vary` is merged and `private` said whatever
    /// the configuration sets.
    fn apply(&self, headers: &mut HeaderMap) {
        if let Some(fields) = &self.fields {
            for name in &fields.remove {
                headers.remove(name);
            }
            for (name, value) in &fields.set {
                headers.insert(name, value.clone());
            }
        }
        if let Some(ours) = &self.vary {
            vary::merge(headers, ours);
        }
        if self.private {
            cache_control::make_private(headers);
        }
    }
}

/// The response, if its body can be passed on.
///
/// # Errors
///
/// [`OriginError::TransferCoding`].
pub(super) fn check(
    response: Response<Download>,
    edit: &Edit,
) -> Result<Response<Download>, OriginError> {
    match framing::check(response.headers()) {
        Err(_) if edit.has_body(response.status()) => {
            response.into_body().close();
            Err(OriginError::TransferCoding)
        }
        Ok(()) | Err(_) => Ok(response),
    }
}

/// Passes a response on that was checked.
pub(super) fn respond(
    response: Response<Download>,
    edit: &Edit,
    instance: &Instance,
    mut record: Record,
) -> Response<Body> {
    record.status(response.status());
    let (mut head, body) = response.into_parts();
    let desynchronised = framing::announces_too_much(head.status, &head.headers);
    framing::settle(&mut head.headers);
    pass_on(&mut head, instance);
    edit.apply(&mut head.headers);
    if edit.has_body(head.status) && body.size_hint().exact().is_none() {
        // By HTTP/1.0 such a body ends with the connection; as a response by
        // HTTP/1.1, hyper would promise to keep it.
        head.version = edit.asked.version;
    }
    let body = match desynchronised {
        true => {
            body.close();
            Body::own(Bytes::new(), record)
        }
        false => Body::origin(body, record),
    };
    Response::from_parts(head, body)
}

fn pass_on(head: &mut Parts, instance: &Instance) {
    connection::remove_named_in_response(&mut head.headers);
    connection::remove_hop_by_hop(&mut head.headers);
    head.headers.remove(header::ALT_SVC);
    head.headers
        .append(header::VIA, instance.via(head.version).clone());
    // hyper's server would repeat an HTTP/1.0 of the origin's.
    head.version = Version::HTTP_11;
}
