//! Where connections are accepted.

use std::fmt;
use std::net::{AddrParseError, SocketAddr};
use std::str::FromStr;

use super::{UnixPath, UnixPathError};

/// Where connections are accepted. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListenAddress {
    /// An address and a port of TCP.
    Tcp(SocketAddr),
    /// A Unix socket.
    Unix(UnixPath),
}

/// Why nobody can connect there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ListenAddressError {
    /// It begins with `unix:`.
    #[error(transparent)]
    Path(#[from] UnixPathError),
    /// It does not.
    #[error(transparent)]
    Address(#[from] AddrParseError),
}

impl ListenAddress {
    /// The address and port; `None`: a Unix socket has none.
    pub fn tcp(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(address) => Some(*address),
            Self::Unix(_) => None,
        }
    }
}

impl FromStr for ListenAddress {
    type Err = ListenAddressError;

    /// Reads `unix:/path`, or an address and a port.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match UnixPath::parse(text) {
            Some(path) => Ok(Self::Unix(path?)),
            None => Ok(Self::Tcp(text.parse()?)),
        }
    }
}

impl From<SocketAddr> for ListenAddress {
    fn from(address: SocketAddr) -> Self {
        Self::Tcp(address)
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => path.fmt(f),
        }
    }
}
