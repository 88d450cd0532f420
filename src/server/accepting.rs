//! A listening socket that a worker accepts from.

use std::io;
use std::net::IpAddr;
use std::task::{Context, Poll};

use tokio::net::{TcpListener, UnixListener};

use super::listen::{self, ListenSocket};
use super::socket::Socket;

/// TCP, or a Unix socket.
#[derive(Debug)]
pub(super) enum Accepting {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Accepting {
    /// Has the runtime look after `socket`.
    ///
    /// # Errors
    ///
    /// If the system refuses.
    pub(super) fn new(socket: ListenSocket) -> io::Result<Self> {
        Ok(match socket {
            ListenSocket::Tcp(tcp) => Self::Tcp(TcpListener::from_std(tcp)?),
            ListenSocket::Unix(unix) => Self::Unix(UnixListener::from_std(unix)?),
        })
    }

    /// The next connection, and who it is from.
    pub(super) async fn accept(&self) -> io::Result<(Socket, IpAddr)> {
        match self {
            Self::Tcp(tcp) => tcp.accept().await.map(|(tcp, peer)| Socket::tcp(tcp, peer)),
            Self::Unix(unix) => unix.accept().await.map(|(unix, _)| Socket::unix(unix)),
        }
    }

    /// The same, if there is one.
    pub(super) fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<(Socket, IpAddr)>> {
        match self {
            Self::Tcp(tcp) => tcp
                .poll_accept(cx)
                .map_ok(|(tcp, peer)| Socket::tcp(tcp, peer)),
            Self::Unix(unix) => unix.poll_accept(cx).map_ok(|(unix, _)| Socket::unix(unix)),
        }
    }

    /// Lets nobody begin to connect any more; whether some who have begun may
    /// still be on their way. To a Unix socket nobody is: its file is removed,
    /// and who found it before that waits to be accepted by now.
    pub(super) fn refuse_new(&self) -> bool {
        match self {
            Self::Tcp(tcp) => listen::refuse_new(tcp).is_ok(),
            Self::Unix(_) => false,
        }
    }
}
