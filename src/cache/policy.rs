//! How a stored response may be used, worked out once, when it comes.

use super::clock::Moment;

/// How a stored response may be used. All spans are in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// When its head came: response_time (RFC 9111 section 4.2.3), or when it
    /// was last validated.
    pub received: Moment,
    /// corrected_initial_age at that moment (RFC 9111 section 4.2.3).
    pub initial_age: u64,
    /// Its freshness lifetime (RFC 9111 section 4.2.1).
    pub lifetime: u64,
    /// It must be validated before each use: `no-cache` (RFC 9111 section
    /// 5.2.2.4).
    pub no_cache: bool,
    /// A client's `max-stale` does not count: `must-revalidate`,
    /// `proxy-revalidate`, `no-cache` or `s-maxage` (RFC 9111 section 4.2.4).
    /// The two windows are 0 where they do not apply.
    pub never_stale: bool,
    /// How long beyond its lifetime it may be served while it is fetched
    /// anew (RFC 5861 section 3), from the response or the configuration.
    pub stale_while_revalidate: u64,
    /// How long beyond its lifetime it may be served where the origin fails
    /// (RFC 5861 section 4).
    pub stale_if_error: u64,
}

impl Policy {
    /// current_age (RFC 9111 section 4.2.3), in milliseconds.
    pub fn age(&self, now: Moment) -> u64 {
        self.initial_age.saturating_add(now.since(self.received))
    }

    /// How long it stays fresh, in milliseconds; 0 or less: it is stale (RFC
    /// 9111 section 4.2), for so long.
    pub fn ttl(&self, now: Moment) -> i64 {
        let signed = |span: u64| i64::try_from(span).unwrap_or(i64::MAX);
        signed(self.lifetime).saturating_sub(signed(self.age(now)))
    }

    /// How long it has been stale, in milliseconds; `None`: it is fresh.
    pub fn stale_for(&self, now: Moment) -> Option<u64> {
        self.age(now).checked_sub(self.lifetime)
    }
}
