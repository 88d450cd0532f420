//! A client's stream that outlives the HTTP on it, and notes what moves.

use std::cell::{Cell, RefCell};
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::StatusCode;
use smallvec::SmallVec;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::link::{Link, is_blank};
use super::transport::{READ, Transport};
use super::unsent;

/// Up to so many bytes, pieces are copied together and sent by `send`, which
/// costs less than `writev` of them (measured: 0.5 us of 7.6 at 1 KiB, 0.3 of
/// 8.5 at 4 KiB, nothing at 10 KiB).
pub(super) const JOINED: usize = 4096;

/// hyper owns one handle and drops it when it is done, whatever happened;
/// the connection is then closed in order by the other.
#[derive(Clone, Debug)]
pub(super) struct Stream(Rc<Inner>);

#[derive(Debug)]
struct Inner {
    transport: RefCell<Transport>,
    link: Rc<Link>,
    /// What hyper had read and not used when it was dropped.
    back: RefCell<Bytes>,
    /// What is left to send before hyper's next byte.
    first: RefCell<Vec<u8>>,
    /// How hyper answered what was no request.
    refused: Cell<Option<StatusCode>>,
    /// hyper waits for bytes since this was last reset: it will be told when
    /// there are some, or an end.
    looked: Cell<bool>,
}

impl Stream {
    pub(super) fn new(transport: Transport, link: &Rc<Link>) -> Self {
        Self(Rc::new(Inner {
            transport: RefCell::new(transport),
            link: Rc::clone(link),
            back: RefCell::default(),
            first: RefCell::default(),
            refused: Cell::default(),
            looked: Cell::default(),
        }))
    }

    /// The stream itself, if this is its last handle.
    pub(super) fn into_inner(self) -> Option<Transport> {
        Rc::into_inner(self.0).map(|inner| inner.transport.into_inner())
    }

    /// The address that the client connected to.
    pub(super) fn local_addr(&self) -> io::Result<std::net::SocketAddr> {
        self.0.transport.borrow().local_addr()
    }

    /// Notices the end of the client's side where hyper does not look for it:
    /// while it holds bytes that came behind the request at hand. `true`: the
    /// connection was reset, so that nobody is there any more.
    pub(super) fn look_for_end(&self, cx: &mut Context<'_>) -> bool {
        let looked = self.0.looked.replace(false);
        if looked || !self.0.link.awaits_response() {
            return false;
        }
        let mut byte = [0];
        let mut seen = ReadBuf::new(&mut byte);
        match self.0.transport.borrow().socket().poll_peek(cx, &mut seen) {
            // An error is told once: what looks after this sees an end.
            Poll::Ready(Err(_)) => return true,
            Poll::Ready(Ok(0)) => drop(self.0.link.ended()),
            Poll::Ready(Ok(_)) | Poll::Pending => {}
        }
        false
    }

    /// Whether bytes have come, also if the runtime does not know yet.
    pub(super) fn has_bytes(&self) -> bool {
        let transport = self.0.transport.borrow();
        transport.holds_bytes() || transport.socket().has_bytes()
    }

    /// These bytes are read first; if they are of a request at all.
    pub(super) fn put_back(&self, bytes: &[u8]) {
        if !is_blank(bytes) {
            *self.0.back.borrow_mut() = Bytes::copy_from_slice(bytes);
        }
    }

    /// From here on a connection that is not closed in order is reset, also
    /// where the process ends: where only its end tells the end of a response,
    /// an orderly one would make a cut response look complete.
    pub(super) fn reset_by_default(&self) {
        self.0.transport.borrow().socket().set_resets(true);
    }

    /// The status of hyper's own answer to a head, which was held back.
    pub(super) fn refused(&self) -> Option<StatusCode> {
        self.0.refused.get()
    }

    /// Sends these interim responses now, if nothing else is on its way;
    /// else drops them: the client does well without.
    pub(super) fn send_first(&self, heads: Vec<u8>) {
        let link = &self.0.link;
        let mut first = self.0.first.borrow_mut();
        if link.in_request() && !link.pace().is_blocked() && first.is_empty() {
            *first = heads;
        }
    }

    /// Takes all that has come, up to the length of `room`, as one read; `false`
    /// if there is more to it than that: then it is hyper's. An error is an
    /// end: 0.
    pub(super) fn poll_take(&self, cx: &mut Context<'_>, room: &mut ReadBuf<'_>) -> Poll<bool> {
        if !self.0.back.borrow().is_empty() {
            return Poll::Ready(false);
        }
        let read = ready!(self.with(|stream| stream.poll_read(cx, room)));
        Poll::Ready(read.is_err() || room.remaining() > 0)
    }

    /// Reads what has come, for who notes it.
    pub(super) fn poll_receive(
        &self,
        cx: &mut Context<'_>,
        room: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.with(|stream| stream.poll_read(cx, room))
    }

    /// Writes as much of `pieces` as can be written now.
    pub(super) fn write(
        &self,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_first(cx))?;
        self.put(cx, pieces)
    }

    fn put(&self, cx: &mut Context<'_>, pieces: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let length = pieces.iter().map(|piece| piece.len()).sum();
        let mut written = match (length, pieces) {
            (_, [piece]) => self.with(|stream| stream.poll_write(cx, piece)),
            (..=JOINED, _) => {
                let mut joined = SmallVec::<[u8; JOINED]>::new();
                pieces
                    .iter()
                    .for_each(|piece| joined.extend_from_slice(piece));
                self.with(|stream| stream.poll_write(cx, &joined))
            }
            _ => self.with(|stream| stream.poll_write_vectored(cx, pieces)),
        };
        if written.is_pending() && self.0.link.pace().tries() {
            written = self.try_now(|transport| transport.try_write(pieces));
        }
        self.note(written, length)
    }

    /// Has `pieces` go out with the next flush, as far as there is room for
    /// them.
    pub(super) fn fill(
        &self,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let filled = self.0.transport.borrow_mut().fill(pieces)?;
        if filled > 0 {
            return Poll::Ready(Ok(filled));
        }
        ready!(self.flush(cx))?;
        match self.0.transport.borrow_mut().fill(pieces)? {
            // It takes nothing that is not sent at once.
            0 => self.put(cx, pieces),
            filled => Poll::Ready(Ok(filled)),
        }
    }

    /// Asks the system itself, whatever the runtime has been told by it.
    fn try_now<T>(
        &self,
        attempt: impl FnOnce(&mut Transport) -> io::Result<T>,
    ) -> Poll<io::Result<T>> {
        let mut transport = self.0.transport.borrow_mut();
        match attempt(&mut transport) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.0.link.flushes(transport.sent_late());
                self.0.link.tried();
                Poll::Pending
            }
            done => Poll::Ready(done),
        }
    }

    /// What was written has gone out; interim responses go too.
    pub(super) fn flush(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_first(cx))?;
        let link = &self.0.link;
        let mut flushed = self.with(|stream| stream.poll_flush(cx));
        if flushed.is_pending() && link.pace().tries() {
            flushed = self.try_now(|transport| transport.try_flush());
        }
        match &flushed {
            Poll::Ready(Ok(())) => link.flushed(),
            Poll::Ready(Err(_)) => {}
            Poll::Pending => {
                link.flushes(self.0.transport.borrow_mut().sent_late());
                self.widen_if_fast();
            }
        }
        flushed
    }

    /// Sends what is to go before hyper's or our next byte.
    pub(super) fn poll_first(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut first = self.0.first.borrow_mut();
        while !first.is_empty() {
            match ready!(self.put(cx, &[io::IoSlice::new(&first)]))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => drop(first.drain(..written)),
            }
        }
        Poll::Ready(Ok(()))
    }

    fn note(&self, written: Poll<io::Result<usize>>, length: usize) -> Poll<io::Result<usize>> {
        let pace = self.0.link.pace();
        match &written {
            Poll::Ready(Ok(written)) => {
                self.0.link.wrote(*written, length);
                self.widen_if_fast();
            }
            Poll::Pending => pace.block(),
            Poll::Ready(Err(_)) => {}
        }
        written
    }

    fn widen_if_fast(&self) {
        if self.0.link.pace().is_fast() {
            unsent::widen(self.0.transport.borrow().socket());
        }
    }

    /// What hyper writes while there is no request is its bare answer to a
    /// head that it does not take; ours is better.
    fn hold_back(&self, answer: &[u8], length: usize) -> Option<usize> {
        if self.0.link.in_request() {
            return None;
        }
        if self.0.refused.get().is_none() {
            let status = answer.get(9..12).map(StatusCode::from_bytes);
            let status = status.and_then(Result::ok);
            self.0.refused.set(status.or(Some(StatusCode::BAD_REQUEST)));
        }
        Some(length)
    }

    fn read_back(&self, buf: &mut ReadBuf<'_>) -> bool {
        let mut back = self.0.back.borrow_mut();
        let length = back.len().min(buf.remaining());
        buf.put_slice(&back.split_to(length));
        length > 0
    }

    fn with<T>(&self, poll: impl FnOnce(Pin<&mut Transport>) -> T) -> T {
        poll(Pin::new(&mut self.0.transport.borrow_mut()))
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let link = &self.0.link;
        self.0.looked.set(true);
        if link.hides_end() {
            return Poll::Pending;
        }
        let before = buf.filled().len();
        if !self.read_back(buf) {
            ready!(match buf.remaining() {
                ..=READ => self.with(|stream| stream.poll_read(cx, buf)),
                // hyper would make room for as much as it may gather to write.
                _ => self.0.transport.borrow_mut().poll_read_some(cx, buf),
            })?;
        }
        self.0.looked.set(false);
        let bytes = &buf.filled()[before..];
        if bytes.is_empty() && buf.remaining() > 0 && link.ended() {
            return Poll::Pending;
        }
        if link.unread().is_some_and(|unread| unread.add(bytes.len())) {
            return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
        }
        link.read(bytes);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        if let Some(length) = self.hold_back(buf, buf.len()) {
            return Poll::Ready(Ok(length));
        }
        self.write(cx, &[io::IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let length = bufs.iter().map(|buf| buf.len()).sum();
        let start = bufs.first().map_or(&[][..], |buf| buf);
        if let Some(length) = self.hold_back(start, length) {
            return Poll::Ready(Ok(length));
        }
        self.write(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// hyper calls this when its own buffer is empty.
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.flush(cx)
    }

    /// The connection is closed in order when hyper is done with it.
    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests;
