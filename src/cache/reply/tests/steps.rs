//! Answers against RFC 9110 section 13.2.2, read step by step.

use std::time::{Duration, UNIX_EPOCH};

use hyper::Method;
use proptest::prelude::*;

use super::{head, replied};

/// What the condition and range fields of one request are, and what is stored:
/// tags as they are written, dates in minutes.
#[derive(Clone, Debug)]
struct Case {
    is_head: bool,
    none_match: Option<&'static str>,
    modified_since: Option<u64>,
    range: Option<(u64, u64)>,
    if_range: Option<Result<&'static str, u64>>,
    tag: Option<&'static str>,
    modified: Option<u64>,
    made: u64,
}

const TAGS: [&str; 3] = ["\"a\"", "W/\"a\"", "\"b\""];

fn cases() -> impl Strategy<Value = Case> {
    use proptest::option::of;
    let tags = || proptest::sample::select(&TAGS[..]);
    let validators = prop_oneof![tags().prop_map(Ok), (0..3_u64).prop_map(Err)];
    let asked = (
        any::<bool>(),
        of(tags()),
        of(0..3_u64),
        of((0..15_u64, 0..5_u64)),
        of(validators),
    );
    (asked, of(tags()), of(0..3_u64), 0..4_u64).prop_map(|(asked, tag, modified, made)| {
        let (is_head, none_match, modified_since, range, if_range) = asked;
        Case {
            is_head,
            none_match,
            modified_since,
            range: range.map(|(first, more)| (first, first + more)),
            if_range,
            tag,
            modified,
            made,
        }
    })
}

fn date(minute: u64) -> String {
    let since = Duration::from_secs(minute * 60);
    httpdate::fmt_http_date(UNIX_EPOCH + since)
}

fn borrowed<'a>(fields: &'a [(&'static str, String)]) -> Vec<(&'static str, &'a str)> {
    let pairs = fields.iter();
    pairs.map(|(name, value)| (*name, &value[..])).collect()
}

/// RFC 9110 section 13.2.2 for a cache, step by step, of a body of ten bytes.
fn steps(case: &Case) -> u16 {
    // 1 and 2 are for the origin.
    if let Some(asked) = case.none_match {
        let weak = |tag: &str| tag.trim_start_matches("W/").to_owned();
        if case.tag.is_some_and(|tag| weak(tag) == weak(asked)) {
            return 304;
        }
    } else if let Some(since) = case.modified_since
        && case.modified.unwrap_or(case.made) <= since
    {
        return 304;
    }
    let Some((first, _)) = case.range.filter(|_| !case.is_head) else {
        return 200;
    };
    let counts = match case.if_range {
        None => true,
        Some(Ok(tag)) => !tag.starts_with("W/") && case.tag == Some(tag),
        Some(Err(at)) => case.modified == Some(at) && case.made > at,
    };
    match counts {
        false => 200,
        true if first < 10 => 206,
        true => 416,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn as_the_steps_have_it(case in cases()) {
        let mut fields = Vec::new();
        let mut stored = vec![("date", date(case.made))];
        fields.extend(case.none_match.map(|tag| ("if-none-match", tag.to_owned())));
        fields.extend(case.modified_since.map(|at| ("if-modified-since", date(at))));
        fields.extend(case.range.map(|(first, last)| ("range", format!("bytes={first}-{last}"))));
        let if_range = case.if_range.map(|with| with.map_or_else(date, str::to_owned));
        fields.extend(if_range.map(|with| ("if-range", with)));
        stored.extend(case.tag.map(|tag| ("etag", tag.to_owned())));
        stored.extend(case.modified.map(|at| ("last-modified", date(at))));
        let method = if case.is_head { Method::HEAD } else { Method::GET };
        let head = head(200, &borrowed(&stored));
        let reply = replied(&method, &borrowed(&fields), &head, Some(10));
        prop_assert_eq!(reply.status, steps(&case));
    }
}
