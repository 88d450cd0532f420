//! `Cache-Control`: nothing that stands beside it hides a `no-store`, a
//! `private` or a `no-cache` from the cache, and nothing is fresh for longer
//! than it says.

use hyper::header::{CACHE_CONTROL, HeaderValue};
use hyper::{HeaderMap, Method, StatusCode};
use portcullis::cache::asked::{Asked, Covered};
use portcullis::cache::clock::{Clock, Moment};
use portcullis::cache::directives::RequestDirectives;
use portcullis::cache::encoding::Encodings;
use portcullis::cache::settings::CacheSettings;
use portcullis::cache::storable::assess;
use portcullis::images::Variant;
use portcullis::message::fields::Fields;

/// See the module.
pub fn check(data: &[u8]) {
    let Ok(value) = HeaderValue::from_bytes(data) else {
        return;
    };
    let joined = |front: &[u8], back: &[u8]| {
        HeaderValue::from_bytes(&[front, b", ", back].concat()).expect("both are values")
    };
    // It says that `no-store` is for those who do not know the status (RFC 9111
    // section 5.2.2.3).
    let understands = data.to_ascii_lowercase();
    let understands = has(&understands, b"must-understand");
    for forbidden in [b"no-store".as_slice(), b"private", b"NO-STORE", b"Private "] {
        if understands && forbidden.eq_ignore_ascii_case(b"no-store") {
            continue;
        }
        let own = HeaderValue::from_bytes(forbidden).expect("a value");
        let lines = [
            vec![joined(forbidden, data)],
            vec![joined(data, forbidden)],
            vec![value.clone(), own.clone()],
            vec![own, value.clone()],
        ];
        for lines in lines {
            assert!(!is_stored(&lines), "{lines:?}");
        }
    }
    for lines in [
        vec![joined(data, b"no-store")],
        vec![value.clone(), HeaderValue::from_static("no-store")],
    ] {
        assert!(asks_for_none(&lines), "{lines:?}");
    }
    // Both spans are there: the response is not fresh for longer than the larger.
    let lines = [joined(b"max-age=60, s-maxage=60", data)];
    if let Some(lifetime) = lifetime(&lines) {
        let said = largest_number(data).max(60);
        assert!(lifetime <= said, "{lines:?}: {lifetime}");
    }
}

fn has(text: &[u8], wanted: &[u8]) -> bool {
    text.windows(wanted.len()).any(|part| part == wanted)
}

fn fields(lines: &[HeaderValue]) -> HeaderMap {
    let mut fields = HeaderMap::new();
    for line in lines {
        fields.append(CACHE_CONTROL, line.clone());
    }
    fields
}

fn asks_for_none(lines: &[HeaderValue]) -> bool {
    RequestDirectives::of(&Fields::from(fields(lines))).no_store
}

fn is_stored(lines: &[HeaderValue]) -> bool {
    lifetime(lines).is_some()
}

/// For how long a response with that field is fresh, in seconds; `None`: it is
/// not stored.
fn lifetime(lines: &[HeaderValue]) -> Option<u64> {
    let none = Fields::default();
    let asked = Asked {
        method: &Method::GET,
        headers: &none,
        encodings: Encodings::default(),
        has_query: false,
        variant: Variant::Original,
        covered: Covered::default(),
        extension: None,
    };
    let now = Clock::start().now();
    let mut response = fields(lines);
    response.insert("etag", HeaderValue::from_static("\"a\""));
    let settings = CacheSettings::default();
    let head = assess(
        &asked,
        StatusCode::OK,
        &response,
        &settings,
        Moment(now.moment.0),
        now,
    );
    head.ok().map(|head| head.policy.lifetime / 1000)
}

fn largest_number(text: &[u8]) -> u64 {
    let numbers = text.split(|b| !b.is_ascii_digit());
    let numbers = numbers.filter(|digits| !digits.is_empty()).map(|digits| {
        let text = std::str::from_utf8(digits).expect("digits");
        text.parse().unwrap_or(u64::MAX)
    });
    numbers.max().unwrap_or(0)
}
