//! Connections to origins, counted.

use super::Counter;

/// One worker's connections to all origins.
#[derive(Debug, Default)]
pub struct OriginCounters {
    /// Opened so far.
    pub opened: Counter,
    /// Requests sent on a connection that had carried one before.
    pub reused: Counter,
}
