//! What can go wrong between us and the origin.

use std::io;

use hyper::StatusCode;

use crate::log::counters::OriginErrorKind;

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
    /// No response head within `response_timeout`.
    #[error("no response from the origin within response_timeout")]
    ResponseTimeout,
    /// It answered 101, which nobody asked for.
    #[error("the origin switched protocols without being asked")]
    Upgraded,
    /// Its response has another transfer coding than `chunked`, which nobody
    /// asked for and no client could undo.
    #[error("the origin's response has a transfer coding other than chunked")]
    TransferCoding,
    /// The length of its response can be read in several ways, or not at all.
    #[error("the origin's response has no one Content-Length")]
    Length,
    /// It took nothing of the request's body for `server.stall_timeout`.
    #[error("the origin took nothing of the request body for server.stall_timeout")]
    WriteTimeout,
    /// The client did not send its request to the end.
    #[error("the request body ended before its time")]
    Upload(#[source] hyper::Error),
    /// The client sent less than 1 KiB a second for `server.stall_timeout`.
    #[error("the client sent less than 1 KiB a second for server.stall_timeout")]
    UploadStalled,
    /// The client sent more than `server.max_body`.
    #[error("the request body is longer than server.max_body")]
    UploadTooLarge,
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
            | Self::Length
            | Self::Upgraded => StatusCode::BAD_GATEWAY,
            Self::ConnectTimeout | Self::ResponseTimeout | Self::WriteTimeout => {
                StatusCode::GATEWAY_TIMEOUT
            }
            Self::NoConnectionFree => StatusCode::SERVICE_UNAVAILABLE,
            Self::Upload(_) => StatusCode::BAD_REQUEST,
            Self::UploadStalled => StatusCode::REQUEST_TIMEOUT,
            Self::UploadTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        }
    }

    /// Whether asking again may help: the origin has not begun to answer,
    /// and nothing says that it would not. An idempotent request only. Not
    /// after a refusal: every address of the name was tried by then, and the
    /// next attempt would meet the same.
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
            | Self::ResponseTimeout
            | Self::Upgraded
            | Self::TransferCoding
            | Self::Length
            | Self::WriteTimeout
            | Self::Upload(_)
            | Self::UploadStalled
            | Self::UploadTooLarge => false,
        }
    }

    /// What it is counted as.
    pub const fn kind(&self) -> OriginErrorKind {
        match self {
            Self::Dns(_) => OriginErrorKind::DnsError,
            Self::Refused(_) => OriginErrorKind::ConnectionRefused,
            Self::Unreachable(_) => OriginErrorKind::DestinationIpUnroutable,
            Self::ConnectTimeout => OriginErrorKind::ConnectionTimeout,
            Self::NoConnectionFree => OriginErrorKind::ConnectionLimitReached,
            Self::Terminated(_) => OriginErrorKind::ConnectionTerminated,
            Self::Incomplete(_) => OriginErrorKind::HttpResponseIncomplete,
            Self::Malformed(_) | Self::Length => OriginErrorKind::HttpProtocolError,
            Self::ResponseTimeout => OriginErrorKind::HttpResponseTimeout,
            Self::Upgraded => OriginErrorKind::HttpUpgradeFailed,
            Self::TransferCoding => OriginErrorKind::HttpResponseTransferCoding,
            Self::WriteTimeout => OriginErrorKind::ConnectionWriteTimeout,
            Self::Upload(_) | Self::UploadStalled | Self::UploadTooLarge => {
                OriginErrorKind::HttpRequestError
            }
        }
    }

    /// The name of RFC 9209 section 2.3.
    pub const fn as_str(&self) -> &'static str {
        self.kind().as_str()
    }
}
