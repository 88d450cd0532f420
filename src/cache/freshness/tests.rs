//! What freshness is worked out to be.

use proptest::prelude::*;

use super::*;
use crate::cache::clock::Moment;
use crate::cache::fixture::{Fields, NOW, Request, at, fresh_for, headers, stored};
use crate::cache::storable::{Unstorable, assess};

const STALE: Result<i64, Unstorable> = Err(Unstorable::Stale);
const SILENT: Result<i64, Unstorable> = Err(Unstorable::Silent);

#[test]
fn what_a_response_says_itself() {
    for (value, expected) in [
        ("max-age=3600", Ok(3600)),
        ("max-age=0", STALE),
        ("max-age=2147483647", Ok(2_147_483_647)),
        ("max-age=2147483648", Ok(2_147_483_648)),
        ("max-age=2147483649", Ok(2_147_483_648)),
        ("max-age=99999999999999999999999", Ok(2_147_483_648)),
        ("foobar, MaX-aGe=3600", Ok(3600)),
        ("max-age=-3600", STALE),
        ("max-age='3600'", STALE),
        ("max-age=\"3600\"", Ok(3600)),
        ("max-age=\"36\\00\"", Ok(3600)),
        ("max-age=\"3600\"0", STALE),
        ("max-age=003600", Ok(3600)),
        ("max-age=3600.0", STALE),
        ("max-age =3600", STALE),
        ("max-age= 3600", STALE),
        ("max-age", STALE),
        ("max-age=", STALE),
        ("max-age=3600a", STALE),
        ("max-age=5, max-age=1800", Ok(5)),
        ("extension=\"max-age=3600\", max-age=1", Ok(1)),
        ("max-age=1, extension=\"max-age=3600\"", Ok(1)),
        ("extension=\"max-age=3600\"", SILENT),
        ("extension=\"\\\", max-age=3600\", max-age=7", Ok(7)),
        ("s-maxage=3600", Ok(3600)),
        ("max-age=3600, s-maxage=1", Ok(1)),
        ("s-maxage=3600, max-age=1", Ok(3600)),
        ("s-maxage=, max-age=60", STALE),
        ("", SILENT),
    ] {
        assert_eq!(fresh_for(&[("cache-control", value)]), expected, "{value}");
    }
    let lines = [
        ("cache-control", "max-age=1"),
        ("cache-control", "s-maxage=9"),
    ];
    assert_eq!(fresh_for(&lines), Ok(9));
}

#[test]
fn expires_counts_from_the_date() {
    let expires = |expires: i64, date: i64, more: Fields<'_>| {
        let (expires, date) = (at(expires), at(date));
        let mut fields = vec![("expires", &*expires), ("date", &*date)];
        fields.extend(more);
        fresh_for(&fields)
    };
    assert_eq!(expires(3600, 0, &[]), Ok(3600));
    assert_eq!(expires(-3600, 0, &[]), STALE);
    assert_eq!(expires(0, 0, &[]), STALE);
    assert_eq!(expires(300, 400, &[]), STALE);
    assert_eq!(expires(10, -10, &[]), Ok(10));
    assert_eq!(expires(10, -10, &[("age", "25")]), STALE);
    assert_eq!(expires(20, 10, &[("age", "15")]), STALE);
    assert_eq!(expires(-9, 0, &[("cache-control", "max-age=5")]), Ok(5));
    assert_eq!(expires(99, 0, &[("cache-control", "max-age=0")]), STALE);
    let soon = at(10);
    assert_eq!(fresh_for(&[("expires", &soon), ("date", "foo")]), Ok(10));
    assert_eq!(fresh_for(&[("expires", &soon)]), Ok(10));
    for invalid in ["0", "-1", "", "Thu, 18 Aug 2050 02:01:18 AEST", "\u{fc}"] {
        assert_eq!(fresh_for(&[("expires", invalid)]), STALE, "{invalid}");
    }
    for valid in [
        "Fri, 01 Jan 2038 01:01:01 GMT",
        "Thursday, 18-Aug-50 02:01:18 GMT",
        "Thu Aug 18 02:01:18 2050",
        "THU, 18 aUG 2050 02:01:18 gmt",
        "thursday, 18-aug-50 02:01:18 GMT",
    ] {
        assert!(fresh_for(&[("expires", valid)]).unwrap() > 0, "{valid}");
    }
    assert_eq!(
        fresh_for(&[("expires", "0"), ("cache-control", "max-age=4")]),
        Ok(4)
    );
}

#[test]
fn age_counts_from_its_first_number() {
    for (lines, expected) in [
        (&["0"][..], Ok(3600)),
        (&["600"], Ok(3000)),
        (&["7200"], STALE),
        (&["2147483647"], STALE),
        (&["2147483648"], STALE),
        (&["99999999999999999999999"], STALE),
        (&["abc"], Ok(3600)),
        (&["-7200"], Ok(3600)),
        (&["7200.0"], Ok(3600)),
        (&["7200, 0"], STALE),
        (&["0, 7200"], Ok(3600)),
        (&["7200", "0"], STALE),
        (&["0", "7200"], Ok(3600)),
        (&[""], Ok(3600)),
    ] {
        let mut fields = vec![("cache-control", "max-age=3600")];
        fields.extend(lines.iter().map(|line| ("age", *line)));
        assert_eq!(fresh_for(&fields), expected, "{lines:?}");
    }
}

#[test]
fn age_is_the_larger_of_apparent_and_told_with_delay() {
    let date = at(-20);
    let age = |fields: Fields<'_>| {
        let headers = headers(fields);
        let request = Request::get(&[]);
        let requested = Moment(NOW.moment.0 - 1500);
        let settings = CacheSettings::default();
        let asked = request.asked();
        let head = assess(&asked, StatusCode::OK, &headers, &settings, requested, NOW);
        head.unwrap().policy.initial_age
    };
    let control = ("cache-control", "max-age=3600");
    assert_eq!(age(&[control]), 1500);
    assert_eq!(age(&[control, ("date", &date)]), 20_000);
    assert_eq!(age(&[control, ("date", &date), ("age", "30")]), 31_500);
    let future = at(20);
    assert_eq!(age(&[control, ("date", &future), ("age", "1")]), 2500);
}

#[test]
fn heuristics() {
    let (day, long_ago, soon) = (at(-86_400), at(-86_400 * 365), at(60));
    let modified = [("last-modified", &*day)];
    let plain = Request::get(&[]);
    let settings = CacheSettings::default();
    let secs = |request: &Request, status, fields: Fields<'_>| {
        let head = request.gets(status, fields, &settings);
        head.map(|head| head.policy.ttl(NOW.moment) / 1000)
    };
    for status in [200, 203, 204, 300, 301, 308, 404, 410] {
        assert_eq!(secs(&plain, status, &modified), Ok(8640), "{status}");
    }
    for status in [
        201, 202, 302, 303, 307, 400, 403, 405, 414, 500, 501, 502, 599,
    ] {
        assert_eq!(secs(&plain, status, &modified), SILENT, "{status}");
    }
    assert_eq!(
        secs(&plain, 200, &[("last-modified", &long_ago)]),
        Ok(86_400)
    );
    assert_eq!(secs(&plain, 200, &[("last-modified", &soon)]), Ok(0));
    assert_eq!(secs(&plain, 404, &[("last-modified", &soon)]), SILENT);
    assert_eq!(secs(&plain, 200, &[("last-modified", "yesterday")]), SILENT);
    let public = [modified[0], ("cache-control", "public")];
    assert_eq!(secs(&plain, 599, &public), Ok(8640));
    assert_eq!(secs(&plain, 400, &public), SILENT);
    let query = Request {
        has_query: true,
        ..plain.clone()
    };
    assert_eq!(secs(&query, 200, &modified), Ok(0));
    for field in ["cookie", "authorization"] {
        let personal = Request::get(&[(field, "a=b")]);
        let explicit = [modified[0], ("cache-control", "public, max-age=7")];
        assert!(secs(&personal, 200, &modified).is_err(), "{field}");
        assert_eq!(secs(&personal, 200, &public), Ok(0), "{field}");
        assert_eq!(secs(&personal, 200, &explicit), Ok(7), "{field}");
    }
    let cookie = [modified[0], ("set-cookie", "a=b")];
    assert_eq!(secs(&plain, 200, &cookie), SILENT);
}

#[test]
fn the_default_lifetime() {
    let settings = CacheSettings {
        default_ttl: Duration::from_secs(30),
        ..CacheSettings::default()
    };
    let day = at(-86_400);
    let plain = Request::get(&[]);
    for (status, fields, expected) in [
        (200, &[][..], Ok(30)),
        (200, &[("cache-control", "foo")], Ok(30)),
        (200, &[("cache-control", "max-age=5")], Ok(5)),
        (200, &[("cache-control", "max-age=0")], STALE),
        (200, &[("expires", "0")], STALE),
        (200, &[("last-modified", &*day)], Ok(8640)),
        (200, &[("set-cookie", "a=b")], SILENT),
        (404, &[], SILENT),
        (500, &[], SILENT),
    ] {
        let head = plain.gets(status, fields, &settings);
        let found = head.map(|head| head.policy.ttl(NOW.moment) / 1000);
        assert_eq!(found, expected, "{status} {fields:?}");
    }
}

#[test]
fn a_clients_mistake_is_not_fresh_for_long() {
    let control = [("cache-control", "max-age=3600, stale-while-revalidate=9")];
    let plain = Request::get(&[]);
    for status in [400, 405, 411, 412, 413, 414, 415, 416, 417, 421, 426, 501] {
        let head = plain.gets(status, &control, &CacheSettings::default());
        let policy = head.unwrap().policy;
        assert_eq!(policy.lifetime, 10_000, "{status}");
        assert_eq!(policy.stale_while_revalidate, 0, "{status}");
    }
    for status in [200, 302, 403, 404, 409, 418, 499, 500, 503] {
        let head = plain.gets(status, &control, &CacheSettings::default());
        assert_eq!(head.unwrap().policy.lifetime, 3_600_000, "{status}");
    }
}

#[test]
fn windows_are_the_responses_own_or_the_configured() {
    let settings = CacheSettings {
        stale_while_revalidate: Duration::from_secs(5),
        stale_if_error: Duration::from_secs(6),
        ..CacheSettings::default()
    };
    let own = "stale-while-revalidate=1, stale-if-error=2";
    for (value, expected, never) in [
        ("max-age=9".to_owned(), (5, 6), false),
        (format!("max-age=9, {own}"), (1, 2), false),
        (format!("max-age=0, {own}"), (1, 2), false),
        ("max-age=9, stale-if-error=0".to_owned(), (5, 0), false),
        ("max-age=9, stale-if-error=x".to_owned(), (5, 0), false),
        ("s-maxage=9".to_owned(), (0, 0), true),
        (format!("s-maxage=9, {own}"), (1, 2), true),
        (format!("max-age=9, must-revalidate, {own}"), (0, 0), true),
        (format!("max-age=9, proxy-revalidate, {own}"), (0, 0), true),
    ] {
        let head = Request::get(&[]).gets(200, &[("cache-control", &value)], &settings);
        let policy = head.unwrap().policy;
        let windows = (policy.stale_while_revalidate, policy.stale_if_error);
        assert_eq!(windows, (expected.0 * 1000, expected.1 * 1000), "{value}");
        assert_eq!(policy.never_stale, never, "{value}");
    }
    // What is not fresh for a moment is not made so by a window of ours.
    let silent = Request::get(&[]).gets(200, &[], &settings);
    assert_eq!(silent.unwrap_err(), Unstorable::Silent);
    let tagged = [("cache-control", "no-cache"), ("etag", "\"a\"")];
    let policy = Request::get(&[])
        .gets(200, &tagged, &settings)
        .unwrap()
        .policy;
    assert_eq!((policy.stale_if_error, policy.never_stale), (0, true));
}

#[test]
fn a_date_is_there_when_it_was_not() {
    let control = ("cache-control", "max-age=9");
    let now = at(0);
    for fields in [&[control][..], &[control, ("date", "foo")]] {
        let headers = stored(fields).unwrap().headers;
        let dates: Vec<_> = headers.get_all(header::DATE).iter().collect();
        assert_eq!(dates, [&now]);
    }
    let kept = at(-3);
    let headers = stored(&[control, ("date", &kept)]).unwrap().headers;
    assert_eq!(headers[header::DATE], kept);
}

proptest! {
    #[test]
    fn no_fields_make_it_panic_or_stay_fresh_longer_than_said(
        control in "(max-age|s-maxage|expires|public|private|no-cache|no-store|[=,\" -~\\\\0-9\t])*",
        age in "[0-9, -]{0,24}",
        date in "[A-Za-z0-9:, ]{0,32}",
        swr in 0_u64..u64::MAX,
    ) {
        let window = format!("stale-while-revalidate={swr}");
        let head = stored(&[
            ("cache-control", &control),
            ("cache-control", &window),
            ("cdn-cache-control", &age),
            ("age", &age),
            ("date", &date),
            ("expires", &date),
            ("last-modified", &date),
        ]);
        if let Ok(head) = head {
            let policy = head.policy;
            prop_assert!(policy.lifetime <= LONGEST * 1000);
            let never = Moment(u64::MAX);
            prop_assert!(policy.ttl(never) < 0 && policy.age(never) > 0);
        }
    }
}
