//! What the system knows of a connection: TCP, or a Unix socket.
//!
//! Nothing but this module asks which of the two it is. What TCP alone can do
//! is left undone for a Unix socket, and its documentation here says why.

use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::BufMut;
use rustix::net::{RecvFlags, recv};
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

/// Who is at the other end of a Unix socket: some process of this machine.
const LOCAL: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// The stream of a connection that was accepted.
#[derive(Debug)]
pub(super) enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// Calls the method of whichever stream it is.
macro_rules! either {
    ($socket:expr, $stream:ident => $call:expr) => {
        match $socket {
            Socket::Tcp($stream) => $call,
            Socket::Unix($stream) => $call,
        }
    };
}

impl Socket {
    /// A TCP connection from `peer`, and who that is.
    pub(super) fn tcp(stream: TcpStream, peer: SocketAddr) -> (Self, IpAddr) {
        (Self::Tcp(stream), peer.ip())
    }

    /// A connection by a Unix socket, and who that is from.
    pub(super) fn unix(stream: UnixStream) -> (Self, IpAddr) {
        (Self::Unix(stream), LOCAL)
    }

    /// For options and calls that the runtime does not know.
    pub(super) fn options(&self) -> SockRef<'_> {
        SockRef::from(self)
    }

    /// The address that the client connected to.
    ///
    /// # Errors
    ///
    /// If it has none: no request is for a Unix socket.
    pub(super) fn local_addr(&self) -> io::Result<SocketAddr> {
        match self {
            Self::Tcp(tcp) => tcp.local_addr(),
            Self::Unix(_) => Err(io::ErrorKind::AddrNotAvailable.into()),
        }
    }

    /// Sends without waiting for more. A Unix socket never waits.
    pub(super) fn set_nodelay(&self) {
        if let Self::Tcp(tcp) = self {
            let _ = SockRef::from(tcp).set_tcp_nodelay(true);
        }
    }

    /// How much may wait unsent before a writer is not woken any more. What is
    /// written to a Unix socket is with its reader, and the system bounds it.
    pub(super) fn set_unsent(&self, bytes: u32) {
        if let Self::Tcp(tcp) = self {
            let _ = SockRef::from(tcp).set_tcp_notsent_lowat(bytes);
        }
    }

    /// When a peer is dead for the system that takes nothing. One on this
    /// machine dies with its process.
    pub(super) fn set_dead_after(&self, time: Duration) {
        if let Self::Tcp(tcp) = self {
            let _ = SockRef::from(tcp).set_tcp_user_timeout(Some(time));
        }
    }

    /// Whether whatever closes the connection resets it. `false`: a Unix
    /// socket cannot be reset, its peer only sees an end.
    pub(super) fn set_resets(&self, resets: bool) -> bool {
        if let Self::Tcp(tcp) = self {
            let _ = SockRef::from(tcp).set_linger(resets.then_some(Duration::ZERO));
            return resets;
        }
        false
    }

    /// The next bytes, which stay where they are; how many. 0: an end.
    pub(super) fn poll_peek(
        &self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<usize>> {
        let unix = match self {
            Self::Tcp(tcp) => return tcp.poll_peek(cx, buf),
            Self::Unix(unix) => unix,
        };
        loop {
            ready!(unix.poll_read_ready(cx))?;
            let room = buf.initialize_unfilled();
            let peek = || Ok(recv(unix, room, RecvFlags::PEEK | RecvFlags::DONTWAIT)?.1);
            match unix.try_io(Interest::READABLE, peek) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
                Ok(length) => {
                    buf.advance(length);
                    return Poll::Ready(Ok(length));
                }
            }
        }
    }

    /// Whether bytes have come, also if the runtime does not know yet.
    pub(super) fn has_bytes(&self) -> bool {
        let peeked = self.options().peek(&mut [MaybeUninit::uninit()]);
        matches!(peeked, Ok(1))
    }

    pub(super) fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, stream => stream.poll_read_ready(cx))
    }

    pub(super) fn try_read(&self, room: &mut [u8]) -> io::Result<usize> {
        either!(self, stream => stream.try_read(room))
    }

    pub(super) fn try_read_buf(&self, room: &mut impl BufMut) -> io::Result<usize> {
        either!(self, stream => stream.try_read_buf(room))
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        either!(self, stream => stream.as_fd())
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        either!(&mut *self, stream => Pin::new(stream).poll_read(cx, buf))
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        either!(&mut *self, stream => Pin::new(stream).poll_write(cx, bytes))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        either!(&mut *self, stream => Pin::new(stream).poll_write_vectored(cx, pieces))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// It holds nothing back.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(&mut *self, stream => Pin::new(stream).poll_shutdown(cx))
    }
}
