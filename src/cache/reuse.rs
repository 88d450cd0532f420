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
    let unsatisfied = wants_fresher(policy, asked, now);
    if unsatisfied && now.since(policy.received) >= JUST_NOW {
        return Reuse::Validate;
    }
    let Some(stale) = policy.stale_for(now) else {
        return Reuse::Fresh;
    };
    // RFC 9111 section 5.2.1.1: with max-age and without max-stale a client
    // wants nothing stale.
    let takes_stale = asked.max_age.is_none() || asked.max_stale.is_some();
    if unsatisfied || !takes_stale {
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
