use super::*;
use crate::cache::fixture::{Fields, Request, at, fresh_for, stored};

fn control(value: &str) -> Result<(), Unstorable> {
    stored(&[("cache-control", value)]).map(drop)
}

fn names(fields: Fields<'_>, settings: &CacheSettings) -> Vec<String> {
    let head = Request::get(&[]).gets(200, fields, settings).unwrap();
    let mut names: Vec<_> = head.headers.keys().map(ToString::to_string).collect();
    names.sort_unstable();
    names
}

#[test]
fn what_forbids_to_store() {
    use Unstorable::{NoStore, Private, Status, Unreadable};
    for (value, expected) in [
        ("max-age=9", Ok(())),
        ("max-age=9, no-store", Err(NoStore)),
        ("max-age=9, No-StOrE", Err(NoStore)),
        ("no-store=x, max-age=9", Err(NoStore)),
        ("private, max-age=9", Err(Private)),
        ("PRIVATE, s-maxage=9, public", Err(Private)),
        ("private=\"\", max-age=9", Err(Private)),
        ("private=\"a b\", max-age=9", Err(Private)),
        ("private =\"a\", max-age=9", Err(Private)),
        ("private=\"vary\", max-age=9", Err(Private)),
        ("private=\"a\", private, max-age=9", Err(Private)),
        ("private=\"a\", max-age=9", Ok(())),
        ("max-age=9, x=\"no-store", Err(Unreadable)),
        ("max-age=9, x=\"no-store\"", Ok(())),
        ("max-age=9, no-store, must-understand", Ok(())),
        ("max-age=9, private, must-understand", Err(Private)),
    ] {
        assert_eq!(control(value), expected, "{value}");
    }
    let lines = [
        ("cache-control", "max-age=9"),
        ("cache-control", "no-store"),
    ];
    assert_eq!(stored(&lines).unwrap_err(), NoStore);
    let understood = [("cache-control", "max-age=9, no-store, must-understand")];
    let settings = CacheSettings::default();
    for status in [299, 418, 499, 599, 600] {
        let head = Request::get(&[]).gets(status, &understood, &settings);
        assert_eq!(head.unwrap_err(), Status, "{status}");
    }
}

#[test]
fn what_shows_without_a_map() {
    let forbids = |asked: Fields<'_>, fields: Fields<'_>| {
        let received = crate::cache::fixture::headers(fields).into();
        forbids(&Request::get(asked).asked(), StatusCode::OK, &received)
    };
    let no_store = ("cache-control", "no-store");
    assert_eq!(forbids(&[], &[no_store]), Some(Unstorable::NoStore));
    assert_eq!(
        forbids(&[no_store], &[("cache-control", "max-age=9")]),
        Some(Unstorable::RequestNoStore)
    );
    assert_eq!(forbids(&[], &[no_store, ("cdn-cache-control", "x")]), None);
    assert_eq!(forbids(&[], &[("set-cookie", "a=b")]), None);
    assert_eq!(forbids(&[], &[]), None);
}

#[test]
fn statuses() {
    let fields = [("cache-control", "max-age=9"), ("etag", "\"a\"")];
    let settings = CacheSettings::default();
    let gets = |status| Request::get(&[]).gets(status, &fields, &settings);
    for status in [
        200, 203, 204, 299, 301, 302, 303, 307, 308, 400, 404, 410, 499,
    ] {
        assert!(gets(status).is_ok(), "{status}");
    }
    for status in [500, 502, 503, 504, 599] {
        assert!(gets(status).is_ok(), "{status}");
    }
    for status in [101, 103, 206, 304, 428, 429, 431, 511] {
        assert_eq!(gets(status).unwrap_err(), Unstorable::Status, "{status}");
    }
}

#[test]
fn requests() {
    let fields = [("cache-control", "max-age=9")];
    let settings = CacheSettings::default();
    let head = Request {
        method: hyper::Method::HEAD,
        ..Request::get(&[])
    };
    let refused = head.gets(200, &fields, &settings).unwrap_err();
    assert_eq!(refused, Unstorable::Method);
    let no_store = Request::get(&[("cache-control", "no-store")]);
    let refused = no_store.gets(200, &fields, &settings).unwrap_err();
    assert_eq!(refused, Unstorable::RequestNoStore);
}

#[test]
fn authorization_takes_a_word_for_it() {
    let request = Request::get(&[("authorization", "Basic eDp5")]);
    let settings = CacheSettings::default();
    for (value, allowed) in [
        ("max-age=9", false),
        ("max-age=9, proxy-revalidate", false),
        ("max-age=9, no-cache", false),
        ("max-age=9, public", true),
        ("max-age=9, must-revalidate", true),
        ("s-maxage=9", true),
    ] {
        let head = request.gets(200, &[("cache-control", value)], &settings);
        let expected = (!allowed).then_some(Unstorable::Authorization);
        assert_eq!(head.err(), expected, "{value}");
    }
}

#[test]
fn what_is_stale_at_once_is_stored_to_be_validated() {
    let modified = at(-60);
    for (control, validator, expected) in [
        ("max-age=0", None, false),
        ("max-age=0", Some(("etag", "W/\"a\"")), true),
        ("max-age=0", Some(("last-modified", &*modified)), true),
        ("max-age=0", Some(("last-modified", "0")), false),
        ("max-age=0", Some(("etag", "")), false),
        ("max-age=9, no-cache", None, false),
        ("no-cache", Some(("etag", "\"a\"")), true),
        ("max-age=0, stale-while-revalidate=1", None, true),
        ("max-age=0, stale-if-error=1", None, true),
        ("max-age=0, stale-if-error=1, must-revalidate", None, false),
    ] {
        let mut fields = vec![("cache-control", control)];
        fields.extend(validator);
        assert_eq!(stored(&fields).is_ok(), expected, "{fields:?}");
    }
    let fields = [("cache-control", "max-age=0"), ("etag", "\"a\"")];
    let missing = Request::get(&[]).gets(404, &fields, &CacheSettings::default());
    assert_eq!(missing.unwrap_err(), Unstorable::Stale);
}

#[test]
fn what_is_kept_of_the_fields() {
    let now = at(0);
    let fields = [
        ("cache-control", "max-age=9, private=\"a, B\""),
        ("cache-control", "no-cache=\"c\""),
        ("connection", "close, d"),
        ("age", "1"),
        ("date", &*now),
        ("keep-alive", "1"),
        ("proxy-authenticate", "Basic"),
        ("proxy-authentication-info", "1"),
        ("proxy-connection", "1"),
        ("te", "1"),
        ("trailer", "x"),
        ("upgrade", "h2c"),
        ("alt-svc", "h3"),
        ("set-cookie", "a=b"),
        ("set-cookie2", "a=b"),
        ("a", "1"),
        ("b", "1"),
        ("c", "1"),
        ("d", "1"),
        ("e", "1"),
        ("content-length", "3"),
        ("content-range", "bytes 1-2/3"),
        ("cdn-cache-control", "&"),
    ];
    let mut kept = vec![
        "cache-control",
        "cdn-cache-control",
        "content-length",
        "content-range",
        "date",
        "e",
    ];
    let mut settings = CacheSettings::default();
    assert_eq!(names(&fields, &settings), kept);
    kept.extend(["set-cookie", "set-cookie2"]);
    settings.set_cookie = SetCookie::Keep;
    assert_eq!(names(&fields, &settings), kept);
    settings.set_cookie = SetCookie::Bypass;
    let refused = Request::get(&[]).gets(200, &fields, &settings).unwrap_err();
    assert_eq!(refused, Unstorable::SetCookie);
}

#[test]
fn repeated_fields_stay_repeated() {
    let link = ("link", "</a>");
    let head = stored(&[("cache-control", "max-age=9"), link, link]).unwrap();
    assert_eq!(head.headers.get_all("link").iter().count(), 2);
}

#[test]
fn a_targeted_field_is_the_only_one_that_counts() {
    use Unstorable::{NoStore, Private, Silent, Stale};
    let (later, past) = (at(600), at(-600));
    for (targeted, fields, expected) in [
        ("max-age=3600", &[][..], Ok(3600)),
        ("max-age=99999999999", &[], Ok(2_147_483_648)),
        ("max-age=3600", &[("age", "7200")], Err(Stale)),
        ("max-age=0", &[("expires", &*later)], Err(Stale)),
        ("foobar, max-age=3600", &[], Ok(3600)),
        ("max-age=3600;a=b;c", &[], Ok(3600)),
        ("max-age=3600", &[("expires", &*past)], Ok(3600)),
        ("max-age=3600", &[("expires", "0")], Ok(3600)),
        ("max-age=3600", &[("cache-control", "no-store")], Ok(3600)),
        (
            "max-age=3600",
            &[("cache-control", "private, max-age=1")],
            Ok(3600),
        ),
        ("max-age=1", &[("cache-control", "max-age=3600")], Ok(1)),
        ("private", &[("cache-control", "max-age=9")], Err(Private)),
        ("no-store", &[("cache-control", "max-age=9")], Err(NoStore)),
        ("no-cache", &[("cache-control", "max-age=9")], Err(Stale)),
        ("no-store=?0, max-age=5", &[], Ok(5)),
        ("foo", &[("expires", &*later)], Err(Silent)),
        ("private=\"a\", max-age=5", &[], Ok(5)),
        ("private=(\"a\"), max-age=5", &[], Err(Private)),
        // Malformed, or of the wrong type: as if it were not there.
        (
            "max-age=10000, &&&&&",
            &[("cache-control", "no-store")],
            Err(NoStore),
        ),
        (
            "max-age=\"10000\"",
            &[("cache-control", "no-store")],
            Err(NoStore),
        ),
        ("max-age=1.5", &[("cache-control", "max-age=8")], Ok(8)),
        ("max-age=-1", &[("cache-control", "max-age=8")], Ok(8)),
        ("max-age", &[("cache-control", "max-age=8")], Ok(8)),
        ("max-age =100", &[("cache-control", "max-age=8")], Ok(8)),
        ("max-age= 100", &[("cache-control", "max-age=8")], Ok(8)),
        ("MaX-aGe=3600", &[("cache-control", "max-age=8")], Ok(8)),
        ("max-age=3600,", &[("cache-control", "max-age=8")], Ok(8)),
        ("", &[("cache-control", "max-age=8")], Ok(8)),
    ] {
        let mut all = vec![("cdn-cache-control", targeted)];
        all.extend(fields);
        assert_eq!(fresh_for(&all), expected, "{all:?}");
    }
    let lines = [
        ("cdn-cache-control", "max-age=9"),
        ("cdn-cache-control", "no-store"),
    ];
    assert_eq!(fresh_for(&lines), Err(NoStore));
}
