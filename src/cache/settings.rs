//! The `[cache]` table of a route, compiled.

use std::time::Duration;

/// What `[cache]` and `[route.cache]` say about the responses of a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheSettings {
    /// Whether there is a cache for this route: `cache.memory` is above 0 and
    /// `route.cache.enabled` is not false.
    pub enabled: bool,
    /// `max_object`: the longest body that is stored, in bytes.
    pub max_object: u64,
    /// `default_ttl`: for a cacheable 200 that says nothing about its
    /// freshness and has no Last-Modified.
    pub default_ttl: Duration,
    /// `stale_while_revalidate`, where the response says nothing.
    pub stale_while_revalidate: Duration,
    /// `stale_if_error`, where the response says nothing.
    pub stale_if_error: Duration,
    /// `set_cookie`.
    pub set_cookie: SetCookie,
}

/// What becomes of a response with Set-Cookie.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SetCookie {
    /// Stored without the field.
    #[default]
    Strip,
    /// Stored with it, as RFC 9111 has it.
    Keep,
    /// Not stored.
    Bypass,
}

impl Default for CacheSettings {
    /// What the configuration defaults to.
    fn default() -> Self {
        Self {
            enabled: true,
            max_object: 64 << 20,
            default_ttl: Duration::ZERO,
            stale_while_revalidate: Duration::ZERO,
            stale_if_error: Duration::ZERO,
            set_cookie: SetCookie::Strip,
        }
    }
}
