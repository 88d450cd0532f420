//! Validation (RFC 9111 section 4.3): what is asked of the origin, and what
//! its answer makes of the stored response.

use hyper::HeaderMap;
use hyper::header::{self, HeaderName, HeaderValue};

use super::asked::Asked;
use super::clock::{Moment, Now};
use super::entry::Head;
use super::freshness::date;
use super::settings::CacheSettings;
use super::storable::judge;
use crate::message::connection;
use crate::message::field::trim;
use crate::message::lines::Lines;

/// Fields that say what the stored bytes are: a newer response does not
/// change the bytes (RFC 9111 section 3.2).
const OF_THE_BODY: [HeaderName; 4] = [
    header::CONTENT_ENCODING,
    header::CONTENT_LENGTH,
    HeaderName::from_static("content-md5"),
    header::CONTENT_RANGE,
];

/// How many field lines, and bytes in them, a stored head may come to have by
/// newer responses, each of which may add some: no origin sends as many in one.
const MOST_LINES: usize = 200;
const MOST_BYTES: usize = 512 * 1024;

/// Makes a request conditional on the validators of a stored response (RFC
/// 9111 section 4.3.1): If-None-Match where it has an entity tag, and
/// If-Modified-Since where it has a Last-Modified. False: it has neither, and
/// nothing was added.
pub fn add_conditions(stored: &HeaderMap, request: &mut Lines) -> bool {
    let modified = last_modified(stored);
    let conditions = [
        (header::IF_NONE_MATCH, entity_tag(stored)),
        (header::IF_MODIFIED_SINCE, modified),
    ];
    let mut added = false;
    for (name, value) in conditions {
        if let Some(value) = value {
            request.push(&name, value);
            added = true;
        }
    }
    added
}

/// Whether a stored response can be validated.
pub(super) fn has_validator(headers: &HeaderMap) -> bool {
    entity_tag(headers).is_some() || last_modified(headers).is_some()
}

/// What a 304 makes of the stored response that it was asked about (RFC 9111
/// section 4.3.4). `None`: it is about another response, or what it makes may
/// not be stored; then the stored one is no longer of use, and the origin is
/// asked without conditions.
///
/// A 304 without a validator is taken to be about the one response whose
/// validators were sent.
pub fn freshen(
    stored: &Head,
    not_modified: &HeaderMap,
    asked: &Asked<'_>,
    settings: &CacheSettings,
    requested: Moment,
    now: Now,
) -> Option<Head> {
    if !stored.status.is_success() || !is_about(&stored.headers, not_modified) {
        return None;
    }
    update(stored, not_modified, asked, settings, requested, now)
}

/// What a 200 to a HEAD makes of a stored response (RFC 9111 section 4.3.5).
/// `None`: nothing. Section 9 is stricter: it takes a validator that matches,
/// and what is stored never loses by it.
pub fn freshen_by_head(
    stored: &Head,
    response: &HeaderMap,
    asked: &Asked<'_>,
    settings: &CacheSettings,
    requested: Moment,
    now: Now,
) -> Option<Head> {
    let kept = &stored.headers;
    let same =
        |name: &HeaderName| !response.contains_key(name) || response.get(name) == kept.get(name);
    let proven =
        response.contains_key(header::ETAG) || response.contains_key(header::LAST_MODIFIED);
    let names = [header::ETAG, header::LAST_MODIFIED, header::CONTENT_LENGTH];
    if !stored.status.is_success() || !proven || !names.iter().all(same) {
        return None;
    }
    let head = update(stored, response, asked, settings, requested, now)?;
    let moment = now.moment;
    let gains = head.policy.ttl(moment) >= stored.policy.ttl(moment);
    (gains && (stored.policy.no_cache || !head.policy.no_cache)).then_some(head)
}

/// The stored head with a newer response's fields (RFC 9111 section 3.2),
/// judged anew.
fn update(
    stored: &Head,
    newer: &HeaderMap,
    asked: &Asked<'_>,
    settings: &CacheSettings,
    requested: Moment,
    now: Now,
) -> Option<Head> {
    let headers = merge(&stored.headers, newer);
    if is_overgrown(&headers) {
        return None;
    }
    let head = judge(asked, stored.status, headers, settings, requested, now).ok()?;
    (head.variant == stored.variant).then_some(head)
}

/// Every field of the newer response replaces the stored lines of its name.
fn merge(stored: &HeaderMap, newer: &HeaderMap) -> HeaderMap {
    let mut newer = newer.clone();
    connection::remove_named_in_response(&mut newer);
    connection::remove_hop_by_hop(&mut newer);
    OF_THE_BODY.iter().for_each(|name| drop(newer.remove(name)));
    if is_weak_twin(stored, &newer) {
        newer.remove(header::ETAG);
    }
    let mut merged = stored.clone();
    // The stored Date is not the newer response's, whether or not it has one.
    merged.remove(header::DATE);
    for name in newer.keys() {
        merged.remove(name);
        for line in newer.get_all(name) {
            merged.append(name, line.clone());
        }
    }
    merged
}

/// Whether it is more than a head: then the whole response is fetched anew.
fn is_overgrown(headers: &HeaderMap) -> bool {
    let length = |(name, value): (&HeaderName, &HeaderValue)| name.as_str().len() + value.len();
    headers.len() > MOST_LINES || headers.iter().map(length).sum::<usize>() > MOST_BYTES
}

/// Whether a newer response is about the stored one: by its entity tag, else
/// by its Last-Modified (RFC 9111 section 4.3.4).
fn is_about(stored: &HeaderMap, newer: &HeaderMap) -> bool {
    match entity_tag(newer) {
        Some(tag) => entity_tag(stored).is_some_and(|stored| opaque(stored) == opaque(tag)),
        None => match (newer.get(header::LAST_MODIFIED), last_modified(stored)) {
            (None, _) => true,
            (Some(newer), Some(stored)) => newer == stored,
            (Some(_), None) => false,
        },
    }
}

/// Whether the newer entity tag is the stored one but for its weakness, as of
/// servers that weaken the tag when they compress: then the stored one stays,
/// since it is about the stored bytes.
fn is_weak_twin(stored: &HeaderMap, newer: &HeaderMap) -> bool {
    match (entity_tag(stored), entity_tag(newer)) {
        (Some(stored), Some(newer)) => stored != newer && opaque(stored) == opaque(newer),
        _ => false,
    }
}

fn entity_tag(headers: &HeaderMap) -> Option<&HeaderValue> {
    headers
        .get(header::ETAG)
        .filter(|tag| !trim(tag.as_bytes()).is_empty())
}

/// A Last-Modified that is a date: no other may be sent (RFC 9110 section
/// 13.1.3).
fn last_modified(headers: &HeaderMap) -> Option<&HeaderValue> {
    date(headers, &header::LAST_MODIFIED)?;
    headers.get(header::LAST_MODIFIED)
}

/// What entity tags are compared by where weakness does not count (RFC 9110
/// section 8.8.3.2).
fn opaque(tag: &HeaderValue) -> &[u8] {
    let tag = trim(tag.as_bytes());
    tag.strip_prefix(b"W/").unwrap_or(tag)
}

#[cfg(test)]
mod tests {
    use hyper::StatusCode;

    use super::*;
    use crate::cache::clock::Date;
    use crate::cache::fixture::{Fields, NOW, Request, at, headers, later, stored};
    use crate::images::Variant;

    const TAG: (&str, &str) = ("etag", "\"a\"");
    const FRESH: (&str, &str) = ("cache-control", "max-age=2");

    /// Five seconds after the response came.
    const THEN: Now = Now {
        moment: Moment(NOW.moment.0 + 5000),
        date: Date(NOW.date.0 + 5),
    };

    fn freshened(stored: &Head, fields: Fields<'_>) -> Option<Head> {
        let request = Request::get(&[]);
        let settings = CacheSettings::default();
        let newer = headers(fields);
        freshen(
            stored,
            &newer,
            &request.asked(),
            &settings,
            THEN.moment,
            THEN,
        )
    }

    #[test]
    fn conditions() {
        let modified = at(-60);
        for (stored, expected) in [
            (&[][..], (None, None)),
            (&[TAG], (Some("\"a\""), None)),
            (&[("etag", "W/\"a\"")], (Some("W/\"a\""), None)),
            (&[("last-modified", &*modified)], (None, Some(&*modified))),
            (
                &[TAG, ("last-modified", &modified)],
                (Some("\"a\""), Some(&modified)),
            ),
            (&[("etag", ""), ("last-modified", "0")], (None, None)),
        ] {
            let mut lines = Lines::default();
            let added = add_conditions(&headers(stored), &mut lines);
            let mut request = HeaderMap::new();
            lines.add_to(&mut request);
            let text = |name| {
                request
                    .get(name)
                    .map(|value: &HeaderValue| value.to_str().unwrap())
            };
            let found = (text("if-none-match"), text("if-modified-since"));
            assert_eq!(found, expected, "{stored:?}");
            assert_eq!(added, expected != (None, None));
        }
    }

    #[test]
    fn which_304_is_about_the_stored_response() {
        let (one, two) = (at(-60), at(-30));
        let (one, two) = (("last-modified", &*one), ("last-modified", &*two));
        let weak = ("etag", "W/\"a\"");
        let other = ("etag", "\"b\"");
        for (kept, newer, expected) in [
            (&[TAG][..], &[TAG][..], true),
            (&[TAG], &[other], false),
            (&[TAG], &[], true),
            (&[TAG], &[one], false),
            (&[TAG, one], &[TAG, two], true),
            (&[TAG, one], &[one], true),
            (&[TAG, one], &[two], false),
            (&[one], &[one], true),
            (&[one], &[two], false),
            (&[one], &[TAG, one], false),
            (&[weak], &[weak], true),
            (&[weak], &[TAG], true),
            (&[weak], &[other], false),
        ] {
            let kept = stored(&[&[FRESH], kept].concat()).unwrap();
            assert_eq!(
                freshened(&kept, newer).is_some(),
                expected,
                "{kept:?} {newer:?}"
            );
        }
        let missing = Head {
            status: StatusCode::NOT_FOUND,
            ..stored(&[FRESH, TAG]).unwrap()
        };
        assert!(freshened(&missing, &[TAG]).is_none());
    }

    #[test]
    fn fields_of_the_304_replace_the_stored_ones() {
        let date = at(3);
        let kept = stored(&[
            FRESH,
            TAG,
            ("a", "1"),
            ("a", "2"),
            ("b", "1"),
            ("content-encoding", "gzip"),
            ("content-length", "36"),
            ("content-type", "text/plain"),
        ])
        .unwrap();
        let head = freshened(
            &kept,
            &[
                TAG,
                ("cache-control", "max-age=60"),
                ("date", &date),
                ("age", "4"),
                ("a", "3"),
                ("c", "1"),
                ("c", "2"),
                ("connection", "d"),
                ("d", "1"),
                ("content-encoding", "br"),
                ("content-length", "10"),
                ("content-type", "text/html"),
                ("keep-alive", "1"),
            ],
        )
        .unwrap();
        let expected = headers(&[
            ("etag", "\"a\""),
            ("a", "3"),
            ("b", "1"),
            ("c", "1"),
            ("c", "2"),
            ("cache-control", "max-age=60"),
            ("content-encoding", "gzip"),
            ("content-length", "36"),
            ("content-type", "text/html"),
            ("date", &date),
        ]);
        assert_eq!(head.headers, expected);
        assert_eq!(head.policy.received, THEN.moment);
        assert_eq!(
            (head.policy.initial_age, head.policy.lifetime),
            (4000, 60_000)
        );
    }

    #[test]
    fn a_304_without_a_date_came_now() {
        let head = freshened(&stored(&[FRESH, TAG]).unwrap(), &[]).unwrap();
        assert_eq!(head.headers["date"], at(5));
        assert_eq!(head.policy.ttl(THEN.moment), 2000);
    }

    #[test]
    fn a_weak_tag_stays_with_the_bytes_that_it_is_about() {
        let kept = stored(&[FRESH, ("etag", "W/\"a\"")]).unwrap();
        assert_eq!(freshened(&kept, &[TAG]).unwrap().headers["etag"], "W/\"a\"");
    }

    #[test]
    fn a_304_may_end_it() {
        let kept = stored(&[FRESH, TAG]).unwrap();
        for control in ["no-store", "private, max-age=9"] {
            assert!(freshened(&kept, &[("cache-control", control)]).is_none());
        }
        assert!(freshened(&kept, &[("vary", "*")]).is_none());
    }

    #[test]
    fn it_serves_who_asked_last_and_its_own_variant() {
        let fields = [FRESH, TAG, ("content-type", "image/jpeg")];
        let settings = CacheSettings::default();
        let webp = Request::image(Variant::WebP, "jpg");
        let original = Request::image(Variant::Original, "jpg");
        let kept = webp.gets(200, &fields, &settings).unwrap();
        let update = |request: &Request, newer: Fields<'_>| {
            let newer = headers(newer);
            freshen(
                &kept,
                &newer,
                &request.asked(),
                &settings,
                THEN.moment,
                THEN,
            )
        };
        let head = update(&original, &[]).unwrap();
        assert!(!head.serves.contains(Variant::WebP) && head.serves.contains(Variant::Original));
        let head = update(&webp, &[]).unwrap();
        assert!(head.serves.contains(Variant::WebP) && head.serves.contains(Variant::Original));
        assert!(update(&webp, &[("content-type", "image/webp")]).is_none());
    }

    #[test]
    fn by_head() {
        let length = ("content-length", "36");
        let kept = stored(&[FRESH, TAG, length, ("a", "1"), ("b", "1")]).unwrap();
        let more = ("cache-control", "max-age=60");
        let request = Request {
            method: hyper::Method::HEAD,
            ..Request::get(&[])
        };
        let update = |fields: Fields<'_>| {
            let (settings, newer) = (CacheSettings::default(), headers(fields));
            freshen_by_head(
                &kept,
                &newer,
                &request.asked(),
                &settings,
                THEN.moment,
                THEN,
            )
        };
        let head = update(&[TAG, length, more, ("a", "2")]).unwrap();
        assert_eq!(head.headers["a"], "2");
        assert_eq!(head.headers["b"], "1");
        assert_eq!(head.policy.ttl(later(5000)), 60_000);
        assert!(update(&[TAG, more]).is_some());
        for unfit in [
            &[length, more][..],
            &[("etag", "\"b\""), length, more],
            &[TAG, ("content-length", "35"), more],
            &[TAG, ("last-modified", &at(-5)), more],
            &[TAG, length, ("cache-control", "no-cache")],
            &[TAG, length, ("cache-control", "no-store")],
            &[TAG, length, ("cache-control", "max-age=0"), ("age", "9999")],
        ] {
            assert!(update(unfit).is_none(), "{unfit:?}");
        }
    }
}
