//! Answers of our own (sections 6.7 and 10).

use bytes::Bytes;
use hyper::header::{self, HeaderName, HeaderValue};
use hyper::{HeaderMap, StatusCode};

use super::body::Body;
use super::record::Record;
use super::reference::Reference;
use super::response::ClientResponse;
use crate::access::RuleId;
use crate::cache::status::CacheStatus;
use crate::plan::Reject;

/// Carries the id of an answer made here.
static REFERENCE: HeaderName = HeaderName::from_static("portcullis-ref");
static DENIED_BY: HeaderName = HeaderName::from_static("portcullis-denied-by");

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
    CacheStatus(CacheStatus),
    Allow(HeaderValue),
    Location(HeaderValue),
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

    /// The same place by https; with 308 (RFC 9110 section 15.4.9) the client
    /// asks there as it asked here.
    pub(super) fn redirected(url: &str, reference: Reference) -> Self {
        Self {
            extra: HeaderValue::try_from(url).ok().map(Extra::Location),
            ..Self::new(StatusCode::PERMANENT_REDIRECT, reference)
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

    /// With what the cache says of it.
    pub(super) fn at_cache(self, status: CacheStatus) -> Self {
        Self {
            extra: Some(Extra::CacheStatus(status)),
            ..self
        }
    }

    /// The response; the connection leaves the body away where the method has
    /// none.
    pub(super) fn into_response(self, mut record: Record) -> ClientResponse {
        record.status(self.status);
        let body = match self.status {
            StatusCode::NO_CONTENT => Bytes::new(),
            status => self.reference.body(reason(status)),
        };
        ClientResponse::own(self, Body::own(body, record))
    }

    pub(super) fn status(&self) -> StatusCode {
        self.status
    }

    /// Tells its fields, one after the other.
    pub(super) fn each_field(&self, mut take: impl FnMut(&HeaderName, &[u8])) {
        self.each(|name, value| match value {
            Value::Fixed(text) => take(name, text.as_bytes()),
            Value::Own(bytes) => take(name, bytes),
        });
    }

    /// The same as a map.
    pub(super) fn to_map(&self) -> HeaderMap {
        let mut map = HeaderMap::with_capacity(8);
        self.each(|name, value| {
            let value = match value {
                Value::Fixed(text) => HeaderValue::from_static(text),
                Value::Own(bytes) => {
                    let value = HeaderValue::from_bytes(bytes);
                    let mut value = value.expect("it is made of field values");
                    // By HTTP/2: it is not kept to be referred to again.
                    value.set_sensitive(*name == REFERENCE);
                    value
                }
            };
            map.append(name.clone(), value);
        });
        map
    }

    fn each(&self, mut take: impl FnMut(&HeaderName, Value<'_>)) {
        take(&header::CACHE_CONTROL, Value::Fixed("no-store"));
        take(&REFERENCE, Value::Own(self.reference.as_bytes()));
        if self.status != StatusCode::NO_CONTENT {
            let text = Value::Fixed("text/plain; charset=utf-8");
            take(&header::CONTENT_TYPE, text);
        }
        match &self.extra {
            None => {}
            Some(Extra::Allow(methods)) => take(&header::ALLOW, Value::Own(methods.as_bytes())),
            Some(Extra::Location(url)) => take(&header::LOCATION, Value::Own(url.as_bytes())),
            Some(Extra::DeniedBy(rule)) => take(&DENIED_BY, Value::Fixed(rule.as_str())),
            Some(Extra::CacheStatus(status)) => {
                take(&header::CACHE_STATUS, Value::Own(status.value().as_bytes()));
            }
        }
        if self.closing {
            take(&header::CONNECTION, Value::Fixed("close"));
        }
    }
}

/// A field's value.
enum Value<'a> {
    Fixed(&'static str),
    Own(&'a [u8]),
}

/// The first line of the body.
fn reason(status: StatusCode) -> &'static str {
    status.canonical_reason().unwrap_or("Error")
}
