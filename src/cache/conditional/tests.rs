use hyper::header::{HeaderValue, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE};
use proptest::prelude::*;

use super::*;

type Lines<'a> = &'a [(&'static str, &'a str)];

const EARLY: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
const LATE: &str = "Sun, 06 Nov 1994 08:50:37 GMT";

fn map(fields: Lines<'_>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        headers.append(*name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
    }
    headers
}

fn asked(lines: &[&str]) -> Fields {
    let fields: Vec<_> = lines.iter().map(|line| ("if-none-match", *line)).collect();
    map(&fields).into()
}

#[test]
fn entity_tags() {
    for (stored, lines, expected) in [
        ("\"a\"", &["\"a\""][..], true),
        ("\"a\"", &["\"A\""], false),
        ("\"a\"", &["\"b\""], false),
        ("\"a\"", &[" \"x\",\"y\" , \"a\"\t"], true),
        ("\"a\"", &["\"x\"", "\"a\", \"y\""], true),
        ("\"a\"", &[",, ,\"a\",,"], true),
        // The weak comparison.
        ("W/\"a\"", &["W/\"a\""], true),
        ("W/\"a\"", &["\"a\""], true),
        ("\"a\"", &["W/\"a\""], true),
        ("\"a\"", &["W/\"b\""], false),
        // `*` stands alone.
        ("\"a\"", &["*"], true),
        ("\"a\"", &["*, \"b\""], false),
        ("\"a\"", &["*", "\"b\""], false),
        ("\"a\"", &["\"*\""], false),
        ("\"*\"", &["\"*\""], true),
        // Commas in tags, bytes beyond ASCII, the empty tag.
        ("\"a,b\"", &["\"a,b\""], true),
        ("\"b\"", &["\"a,\"b\""], false),
        ("\"b\"", &["\"a,\", \"b\""], true),
        ("b\"", &["\"a,b\""], false),
        ("\"\u{fc}\"", &["\"\u{fc}\""], true),
        ("\"\"", &["\"\""], true),
        ("\"\"", &["\"", "\"a"], false),
        // Not well written: the same only if it is written the same.
        ("a", &["a"], true),
        ("a", &["x, a"], true),
        ("\"a\"", &["a"], false),
        ("a", &["\"a\""], false),
        ("W/a", &["a"], false),
        ("w/\"a\"", &["w/\"a\""], true),
        ("\"a\"", &["\"a\"b"], false),
        ("\"a\"", &["\"a"], false),
        ("\"a\"", &[""], false),
    ] {
        let found = is_not_modified(&asked(lines), &map(&[("etag", stored)]));
        assert_eq!(found, expected, "{stored} {lines:?}");
    }
    let none = HeaderMap::new();
    assert!(is_not_modified(&asked(&["*"]), &none));
    assert!(!is_not_modified(&asked(&["\"a\""]), &none));
    assert!(!is_not_modified(
        &none.clone().into(),
        &map(&[("etag", "\"a\"")])
    ));
    let two = map(&[("etag", "\"a\""), ("etag", "\"a\"")]);
    assert!(!is_not_modified(&asked(&["\"a\""]), &two));
}

#[test]
fn dates() {
    let late: Lines<'_> = &[("if-modified-since", LATE)];
    let early: Lines<'_> = &[("if-modified-since", EARLY)];
    for (request, stored, expected) in [
        (early, &[("last-modified", EARLY)][..], true),
        (late, &[("last-modified", EARLY)], true),
        (early, &[("last-modified", LATE)], false),
        // Without Last-Modified, Date stands for it.
        (early, &[("date", EARLY)], true),
        (late, &[("date", EARLY)], true),
        (early, &[("date", LATE)], false),
        (early, &[("last-modified", EARLY), ("date", LATE)], true),
        (early, &[("last-modified", "never"), ("date", EARLY)], false),
        (early, &[], false),
        (&[], &[("last-modified", EARLY)], false),
        // The other two forms.
        (
            &[("if-modified-since", "Sunday, 06-Nov-94 08:49:37 GMT")],
            &[("last-modified", EARLY)],
            true,
        ),
        (
            &[("if-modified-since", "Sun Nov  6 08:49:37 1994")],
            &[("last-modified", EARLY)],
            true,
        ),
        // What is not a date, or not one date.
        (
            &[("if-modified-since", "tomorrow")],
            &[("last-modified", "tomorrow")],
            false,
        ),
        (
            &[("if-modified-since", "")],
            &[("last-modified", EARLY)],
            false,
        ),
        (
            &[("if-modified-since", LATE), ("if-modified-since", LATE)],
            &[("last-modified", EARLY)],
            false,
        ),
        (
            &[("if-modified-since", "Mon, 06 Nov 1994 08:49:37 GMT")],
            &[("last-modified", EARLY)],
            false,
        ),
        // Beside If-None-Match it is not looked at, whatever that says.
        (
            &[("if-none-match", "\"a\""), ("if-modified-since", LATE)],
            &[("last-modified", EARLY), ("etag", "\"b\"")],
            false,
        ),
        (
            &[("if-none-match", "\"a\""), ("if-modified-since", LATE)],
            &[("last-modified", EARLY)],
            false,
        ),
        (
            &[("if-none-match", "\"a\""), ("if-modified-since", EARLY)],
            &[("last-modified", LATE), ("etag", "\"a\"")],
            true,
        ),
        // For the origin only.
        (
            &[("if-unmodified-since", LATE), ("if-match", "*")],
            &[("last-modified", EARLY), ("etag", "\"a\"")],
            false,
        ),
    ] {
        let found = is_not_modified(&map(request).into(), &map(stored));
        assert_eq!(found, expected, "{request:?} {stored:?}");
    }
}

#[test]
fn if_range() {
    let strong: Lines<'_> = &[("last-modified", EARLY), ("date", LATE)];
    for (request, stored, expected) in [
        (&[][..], &[][..], true),
        (&[("if-range", "\"a\"")], &[("etag", "\"a\"")], true),
        (&[("if-range", "\"a\"")], &[("etag", "\"b\"")], false),
        (&[("if-range", "\"a\"")], &[], false),
        // Only the strong comparison, only one tag, only a well-formed one.
        (&[("if-range", "W/\"a\"")], &[("etag", "W/\"a\"")], false),
        (&[("if-range", "\"a\"")], &[("etag", "W/\"a\"")], false),
        (&[("if-range", "W/\"a\"")], &[("etag", "\"a\"")], false),
        (&[("if-range", "\"a\", \"b\"")], &[("etag", "\"a\"")], false),
        (&[("if-range", "\"a\"\"")], &[("etag", "\"a\"\"")], false),
        (&[("if-range", "\"")], &[("etag", "\"")], false),
        (&[("if-range", "*")], &[("etag", "\"a\"")], false),
        (&[("if-range", "a")], &[("etag", "a")], false),
        (&[("if-range", "")], &[("etag", "\"a\"")], false),
        (
            &[("if-range", "\"a\""), ("if-range", "\"a\"")],
            &[("etag", "\"a\"")],
            false,
        ),
        (&[("if-range", EARLY)], strong, true),
        (&[("if-range", LATE)], strong, false),
        (&[("if-range", "never")], strong, false),
        // Made too soon after it was modified.
        (
            &[("if-range", EARLY)],
            &[
                ("last-modified", EARLY),
                ("date", "Sun, 06 Nov 1994 08:50:36 GMT"),
            ],
            false,
        ),
        (&[("if-range", EARLY)], &[("last-modified", EARLY)], false),
        (&[("if-range", EARLY)], &[("date", LATE)], false),
    ] {
        let found = range_counts(&map(request).into(), &map(stored));
        assert_eq!(found, expected, "{request:?} {stored:?}");
    }
}

#[test]
fn what_passes_on() {
    for (request, conditional, passes) in [
        (&[][..], false, false),
        (&[("accept", "*/*")], false, false),
        (&[("if-none-match", "*")], true, false),
        (&[("if-modified-since", EARLY)], true, false),
        (&[("if-range", EARLY)], true, false),
        (&[("range", "bytes=0-5")], true, false),
        (&[("range", "bytes=1-5")], true, true),
        (&[("if-match", "*")], true, true),
        (&[("if-unmodified-since", EARLY)], true, true),
    ] {
        let request = Fields::from(map(request));
        assert_eq!(is_conditional(&request), conditional, "{request:?}");
        assert_eq!(passes_on(&request), passes, "{request:?}");
    }
}

/// What a tag is, as the RFC's grammar has it, beside commas.
fn naive_tags(line: &str) -> Vec<(bool, String)> {
    let grammar = regex_automata::meta::Regex::new(r#"(W/)?"[^"]*""#).unwrap();
    grammar
        .find_iter(line)
        .map(|found| {
            let text = &line[found.range()];
            (
                text.starts_with("W/"),
                text.trim_start_matches("W/").to_owned(),
            )
        })
        .collect()
}

proptest! {
    /// RFC 9110 section 13.2.2, steps 3 and 4, read word by word, over fields
    /// that are well written.
    #[test]
    fn as_the_steps_have_it(
        tags in proptest::option::of("((W/)?\"[ab,]{0,2}\"( ?, ?)){0,3}(W/)?\"[ab,]{0,2}\"|[*]"),
        since in proptest::option::of(0..4_u64),
        tag in proptest::option::of("(W/)?\"[ab,]{0,2}\""),
        modified in proptest::option::of(0..4_u64),
        made in 0..4_u64,
    ) {
        let date = |second: &u64| httpdate::fmt_http_date(SystemTime::UNIX_EPOCH + Duration::from_secs(*second));
        let (since_text, modified_text) = (since.as_ref().map(date), modified.as_ref().map(date));
        let mut request = Vec::new();
        request.extend(tags.as_deref().map(|tags| ("if-none-match", tags)));
        request.extend(since_text.as_deref().map(|since| ("if-modified-since", since)));
        let made_text = date(&made);
        let mut stored = vec![("date", &made_text[..])];
        stored.extend(tag.as_deref().map(|tag| ("etag", tag)));
        stored.extend(modified_text.as_deref().map(|modified| ("last-modified", modified)));

        let expected = match (&tags, since) {
            (Some(tags), _) if tags == "*" => true,
            (Some(tags), _) => tag.as_ref().is_some_and(|tag| {
                let own = naive_tags(tag)[0].1.clone();
                naive_tags(tags).iter().any(|(_, opaque)| *opaque == own)
            }),
            (None, Some(since)) => modified.unwrap_or(made) <= since,
            (None, None) => false,
        };
        prop_assert_eq!(is_not_modified(&map(&request).into(), &map(&stored)), expected);
    }

    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..30)) {
        if let Ok(value) = HeaderValue::from_bytes(&bytes) {
            let request = HeaderMap::from_iter([
                (IF_NONE_MATCH, value.clone()),
                (IF_RANGE, value.clone()),
            ]);
            let dated = HeaderMap::from_iter([(IF_MODIFIED_SINCE, value.clone())]);
            let stored = HeaderMap::from_iter([
                (ETAG, value.clone()),
                (LAST_MODIFIED, value.clone()),
                (DATE, value.clone()),
            ]);
            is_not_modified(&request.clone().into(), &stored);
            is_not_modified(&dated.into(), &stored);
            range_counts(&request.into(), &stored);
        }
    }

    /// No member is lost or made up, but commas and blanks.
    #[test]
    fn lists_part_at_commas(line in "[\"W/, ab]{0,20}") {
        let members: Vec<&[u8]> = Tags(line.as_bytes()).collect();
        let bare = |text: &[u8]| {
            let kept = text.iter().filter(|byte| !b", ".contains(byte));
            kept.copied().collect::<Vec<u8>>()
        };
        prop_assert_eq!(bare(&members.concat()), bare(line.as_bytes()));
        prop_assert!(members.iter().all(|member| !member.is_empty()));
    }
}
