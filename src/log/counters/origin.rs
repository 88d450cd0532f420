//! Connections to origins, counted.

use std::time::Duration;

use super::{Counter, Gauge};

/// One worker's connections to all origins. Counters only grow; durations
/// are in microseconds.
#[derive(Debug, Default)]
pub struct OriginCounters {
    /// Connections opened so far.
    pub opened: Counter,
    /// Requests sent on a connection that had carried one before.
    pub reused: Counter,
    /// Requests that met a connection closed while it was idle, and were sent
    /// again on another unseen by the client.
    pub stale: Counter,
    /// Requests sent again because of `origin.retries`.
    pub retried: Counter,
    /// Requests that had to wait in line for a connection.
    pub waited: Counter,
    /// How long they waited, all together, in microseconds, with those
    /// that waited in vain.
    pub waited_us: Counter,
    /// Of those that waited, how many did so behind all others, because their
    /// client held a quarter or more of the worker's connections.
    pub waited_behind: Counter,
    /// Connections in use now.
    pub busy: Gauge,
    /// Connections kept for the next request now.
    pub idle: Gauge,
}

impl OriginCounters {
    /// A request waited so long in line.
    pub fn waited_for(&self, time: Duration) {
        self.waited.add(1);
        self.waited_us
            .add(u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
    }
}
