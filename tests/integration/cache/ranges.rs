//! Ranges, from stored bodies and on misses.

use super::support::{FRESH, is_hit, ok, response, status};
use crate::support::{Client, Origin, Portcullis, Reply};

const BODY: &str = "0123456789";
const MODIFIED: &str = "Wed, 01 Jan 2025 00:00:00 GMT";

/// An origin that knows ranges: it sends what the one range asks for.
fn ranged() -> Origin {
    Origin::answered_by(|asked| {
        let fields = format!(
            "{FRESH}ETag: \"one\"\r\nLast-Modified: {MODIFIED}\r\nContent-Type: text/css\r\n"
        );
        match asked.field("range").as_deref() {
            None => ok(&fields, BODY),
            Some("bytes=5-") => {
                let fields = format!("{fields}Content-Range: bytes 5-9/10\r\n");
                response("206 Partial Content", &fields, &BODY[5..])
            }
            Some(_) => response("416 No", "Content-Range: bytes */10\r\n", ""),
        }
    })
}

fn stored() -> (Origin, Portcullis, Client) {
    let origin = ranged();
    let proxy = Portcullis::start(&origin, "");
    let mut client = proxy.client();
    client.get("/", "");
    (origin, proxy, client)
}

#[test]
fn one_range_of_a_stored_body() {
    let (origin, _proxy, mut client) = stored();
    for (range, body, content_range) in [
        ("bytes=0-3", "0123", "bytes 0-3/10"),
        ("bytes=3-3", "3", "bytes 3-3/10"),
        ("bytes=7-", "789", "bytes 7-9/10"),
        ("bytes=-3", "789", "bytes 7-9/10"),
        ("bytes=-30", BODY, "bytes 0-9/10"),
        ("bytes=5-100", "56789", "bytes 5-9/10"),
        ("bytes=5-99999999999999999999999", "56789", "bytes 5-9/10"),
        ("BYTES=0-0", "0", "bytes 0-0/10"),
    ] {
        let reply = client.get("/", &format!("Range: {range}\r\n"));
        assert_eq!((reply.status, reply.text()), (206, body), "{range}");
        assert_eq!(reply.field("content-range").as_deref(), Some(content_range));
        assert!(status(&reply).hit);
        for name in ["etag", "date", "cache-control", "age", "content-type"] {
            assert!(reply.field(name).is_some(), "{name} of {}", reply.head);
        }
    }
    assert_eq!(origin.count(), 1);
}

#[test]
fn a_range_that_is_none_is_ignored() {
    let (_origin, _proxy, mut client) = stored();
    let most = |count: usize| {
        let one: Vec<_> = (0..count).map(|_| "0-0").collect();
        one.join(",")
    };
    for range in [
        "bytes=5-3",
        "bytes=a-b",
        "bytes=",
        "bytes=-",
        "bytes",
        "lines=0-1",
        "bytes=0-5,3-8",
        "bytes=3-8,0-5",
        "bytes=0-1,-10",
        "bytes=0-0,0-0",
        &format!("bytes={}", most(17)),
    ] {
        let reply = client.get("/", &format!("Range: {range}\r\n"));
        assert_eq!((reply.status, reply.text()), (200, BODY), "{range}");
        assert_eq!(reply.field("content-range"), None);
    }
    let repeated = client.get("/", "Range: bytes=0-1\r\nRange: bytes=4-5\r\n");
    assert!([200, 206].contains(&repeated.status), "{repeated:?}");
    let head = client.head_of("/", "Range: bytes=0-1\r\n");
    assert_eq!(
        head.status, 200,
        "a range is for GET (RFC 9110 section 14.2)"
    );
    assert_eq!(head.field("content-length").as_deref(), Some("10"));
}

#[test]
fn a_range_beyond_the_end_is_416() {
    let (origin, _proxy, mut client) = stored();
    for range in ["bytes=10-", "bytes=10-20,30-", "bytes=-0"] {
        let reply = client.get("/", &format!("Range: {range}\r\n"));
        assert_eq!(reply.status, 416, "{range}");
        assert_eq!(reply.field("content-range").as_deref(), Some("bytes */10"));
        assert_ne!(reply.text(), BODY);
    }
    assert_eq!(client.get("/", "").text(), BODY);
    assert_eq!(origin.count(), 1);
}

/// The parts of a `multipart/byteranges` (RFC 9110 section 14.6): the
/// Content-Range and the bytes of each.
fn parts(reply: &Reply) -> Vec<(String, String)> {
    let kind = reply.field("content-type").unwrap();
    let boundary = kind.split("boundary=").nth(1).unwrap().trim_matches('"');
    assert!(kind.starts_with("multipart/byteranges;"), "{kind}");
    assert_eq!(reply.field("content-range"), None);
    let text = format!("\r\n{}", reply.text());
    let delimiter = format!("\r\n--{boundary}");
    let mut pieces = text.split(&delimiter);
    assert_eq!(pieces.next(), Some(""));
    let mut parts: Vec<_> = pieces.collect();
    assert!(parts.pop().unwrap().starts_with("--"), "{text}");
    let read = |part: &&str| {
        let (head, body) = part.split_once("\r\n\r\n").unwrap();
        let field = |name: &str| Reply::find(head, name);
        assert_eq!(field("content-type").as_deref(), Some("text/css"));
        (field("content-range").unwrap(), body.to_owned())
    };
    parts.iter().map(read).collect()
}

/// The type of such a body tells where its parts end: no configuration changes
/// it.
#[test]
fn a_type_that_is_set_is_not_that_of_several_ranges() {
    for fields in [
        "set = { content-type = \"a/b\" }",
        "remove = [\"Content-Type\"]",
    ] {
        let origin = ranged();
        let proxy = Portcullis::start(&origin, &format!("[response]\n{fields}\n"));
        let mut client = proxy.client();
        let whole = client.get("/", "").field("content-type");
        assert_eq!(whole.as_deref(), fields.contains("set").then_some("a/b"));
        let found = parts(&client.get("/", "Range: bytes=0-1,5-6\r\n"));
        assert_eq!(found.len(), 2, "{found:?}");
    }
}

#[test]
fn several_ranges_of_a_stored_body() {
    let (origin, _proxy, mut client) = stored();
    let all = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
        .map(|at| format!("{at}-{at}"))
        .join(",");
    for (range, expected) in [
        (
            "0-1,5-6",
            vec![("bytes 0-1/10", "01"), ("bytes 5-6/10", "56")],
        ),
        (
            "8-9, 0-0",
            vec![("bytes 8-9/10", "89"), ("bytes 0-0/10", "0")],
        ),
        ("0-0,-1", vec![("bytes 0-0/10", "0"), ("bytes 9-9/10", "9")]),
        (
            ",0-0,,5-,",
            vec![("bytes 0-0/10", "0"), ("bytes 5-9/10", "56789")],
        ),
    ] {
        let reply = client.get("/", &format!("Range: bytes={range}\r\n"));
        assert_eq!(reply.status, 206, "{range}");
        let found = parts(&reply);
        let found: Vec<_> = found
            .iter()
            .map(|(a, b)| (a.as_str(), b.as_str()))
            .collect();
        assert_eq!(found, expected, "{range}");
        assert!(status(&reply).hit);
    }
    let ten = client.get("/", &format!("Range: bytes={all}\r\n"));
    let joined: String = parts(&ten).into_iter().map(|(_, body)| body).collect();
    assert_eq!(joined, BODY);
    let one_left = client.get("/", "Range: bytes=2-3,50-60\r\n");
    assert_eq!(one_left.status, 206);
    let body = match one_left.field("content-range") {
        Some(range) => (range, one_left.text().to_owned()),
        None => parts(&one_left).remove(0),
    };
    assert_eq!(body, ("bytes 2-3/10".to_owned(), "23".to_owned()));
    assert_eq!(origin.count(), 1);
}

#[test]
fn if_range_must_match_strongly() {
    let (origin, _proxy, mut client) = stored();
    let other = "Thu, 02 Jan 2025 00:00:00 GMT";
    for (condition, expected) in [
        ("\"one\"", 206),
        (MODIFIED, 206),
        ("W/\"one\"", 200),
        ("\"two\"", 200),
        (other, 200),
        ("one", 200),
    ] {
        let reply = client.get(
            "/",
            &format!("Range: bytes=0-1\r\nIf-Range: {condition}\r\n"),
        );
        assert_eq!(reply.status, expected, "{condition}");
        assert_eq!(reply.body.len(), if expected == 206 { 2 } else { 10 });
    }
    let both = "Range: bytes=0-1\r\nIf-None-Match: \"one\"\r\n";
    assert_eq!(client.get("/", both).status, 304);
    let failed = "Range: bytes=50-\r\nIf-Range: \"two\"\r\n";
    assert_eq!(client.get("/", failed).status, 200);
    assert_eq!(origin.count(), 1);
}

#[test]
fn on_a_miss_a_range_from_the_start_fills_everything() {
    for range in ["bytes=0-3", "bytes=0-"] {
        let origin = ranged();
        let proxy = Portcullis::start(&origin, "");
        let mut client = proxy.client();
        let reply = client.get("/", &format!("Range: {range}\r\n"));
        assert_eq!(reply.status, 206, "{range}");
        assert!(BODY.starts_with(reply.text()));
        assert_eq!(origin.only().field("range"), None);
        assert!(is_hit(&mut client, "/", "Range: bytes=5-6\r\n"), "{range}");
        assert_eq!(client.get("/", "").text(), BODY);
        assert_eq!(origin.count(), 1);
    }
}

#[test]
fn on_a_miss_any_other_range_goes_to_the_origin_and_fills_nothing() {
    for (range, code) in [
        ("bytes=5-", 206),
        ("bytes=50-", 416),
        ("bytes=-5", 416),
        ("bytes=0-1,5-6", 416),
    ] {
        let origin = ranged();
        let proxy = Portcullis::start(&origin, "");
        let mut client = proxy.client();
        let fields = format!("Range: {range}\r\nIf-Range: \"one\"\r\n");
        let reply = client.get("/", &fields);
        assert_eq!(reply.status, code, "{range}");
        let asked = origin.only();
        assert_eq!(asked.field("range").as_deref(), Some(range));
        assert_eq!(asked.field("if-range").as_deref(), Some("\"one\""));
        let told = status(&reply);
        assert!(!told.stored && !told.hit, "{told:?}");
        assert_eq!(client.get("/", "").text(), BODY);
        assert_eq!(origin.count(), 2);
    }
}

#[test]
fn large_bodies_are_cut_anywhere() {
    let body: String = (0..200_000).map(|n| format!("{n:06}\n")).collect();
    let answer = ok(FRESH, &body);
    let origin = Origin::answered_by(move |_| answer.clone());
    let proxy = Portcullis::start(&origin, "");
    let mut client = proxy.client();
    assert_eq!(client.get("/", "").text(), body);
    let last = body.len() - 1;
    for (from, to) in [
        (0, 0),
        (262_143, 262_144),
        (262_144, 524_287),
        (100, 1_000_000),
        (524_287, last),
        (last, last),
    ] {
        let reply = client.get("/", &format!("Range: bytes={from}-{to}\r\n"));
        assert_eq!(reply.status, 206);
        assert!(reply.text() == &body[from..=to], "{from}-{to}");
    }
}

/// Players ask for the first bytes to learn whether they may seek, and
/// browsers whether what they have is good: also where nothing is stored.
#[test]
fn ranges_and_conditions_do_not_suffer_where_nothing_is_stored() {
    for (policy, control) in [
        ("", "private, max-age=600"),
        ("", "no-store"),
        ("[cache]\nmax_object = \"5 B\"\n", "max-age=600"),
        ("[cache]\nmemory = \"0\"\n", "max-age=600"),
    ] {
        let origin = Origin::answered_by(move |asked| {
            let fields = format!("Cache-Control: {control}\r\nETag: \"one\"\r\n");
            if asked.field("if-none-match").as_deref() == Some("\"one\"") {
                return format!("HTTP/1.1 304 Not Modified\r\n{fields}\r\n");
            }
            match asked.field("range").as_deref() {
                Some("bytes=0-1") => {
                    let fields = format!("{fields}Content-Range: bytes 0-1/10\r\n");
                    response("206 Partial Content", &fields, "01")
                }
                _ => ok(&fields, BODY),
            }
        });
        let proxy = Portcullis::start(&origin, policy);
        let mut client = proxy.client();
        for _ in 0..2 {
            let reply = client.get("/", "Range: bytes=0-1\r\n");
            assert_eq!((reply.status, reply.text()), (206, "01"), "{control}");
            let known = client.get("/", "If-None-Match: \"one\"\r\n");
            assert_eq!(known.status, 304, "{control}");
            assert_eq!(client.get("/", "").text(), BODY);
        }
    }
}
