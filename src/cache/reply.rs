//! What of a stored response is sent to whoever asked: all of it, ranges of
//! it, or that they have it already.
//!
//! The same for a response that is being stored, as soon as its head is known.

use std::hash::BuildHasher as _;
use std::ops::Range;

use foldhash::quality::FixedState;
use hyper::header::{
    ACCEPT_RANGES, AGE, CACHE_CONTROL, CACHE_STATUS, CONTENT_ENCODING, CONTENT_LANGUAGE,
    CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, DATE, ETAG, HeaderName, HeaderValue,
    LAST_MODIFIED, SERVER, STRICT_TRANSPORT_SECURITY, VARY, VIA,
};
use hyper::{HeaderMap, Method, StatusCode};

use super::asked::Asked;
use super::clock::Moment;
use super::conditional::{is_conditional, is_not_modified, range_counts};
use super::entry::Head;
use super::multipart::{Boundary, Parts, content_range};
use super::policy::Policy;
use super::range::{Selection, select};
use super::status::CacheStatus;
use crate::message::decimal::Digits;
use crate::message::fields::Name;

/// What is sent.
#[derive(Clone, Debug)]
pub struct Reply {
    /// Its status.
    pub status: StatusCode,
    /// Its fields.
    pub headers: HeaderMap,
    /// Its body.
    pub content: Content,
}

/// Which bytes of the stored body are sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// None.
    Nothing,
    /// All.
    Whole,
    /// One range.
    Piece(Range<u64>),
    /// Several, each in a part of its own.
    Pieces(Parts),
}

/// What a 304 does not have: it is about a body. RFC 9110 section 15.4.5 names
/// what it has of that all the same: Content-Location, ETag, and Last-Modified
/// where there is no ETag.
const ABOUT_BODIES: [HeaderName; 10] = [
    CONTENT_TYPE,
    CONTENT_ENCODING,
    CONTENT_LANGUAGE,
    CONTENT_LENGTH,
    CONTENT_RANGE,
    ACCEPT_RANGES,
    HeaderName::from_static("content-md5"),
    HeaderName::from_static("content-digest"),
    HeaderName::from_static("repr-digest"),
    HeaderName::from_static("digest"),
];

/// Digests of what is sent (RFC 9530 section 2), which are wrong for a part.
const ABOUT_ALL: [HeaderName; 2] = [
    HeaderName::from_static("content-md5"),
    HeaderName::from_static("content-digest"),
];

/// What a 416 keeps beside `Access-Control-*` and `Cross-Origin-*`. Nothing in
/// it may lead anybody to store it.
const KEPT_UNSATISFIED: [HeaderName; 6] = [
    DATE,
    VARY,
    SERVER,
    VIA,
    STRICT_TRANSPORT_SECURITY,
    CACHE_STATUS,
];

/// The largest Age (RFC 9111 section 1.2.2), in seconds.
const OLDEST: u64 = 1 << 31;

/// What is sent of a stored response to a request that it fits, or of one that
/// is being stored.
///
/// `length` is the body's; `None`: it is being stored, and its length is not
/// known yet. Then no Content-Length is sent, and Range is ignored, for a
/// Content-Range must tell where it ends. `secret` is for the boundary of
/// several ranges, and nothing that the author of a body could know: the
/// store's keyed hash will do.
///
/// The commonest case, a GET for all of it, costs three lookups in the request,
/// a copy of the stored fields, and an allocation each for Age, Cache-Status,
/// and, where [`complete`] has not put it there, Content-Length.
pub fn reply(
    asked: &Asked<'_>,
    head: &Head,
    length: Option<u64>,
    now: Moment,
    status: CacheStatus,
    secret: u64,
) -> Reply {
    let stored = &head.headers;
    let mut reply = if head.status.is_success() && is_not_modified(asked.headers, stored) {
        not_modified(stored)
    } else {
        match (selected(asked, head, length), length) {
            (Selection::Ranges(ranges), Some(length)) => match &ranges[..] {
                [range] => piece(stored, range, length),
                ranges => pieces(stored, ranges, length, Boundary::new(halves(secret, now))),
            },
            (Selection::Unsatisfiable, Some(length)) => unsatisfiable(stored, length),
            _ => whole(asked, head, length),
        }
    };
    stamp(&mut reply.headers, &head.policy, now, status);
    reply
}

/// Whether a request that a stored response fits gets all of it, whatever it
/// says.
pub fn is_whole(asked: &Asked<'_>) -> bool {
    !is_conditional(asked.headers)
}

/// The fields that [`reply`] adds for such a request to the stored ones, or
/// sets anew, one after the other. `length` is the body's.
pub fn added_fields(
    head: &Head,
    length: u64,
    now: Moment,
    status: &CacheStatus,
    mut take: impl FnMut(&HeaderName, &[u8]),
) {
    if !has_no_content(head.status) {
        take(&CONTENT_LENGTH, Digits::of(length).as_bytes());
    }
    if let Some(age) = age(&head.policy, now, status) {
        take(&AGE, Digits::of(age).as_bytes());
    }
    take(&CACHE_STATUS, &status.text());
}

/// Puts into the stored fields, once, what every answer has when the length
/// of the body is known: Content-Length, and that a 200 has ranges, unless
/// the origin said something about that.
pub fn complete(head: &mut Head, length: u64) {
    set_length(&mut head.headers, head.status, Some(length));
    if head.status == StatusCode::OK && !head.headers.contains_key(ACCEPT_RANGES) {
        let bytes = HeaderValue::from_static("bytes");
        head.headers.insert(ACCEPT_RANGES, bytes);
    }
}

/// Range is for GET and for what would be a 200 (RFC 9110 section 14.2).
fn selected(asked: &Asked<'_>, head: &Head, length: Option<u64>) -> Selection {
    let request = asked.headers;
    match length {
        Some(length)
            if request.contains(Name::RANGE)
                && *asked.method == Method::GET
                && head.status == StatusCode::OK
                && range_counts(request, &head.headers) =>
        {
            select(request, length)
        }
        _ => Selection::Whole,
    }
}

fn whole(asked: &Asked<'_>, head: &Head, length: Option<u64>) -> Reply {
    let mut headers = head.headers.clone();
    set_length(&mut headers, head.status, length);
    let nothing = asked.is_head() || has_no_content(head.status);
    Reply {
        status: head.status,
        headers,
        content: if nothing {
            Content::Nothing
        } else {
            Content::Whole
        },
    }
}

/// A 304 has what a cache or client updates what it stored with (RFC 9110
/// section 15.4.5).
fn not_modified(stored: &HeaderMap) -> Reply {
    let has_tag = stored.contains_key(ETAG);
    let kept = |name: &HeaderName| match name {
        &LAST_MODIFIED => !has_tag,
        _ => !ABOUT_BODIES.contains(name),
    };
    Reply {
        status: StatusCode::NOT_MODIFIED,
        headers: copy(stored, kept),
        content: Content::Nothing,
    }
}

/// A 416 tells how long the body is (RFC 9110 section 15.5.17).
fn unsatisfiable(stored: &HeaderMap, length: u64) -> Reply {
    let kept = |name: &HeaderName| {
        let text = name.as_str();
        KEPT_UNSATISFIED.contains(name)
            || text.starts_with("access-control-")
            || text.starts_with("cross-origin-")
    };
    let mut headers = copy(stored, kept);
    let range = [b"bytes */", Digits::of(length).as_bytes()].concat();
    headers.insert(CONTENT_RANGE, value(&range));
    headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Reply {
        status: StatusCode::RANGE_NOT_SATISFIABLE,
        headers,
        content: Content::Nothing,
    }
}

/// A 206 with one range (RFC 9110 section 15.3.7.1). It has all fields of the
/// 200, beside `If-Range` too, as other servers have it: there are clients that
/// forget what they knew.
fn piece(stored: &HeaderMap, range: &Range<u64>, length: u64) -> Reply {
    let mut headers = copy(stored, |name| !ABOUT_ALL.contains(name));
    headers.insert(CONTENT_RANGE, value(&content_range(range, length)));
    let sent = Digits::of(range.end - range.start);
    headers.insert(CONTENT_LENGTH, sent.into());
    Reply {
        status: StatusCode::PARTIAL_CONTENT,
        headers,
        content: Content::Piece(range.clone()),
    }
}

/// A 206 with several: each part says where it is from, and the head must not
/// (RFC 9110 section 15.3.7.2).
fn pieces(stored: &HeaderMap, ranges: &[Range<u64>], length: u64, boundary: Boundary) -> Reply {
    let parts = Parts::new(boundary, stored.get(CONTENT_TYPE), ranges, length);
    let kept = |name: &HeaderName| !ABOUT_ALL.contains(name) && *name != CONTENT_RANGE;
    let mut headers = copy(stored, kept);
    headers.insert(CONTENT_TYPE, boundary.content_type());
    headers.insert(CONTENT_LENGTH, Digits::of(parts.length()).into());
    Reply {
        status: StatusCode::PARTIAL_CONTENT,
        headers,
        content: Content::Pieces(parts),
    }
}

/// Age and Cache-Status. A response that the origin was asked for has an Age
/// only if it has aged: the field says that it was not made for this request
/// (RFC 9111 section 5.1).
fn stamp(headers: &mut HeaderMap, policy: &Policy, now: Moment, status: CacheStatus) {
    if let Some(age) = age(policy, now, &status) {
        headers.insert(AGE, Digits::of(age).into());
    }
    status.append_to(headers);
}

/// The Age, in seconds, if there is to be one.
fn age(policy: &Policy, now: Moment, status: &CacheStatus) -> Option<u64> {
    let millis = policy
        .initial_age
        .saturating_add(now.since(policy.received));
    let age = (millis / 1000).min(OLDEST);
    (status.is_hit() || age > 0).then_some(age)
}

/// The length of the whole body, where it is not there yet.
fn set_length(headers: &mut HeaderMap, status: StatusCode, length: Option<u64>) {
    let Some(length) = length.filter(|_| !has_no_content(status)) else {
        headers.remove(CONTENT_LENGTH);
        return;
    };
    let digits = Digits::of(length);
    let there = headers.get(CONTENT_LENGTH).map(HeaderValue::as_bytes);
    if there != Some(digits.as_bytes()) {
        headers.insert(CONTENT_LENGTH, digits.into());
    }
}

/// Statuses whose responses end with their head, and have no length (RFC 9110
/// section 8.6).
pub fn has_no_content(status: StatusCode) -> bool {
    status == StatusCode::NO_CONTENT || status == StatusCode::NOT_MODIFIED
}

fn copy(stored: &HeaderMap, kept: impl Fn(&HeaderName) -> bool) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(stored.len() + 4);
    for (name, value) in stored.iter().filter(|(name, _)| kept(name)) {
        headers.append(name, value.clone());
    }
    headers
}

fn value(text: &[u8]) -> HeaderValue {
    HeaderValue::from_bytes(text).expect("printable ASCII")
}

/// Two numbers for a boundary that is another one every millisecond.
fn halves(secret: u64, now: Moment) -> [u64; 2] {
    let hasher = FixedState::with_seed(secret);
    [0_u8, 1].map(|half| hasher.hash_one((now.0, half)))
}

#[cfg(test)]
mod tests;
