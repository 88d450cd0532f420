//! What lies between HTTP and the origin's stream.

use std::cell::Cell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::flow::Flow;

/// A stream that tells how an upload moves and whether anything was heard from
/// the other side, and whose errors are found by reading.
///
/// An origin may answer before it has read the whole request and then close
/// its connection. What is still written fails, but the response has come, and
/// is what the client needs: so a failed write waits for ever, and the
/// reading side, which ends soon, gives first the response and then the end.
#[derive(Debug)]
pub(super) struct Wire<S> {
    stream: S,
    flow: Rc<Flow>,
    /// Set with each byte that comes.
    heard: Rc<Cell<bool>>,
    broken: bool,
}

impl<S> Wire<S> {
    pub(super) fn new(stream: S, flow: Rc<Flow>, heard: Rc<Cell<bool>>) -> Self {
        Self {
            stream,
            flow,
            heard,
            broken: false,
        }
    }

    fn wrote(&mut self, polled: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match &polled {
            Poll::Ready(Ok(length)) => self.flow.written(*length),
            Poll::Ready(Err(_)) => return self.fail(),
            Poll::Pending => self.flow.block(),
        }
        polled
    }

    fn fail<T>(&mut self) -> Poll<T> {
        self.broken = true;
        self.flow.block();
        Poll::Pending
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Wire<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buf);
        let length = buf.filled().len() - before;
        if length > 0 {
            self.heard.set(true);
        }
        match self.flow.unread.add(length) {
            true => Poll::Ready(Err(io::ErrorKind::InvalidData.into())),
            false => polled,
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Wire<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.broken {
            return Poll::Pending;
        }
        let polled = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.wrote(polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.broken {
            return Poll::Pending;
        }
        let polled = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.wrote(polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.broken {
            return Poll::Pending;
        }
        match Pin::new(&mut self.stream).poll_flush(cx) {
            Poll::Ready(Err(_)) => self.fail(),
            polled => polled,
        }
    }

    /// Never waits: an origin that takes nothing more would keep a connection
    /// that nobody needs, and its place under `max_connections`.
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match Pin::new(&mut self.stream).poll_shutdown(cx) {
            Poll::Pending => Poll::Ready(Ok(())),
            polled => polled,
        }
    }
}
