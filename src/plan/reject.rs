//! Requests that are answered before any rule sees them.

use hyper::StatusCode;

use crate::client::AmbiguousClient;
use crate::route::{PathError, TargetError};

/// Why a request is answered at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Reject {
    /// The host or the path: 400.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// The client's address: 400.
    #[error(transparent)]
    Client(#[from] AmbiguousClient),
    /// `*` for another method than OPTIONS: 400.
    #[error("the request target `*` is for OPTIONS only")]
    NoPath,
    /// TRACE, CONNECT, or not in `origin.methods`: 405.
    #[error("the method is not in origin.methods")]
    Method,
    /// Not in `server.hosts`: 421.
    #[error("the host is not in server.hosts")]
    Misdirected,
    /// `OPTIONS *`, which is about the server and no asset: 204.
    #[error("OPTIONS * is answered here")]
    Asterisk,
}

impl From<PathError> for Reject {
    fn from(error: PathError) -> Self {
        Self::Target(error.into())
    }
}

impl Reject {
    /// The status of the answer.
    pub const fn status(self) -> StatusCode {
        match self {
            Self::Target(_) | Self::Client(_) | Self::NoPath => StatusCode::BAD_REQUEST,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::Misdirected => StatusCode::MISDIRECTED_REQUEST,
            Self::Asterisk => StatusCode::NO_CONTENT,
        }
    }
}
