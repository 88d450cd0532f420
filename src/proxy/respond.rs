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
use super::response::ClientResponse;
use crate::cache::settings::SetCookie;
use crate::cache::status::CacheStatus;
use crate::config::{ResponseFields, Route};
use crate::message::{cache_control, connection, vary};
use crate::origin::{Download, OriginError};

/// What the shape of a response depends on beside the origin.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    /// HEAD was asked.
    pub(super) head: bool,
    /// By which version.
    pub(super) version: Version,
}

/// What becomes of a response on its way.
#[derive(Clone, Debug)]
pub(super) struct Edit {
    pub(super) shape: Shape,
    /// What the choice of an image format calls for.
    vary: Option<HeaderValue>,
    fields: Option<Arc<ResponseFields>>,
    private: bool,
    /// What is stored may have a cookie. Without that a cookie does not leave
    /// that was stored by an earlier policy.
    pub(super) keeps_cookies: bool,
}

impl Edit {
    pub(super) fn new(route: &Route, vary: Option<HeaderValue>, shape: Shape) -> Self {
        Self {
            shape,
            vary,
            fields: route.response.clone(),
            private: route.private,
            keeps_cookies: route.cache.set_cookie == SetCookie::Keep,
        }
    }

    #[cfg(test)]
    pub(super) fn for_tests(vary: Option<HeaderValue>, keeps_cookies: bool) -> Self {
        Self {
            shape: Shape {
                head: false,
                version: Version::HTTP_11,
            },
            vary,
            fields: None,
            private: false,
            keeps_cookies,
        }
    }

    /// Whether nothing else than its `Vary` is done to a response.
    pub(super) fn only_adds_vary(&self) -> bool {
        self.fields.is_none() && !self.private
    }

    /// What the response has to say in `Vary`.
    pub(super) fn vary(&self) -> Option<&HeaderValue> {
        self.vary.as_ref()
    }

    /// What must hold comes last: `Vary` is merged and `private` said whatever
    /// the configuration sets.
    pub(super) fn apply(&self, headers: &mut HeaderMap) {
        if let Some(fields) = &self.fields {
            // Of several ranges it says where each ends: that stays.
            let kept = has_parts(headers).then_some(header::CONTENT_TYPE);
            for name in fields
                .remove
                .iter()
                .filter(|name| kept.as_ref() != Some(name))
            {
                headers.remove(name);
            }
            for (name, value) in fields
                .set
                .iter()
                .filter(|(name, _)| kept.as_ref() != Some(name))
            {
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

/// Whether the body is several ranges (RFC 9110 section 14.6).
fn has_parts(headers: &HeaderMap) -> bool {
    const PARTS: &[u8] = b"multipart/byteranges";
    let of = headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
    let start = of.and_then(|of| of.get(..PARTS.len()));
    start.is_some_and(|start| start.eq_ignore_ascii_case(PARTS))
}

/// A response of the origin's, without what ends at this hop.
#[derive(Debug)]
pub(super) struct Taken {
    pub(super) head: Parts,
    pub(super) body: Download,
    /// It announces a body that it has not: its connection is out of step.
    desynchronised: bool,
}

impl Taken {
    /// Takes the response to a HEAD, or to another request.
    ///
    /// # Errors
    ///
    /// [`OriginError::TransferCoding`].
    pub(super) fn new(
        response: Response<Download>,
        head: bool,
        instance: &Instance,
    ) -> Result<Self, OriginError> {
        let has_body = has_body(head, response.status());
        if has_body && framing::check_response(response.headers()).is_err() {
            response.into_body().close();
            return Err(OriginError::TransferCoding);
        }
        let (mut head, body) = response.into_parts();
        let desynchronised = framing::announces_too_much(head.status, &head.headers);
        framing::settle(head.status, &mut head.headers);
        pass_on(&mut head, instance);
        Ok(Self {
            head,
            body,
            desynchronised,
        })
    }

    /// Whether it is what it says.
    pub(super) fn is_sound(&self) -> bool {
        !self.desynchronised
    }
}

/// Whether a response with that status has a body (RFC 9112 section 6.3).
pub(super) fn has_body(to_head: bool, status: StatusCode) -> bool {
    !to_head && !matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
}

/// Passes a response on; `status` is what the cache says of it.
pub(super) fn respond(
    taken: Taken,
    edit: &Edit,
    status: Option<&CacheStatus>,
    mut record: Record,
) -> ClientResponse {
    let Taken {
        mut head,
        body,
        desynchronised,
    } = taken;
    record.status(head.status);
    if let Some(status) = status {
        status.append_to(&mut head.headers);
    }
    edit.apply(&mut head.headers);
    if has_body(edit.shape.head, head.status) && body.size_hint().exact().is_none() {
        // By HTTP/1.0 such a body ends with the connection; as a response by
        // HTTP/1.1, hyper would promise to keep it.
        head.version = edit.shape.version;
    }
    let body = match desynchronised {
        true => {
            body.close();
            Body::own(Bytes::new(), record)
        }
        false => Body::origin(body, record),
    };
    Response::from_parts(head, body).into()
}

pub(super) fn pass_on(head: &mut Parts, instance: &Instance) {
    connection::remove_named_in_response(&mut head.headers);
    connection::remove_hop_by_hop(&mut head.headers);
    head.headers.remove(header::ALT_SVC);
    head.headers
        .append(header::VIA, instance.via(head.version).clone());
    // hyper's server would repeat an HTTP/1.0 of the origin's.
    head.version = Version::HTTP_11;
}
