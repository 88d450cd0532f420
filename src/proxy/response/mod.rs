//! A response on its way to its connection. Most never need a map of their
//! fields: they are written down as they are told one after the other.

mod passed;
mod stored;

pub(super) use passed::{PassedHead, may_pass};
pub(super) use stored::StoredHead;

use bytes::Bytes;
use hyper::ext::ReasonPhrase;
use hyper::header::{HeaderName, HeaderValue};
use hyper::http::Extensions;
use hyper::http::response::Parts;
use hyper::{HeaderMap, Response, StatusCode};
use smallvec::SmallVec;

use super::answer::Answer;
use super::body::Body;
use crate::message::fields::FieldLine;

/// A response on its way to its connection.
#[derive(Debug)]
pub struct ClientResponse {
    head: Head,
    body: Body,
}

/// A head of a response, by what it is made of.
#[derive(Debug)]
enum Head {
    /// The origin's, or one of which much was changed.
    Parts(Box<Parts>),
    /// That of an answer made here.
    Own(Answer),
    /// That of a stored response.
    Stored(StoredHead),
    /// The origin's, passed on.
    Passed(Box<PassedHead>),
}

impl ClientResponse {
    /// An answer made here.
    pub(super) fn own(answer: Answer, body: Body) -> Self {
        Self {
            head: Head::Own(answer),
            body,
        }
    }

    /// A stored response.
    pub(super) fn stored(head: StoredHead, body: Body) -> Self {
        Self {
            head: Head::Stored(head),
            body,
        }
    }

    /// The status.
    pub fn status(&self) -> StatusCode {
        match &self.head {
            Head::Parts(parts) => parts.status,
            Head::Own(answer) => answer.status(),
            Head::Stored(stored) => stored.status(),
            Head::Passed(passed) => passed.status(),
        }
    }

    /// The reason that an origin gave for the status, if it is not the usual
    /// one.
    pub fn reason(&self) -> Option<&[u8]> {
        let reason = match &self.head {
            Head::Parts(parts) => parts.extensions.get::<ReasonPhrase>(),
            Head::Passed(passed) => passed.received.reason.as_ref(),
            Head::Own(_) | Head::Stored(_) => None,
        };
        reason.map(ReasonPhrase::as_bytes)
    }

    /// A response of the origin's, passed on.
    pub(super) fn passed(head: PassedHead, body: Body) -> Self {
        Self {
            head: Head::Passed(Box::new(head)),
            body,
        }
    }

    /// The body.
    pub fn body(&self) -> &Body {
        &self.body
    }

    /// The body, without its head.
    pub fn into_body(self) -> Body {
        self.body
    }

    /// Tells all fields, one line after the other.
    pub fn each_field(&self, mut take: impl FnMut(&HeaderName, &[u8])) {
        match &self.head {
            Head::Parts(parts) => {
                for (name, value) in &parts.headers {
                    take(name, value.as_bytes());
                }
            }
            Head::Own(answer) => answer.each_field(take),
            Head::Stored(stored) => stored.each_field(take),
            Head::Passed(passed) => passed.each_field(take),
        }
    }

    /// Lines that are written down already, a Date among them, and nothing that
    /// is about the connection or the length of the body; empty if there are
    /// none.
    pub fn written(&self) -> &[u8] {
        match &self.head {
            Head::Parts(_) | Head::Own(_) | Head::Passed(_) => &[],
            Head::Stored(stored) => stored.lines(),
        }
    }

    /// Lines of the origin's that are passed on as they are.
    pub fn received(&self) -> impl Iterator<Item = FieldLine<'_>> {
        let passed = match &self.head {
            Head::Passed(passed) => Some(passed.received()),
            Head::Parts(_) | Head::Own(_) | Head::Stored(_) => None,
        };
        passed.into_iter().flatten()
    }

    /// Tells the fields that are neither [`written`](Self::written) nor
    /// [`received`](Self::received).
    pub fn each_other(&self, take: impl FnMut(&HeaderName, &[u8])) {
        match &self.head {
            Head::Stored(stored) if !stored.lines().is_empty() => {
                stored.each_unwritten(take);
            }
            Head::Passed(passed) => passed.each_added(take),
            _ => self.each_field(take),
        }
    }

    /// Its fields, their values as parts of one piece of memory.
    fn to_map(&self) -> HeaderMap {
        let mut text = Vec::with_capacity(512);
        let mut names = SmallVec::<[(HeaderName, usize); 24]>::new();
        self.each_field(|name, value| {
            text.extend_from_slice(value);
            names.push((name.clone(), text.len()));
        });
        let (text, mut start) = (Bytes::from(text), 0);
        let mut headers = HeaderMap::with_capacity(names.len());
        for (name, end) in names {
            let value = HeaderValue::from_maybe_shared(text.slice(start..end));
            headers.append(name, value.expect("it is made of field values"));
            start = end;
        }
        headers
    }

    /// The same response with a map of its fields.
    pub fn into_response(self) -> Response<Body> {
        if let Head::Parts(parts) = self.head {
            return Response::from_parts(*parts, self.body);
        }
        let headers = match &self.head {
            Head::Own(answer) => answer.to_map(),
            _ => self.to_map(),
        };
        let mut response = Response::new(());
        *response.status_mut() = self.status();
        *response.headers_mut() = headers;
        if let Head::Passed(passed) = self.head {
            *response.version_mut() = passed.version;
            response
                .extensions_mut()
                .extend(reason_of(passed.received.reason));
        }
        response.map(|()| self.body)
    }
}

impl From<Response<Body>> for ClientResponse {
    fn from(response: Response<Body>) -> Self {
        let (parts, body) = response.into_parts();
        Self {
            head: Head::Parts(Box::new(parts)),
            body,
        }
    }
}

fn reason_of(reason: Option<ReasonPhrase>) -> Extensions {
    let mut extensions = Extensions::new();
    if let Some(reason) = reason {
        extensions.insert(reason);
    }
    extensions
}

#[cfg(test)]
mod tests;
