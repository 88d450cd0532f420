//! How old a response is when it comes, and how long it stays fresh (RFC 9111
//! section 4.2).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hyper::header::{self, HeaderName};
use hyper::{HeaderMap, StatusCode};

use super::asked::Asked;
use super::clock::{Date, Moment, Now, millis};
use super::directives::{LONGEST, ResponseDirectives, first, seconds};
use super::policy::Policy;
use super::settings::CacheSettings;
use crate::message::field::trim;

/// The longest lifetime that is only guessed, in seconds (section 9).
const LONGEST_GUESS: u64 = 24 * 60 * 60;

/// How long a client's mistake is stored at most, in milliseconds (section 9).
const MISTAKE: u64 = 10_000;

/// What freshness is worked out from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Subject<'a> {
    pub(super) asked: &'a Asked<'a>,
    pub(super) status: StatusCode,
    pub(super) headers: &'a HeaderMap,
    pub(super) directives: &'a ResponseDirectives,
    pub(super) settings: &'a CacheSettings,
    /// request_time.
    pub(super) requested: Moment,
    /// response_time.
    pub(super) now: Now,
}

impl Subject<'_> {
    /// How the response may be used; `None`: it says nothing about its
    /// freshness, and its status is not one to guess about (RFC 9111 section
    /// 3, the last condition).
    pub(super) fn policy(&self) -> Option<Policy> {
        let said = self.directives;
        let settings = self.settings;
        let lifetime = self.lifetime()?;
        let forbids_stale = said.must_revalidate || said.proxy_revalidate || said.no_cache;
        // RFC 9111 section 5.2.2.10: as `proxy-revalidate`, which section 9
        // takes to be about what the response does not allow itself.
        let shared_only = said.s_maxage.is_some();
        let window = |own: Option<u64>, configured: Duration| match own {
            _ if forbids_stale || is_failure(self.status) => 0,
            Some(own) => own * 1000,
            // What never was fresh is not made so by a window of ours.
            None if shared_only || lifetime == 0 => 0,
            None => millis(configured),
        };
        Some(Policy {
            received: self.now.moment,
            initial_age: self.initial_age(),
            lifetime,
            no_cache: said.no_cache,
            never_stale: forbids_stale || shared_only,
            stale_while_revalidate: window(
                said.stale_while_revalidate,
                settings.stale_while_revalidate,
            ),
            stale_if_error: window(said.stale_if_error, settings.stale_if_error),
        })
    }

    /// corrected_initial_age (RFC 9111 section 4.2.3), in milliseconds.
    fn initial_age(&self) -> u64 {
        let delay = self.now.moment.since(self.requested);
        let apparent = self.now.date.0.saturating_sub(self.date().0) * 1000;
        let corrected = age_value(self.headers) * 1000 + delay;
        apparent.max(corrected)
    }

    /// date_value; where there is none, when the response came (RFC 9110
    /// section 6.6.1).
    fn date(&self) -> Date {
        date(self.headers, &header::DATE).unwrap_or(self.now.date)
    }

    /// freshness_lifetime (RFC 9111 section 4.2.1), in milliseconds.
    fn lifetime(&self) -> Option<u64> {
        let lifetime = match self.explicit() {
            Some(seconds) => seconds * 1000,
            None => self.guessed()?,
        };
        Some(match is_mistake(self.status) {
            true => lifetime.min(MISTAKE),
            false => lifetime,
        })
    }

    /// The first that the response has of s-maxage, max-age and Expires (RFC
    /// 9111 section 4.2.1), in seconds. CDN-Cache-Control leaves no room for
    /// Expires (RFC 9213 section 2.2).
    fn explicit(&self) -> Option<u64> {
        let said = self.directives;
        said.s_maxage.or(said.max_age).or_else(|| {
            if said.targeted || !self.headers.contains_key(header::EXPIRES) {
                return None;
            }
            // RFC 9111 section 5.3: an invalid one is in the past.
            let expires = date(self.headers, &header::EXPIRES).unwrap_or_default();
            Some(expires.0.saturating_sub(self.date().0).min(LONGEST))
        })
    }

    /// What nothing says: by the configuration or by heuristics (RFC 9111
    /// section 4.2.2, as strict as section 9), in milliseconds. `None`: the
    /// response may not be stored without saying more.
    fn guessed(&self) -> Option<u64> {
        let public = self.directives.public;
        if is_mistake(self.status) || !public && !is_heuristically_cacheable(self.status) {
            return public.then_some(0);
        }
        let modified = date(self.headers, &header::LAST_MODIFIED);
        let default = millis(self.settings.default_ttl);
        if self.status == StatusCode::OK
            && default > 0
            && !self.headers.contains_key(header::LAST_MODIFIED)
            && !has_set_cookie(self.headers)
        {
            return Some(default);
        }
        // Heuristics are what would allow to store it, too.
        if self.is_personal() {
            return public.then_some(0);
        }
        let modified = modified.filter(|_| !self.asked.has_query);
        let age = modified.map_or(0, |modified| self.date().0.saturating_sub(modified.0));
        Some((age * 100).min(LONGEST_GUESS * 1000))
    }

    /// Whether it may be about the one who asked.
    fn is_personal(&self) -> bool {
        let request = self.asked.headers;
        request.contains_key(header::COOKIE)
            || request.contains_key(header::AUTHORIZATION)
            || has_set_cookie(self.headers)
    }
}

/// The Age field: the first of a list, and 0 where it is not a number (RFC
/// 9111 section 5.1), in seconds.
fn age_value(headers: &HeaderMap) -> u64 {
    first(headers, &header::AGE).and_then(seconds).unwrap_or(0)
}

/// An HTTP-date (RFC 9110 section 5.6.7), of the first line of a field.
pub(super) fn date(headers: &HeaderMap, name: &HeaderName) -> Option<Date> {
    let text = std::str::from_utf8(trim(headers.get(name)?.as_bytes())).ok()?;
    let time = httpdate::parse_http_date(text).ok()?;
    Some(Date(time.duration_since(UNIX_EPOCH).ok()?.as_secs()))
}

/// A Date field for `date`.
pub(super) fn date_text(date: Date) -> String {
    // A clock past the year 9999 has no HTTP-date.
    const LAST: u64 = 253_402_300_799;
    let time: SystemTime = UNIX_EPOCH + Duration::from_secs(date.0.min(LAST));
    httpdate::fmt_http_date(time)
}

/// Whether a response sets a cookie.
pub(super) fn has_set_cookie(headers: &HeaderMap) -> bool {
    headers.contains_key(header::SET_COOKIE) || headers.contains_key("set-cookie2")
}

/// The statuses that freshness is guessed for: those of RFC 9110 section 15.1
/// but 206, which is never stored, and the client's mistakes.
fn is_heuristically_cacheable(status: StatusCode) -> bool {
    matches!(
        status.as_u16(),
        200 | 203 | 204 | 300 | 301 | 308 | 404 | 410
    )
}

/// Answers to a request that was wrong in what the key does not have, such as
/// an oversized field: one client could spoil them for all (section 9).
fn is_mistake(status: StatusCode) -> bool {
    matches!(
        status.as_u16(),
        400 | 405 | 411..=417 | 421 | 426 | 431 | 501
    )
}

/// Answers that nothing is gained by serving longer than they said.
fn is_failure(status: StatusCode) -> bool {
    is_mistake(status) || status.is_server_error()
}

#[cfg(test)]
mod tests {
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
            ("extension=\"max-age=3600\"", STALE),
            ("extension=\"\\\", max-age=3600\", max-age=7", Ok(7)),
            ("s-maxage=3600", Ok(3600)),
            ("max-age=3600, s-maxage=1", Ok(1)),
            ("s-maxage=3600, max-age=1", Ok(3600)),
            ("s-maxage=, max-age=60", STALE),
            ("", STALE),
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
        assert_eq!(secs(&plain, 404, &[("last-modified", &soon)]), STALE);
        assert_eq!(secs(&plain, 200, &[("last-modified", "yesterday")]), STALE);
        let public = [modified[0], ("cache-control", "public")];
        assert_eq!(secs(&plain, 599, &public), Ok(8640));
        assert_eq!(secs(&plain, 400, &public), STALE);
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
            (404, &[], STALE),
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
        assert_eq!(silent.unwrap_err(), Unstorable::Stale);
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
}
