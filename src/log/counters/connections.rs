//! Clients' connections, counted.

use super::{Counter, Gauge};

/// The clients' connections of one worker.
#[derive(Debug, Default)]
pub struct ConnectionCounters {
    /// Accepted so far.
    pub accepted: Counter,
    /// Open now.
    pub open: Gauge,
}
