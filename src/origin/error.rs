//! What can go wrong between us and the origin.

use std::io;

use hyper::StatusCode;

/// Why the origin gave no response.
#[derive(Debug, thiserror::Error)]
pub enum OriginError {
    /// Its name has no address.
    #[error("the origin's name cannot be resolved")]
    Dns(#[source] io::Error),
    /// Nobody listens there.
    #[error("the origin refused the connection")]
    Refused(#[source] io::Error),
    /// There is no way there.
    #[error("the origin cannot be reached")]
    Unreachable(#[source] io::Error),
    /// No connection within `connect_timeout`.
    #[error("no connection to the origin within connect_timeout")]
    ConnectTimeout,
    /// `max_connections` are busy, and none became free within `connect_timeout`.
    #[error("all connections to the origin are busy (origin.max_connections)")]
    NoConnectionFree,
    /// It closed the connection before any byte of a response.
    #[error("the origin closed the connection before it answered")]
    Terminated(#[source] hyper::Error),
    /// It closed the connection within the head of a response.
    #[error("the origin closed the connection within its response head")]
    Incomplete(#[source] hyper::Error),
    /// What it sent is not HTTP.
    #[error("the origin's response is not valid HTTP")]
    Malformed(#[source] hyper::Error),
    /// Its body is coded in a way that was not asked for.
    #[error("the origin's response has a transfer coding beside chunked")]
    TransferCoding,
    /// No response head within `response_timeout`.
    #[error("no response from the origin within response_timeout")]
    ResponseTimeout,
    /// It answered 101, which nobody asked for.
    #[error("the origin switched protocols without being asked")]
    Upgraded,
    /// The client did not send its request to the end.
    #[error("the request body ended before its time")]
    Upload(#[source] hyper::Error),
}

impl OriginError {
    /// What the client is answered.
    pub const fn status(&self) -> StatusCode {
        match self {
            Self::Dns(_)
            | Self::Refused(_)
            | Self::Unreachable(_)
            | Self::Terminated(_)
            | Self::Incomplete(_)
            | Self::Malformed(_)
            | Self::TransferCoding
            | Self::Upgraded => StatusCode::BAD_GATEWAY,
            Self::ConnectTimeout | Self::ResponseTimeout => StatusCode::GATEWAY_TIMEOUT,
            Self::NoConnectionFree => StatusCode::SERVICE_UNAVAILABLE,
            Self::Upload(_) => StatusCode::BAD_REQUEST,
        }
    }

    /// Whether asking again may help: the origin has not begun to answer,
    /// and nothing says that it would not. An idempotent request only.
    pub const fn may_retry(&self) -> bool {
        match self {
            Self::Terminated(_) => true,
            Self::Dns(_)
            | Self::Refused(_)
            | Self::Unreachable(_)
            | Self::ConnectTimeout
            | Self::NoConnectionFree
            | Self::Incomplete(_)
            | Self::Malformed(_)
            | Self::TransferCoding
            | Self::ResponseTimeout
            | Self::Upgraded
            | Self::Upload(_) => false,
        }
    }

    /// The name of RFC 9209 section 2.3.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Dns(_) => "dns_error",
            Self::Refused(_) => "connection_refused",
            Self::Unreachable(_) => "destination_ip_unroutable",
            Self::ConnectTimeout => "connection_timeout",
            Self::NoConnectionFree => "connection_limit_reached",
            Self::Terminated(_) => "connection_terminated",
            Self::Incomplete(_) => "http_response_incomplete",
            Self::Malformed(_) => "http_protocol_error",
            Self::TransferCoding => "http_response_transfer_coding",
            Self::ResponseTimeout => "http_response_timeout",
            Self::Upgraded => "http_upgrade_failed",
            Self::Upload(_) => "http_request_error",
        }
    }
}
