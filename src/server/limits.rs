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
    /// Connections of the process; a stream beyond the first of a connection
    /// counts as one.
    pub(super) connections: usize,
    /// Streams that may be open on one connection by HTTP/2.
    pub(super) streams: u32,
}

impl Limits {
    pub(super) fn new(settings: &ServerSettings) -> Self {
        let milliseconds = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        Self {
            header: milliseconds(settings.header_timeout),
            idle: milliseconds(settings.idle_timeout),
            stall: milliseconds(settings.stall_timeout),
            head: settings.max_header_bytes,
            connections: settings.max_connections,
            streams: settings
                .tls
                .as_ref()
                .map_or(1, |tls| u32::try_from(tls.max_streams).unwrap_or(u32::MAX)),
        }
    }

    /// The shortest of the times.
    pub(super) fn shortest(&self) -> u64 {
        self.header.min(self.idle).min(self.stall)
    }
}
