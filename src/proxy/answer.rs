//! Answers of our own (sections 6.7 and 10).

use hyper::header::{self, HeaderName, HeaderValue};
use hyper::{HeaderMap, Response, StatusCode};

use super::body::Body;
use super::record::Record;
use super::reference::Reference;
use crate::access::RuleId;
use crate::plan::Reject;

/// Carries the id of an answer made here.
static REFERENCE: HeaderName = HeaderName::from_static("portcullis-ref");
static DENIED_BY: HeaderName = HeaderName::from_static("portcullis-denied-by");

static TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
static NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
static CLOSE: HeaderValue = HeaderValue::from_static("close");

/// An answer made here.
#[derive(Debug)]
pub(super) struct Answer {
    status: StatusCode,
    reference: Reference,
    extra: Option<Extra>,
    closing: bool,
}

/// A field that only some answers have.
#[derive(Debug)]
enum Extra {
    DeniedBy(RuleId),
    Allow(HeaderValue),
}

impl Answer {
    fn new(status: StatusCode, reference: Reference) -> Self {
        Self {
            status,
            reference,
            extra: None,
            closing: false,
        }
    }

    /// A denial; the rule only if it is disclosed.
    pub(super) fn denied(rule: Option<RuleId>, reference: Reference) -> Self {
        Self {
            extra: rule.map(Extra::DeniedBy),
            ..Self::new(StatusCode::FORBIDDEN, reference)
        }
    }

    /// What no rule got to see.
    pub(super) fn rejected(
        reject: Reject,
        allow: Option<HeaderValue>,
        reference: Reference,
    ) -> Self {
        Self {
            extra: allow.map(Extra::Allow),
            ..Self::new(reject.status(), reference)
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

    /// A body that is longer than `server.max_body`.
    pub(super) fn too_large(reference: Reference) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, reference)
    }

    /// A request that was here before.
    pub(super) fn looped(reference: Reference) -> Self {
        Self::new(StatusCode::LOOP_DETECTED, reference)
    }

    /// The origin gave no response.
    pub(super) fn failed(status: StatusCode, reference: Reference) -> Self {
        Self::new(status, reference)
    }

    /// Only what is stored was wanted, and it is not (RFC 9111 section
    /// 5.2.1.7).
    pub(super) fn not_stored(reference: Reference) -> Self {
        Self::new(StatusCode::GATEWAY_TIMEOUT, reference)
    }

    /// The connection ends with this answer.
    pub(super) fn closing(self) -> Self {
        Self {
            closing: true,
            ..self
        }
    }

    /// The response; hyper leaves the body away where the method has none.
    pub(super) fn into_response(self, mut record: Record) -> Response<Body> {
        record.status(self.status);
        let reason = self.status.canonical_reason().unwrap_or("Error");
        let (mut body, id) = self.reference.body(reason);
        let mut headers = HeaderMap::with_capacity(6);
        headers.insert(header::CACHE_CONTROL, NO_STORE.clone());
        headers.insert(REFERENCE.clone(), id);
        if self.status == StatusCode::NO_CONTENT {
            body.clear();
        } else {
            headers.insert(header::CONTENT_TYPE, TEXT.clone());
        }
        match self.extra {
            None => {}
            Some(Extra::Allow(methods)) => drop(headers.insert(header::ALLOW, methods)),
            Some(Extra::DeniedBy(rule)) => {
                headers.insert(DENIED_BY.clone(), HeaderValue::from_static(rule.as_str()));
            }
        }
        if self.closing {
            headers.insert(header::CONNECTION, CLOSE.clone());
        }
        let mut response = Response::new(Body::own(body, record));
        *response.status_mut() = self.status;
        *response.headers_mut() = headers;
        response
    }
}
