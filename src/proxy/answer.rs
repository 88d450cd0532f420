//! Answers of our own (sections 6.7 and 10).

use bytes::Bytes;
use hyper::header::{self, HeaderName, HeaderValue};
use hyper::{Response, StatusCode};

use super::body::Body;
use super::record::Record;
use super::reference::Reference;
use crate::access::RuleId;
use crate::origin::OriginError;
use crate::plan::Reject;

/// Carries the id of an answer made here.
pub(super) static REFERENCE: HeaderName = HeaderName::from_static("portcullis-ref");
static DENIED_BY: HeaderName = HeaderName::from_static("portcullis-denied-by");

static TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
static NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
static CLOSE: HeaderValue = HeaderValue::from_static("close");

/// An answer made here.
#[derive(Debug)]
pub(super) struct Answer {
    response: Response<()>,
    body: Bytes,
}

impl Answer {
    fn new(status: StatusCode, reference: Reference) -> Self {
        let (body, id) = reference.body(status.canonical_reason().unwrap_or("Error"));
        let mut response = Response::new(());
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.reserve(6);
        headers.insert(header::CACHE_CONTROL, NO_STORE.clone());
        headers.insert(REFERENCE.clone(), id);
        if status == StatusCode::NO_CONTENT {
            return Self {
                response,
                body: Bytes::new(),
            };
        }
        headers.insert(header::CONTENT_TYPE, TEXT.clone());
        Self { response, body }
    }

    fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.response.headers_mut().insert(name, value);
        self
    }

    /// A denial; the rule only if it is disclosed.
    pub(super) fn denied(rule: Option<RuleId>, reference: Reference) -> Self {
        let answer = Self::new(StatusCode::FORBIDDEN, reference);
        match rule {
            Some(rule) => answer.with(DENIED_BY.clone(), HeaderValue::from_static(rule.as_str())),
            None => answer,
        }
    }

    /// What no rule got to see.
    pub(super) fn rejected(
        reject: Reject,
        allow: Option<HeaderValue>,
        reference: Reference,
    ) -> Self {
        let answer = Self::new(reject.status(), reference);
        match allow {
            Some(allow) => answer.with(header::ALLOW, allow),
            None => answer,
        }
    }

    /// A body whose length can be read in two ways.
    pub(super) fn bad_framing(reference: Reference) -> Self {
        Self::new(StatusCode::BAD_REQUEST, reference)
    }

    /// A target that is too long once it is normalised.
    pub(super) fn too_long(reference: Reference) -> Self {
        Self::new(StatusCode::URI_TOO_LONG, reference)
    }

    /// A request that was here before.
    pub(super) fn looped(reference: Reference) -> Self {
        Self::new(StatusCode::LOOP_DETECTED, reference)
    }

    /// The origin gave no response.
    pub(super) fn failed(error: &OriginError, reference: Reference) -> Self {
        Self::new(error.status(), reference)
    }

    /// The connection ends with this answer.
    pub(super) fn closing(self) -> Self {
        self.with(header::CONNECTION, CLOSE.clone())
    }

    /// The response; hyper leaves the body away where the method has none.
    pub(super) fn into_response(self, mut record: Record) -> Response<Body> {
        record.status(self.response.status());
        self.response.map(|()| Body::own(self.body, record))
    }
}
