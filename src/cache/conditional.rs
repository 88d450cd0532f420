//! Conditional requests (RFC 9110 section 13), as far as a cache evaluates
//! them (RFC 9111 section 4.3.2).
//!
//! `If-Match` and `If-Unmodified-Since` are for the origin: a cache may ignore
//! them (RFC 9110 sections 13.1.1 and 13.1.4), and does.

use std::time::{Duration, SystemTime};

use hyper::HeaderMap;
use hyper::header::{DATE, ETAG, HeaderName, LAST_MODIFIED};

use super::range;
use crate::message::field::{Single, single, trim};
use crate::message::fields::{Fields, Name, Names};

/// The fields that ask for less than the whole response; a fill carries none
/// of its client's.
pub const CONDITIONAL: [Name; 6] = [
    Name::IF_MATCH,
    Name::IF_NONE_MATCH,
    Name::IF_MODIFIED_SINCE,
    Name::IF_UNMODIFIED_SINCE,
    Name::IF_RANGE,
    Name::RANGE,
];

/// How much later than `Last-Modified` a response must have been made for the
/// former to be a strong validator: then even two clocks that differ a little
/// say that it was not changed again within that second (RFC 9110 section
/// 8.8.2.2; RFC 7232 has the number).
const STRONG_AFTER: Duration = Duration::from_mins(1);

/// Whether a request has one of [`CONDITIONAL`].
pub fn is_conditional(request: &Fields) -> bool {
    const ANY: Names = Names::of(&CONDITIONAL);
    request.contains_any(ANY)
}

/// Whether a request that nothing stored answers goes to the origin as it is,
/// and fills nothing: with a precondition that only the origin evaluates, or
/// for ranges that do not begin with the first byte, or several of them.
pub fn passes_on(request: &Fields) -> bool {
    request.contains(Name::IF_MATCH)
        || request.contains(Name::IF_UNMODIFIED_SINCE)
        || range::is_for_origin(request)
}

/// Whether a GET or HEAD is answered 304 from a stored response of a 2xx
/// status (RFC 9110 section 13.2.2, steps 3 and 4). With `If-None-Match`,
/// `If-Modified-Since` is not looked at.
pub(super) fn is_not_modified(request: &Fields, stored: &HeaderMap) -> bool {
    if request.contains(Name::IF_NONE_MATCH) {
        return names_tag(request, stored);
    }
    request.contains(Name::IF_MODIFIED_SINCE) && !is_modified_since(request, stored)
}

/// Whether `Range` counts (RFC 9110 section 13.1.5): there is no `If-Range`,
/// or it is the strong validator of what is stored. Anything else in the field
/// is a condition that is not met.
pub(super) fn range_counts(request: &Fields, stored: &HeaderMap) -> bool {
    let asked = match request.single(Name::IF_RANGE) {
        Single::One(asked) => asked,
        Single::Missing => return !request.contains(Name::IF_RANGE),
        Single::Several => return false,
    };
    if is_strong_tag(asked) {
        return single(stored, &ETAG) == Single::One(asked);
    }
    let modified = date(stored, &LAST_MODIFIED);
    let strong = modified
        .zip(date(stored, &DATE))
        .is_some_and(|(modified, made)| made >= modified + STRONG_AFTER);
    strong && read_date(request.single(Name::IF_RANGE)) == modified
}

/// `If-None-Match`: `*`, or a list of tags of which one is the stored one by
/// the weak comparison (RFC 9110 section 13.1.2). `*` in a list is no tag.
fn names_tag(request: &Fields, stored: &HeaderMap) -> bool {
    if request.single(Name::IF_NONE_MATCH) == Single::One(b"*") {
        return true;
    }
    let Single::One(stored) = single(stored, &ETAG) else {
        return false;
    };
    let mut lines = request.lines(Name::IF_NONE_MATCH);
    lines.any(|line| Tags(line).any(|tag| opaque(tag) == opaque(stored)))
}

/// `If-Modified-Since` (RFC 9110 section 13.1.3), against `Last-Modified` or
/// else `Date` (RFC 9111 section 4.3.2). What cannot be read is no condition.
fn is_modified_since(request: &Fields, stored: &HeaderMap) -> bool {
    let modified = match stored.contains_key(LAST_MODIFIED) {
        true => date(stored, &LAST_MODIFIED),
        false => date(stored, &DATE),
    };
    let since = read_date(request.single(Name::IF_MODIFIED_SINCE));
    match (since, modified) {
        (Some(since), Some(modified)) => modified > since,
        (None, _) | (_, None) => true,
    }
}

/// The members of a list of entity tags, without the empty ones. Commas in
/// quotes part nothing; a member that is no entity tag stays as it is, and
/// equals only a stored one that is written the same.
struct Tags<'a>(&'a [u8]);

impl<'a> Iterator for Tags<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        while !self.0.is_empty() {
            let text = trim(self.0);
            let quoted = quoted_length(text);
            let comma = text[quoted..].iter().position(|byte| *byte == b',');
            let end = comma.map_or(text.len(), |comma| quoted + comma);
            self.0 = text.get(end + 1..).unwrap_or_default();
            if end > 0 {
                return Some(trim(&text[..end]));
            }
        }
        None
    }
}

/// How long the entity tag at the start of `text` is, up to its second quote
/// or the end; 0 if no tag begins there.
fn quoted_length(text: &[u8]) -> usize {
    let start = text.len() - opaque(text).len();
    match text[start..].split_first() {
        Some((b'"', inside)) => {
            let end = inside.iter().position(|byte| *byte == b'"');
            end.map_or(text.len(), |end| start + end + 2)
        }
        _ => 0,
    }
}

/// A tag without its mark of weakness: what the weak comparison compares (RFC
/// 9110 section 8.8.3.2).
fn opaque(tag: &[u8]) -> &[u8] {
    match tag {
        [b'W', b'/', opaque @ ..] if opaque.starts_with(b"\"") => opaque,
        _ => tag,
    }
}

/// Whether it is a strong entity tag, as RFC 9110 section 8.8.3 writes them.
fn is_strong_tag(text: &[u8]) -> bool {
    matches!(text, [b'"', inside @ .., b'"'] if !inside.contains(&b'"'))
}

/// The date in a field that stands there once; `None`: there is none, or it
/// is none of the three forms (RFC 9110 section 5.6.7).
fn read_date(field: Single<'_>) -> Option<SystemTime> {
    match field {
        Single::One(value) => httpdate::parse_http_date(str::from_utf8(value).ok()?).ok(),
        Single::Missing | Single::Several => None,
    }
}

fn date(stored: &HeaderMap, name: &HeaderName) -> Option<SystemTime> {
    read_date(single(stored, name))
}

#[cfg(test)]
mod tests;
