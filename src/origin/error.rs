//! What can go wrong between us and the origin.

use std::io;

use hyper::StatusCode;
use tokio_rustls::rustls;

/// What ended an exchange, as those see it who speak HTTP and carry its bytes.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub enum Cause {
    /// On a connection that hyper speaks on.
    Hyper(#[from] hyper::Error),
    /// The stream below failed.
    Stream(#[from] io::Error),
    /// What came, or did not, on a connection that we speak on.
    Flaw(#[from] Flaw),
}

/// What is wrong with what an origin sent. What hyper finds too is named as
/// it names it, since a log has both.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    /// It closed the connection too early.
    #[error("connection closed before message completed")]
    Closed,
    /// Bytes came that nobody had asked for.
    #[error("received unexpected message from connection")]
    Unasked,
    /// Neither HTTP/1.0 nor HTTP/1.1.
    #[error("invalid HTTP version parsed")]
    Version,
    /// No status code.
    #[error("invalid HTTP status-code parsed")]
    Status,
    /// No field line.
    #[error("invalid HTTP header parsed")]
    Field,
    /// No length, or several.
    #[error("invalid content-length parsed")]
    Length,
    /// A transfer coding in HTTP/1.0.
    #[error("unexpected transfer-encoding parsed")]
    Coding,
    /// Too many bytes or fields.
    #[error("message head is too large")]
    TooLarge,
    /// It answers again and again, but never at last.
    #[error("too many interim responses")]
    Interim,
    /// No chunk, or one with too much around it.
    #[error("invalid chunk")]
    Chunk,
    /// No trailer section, or too long a one.
    #[error("invalid trailer section")]
    Trailers,
}

/// Why the origin gave no response.
#[derive(Debug, thiserror::Error)]
pub enum OriginError {
    /// Its name has no address.
    #[error("the origin's name cannot be resolved")]
    Dns(#[source] io::Error),
    /// No answer about its name within `connect_timeout`.
    #[error("the origin's name was not resolved within connect_timeout")]
    DnsTimeout,
    /// Nobody listens there.
    #[error("the origin refused the connection")]
    Refused(#[source] io::Error),
    /// It reset the connection while it was being made.
    #[error("the origin reset the connection at once")]
    Reset(#[source] io::Error),
    /// There is no way there.
    #[error("the origin cannot be reached")]
    Unreachable(#[source] io::Error),
    /// This system may not connect there.
    #[error("this system forbids connections to the origin")]
    Prohibited(#[source] io::Error),
    /// This system cannot open another connection.
    #[error("this system cannot open another connection")]
    NoSocket(#[source] io::Error),
    /// No connection within `connect_timeout`.
    #[error("no connection to the origin within connect_timeout")]
    ConnectTimeout,
    /// A connection, but no TLS on it within `connect_timeout`.
    #[error("the origin did not finish the TLS handshake within connect_timeout")]
    TlsTimeout,
    /// It closed the connection in the middle of the handshake.
    #[error("the origin closed the connection within the TLS handshake")]
    TlsBroken(#[source] io::Error),
    /// Its certificate is not for it, or not by anyone who is trusted.
    #[error("the origin's certificate is not trusted")]
    TlsCertificate(#[source] rustls::Error),
    /// It refuses to go on.
    #[error("the origin refused the TLS connection")]
    TlsAlert(#[source] rustls::Error),
    /// What it sends is not TLS, or none that we speak.
    #[error("the origin cannot be understood by TLS")]
    Tls(#[source] rustls::Error),
    /// `max_connections` are busy, and none became free within `connect_timeout`.
    #[error("all connections to the origin are busy (origin.max_connections)")]
    NoConnectionFree,
    /// It closed the connection before any byte of a response.
    #[error("the origin closed the connection before it answered")]
    Terminated(#[source] Cause),
    /// It closed the connection within the head of a response.
    #[error("the origin closed the connection within its response head")]
    Incomplete(#[source] Cause),
    /// What it sent is not HTTP.
    #[error("the origin's response is not valid HTTP")]
    Malformed(#[source] Cause),
    /// Its body is coded in a way that was not asked for.
    #[error("the origin's response has a transfer coding beside chunked")]
    TransferCoding,
    /// No response head within `response_timeout`.
    #[error("no response from the origin within response_timeout")]
    ResponseTimeout,
    /// It answered 101, which nobody asked for.
    #[error("the origin switched protocols without being asked")]
    Upgraded,
    /// It took nothing of the request's body for `server.stall_timeout`.
    #[error("the origin took nothing of the request body for server.stall_timeout")]
    WriteTimeout,
    /// The client did not send its request to the end.
    #[error("the request body ended before its time")]
    Upload(#[source] Cause),
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
            | Self::Reset(_)
            | Self::Unreachable(_)
            | Self::Prohibited(_)
            | Self::TlsBroken(_)
            | Self::TlsCertificate(_)
            | Self::TlsAlert(_)
            | Self::Tls(_)
            | Self::Terminated(_)
            | Self::Incomplete(_)
            | Self::Malformed(_)
            | Self::TransferCoding
            | Self::Upgraded => StatusCode::BAD_GATEWAY,
            Self::DnsTimeout
            | Self::ConnectTimeout
            | Self::TlsTimeout
            | Self::ResponseTimeout
            | Self::WriteTimeout => StatusCode::GATEWAY_TIMEOUT,
            Self::NoConnectionFree | Self::NoSocket(_) => StatusCode::SERVICE_UNAVAILABLE,
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
            | Self::DnsTimeout
            | Self::Refused(_)
            | Self::Reset(_)
            | Self::Unreachable(_)
            | Self::Prohibited(_)
            | Self::NoSocket(_)
            | Self::ConnectTimeout
            | Self::TlsTimeout
            | Self::TlsBroken(_)
            | Self::TlsCertificate(_)
            | Self::TlsAlert(_)
            | Self::Tls(_)
            | Self::NoConnectionFree
            | Self::Incomplete(_)
            | Self::Malformed(_)
            | Self::TransferCoding
            | Self::ResponseTimeout
            | Self::Upgraded
            | Self::WriteTimeout
            | Self::Upload(_)
            | Self::UploadStalled
            | Self::UploadTooLarge => false,
        }
    }

    /// The name of RFC 9209 section 2.3.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Dns(_) => "dns_error",
            Self::DnsTimeout => "dns_timeout",
            Self::Prohibited(_) => "destination_ip_prohibited",
            Self::NoSocket(_) => "proxy_internal_error",
            Self::TlsCertificate(_) => "tls_certificate_error",
            Self::TlsAlert(_) => "tls_alert_received",
            Self::Tls(_) => "tls_protocol_error",
            Self::Refused(_) => "connection_refused",
            Self::Unreachable(_) => "destination_ip_unroutable",
            Self::ConnectTimeout | Self::TlsTimeout => "connection_timeout",
            Self::NoConnectionFree => "connection_limit_reached",
            Self::Reset(_) | Self::TlsBroken(_) | Self::Terminated(_) => "connection_terminated",
            Self::Incomplete(_) => "http_response_incomplete",
            Self::Malformed(_) => "http_protocol_error",
            Self::ResponseTimeout => "http_response_timeout",
            Self::Upgraded => "http_upgrade_failed",
            Self::TransferCoding => "http_response_transfer_coding",
            Self::WriteTimeout => "connection_write_timeout",
            Self::Upload(_) | Self::UploadStalled | Self::UploadTooLarge => "http_request_error",
        }
    }
}
