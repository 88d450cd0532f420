//! A response on its way to its connection. Most never need a map of their
//! fields: they are written down as they are told one after the other.

use std::sync::Arc;

use hyper::ext::ReasonPhrase;
use hyper::header::{CONTENT_LENGTH, HeaderName, HeaderValue, VARY};
use hyper::http::response::Parts;
use hyper::{HeaderMap, Response, StatusCode};

use super::answer::Answer;
use super::body::Body;
use super::respond::Edit;
use crate::cache::clock::Moment;
use crate::cache::entry::{self, Entry};
use crate::cache::reply::added_fields;
use crate::cache::status::CacheStatus;
use crate::cache::storable::is_cookie;
use crate::message::vary;

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
}

/// The head of a stored response that is sent whole, with what every answer
/// from the cache has.
#[derive(Debug)]
pub(super) struct StoredHead {
    entry: Arc<Entry>,
    now: Moment,
    status: CacheStatus,
    edit: Edit,
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
            Head::Stored(stored) => stored.entry.head.status,
        }
    }

    /// The origin's reason phrase, where it is not the status's own.
    pub fn reason(&self) -> Option<&[u8]> {
        match &self.head {
            Head::Parts(parts) => parts.extensions.get().map(ReasonPhrase::as_bytes),
            Head::Own(_) | Head::Stored(_) => None,
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
        }
    }

    /// Lines that are written down already, a Date among them, and nothing that
    /// is about the connection or the length of the body; empty if there are
    /// none.
    pub fn written(&self) -> &[u8] {
        match &self.head {
            Head::Parts(_) | Head::Own(_) => &[],
            Head::Stored(stored) => &stored.entry.head.lines,
        }
    }

    /// Tells the fields that are not [`written`](Self::written).
    pub fn each_unwritten(&self, take: impl FnMut(&HeaderName, &[u8])) {
        match &self.head {
            Head::Stored(stored) if !stored.entry.head.lines.is_empty() => {
                stored.each_unwritten(take);
            }
            _ => self.each_field(take),
        }
    }

    /// The same response with a map of its fields.
    pub fn into_response(self) -> Response<Body> {
        if let Head::Parts(parts) = self.head {
            return Response::from_parts(*parts, self.body);
        }
        let mut headers = HeaderMap::with_capacity(16);
        self.each_field(|name, value| {
            let value = HeaderValue::from_bytes(value).expect("it is made of field values");
            headers.append(name, value);
        });
        let status = self.status();
        let mut response = Response::new(self.body);
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        response
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

impl StoredHead {
    /// `edit` only adds to its `Vary`: more is not told in passing.
    pub(super) fn new(entry: Arc<Entry>, now: Moment, status: CacheStatus, edit: Edit) -> Self {
        debug_assert!(edit.only_adds_vary(), "else it is edited as a map");
        Self {
            entry,
            now,
            status,
            edit,
        }
    }

    fn each_field(&self, mut take: impl FnMut(&HeaderName, &[u8])) {
        let merges = self.edit.vary().is_some();
        for (name, value) in &self.entry.head.headers {
            let told_after = *name == CONTENT_LENGTH || merges && *name == VARY;
            if !told_after && (self.edit.keeps_cookies || !is_cookie(name)) {
                take(name, value.as_bytes());
            }
        }
        self.each_added(take);
    }

    /// What is not in the stored lines.
    fn each_unwritten(&self, mut take: impl FnMut(&HeaderName, &[u8])) {
        if self.edit.vary().is_none() {
            each_vary(&self.entry.head, &mut take);
        }
        self.each_added(take);
    }

    fn each_added(&self, mut take: impl FnMut(&HeaderName, &[u8])) {
        let Entry { head, body, .. } = &*self.entry;
        added_fields(head, body.length(), self.now, &self.status, &mut take);
        let Some(ours) = self.edit.vary() else { return };
        match vary::merged(&head.headers, ours.as_bytes()) {
            Some(merged) => take(&VARY, &merged),
            None => each_vary(head, take),
        }
    }
}

fn each_vary(head: &entry::Head, mut take: impl FnMut(&HeaderName, &[u8])) {
    for line in head.headers.get_all(VARY) {
        take(&VARY, line.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use hyper::Method;
    use proptest::prelude::*;
    use smallvec::smallvec;

    use super::*;
    use crate::cache::asked::{Asked, Covered};
    use crate::cache::budget::Budget;
    use crate::cache::encoding::Encodings;
    use crate::cache::entry::{StoredBody, Variants};
    use crate::cache::policy::Policy;
    use crate::cache::reply::{complete, reply};
    use crate::cache::storable::remove_cookies;
    use crate::cache::vary::Form;
    use crate::images::Variant;
    use crate::message::fields::Fields;

    fn stored(headers: HeaderMap, status: StatusCode) -> Arc<Entry> {
        let budget = Budget::new(1 << 20);
        let body = StoredBody::new(
            smallvec![Bytes::from_static(b"abc")],
            budget.take(3).unwrap(),
        );
        let mut head = entry::Head {
            status,
            headers,
            lines: Bytes::new(),
            policy: Policy::default(),
            form: Form::default(),
            variant: Variant::Original,
            serves: Variants::default().with(Variant::Original),
        };
        complete(&mut head, body.length());
        head.compact();
        Arc::new(Entry {
            url: "http://a/".into(),
            origin: "http://b".into(),
            head,
            body: Arc::new(body),
            reservation: budget.take(1).unwrap(),
        })
    }

    /// As the cache makes it of a map.
    fn as_a_map(entry: &Entry, edit: &Edit, status: CacheStatus) -> HeaderMap {
        let asked = Asked {
            method: &Method::GET,
            headers: &Fields::default(),
            encodings: Encodings::default(),
            has_query: false,
            variant: Variant::Original,
            covered: Covered::default(),
            extension: None,
        };
        let length = Some(entry.body.length());
        let mut reply = reply(&asked, &entry.head, length, Moment(5000), status, 7);
        if !edit.keeps_cookies {
            remove_cookies(&mut reply.headers);
        }
        edit.apply(&mut reply.headers);
        reply.headers
    }

    fn map(tell: impl FnOnce(&mut dyn FnMut(&HeaderName, &[u8]))) -> HeaderMap {
        let mut map = HeaderMap::new();
        tell(&mut |name, value| {
            map.append(name, HeaderValue::from_bytes(value).unwrap());
        });
        map
    }

    proptest! {
        /// Told in passing, written down before, or made as a map: the same.
        #[test]
        fn three_ways_to_one_head(
            lines in proptest::collection::vec(
                (
                    "date|vary|set-cookie|set-cookie2|content-length|etag|x-[a-c]|cache-status",
                    "[ -~]{0,8}|Accept|Accept, Origin|\\*",
                ),
                0..9,
            ),
            status in prop_oneof![Just(200_u16), Just(204), Just(404)],
            keeps_cookies: bool,
            vary: bool,
        ) {
            let mut headers = HeaderMap::new();
            headers.insert("date", HeaderValue::from_static("Sun, 06 Nov 1994 08:49:37 GMT"));
            for (name, value) in &lines {
                let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
                headers.append(name, HeaderValue::from_str(value).unwrap());
            }
            let entry = stored(headers, StatusCode::from_u16(status).unwrap());
            let edit = Edit::for_tests(
                vary.then(|| HeaderValue::from_static("Accept, User-Agent")),
                keeps_cookies,
            );
            let status = CacheStatus::hit(53);
            let expected = as_a_map(&entry, &edit, status);
            let body = Body::own(Bytes::new(), crate::proxy::record::Record::for_tests());
            let head = StoredHead::new(Arc::clone(&entry), Moment(5000), status, edit);
            let response = ClientResponse::stored(head, body);
            prop_assert_eq!(map(|take| response.each_field(take)), expected.clone());

            let written = str::from_utf8(response.written()).unwrap();
            prop_assert_eq!(written.is_empty(), entry.head.headers.keys().any(is_cookie));
            let found = map(|take| {
                for line in written.split_terminator("\r\n") {
                    let (name, value) = line.split_once(": ").unwrap();
                    take(&HeaderName::from_bytes(name.as_bytes()).unwrap(), value.as_bytes());
                }
                response.each_unwritten(take);
            });
            prop_assert_eq!(found, expected.clone());
            let response = response.into_response();
            prop_assert_eq!(response.headers(), &expected);
        }
    }
}
