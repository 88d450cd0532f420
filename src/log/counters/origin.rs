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
    /// Requests that failed, by [`OriginErrorKind`] as index: one a request,
    /// whatever the number of attempts; also those that failed within the
    /// body of the response.
    pub errors: [Counter; OriginErrorKind::ALL.len()],
}

/// What went wrong between us and the origin, by its name in RFC 9209
/// section 2.3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OriginErrorKind {
    /// `dns_error`
    DnsError,
    /// `dns_timeout`
    DnsTimeout,
    /// `connection_refused`
    ConnectionRefused,
    /// `destination_ip_unroutable`
    DestinationIpUnroutable,
    /// `destination_ip_prohibited`
    DestinationIpProhibited,
    /// `connection_timeout`
    ConnectionTimeout,
    /// `connection_limit_reached`
    ConnectionLimitReached,
    /// `connection_terminated`
    ConnectionTerminated,
    /// `connection_read_timeout`
    ConnectionReadTimeout,
    /// `connection_write_timeout`
    ConnectionWriteTimeout,
    /// `tls_protocol_error`
    TlsProtocolError,
    /// `tls_certificate_error`
    TlsCertificateError,
    /// `tls_alert_received`
    TlsAlertReceived,
    /// `http_response_incomplete`
    HttpResponseIncomplete,
    /// `http_response_transfer_coding`
    HttpResponseTransferCoding,
    /// `http_response_timeout`
    HttpResponseTimeout,
    /// `http_protocol_error`
    HttpProtocolError,
    /// `http_upgrade_failed`
    HttpUpgradeFailed,
    /// `http_request_error`: the client's fault, found while the origin was
    /// being asked.
    HttpRequestError,
    /// `proxy_internal_error`
    ProxyInternalError,
}

impl OriginErrorKind {
    /// Every kind, in the order of [`OriginCounters::errors`].
    pub const ALL: [Self; 20] = [
        Self::DnsError,
        Self::DnsTimeout,
        Self::ConnectionRefused,
        Self::DestinationIpUnroutable,
        Self::DestinationIpProhibited,
        Self::ConnectionTimeout,
        Self::ConnectionLimitReached,
        Self::ConnectionTerminated,
        Self::ConnectionReadTimeout,
        Self::ConnectionWriteTimeout,
        Self::TlsProtocolError,
        Self::TlsCertificateError,
        Self::TlsAlertReceived,
        Self::HttpResponseIncomplete,
        Self::HttpResponseTransferCoding,
        Self::HttpResponseTimeout,
        Self::HttpProtocolError,
        Self::HttpUpgradeFailed,
        Self::HttpRequestError,
        Self::ProxyInternalError,
    ];

    /// The name in log lines and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::DnsError => "dns_error",
            Self::DnsTimeout => "dns_timeout",
            Self::ConnectionRefused => "connection_refused",
            Self::DestinationIpUnroutable => "destination_ip_unroutable",
            Self::DestinationIpProhibited => "destination_ip_prohibited",
            Self::ConnectionTimeout => "connection_timeout",
            Self::ConnectionLimitReached => "connection_limit_reached",
            Self::ConnectionTerminated => "connection_terminated",
            Self::ConnectionReadTimeout => "connection_read_timeout",
            Self::ConnectionWriteTimeout => "connection_write_timeout",
            Self::TlsProtocolError => "tls_protocol_error",
            Self::TlsCertificateError => "tls_certificate_error",
            Self::TlsAlertReceived => "tls_alert_received",
            Self::HttpResponseIncomplete => "http_response_incomplete",
            Self::HttpResponseTransferCoding => "http_response_transfer_coding",
            Self::HttpResponseTimeout => "http_response_timeout",
            Self::HttpProtocolError => "http_protocol_error",
            Self::HttpUpgradeFailed => "http_upgrade_failed",
            Self::HttpRequestError => "http_request_error",
            Self::ProxyInternalError => "proxy_internal_error",
        }
    }
}

impl OriginCounters {
    /// A request failed for this reason.
    pub fn failed(&self, kind: OriginErrorKind) {
        self.errors[kind as usize].add(1);
    }

    /// A request waited so long in line.
    pub fn waited_for(&self, time: Duration) {
        self.waited.add(1);
        self.waited_us
            .add(u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_in_the_order_of_their_index() {
        for (index, kind) in OriginErrorKind::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, index, "{}", kind.as_str());
        }
    }
}
