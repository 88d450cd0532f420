mod steps;

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::cache::asked::Covered;
use crate::cache::encoding::Encodings;
use crate::cache::entry::Variants;
use crate::cache::status::Reason;
use crate::cache::vary::Form;
use crate::images::Variant;

type Fields<'a> = &'a [(&'static str, &'a str)];

const EARLY: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
const LATE: &str = "Sun, 06 Nov 1994 08:50:37 GMT";

/// A 200 of ten bytes with all that matters.
const STORED: Fields<'_> = &[
    ("date", LATE),
    ("etag", "\"a\""),
    ("last-modified", EARLY),
    ("content-type", "text/plain"),
    ("content-length", "10"),
    ("content-encoding", "br"),
    ("content-range", "bytes 0-9/99"),
    ("content-digest", "sha-256=:AA==:"),
    ("content-location", "/b"),
    ("content-security-policy", "default-src 'self'"),
    ("cache-control", "max-age=60"),
    ("expires", LATE),
    ("vary", "accept"),
    ("set-cookie", "a=b"),
    ("access-control-allow-origin", "*"),
    ("cache-status", "shield; hit"),
    ("surrogate-control", "max-age=9"),
];

fn map(fields: Fields<'_>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        headers.append(*name, HeaderValue::from_str(value).unwrap());
    }
    headers
}

fn head(status: u16, fields: Fields<'_>) -> Head {
    Head {
        status: StatusCode::from_u16(status).unwrap(),
        headers: map(fields),
        lines: Bytes::new(),
        policy: Policy {
            received: Moment(5_000),
            initial_age: 2_500,
            lifetime: 60_000,
            ..Policy::default()
        },
        form: Form::default(),
        variant: Variant::Original,
        serves: Variants::default().with(Variant::Original),
    }
}

fn replied(method: &Method, fields: Fields<'_>, head: &Head, length: Option<u64>) -> Reply {
    let headers = map(fields).into();
    let asked = Asked {
        method,
        headers: &headers,
        encodings: Encodings::default(),
        has_query: false,
        variant: Variant::Original,
        covered: Covered::default(),
        extension: None,
    };
    reply(&asked, head, length, Moment(9_400), CacheStatus::hit(53), 7)
}

fn get(fields: Fields<'_>, head: &Head) -> Reply {
    replied(&Method::GET, fields, head, Some(10))
}

fn lines(headers: &HeaderMap, name: &str) -> Vec<String> {
    let lines = headers.get_all(name).iter();
    lines
        .map(|line| line.to_str().unwrap().to_owned())
        .collect()
}

#[test]
fn all_of_it() {
    let head = head(200, STORED);
    let reply = get(&[("accept", "*/*")], &head);
    assert_eq!(
        (reply.status, reply.content),
        (StatusCode::OK, Content::Whole)
    );
    assert_eq!(lines(&reply.headers, "age"), ["6"]);
    assert_eq!(
        lines(&reply.headers, "cache-status"),
        ["shield; hit", "portcullis; hit; ttl=53"]
    );
    let mut rest = reply.headers;
    rest.remove("age");
    rest.insert("cache-status", "shield; hit".parse().unwrap());
    assert_eq!(rest, head.headers);
}

#[test]
fn lengths() {
    let plain: Fields<'_> = &[("content-type", "a/b")];
    let wrong: Fields<'_> = &[("content-length", "9")];
    for (method, status, stored, length, expected, content) in [
        (
            Method::GET,
            200,
            plain,
            Some(10),
            &["10"][..],
            Content::Whole,
        ),
        (Method::GET, 200, wrong, Some(10), &["10"], Content::Whole),
        (Method::GET, 200, plain, Some(0), &["0"], Content::Whole),
        (Method::GET, 404, plain, Some(10), &["10"], Content::Whole),
        (Method::GET, 200, plain, None, &[], Content::Whole),
        (Method::GET, 200, wrong, None, &[], Content::Whole),
        (
            Method::HEAD,
            200,
            plain,
            Some(10),
            &["10"],
            Content::Nothing,
        ),
        (Method::HEAD, 200, plain, None, &[], Content::Nothing),
        (Method::GET, 204, plain, Some(0), &[], Content::Nothing),
        (Method::GET, 204, wrong, None, &[], Content::Nothing),
    ] {
        let reply = replied(&method, &[], &head(status, stored), length);
        let found = lines(&reply.headers, "content-length");
        assert_eq!(found, expected, "{method} {status} {stored:?} {length:?}");
        assert_eq!(reply.content, content, "{method} {status} {length:?}");
        assert_eq!(reply.status, status);
    }
}

#[test]
fn what_is_completed_once_is_as_it_is_answered() {
    for (status, fields, ranges, length) in [
        (200, &[][..], &["bytes"][..], &["10"][..]),
        (200, &[("accept-ranges", "none")], &["none"], &["10"]),
        (200, &[("content-length", "10")], &["bytes"], &["10"]),
        (404, &[], &[], &["10"]),
        (204, &[], &[], &[]),
    ] {
        let mut head = head(status, fields);
        complete(&mut head, 10);
        assert_eq!(lines(&head.headers, "accept-ranges"), ranges);
        assert_eq!(lines(&head.headers, "content-length"), length);
        let mut reply = get(&[], &head).headers;
        reply.remove("age");
        reply.remove("cache-status");
        assert_eq!(reply, head.headers);
    }
}

#[test]
fn ages() {
    let forwarded = CacheStatus::forwarded(Reason::Miss);
    for (received, initial, now, status, expected) in [
        (0, 0, 0, CacheStatus::hit(1), &["0"][..]),
        (0, 0, 999, CacheStatus::hit(1), &["0"]),
        (0, 1, 999, CacheStatus::hit(1), &["1"]),
        (9, 0, 0, CacheStatus::hit(1), &["0"]),
        (0, u64::MAX, u64::MAX, CacheStatus::hit(1), &["2147483648"]),
        (0, 0, 999, forwarded, &[]),
        (0, 30_000, 0, forwarded, &["30"]),
    ] {
        let policy = Policy {
            received: Moment(received),
            initial_age: initial,
            ..Policy::default()
        };
        let mut headers = HeaderMap::new();
        stamp(&mut headers, &policy, Moment(now), status);
        assert_eq!(
            lines(&headers, "age"),
            expected,
            "{received} {initial} {now}"
        );
    }
}

#[test]
fn not_modified_has_what_a_client_updates_with() {
    for (method, condition) in [
        (Method::GET, ("if-none-match", "\"a\"")),
        (Method::HEAD, ("if-none-match", "*")),
        (Method::GET, ("if-modified-since", LATE)),
    ] {
        // Range is not looked at any more.
        let fields = [condition, ("range", "bytes=0-1")];
        let reply = replied(&method, &fields, &head(200, STORED), Some(10));
        assert_eq!(reply.status, StatusCode::NOT_MODIFIED);
        assert_eq!(reply.content, Content::Nothing);
        let mut names: Vec<_> = reply.headers.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(
            names,
            [
                "access-control-allow-origin",
                "age",
                "cache-control",
                "cache-status",
                "content-location",
                "content-security-policy",
                "date",
                "etag",
                "expires",
                "set-cookie",
                "surrogate-control",
                "vary",
            ]
        );
        assert_eq!(lines(&reply.headers, "cache-status").len(), 2);
    }
    // Without an ETag, Last-Modified is what a client's copy is found by.
    let dated = head(200, &[("last-modified", EARLY)]);
    let reply = get(&[("if-modified-since", EARLY)], &dated);
    assert_eq!(reply.status, StatusCode::NOT_MODIFIED);
    assert_eq!(lines(&reply.headers, "last-modified"), [EARLY]);
}

#[test]
fn conditions_are_for_2xx_and_ranges_for_get_and_200() {
    let condition: Fields<'_> = &[("if-none-match", "*")];
    let range: Fields<'_> = &[("range", "bytes=0-1")];
    for (method, status, request, expected) in [
        (Method::GET, 200, condition, 304),
        (Method::GET, 203, condition, 304),
        (Method::GET, 404, condition, 404),
        (Method::GET, 301, condition, 301),
        (Method::GET, 500, condition, 500),
        (Method::GET, 200, range, 206),
        (Method::HEAD, 200, range, 200),
        (Method::GET, 203, range, 203),
        (Method::GET, 404, range, 404),
        (Method::GET, 200, &[("if-match", "\"x\"")], 200),
    ] {
        let reply = replied(&method, request, &head(status, STORED), Some(10));
        assert_eq!(reply.status, expected, "{method} {status} {request:?}");
        if expected == status {
            assert_eq!(lines(&reply.headers, "content-length"), ["10"]);
        }
    }
    let reply = replied(&Method::GET, range, &head(200, STORED), None);
    assert_eq!(
        (reply.status, reply.content),
        (StatusCode::OK, Content::Whole)
    );
}

#[test]
fn one_range() {
    let reply = get(&[("range", "bytes=2-4")], &head(200, STORED));
    assert_eq!(reply.status, StatusCode::PARTIAL_CONTENT);
    assert_eq!(reply.content, Content::Piece(2..5));
    for (name, expected) in [
        ("content-range", &["bytes 2-4/10"][..]),
        ("content-length", &["3"]),
        ("content-type", &["text/plain"]),
        ("content-encoding", &["br"]),
        ("content-digest", &[]),
        ("etag", &["\"a\""]),
        ("last-modified", &[EARLY]),
        ("cache-control", &["max-age=60"]),
        ("age", &["6"]),
    ] {
        assert_eq!(lines(&reply.headers, name), expected, "{name}");
    }
}

#[test]
fn if_range_decides() {
    for (validator, expected) in [("\"a\"", 206), (EARLY, 206), ("\"b\"", 200), (LATE, 200)] {
        let fields = [("range", "bytes=0-0"), ("if-range", validator)];
        let reply = get(&fields, &head(200, STORED));
        assert_eq!(reply.status, expected, "{validator}");
    }
    // A condition that is not met cannot end in a 416.
    let fields = [("range", "bytes=10-"), ("if-range", "\"b\"")];
    assert_eq!(get(&fields, &head(200, STORED)).status, StatusCode::OK);
}

#[test]
fn a_range_that_is_not_there() {
    let reply = get(&[("range", "bytes=10-")], &head(200, STORED));
    assert_eq!(reply.status, StatusCode::RANGE_NOT_SATISFIABLE);
    assert_eq!(reply.content, Content::Nothing);
    assert_eq!(lines(&reply.headers, "content-range"), ["bytes */10"]);
    assert_eq!(lines(&reply.headers, "cache-control"), ["no-store"]);
    let mut names: Vec<_> = reply.headers.keys().map(HeaderName::as_str).collect();
    names.sort_unstable();
    assert_eq!(
        names,
        [
            "access-control-allow-origin",
            "age",
            "cache-control",
            "cache-status",
            "content-length",
            "content-range",
            "date",
            "vary",
        ]
    );
}

/// What a client gets of a stored body.
fn sent(content: &Content, body: &[u8]) -> Vec<u8> {
    let part = |range: &Range<u64>| body[range.start as usize..range.end as usize].to_vec();
    match content {
        Content::Nothing => Vec::new(),
        Content::Whole => body.to_vec(),
        Content::Piece(range) => part(range),
        Content::Pieces(parts) => {
            let mut all = Vec::new();
            for piece in &parts.parts {
                all.extend_from_slice(&piece.before);
                all.extend(part(&piece.range));
            }
            all.extend_from_slice(&parts.closing);
            all
        }
    }
}

#[test]
fn several_ranges() {
    let reply = get(&[("range", "bytes=7-8,0-1,-1")], &head(200, STORED));
    assert_eq!(reply.status, StatusCode::PARTIAL_CONTENT);
    let kind = lines(&reply.headers, "content-type").remove(0);
    let boundary = kind
        .strip_prefix("multipart/byteranges; boundary=")
        .unwrap();
    assert_eq!(boundary.len(), 32);
    assert_eq!(lines(&reply.headers, "content-range"), [""; 0]);
    let part = |range, bytes| {
        format!(
            "--{boundary}\r\nContent-Type: text/plain\r\nContent-Range: bytes {range}/10\r\n\r\n{bytes}\r\n"
        )
    };
    let expected = format!(
        "{}{}{}--{boundary}--\r\n",
        part("7-8", "78"),
        part("0-1", "01"),
        part("9-9", "9")
    );
    let text = sent(&reply.content, b"0123456789");
    let length = lines(&reply.headers, "content-length");
    assert_eq!(length, [text.len().to_string()]);
    assert_eq!(String::from_utf8(text).unwrap(), expected);
}

#[test]
fn boundaries_differ() {
    let all: std::collections::HashSet<_> = (0..8)
        .flat_map(|secret| (0..8).map(move |now| halves(secret, Moment(now))))
        .flatten()
        .collect();
    assert_eq!(all.len(), 128);
}

/// A Range of anything, or of some that are apart from one another.
fn ranges() -> impl Strategy<Value = String> {
    let apart = proptest::collection::btree_set(0..44_u64, 2..12).prop_map(|ends| {
        let ends: Vec<u64> = ends.into_iter().collect();
        let pairs = ends.chunks_exact(2);
        let specs: Vec<_> = pairs
            .map(|pair| format!("{}-{}", pair[0], pair[1]))
            .collect();
        format!("bytes={}", specs.join(","))
    });
    prop_oneof![
        2 => apart,
        1 => "bytes=([0-9]{0,2}-[0-9]{0,2},?){1,5}",
        1 => "[ -~]{0,20}",
    ]
}

proptest! {
    /// Whatever is asked: as many bytes as are announced, and the stored ones.
    #[test]
    fn what_is_announced_is_sent(
        range in proptest::option::of(ranges()),
        tag in proptest::option::of("\"[ab]\"|[*]"),
        if_range in proptest::option::of("\"[ab]\""),
        stored in proptest::sample::subsequence(STORED, 0..=STORED.len()),
        length in 0..40_usize,
        status in prop_oneof![9 => Just(200_u16), 1 => Just(404)],
    ) {
        let body: Vec<u8> = (0..length as u8).collect();
        let mut fields = Vec::new();
        fields.extend(range.as_deref().map(|value| ("range", value)));
        fields.extend(tag.as_deref().map(|value| ("if-none-match", value)));
        fields.extend(if_range.as_deref().map(|value| ("if-range", value)));
        let head = head(status, &stored);
        let reply = replied(&Method::GET, &fields, &head, Some(length as u64));
        let sent = sent(&reply.content, &body);
        let announced = lines(&reply.headers, "content-length");
        match reply.status.as_u16() {
            304 => prop_assert!(announced.is_empty() && sent.is_empty()),
            _ => prop_assert_eq!(announced, [sent.len().to_string()]),
        }
        match (reply.status.as_u16(), &reply.content) {
            (206, Content::Piece(piece)) => {
                let range = format!("bytes {}-{}/{length}", piece.start, piece.end - 1);
                prop_assert_eq!(lines(&reply.headers, "content-range"), [range]);
            }
            (206, Content::Pieces(parts)) => {
                prop_assert!(parts.parts.len() > 1);
                prop_assert!(lines(&reply.headers, "content-range").is_empty());
                let pieces = parts.parts.iter().map(|part| &part.range);
                prop_assert!(pieces.clone().all(|range| range.start < range.end));
                prop_assert!(pieces.clone().all(|range| range.end <= length as u64));
            }
            (416, Content::Nothing) | (304, Content::Nothing) => {}
            (found, Content::Whole) => prop_assert_eq!(found, status),
            other => prop_assert!(false, "{:?}", other),
        }
        prop_assert_eq!(lines(&reply.headers, "age"), ["6"]);
    }
}
