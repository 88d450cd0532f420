//! Whether a stored response may answer a request (RFC 9111 section 4).

use super::clock::Moment;
use super::directives::{MaxStale, RequestDirectives};
use super::policy::Policy;

/// How long a response counts as just validated, in milliseconds: a client
/// that wants it fresher does not get the origin asked again (section 9).
const JUST_NOW: u64 = 1000;

/// What a stored response is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reuse {
    /// It answers.
    Fresh,
    /// It answers, and is fetched anew meanwhile (RFC 5861 section 3).
    StaleWhileRevalidate,
    /// It answers although it is stale: the client takes it so (RFC 9111
    /// section 5.2.1.2).
    Stale,
    /// It answers once the origin has validated it.
    Validate,
}

/// Whether a stored response that fits a request may answer it now.
pub fn reuse(policy: &Policy, asked: &RequestDirectives, now: Moment) -> Reuse {
    // RFC 9111 section 5.2.2.4.
    if policy.no_cache {
        return Reuse::Validate;
    }
    let just_validated = now.since(policy.received) < JUST_NOW;
    if !just_validated && wants_fresher(policy, asked, now) {
        return Reuse::Validate;
    }
    let Some(stale) = policy.stale_for(now) else {
        return Reuse::Fresh;
    };
    // RFC 9111 section 5.2.1.1: with max-age and without max-stale a client
    // wants nothing stale.
    if !just_validated && asked.max_age.is_some() && asked.max_stale.is_none() {
        return Reuse::Validate;
    }
    if stale < policy.stale_while_revalidate {
        return Reuse::StaleWhileRevalidate;
    }
    let accepted = match asked.max_stale {
        None => false,
        Some(MaxStale::Any) => true,
        Some(MaxStale::Seconds(seconds)) => stale <= seconds * 1000,
    };
    match accepted && !policy.never_stale {
        true => Reuse::Stale,
        false => Reuse::Validate,
    }
}

/// Whether it may answer because the origin failed: with a 500, 502, 503 or
/// 504, or not at all (RFC 5861 section 4, RFC 9111 section 4.2.4).
pub fn may_serve_on_error(policy: &Policy, asked: &RequestDirectives, now: Moment) -> bool {
    let refused = policy.no_cache || asked.no_cache;
    match policy.stale_for(now) {
        _ if refused => false,
        None => true,
        Some(stale) => stale < policy.stale_if_error,
    }
}

/// `no-cache`, `max-age` and `min-fresh` (RFC 9111 section 5.2.1).
fn wants_fresher(policy: &Policy, asked: &RequestDirectives, now: Moment) -> bool {
    let too_old = |seconds: u64| policy.age(now) > seconds * 1000;
    let too_short = |seconds: u64| policy.ttl(now) < (seconds * 1000) as i64;
    asked.no_cache || asked.max_age.is_some_and(too_old) || asked.min_fresh.is_some_and(too_short)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::fixture::{NOW, headers, later};

    fn directives(control: &str) -> RequestDirectives {
        RequestDirectives::of(&headers(&[("cache-control", control)]).into())
    }

    /// Fresh for ten seconds, and a window each.
    fn policy() -> Policy {
        Policy {
            received: NOW.moment,
            initial_age: 0,
            lifetime: 10_000,
            stale_while_revalidate: 5000,
            stale_if_error: 7000,
            ..Policy::default()
        }
    }

    #[test]
    fn by_age_and_what_the_client_wants() {
        use Reuse::{Fresh, Stale, StaleWhileRevalidate, Validate};
        for (control, millis, expected) in [
            ("", 0, Fresh),
            ("", 9999, Fresh),
            ("", 10_000, StaleWhileRevalidate),
            ("", 14_999, StaleWhileRevalidate),
            ("", 15_000, Validate),
            // At most one request a second and key.
            ("no-cache", 999, Fresh),
            ("no-cache", 1000, Validate),
            ("max-age=0", 999, Fresh),
            ("max-age=0", 1000, Validate),
            ("max-age=3", 3000, Fresh),
            ("max-age=3", 3001, Validate),
            ("max-age=99", 10_000, Validate),
            ("max-age=99, max-stale", 10_000, StaleWhileRevalidate),
            ("min-fresh=3", 7000, Fresh),
            ("min-fresh=3", 7001, Validate),
            ("max-stale", 99_000, Stale),
            ("max-stale=6", 12_000, StaleWhileRevalidate),
            ("max-stale=6", 16_000, Stale),
            ("max-stale=6", 16_001, Validate),
            ("no-store, only-if-cached", 5000, Fresh),
            ("max-age=18446744073709551615", 9000, Fresh),
            ("min-fresh=18446744073709551615", 9000, Validate),
        ] {
            let found = reuse(&policy(), &directives(control), later(millis));
            assert_eq!(found, expected, "{control} after {millis} ms");
        }
    }

    #[test]
    fn what_the_response_forbids() {
        let unstale = Policy {
            never_stale: true,
            ..policy()
        };
        let asked = directives("max-stale");
        assert_eq!(reuse(&unstale, &asked, later(16_000)), Reuse::Validate);
        let unvalidated = Policy {
            no_cache: true,
            ..policy()
        };
        assert_eq!(reuse(&unvalidated, &asked, NOW.moment), Reuse::Validate);
        assert!(!may_serve_on_error(&unvalidated, &asked, NOW.moment));
    }

    #[test]
    fn where_the_origin_fails() {
        for (control, millis, expected) in [
            ("", 5000, true),
            ("", 16_999, true),
            ("", 17_000, false),
            ("max-age=0", 16_999, true),
            ("no-cache", 5000, false),
        ] {
            let found = may_serve_on_error(&policy(), &directives(control), later(millis));
            assert_eq!(found, expected, "{control} after {millis} ms");
        }
    }
}
