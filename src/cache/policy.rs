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
    /// It is never served stale: `must-revalidate`, `proxy-revalidate`,
    /// `no-cache`, or `s-maxage` without windows of its own.
    pub never_stale: bool,
    /// How long beyond its lifetime it may be served while it is fetched
    /// anew (RFC 5861 section 3), from the response or the configuration.
    pub stale_while_revalidate: u64,
    /// How long beyond its lifetime it may be served where the origin fails
    /// (RFC 5861 section 4).
    pub stale_if_error: u64,
}
