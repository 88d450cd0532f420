//! What the bytes of a connection come and go by.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::BufMut as _;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::server::TlsStream;

use super::socket::Socket;

/// Bodies are read in pieces of this size at most.
pub(super) const READ: usize = 64 * 1024;

/// A connection that was accepted; with TLS, after its handshake.
#[derive(Debug)]
pub(super) enum Transport {
    Plain(Socket),
    /// Boxed: it is a kilobyte, which the others need not hold.
    Tls(Box<TlsStream<Counted>>),
}

/// Counts what goes out by it: what TLS has taken may wait in its buffers.
#[derive(Debug)]
pub(super) struct Counted {
    socket: Socket,
    /// Bytes since that was last asked.
    sent: u64,
}

impl Counted {
    pub(super) fn new(socket: Socket) -> Self {
        Self { socket, sent: 0 }
    }

    fn count<T>(&mut self, written: T, bytes: impl Fn(&T) -> Option<usize>) -> T {
        self.sent += bytes(&written).unwrap_or(0) as u64;
        written
    }
}

impl Transport {
    /// The stream that the system knows.
    pub(super) fn socket(&self) -> &Socket {
        match self {
            Self::Plain(socket) => socket,
            Self::Tls(tls) => &tls.get_ref().0.socket,
        }
    }

    /// The same, without what stands between.
    pub(super) fn into_socket(self) -> Socket {
        match self {
            Self::Plain(socket) => socket,
            Self::Tls(tls) => tls.into_inner().0.socket,
        }
    }

    /// Whether both sides agreed on HTTP/2 (RFC 7301).
    pub(super) fn speaks_http2(&self) -> bool {
        match self {
            Self::Plain(_) => false,
            Self::Tls(tls) => tls.get_ref().1.alpn_protocol() == Some(b"h2"),
        }
    }

    /// The address that the client connected to.
    pub(super) fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket().local_addr()
    }

    /// Whether something was received and decrypted, and not read yet.
    pub(super) fn holds_bytes(&self) -> bool {
        match self {
            Self::Plain(_) => false,
            Self::Tls(tls) => !tls.get_ref().1.wants_read(),
        }
    }

    /// Reads no more than [`READ`], whatever room there is.
    pub(super) fn poll_read_some(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(socket) => loop {
                ready!(socket.poll_read_ready(cx))?;
                match socket.try_read_buf(&mut buf.limit(READ)) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    read => return Poll::Ready(read.map(drop)),
                }
            },
            // It has no more than a few records.
            Self::Tls(tls) => Pin::new(tls).poll_read(cx, buf),
        }
    }

    /// Writes what there is room for in the system, whatever the runtime has
    /// been told by it.
    pub(super) fn try_write(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        if let Self::Plain(socket) = self {
            return socket.options().send_vectored(pieces);
        }
        self.try_flush()?;
        let Self::Tls(tls) = self else { return Ok(0) };
        match io::Write::write_vectored(&mut tls.get_mut().1.writer(), pieces)? {
            0 => Err(io::ErrorKind::WouldBlock.into()),
            written => Ok(written),
        }
    }

    /// Takes what there is room for here, to go out with the next flush; 0:
    /// nothing, until there was one.
    pub(super) fn fill(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Self::Plain(_) => Ok(0),
            Self::Tls(tls) => io::Write::write_vectored(&mut tls.get_mut().1.writer(), pieces),
        }
    }

    /// Writes what waits here in the same way.
    pub(super) fn try_flush(&mut self) -> io::Result<()> {
        if let Self::Tls(tls) = self {
            let (counted, session) = tls.get_mut();
            while session.wants_write() {
                session.write_tls(counted)?;
            }
        }
        Ok(())
    }

    /// Says by TLS that no more comes, if there is room for it now: by the mere
    /// end of a connection anybody could have cut it (RFC 8446 section 6.1).
    pub(super) fn say_end(&mut self) {
        if let Self::Tls(tls) = self {
            tls.get_mut().1.send_close_notify();
            let _ = self.try_flush();
        }
    }

    /// Bytes that have gone out since this was last asked, where they may have
    /// waited here after they were taken.
    pub(super) fn sent_late(&mut self) -> usize {
        match self {
            Self::Plain(_) => 0,
            Self::Tls(tls) => std::mem::take(&mut tls.get_mut().0.sent) as usize,
        }
    }
}

/// Without asking the runtime.
impl io::Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.socket.options().send(bytes);
        self.count(written, |written| written.as_ref().ok().copied())
    }

    fn write_vectored(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        let written = self.socket.options().send_vectored(pieces);
        self.count(written, |written| written.as_ref().ok().copied())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl AsyncRead for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_read(cx, buf)
    }
}

impl AsyncWrite for Counted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.socket).poll_write(cx, bytes);
        self.count(written, counted)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let socket = Pin::new(&mut self.socket);
        let written = match pieces {
            // It costs less.
            [piece] => socket.poll_write(cx, piece),
            pieces => socket.poll_write_vectored(cx, pieces),
        };
        self.count(written, counted)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}

fn counted(written: &Poll<io::Result<usize>>) -> Option<usize> {
    match written {
        Poll::Ready(Ok(written)) => Some(*written),
        Poll::Ready(Err(_)) | Poll::Pending => None,
    }
}

impl AsyncRead for Transport {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Plain(socket) => Pin::new(socket).poll_read(cx, buf),
            Self::Tls(tls) => Pin::new(tls).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Transport {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut *self {
            Self::Plain(socket) => Pin::new(socket).poll_write(cx, bytes),
            Self::Tls(tls) => Pin::new(tls).poll_write(cx, bytes),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut *self {
            Self::Plain(socket) => Pin::new(socket).poll_write_vectored(cx, pieces),
            Self::Tls(tls) => Pin::new(tls).poll_write_vectored(cx, pieces),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            // It holds nothing back.
            Self::Plain(_) => Poll::Ready(Ok(())),
            Self::Tls(tls) => Pin::new(tls).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Plain(socket) => Pin::new(socket).poll_shutdown(cx),
            Self::Tls(tls) => Pin::new(tls).poll_shutdown(cx),
        }
    }
}
