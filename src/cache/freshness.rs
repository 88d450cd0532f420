//! How old a response is when it comes, and how long it stays fresh (RFC 9111
//! section 4.2).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hyper::header::{self, HeaderName};
use hyper::{HeaderMap, StatusCode};

use super::asked::Asked;
use super::clock::{Date, Moment, Now, millis};
use super::directives::{LONGEST, ResponseDirectives, first, seconds};
use super::http_date;
use super::policy::Policy;
use super::settings::CacheSettings;
use crate::message::field::trim;
use crate::message::fields::Name;

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

    /// Whether the response itself says how long it is fresh, be it not at all.
    pub(super) fn says_how_long(&self) -> bool {
        self.explicit().is_some()
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
        request.contains(Name::COOKIE)
            || request.contains(Name::AUTHORIZATION)
            || has_set_cookie(self.headers)
    }
}

/// The Age field: the first of a list, and 0 where it is not a number (RFC
/// 9111 section 5.1), in seconds.
fn age_value(headers: &HeaderMap) -> u64 {
    first(headers, &header::AGE).and_then(seconds).unwrap_or(0)
}

/// An HTTP-date (RFC 9110 section 5.6.7), of the first line of a field; case
/// does not count (RFC 9111 section 4.2).
pub(super) fn date(headers: &HeaderMap, name: &HeaderName) -> Option<Date> {
    http_date::parse(trim(headers.get(name)?.as_bytes())).map(Date)
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
mod tests;
