use std::sync::Arc;

use bytes::Bytes;
use hyper::{Method, Version};
use proptest::prelude::*;
use smallvec::smallvec;

use super::passed::is_plain;
use super::*;
use crate::cache::asked::{Asked, Covered};
use crate::cache::budget::Budget;
use crate::cache::clock::Moment;
use crate::cache::encoding::Encodings;
use crate::cache::entry::{self, Entry, StoredBody, Variants};
use crate::cache::policy::Policy;
use crate::cache::reply::{complete, reply};
use crate::cache::status::{CacheStatus, Reason};
use crate::cache::storable::{is_cookie, remove_cookies};
use crate::cache::vary::Form;
use crate::images::Variant;
use crate::message::fields::Fields;
use crate::origin::ReceivedHead;
use crate::proxy::framing;
use crate::proxy::instance::Instance;
use crate::proxy::respond::{Edit, pass_on};

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

/// As widely used servers answer.
#[test]
fn what_is_plain() {
    for (fields, expected) in [
        (
            &[("connection", "keep-alive"), ("keep-alive", "timeout=5")][..],
            true,
        ),
        (
            &[("connection", "close"), ("keep-alive", "timeout=5")],
            true,
        ),
        (&[("connection", "close"), ("close", "1")], false),
        (&[("connection", "keep-alive, x-a"), ("x-a", "1")], false),
        (&[("transfer-encoding", "chunked")], false),
        (&[("content-length", "18446744073709551616")], false),
        (&[("content-length", "5"), ("content-length", "5")], false),
    ] {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, HeaderValue::from_static(value));
        }
        assert_eq!(is_plain(&Fields::from(&headers)), expected, "{fields:?}");
    }
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
            response.each_other(take);
        });
        prop_assert_eq!(found, expected.clone());
        let response = response.into_response();
        prop_assert_eq!(response.headers(), &expected);
    }

    /// A response that is passed on without a map is the one that was
    /// made of a map.
    #[test]
    fn two_ways_to_pass_on(
        lines in proptest::collection::vec(
            (
                "date|vary|set-cookie|content-length|connection|keep-alive|via|alt-svc|te|x-[a-c]\
                 |cache-status|proxy-authenticate|upgrade|close|trailer",
                "[ -~]{0,8}|Accept|\\*|[0-9]{1,3}|[0-9]{18,21}|keep-alive|close",
            ),
            0..9,
        ),
        keeps_cookies: bool,
        vary: bool,
        at_cache: bool,
    ) {
        let mut headers = HeaderMap::new();
        for (name, value) in &lines {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            headers.append(name, HeaderValue::from_str(value.trim()).unwrap());
        }
        let fields = Fields::from(&headers);
        prop_assume!(is_plain(&fields));
        let instance = Instance::new().unwrap();
        let cache = at_cache.then(|| CacheStatus::forwarded(Reason::Bypass));
        let edit = Edit::for_tests(
            vary.then(|| HeaderValue::from_static("Accept, User-Agent")),
            keeps_cookies,
        );
        let (mut expected, ()) = Response::new(()).into_parts();
        expected.headers = headers;
        framing::settle(StatusCode::OK, &mut expected.headers);
        pass_on(&mut expected, &instance);
        if let Some(status) = cache {
            status.append_to(&mut expected.headers);
        }
        edit.apply(&mut expected.headers);
        let head = PassedHead {
            received: Box::new(ReceivedHead {
                status: StatusCode::OK,
                version: Version::HTTP_11,
                reason: None,
                fields,
            }),
            version: Version::HTTP_11,
            via: instance.via(Version::HTTP_11).clone(),
            cache,
            edit,
        };
        prop_assert_eq!(map(|take| head.each_field(take)), expected.headers);
    }
}
