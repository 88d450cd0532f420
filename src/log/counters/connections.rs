//! Clients' connections, counted.

use super::{Counter, Gauge};

/// The clients' connections of one worker.
#[derive(Debug, Default)]
pub struct ConnectionCounters {
    /// Accepted so far, also those refused.
    pub accepted: Counter,
    /// Open now.
    pub open: Gauge,
    /// Could not be accepted: the system has no room for them.
    pub accept_errors: Counter,
    /// Refused over `server.max_connections`, with a 503.
    pub refused: Counter,
    /// Closed between two requests for a newer one.
    pub evicted: Counter,
    /// Closed without a TLS handshake that came to an end within
    /// `server.tls.handshake_timeout`.
    pub failed_handshakes: Counter,
    /// Closed after `server.idle_timeout` between two requests.
    pub idle_closed: Counter,
    /// Closed after `server.header_timeout` without a byte.
    pub silent_closed: Counter,
    /// Closed because a trusted peer sent no valid PROXY header in time
    /// (`client.proxy_protocol`).
    pub no_proxy_headers: Counter,
    /// Heads that did not end within `server.header_timeout`, answered 408.
    pub header_timeouts: Counter,
    /// Cut because the client did not take its response, by
    /// `server.stall_timeout`.
    pub stalled: Counter,
    /// Closed because the client sent many frames of HTTP/2 that ask for
    /// nothing, or cancelled what it asked for again and again.
    pub floods: Counter,
    /// Streams of HTTP/2 refused over `server.max_connections`.
    pub refused_streams: Counter,
    /// Heads that are not HTTP, answered 400 before any rule saw them.
    pub malformed_heads: Counter,
    /// Request lines over `server.max_header_bytes`, answered 414.
    pub long_targets: Counter,
    /// Heads over `server.max_header_bytes` or 100 fields, answered 431.
    pub large_heads: Counter,
}
