use proptest::prelude::*;
use sfv::{BareItem, ListEntry, Parser, Version};

use super::*;

#[test]
fn texts() {
    let miss = CacheStatus::forwarded(Reason::Miss);
    for (status, expected) in [
        (CacheStatus::hit(3), "portcullis; hit; ttl=3"),
        (CacheStatus::hit(-70), "portcullis; hit; ttl=-70"),
        (
            CacheStatus::hit(i64::MIN),
            "portcullis; hit; ttl=-999999999999999",
        ),
        (
            CacheStatus {
                detail: Some("stale-if-error"),
                ..CacheStatus::hit(0)
            },
            "portcullis; hit; ttl=0; detail=stale-if-error",
        ),
        (miss, "portcullis; fwd=miss"),
        (
            CacheStatus {
                fwd_status: Some(304),
                ttl: Some(60),
                stored: true,
                collapsed: true,
                detail: Some("a \"b\\\" \u{e9}\n"),
                ..CacheStatus::forwarded(Reason::Stale)
            },
            r#"portcullis; fwd=stale; fwd-status=304; ttl=60; stored; collapsed; detail="a \"b\\\" ""#,
        ),
        (
            CacheStatus {
                detail: Some(""),
                ..miss
            },
            r#"portcullis; fwd=miss; detail="""#,
        ),
    ] {
        assert_eq!(status.value(), expected);
    }
}

#[test]
fn ours_is_the_last_member() {
    let mut headers = HeaderMap::new();
    headers.append(CACHE_STATUS, HeaderValue::from_static("origin; hit"));
    CacheStatus::hit(1).append_to(&mut headers);
    let lines: Vec<_> = headers.get_all(CACHE_STATUS).iter().collect();
    assert_eq!(lines, ["origin; hit", "portcullis; hit; ttl=1"]);
}

const REASONS: [Reason; 8] = [
    Reason::Bypass,
    Reason::Method,
    Reason::UriMiss,
    Reason::VaryMiss,
    Reason::Miss,
    Reason::Request,
    Reason::Stale,
    Reason::Partial,
];

const DETAILS: [&str; 6] = [
    "",
    "stale-if-error",
    "*a:/b",
    "1a",
    "a b",
    "\"\\\u{7f}\u{e9}",
];

fn handled() -> impl Strategy<Value = Handled> {
    let forwarded = proptest::sample::select(&REASONS[..]).prop_map(Handled::Forwarded);
    prop_oneof![Just(Handled::Hit), Just(Handled::Refused), forwarded]
}

/// The parameters that it should be read as.
fn expected(status: &CacheStatus) -> Vec<(&'static str, String)> {
    let mut all = match status.handled {
        Handled::Hit => vec![("hit", "true".to_owned())],
        Handled::Forwarded(reason) => vec![("fwd", reason.as_str().to_owned())],
        Handled::Refused => Vec::new(),
    };
    all.extend(
        status
            .fwd_status
            .map(|code| ("fwd-status", code.to_string())),
    );
    let largest = 999_999_999_999_999;
    let ttl = status.ttl.map(|ttl| ttl.clamp(-largest, largest));
    all.extend(ttl.map(|ttl| ("ttl", ttl.to_string())));
    all.extend(status.stored.then(|| ("stored", "true".to_owned())));
    all.extend(status.collapsed.then(|| ("collapsed", "true".to_owned())));
    let printable = |detail: &str| detail.chars().filter(|c| (' '..='~').contains(c)).collect();
    all.extend(status.detail.map(|detail| ("detail", printable(detail))));
    all
}

proptest! {
    /// A parser of structured fields reads in it what went in.
    #[test]
    fn a_structured_field(
        handled in handled(),
        fwd_status in proptest::option::of(100..1000_u16),
        ttl in proptest::option::of(prop_oneof![any::<i64>(), -100..100_i64]),
        flags: (bool, bool),
        detail in proptest::option::of(proptest::sample::select(&DETAILS[..])),
    ) {
        let (stored, collapsed) = flags;
        let status = CacheStatus { handled, fwd_status, ttl, stored, collapsed, detail };
        let value = status.value();
        let parser = Parser::new(value.as_bytes()).with_version(Version::Rfc8941);
        let list: sfv::List = parser.parse().unwrap();
        let [ListEntry::Item(item)] = &list[..] else { panic!("{list:?}") };
        prop_assert!(matches!(&item.bare_item, BareItem::Token(name) if name.as_str() == "portcullis"));
        let found: Vec<_> = item.params.iter().map(|(name, value)| {
            let text = match value {
                BareItem::Boolean(flag) => flag.to_string(),
                BareItem::Integer(number) => number.to_string(),
                BareItem::Token(token) => token.as_str().to_owned(),
                BareItem::String(text) => text.as_str().to_owned(),
                other => panic!("{other:?}"),
            };
            (name.as_str(), text)
        }).collect();
        prop_assert_eq!(found, expected(&status));
    }
}
