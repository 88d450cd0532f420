//! The origin's response on its way to the client.

use std::sync::Arc;

use hyper::body::Body as _;
use hyper::header::{self, HeaderValue};
use hyper::http::response::Parts;
use hyper::{HeaderMap, Response, StatusCode, Version};

use super::framing;
use super::instance::Instance;
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

/// A response as it is passed on; without a body where none may follow.
pub(super) struct Passed {
    pub(super) head: Parts,
    pub(super) body: Option<Download>,
}

/// Makes the origin's response the client's.
///
/// # Errors
///
/// [`OriginError::TransferCoding`].
pub(super) fn respond(
    response: Response<Download>,
    edit: &Edit,
    instance: &Instance,
) -> Result<Passed, OriginError> {
    let (mut head, body) = response.into_parts();
    let status = head.status;
    let has_body =
        !edit.asked.head && !matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    let desynchronised = framing::announces_too_much(status, &head.headers);
    connection::remove_named_in_response(&mut head.headers);
    framing::settle(&mut head.headers, has_body).map_err(|_| OriginError::TransferCoding)?;
    pass_on(&mut head, instance);
    edit.apply(&mut head.headers);
    if has_body && body.size_hint().exact().is_none() {
        // By HTTP/1.0 such a body ends with the connection; as a response by
        // HTTP/1.1, hyper would promise to keep it.
        head.version = edit.asked.version;
    }
    let body = match desynchronised {
        true => {
            body.close();
            None
        }
        false => Some(body),
    };
    Ok(Passed { head, body })
}

fn pass_on(head: &mut Parts, instance: &Instance) {
    connection::remove_hop_by_hop(&mut head.headers);
    head.headers.remove(header::ALT_SVC);
    head.headers
        .append(header::VIA, instance.via(head.version).clone());
    // hyper's server would repeat an HTTP/1.0 of the origin's.
    head.version = Version::HTTP_11;
}
