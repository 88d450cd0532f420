//! What a connection may take.

use std::time::Duration;

use crate::config::ServerSettings;

/// The limits in force when a connection was accepted; times in milliseconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// From the first byte of a head to its end.
    pub(super) header: u64,
    /// Until the first byte of the next head.
    pub(super) idle: u64,
    /// Of a body that makes no progress.
    pub(super) stall: u64,
    /// Of a head, in bytes.
    pub(super) head: usize,
}

impl Limits {
    pub(super) fn new(settings: &ServerSettings) -> Self {
        let milliseconds = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        Self {
            header: milliseconds(settings.header_timeout),
            idle: milliseconds(settings.idle_timeout),
            stall: milliseconds(settings.stall_timeout),
            head: settings.max_header_bytes,
        }
    }

    /// The shortest of the times.
    pub(super) fn shortest(&self) -> u64 {
        self.header.min(self.idle).min(self.stall)
    }
}
