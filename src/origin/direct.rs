//! A connection on which we speak HTTP/1.1 ourselves: for requests without a
//! body, which nearly all are. One write and one read, in the task of whoever
//! asks; there is nobody to hand anything to.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::mem::MaybeUninit;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker, ready};
use std::time::Instant;

use bytes::{Buf as _, Bytes, BytesMut};
use hyper::StatusCode;
use socket2::SockRef;
use tokio::io::{AsyncRead as _, AsyncReadExt as _, AsyncWrite as _, ReadBuf};

use super::error::{Cause, Flaw};
use super::head::{Framing, Head, MOST_BYTES, may_end, parse};
use super::limit::Permit;
use super::pool::BUFFER;
use super::stream::Stream;
use super::timer::Timer;
use super::{OriginError, OriginRequest, ReceivedHead, tls};

/// How much is read at first, in bytes: a head and a small body.
const FIRST: usize = 8 * 1024;

/// The same if the last response filled that.
const WIDE: usize = 2 * FIRST;

/// So many responses before the response, and the origin is given up: some
/// tell of their progress many times, but none so often.
const MOST_INTERIM: u32 = 20_000;

/// What is kept of the room in which requests are written, in bytes.
const KEPT_ROOM: usize = 16 * 1024;

/// A connection of ours.
#[derive(Debug)]
pub(super) struct Direct {
    stream: Stream,
    _permit: Permit,
    /// It can carry another request when this one's response has ended.
    keeps: bool,
    wide: bool,
    /// Where a body is read. None between requests.
    buffer: BytesMut,
    /// Why the body will be cut.
    pub(super) broken: Option<Box<Cause>>,
    /// How much of a body is read at once, in bytes.
    room: usize,
    /// The last read did not fill half of it.
    sparse: bool,
}

/// A response whose body is to be read from the connection.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) head: Box<ReceivedHead>,
    pub(super) framing: Framing,
    /// What of the body, or behind it, came with the head.
    pub(super) held: Bytes,
}

/// One request on its way, and what has come in return.
struct Exchange<'a> {
    direct: &'a mut Direct,
    request: &'a OriginRequest,
    sending: Sending,
    received: BytesMut,
    /// Of what is received, how much is known not to be a whole head.
    seen: usize,
    /// Whether the origin has sent a byte.
    heard: bool,
    interim: u32,
}

/// How much of a request is on its way.
enum Sending {
    Not,
    /// This is to be sent yet.
    Rest(Bytes),
    /// The stream has all of it, but may hold some back.
    Flush,
    Done,
}

impl Direct {
    pub(super) fn new(stream: Stream, permit: Permit) -> Self {
        Self {
            stream,
            _permit: permit,
            keeps: true,
            wide: false,
            buffer: BytesMut::new(),
            broken: None,
            room: FIRST,
            sparse: false,
        }
    }

    /// What it is made of, for someone else to speak on.
    pub(super) fn into_parts(self) -> (Stream, Permit) {
        (self.stream, self._permit)
    }

    /// A body has been read to its end; `in_step`: and no byte beyond it.
    pub(super) fn end(&mut self, in_step: bool) {
        self.keeps &= in_step;
        self.buffer = BytesMut::new();
    }

    pub(super) fn keeps(&self) -> bool {
        self.keeps
    }

    /// Whether it is open, and nothing came that nobody asked for. That costs
    /// no system call as long as nothing has come.
    ///
    /// # Errors
    ///
    /// [`OriginError::Terminated`] or [`OriginError::Incomplete`].
    pub(super) fn quiet(&mut self) -> Result<(), OriginError> {
        self.look(false)
    }

    /// The same, of what the system knows now: for a request that cannot be
    /// sent twice. That costs a system call.
    ///
    /// # Errors
    ///
    /// As of [`Direct::quiet`].
    pub(super) fn quiet_now(&mut self) -> Result<(), OriginError> {
        self.look(true)
    }

    fn look(&mut self, now: bool) -> Result<(), OriginError> {
        let ended = match &self.stream {
            Stream::Plain(stream) if now => peek(&SockRef::from(stream)),
            Stream::Unix(stream) if now => peek(&SockRef::from(stream)),
            Stream::Plain(stream) => stream.try_read(&mut [0]),
            Stream::Unix(stream) => stream.try_read(&mut [0]),
            Stream::Tls(_) => match self.poll_ended(&mut Context::from_waker(Waker::noop())) {
                Poll::Pending => return Ok(()),
                Poll::Ready(ended) => ended,
            },
        };
        if matches!(&ended, Err(error) if error.kind() == io::ErrorKind::WouldBlock) {
            return Ok(());
        }
        Err(match ended {
            Ok(0) => OriginError::Terminated(Flaw::Closed.into()),
            Ok(_) => OriginError::Incomplete(Flaw::Unasked.into()),
            Err(error) => broken(error, false),
        })
    }

    /// Ready when an idle connection is of no more use: it was closed, or
    /// something came that nobody asked for. Otherwise `cx` is woken then.
    pub(super) fn poll_ended(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut byte = [0];
        let mut byte = ReadBuf::new(&mut byte);
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut byte))?;
        Poll::Ready(Ok(byte.filled().len()))
    }

    /// Takes leave of an origin to which it owes nothing; by TLS that is said
    /// (RFC 8446 section 6.1), if it can be without waiting.
    pub(super) fn close(mut self) {
        if let Stream::Tls(_) = self.stream {
            let mut cx = Context::from_waker(Waker::noop());
            let _ = Pin::new(&mut self.stream).poll_shutdown(&mut cx);
        }
    }

    /// Sends a request without a body, written in `room`, and waits for the
    /// head of its response until `due`.
    ///
    /// # Errors
    ///
    /// [`OriginError`]; [`OriginError::Terminated`] if nothing came at all.
    pub(super) async fn ask(
        &mut self,
        request: &OriginRequest,
        room: &RefCell<Vec<u8>>,
        timer: &mut Timer,
        due: Instant,
    ) -> Result<Answer, OriginError> {
        let first = if self.wide { WIDE } else { FIRST };
        let mut exchange = Exchange {
            direct: self,
            request,
            sending: Sending::Not,
            received: BytesMut::with_capacity(first),
            seen: 0,
            heard: false,
            interim: 0,
        };
        poll_fn(|cx| {
            exchange.send(cx, room);
            match exchange.poll_answer(cx) {
                Poll::Pending => timer
                    .poll_passed(cx, due)
                    .map(|()| Err(OriginError::ResponseTimeout)),
                answer => answer,
            }
        })
        .await
    }

    /// More of a body, of which at most `left` bytes are to come; empty at
    /// the end of the connection.
    pub(super) fn poll_body(&mut self, cx: &mut Context<'_>, left: u64) -> Poll<io::Result<Bytes>> {
        // One more, for what should not be there; and a read that fills less
        // than its room is one after which nobody asks whether there is more.
        let wanted =
            usize::try_from(left).map_or(self.room, |left| self.room.min(left.saturating_add(1)));
        if self.buffer.capacity() < wanted {
            self.buffer.reserve(wanted);
        }
        let read = ready!(poll_read(&mut self.stream, cx, &mut self.buffer))?;
        if read as u64 == left {
            return Poll::Ready(Ok(std::mem::take(&mut self.buffer).freeze()));
        }
        self.learn(read, wanted);
        Poll::Ready(Ok(self.buffer.split().freeze()))
    }

    /// Bodies that keep their room full get more of it; those that leave half
    /// of it empty twice, less.
    fn learn(&mut self, read: usize, wanted: usize) {
        let is_sparse = wanted == self.room && read < self.room / 2;
        if read >= self.room {
            self.room = (self.room * 2).min(BUFFER);
        } else if is_sparse && self.sparse {
            self.room = (self.room / 2).max(FIRST);
        }
        self.sparse = is_sparse;
    }
}

impl Exchange<'_> {
    fn send(&mut self, cx: &mut Context<'_>, room: &RefCell<Vec<u8>>) {
        if let Sending::Not = self.sending {
            self.sending = self.begin(cx, room);
        }
        while let Sending::Rest(rest) = &mut self.sending {
            let stream = Pin::new(&mut self.direct.stream);
            self.sending = match stream.poll_write(cx, rest) {
                Poll::Pending => return,
                Poll::Ready(Ok(sent @ 1..)) if sent < rest.len() => {
                    rest.advance(sent);
                    continue;
                }
                Poll::Ready(written) => sent(&written),
            };
        }
        if let Sending::Flush = self.sending
            && Pin::new(&mut self.direct.stream).poll_flush(cx).is_ready()
        {
            self.sending = Sending::Done;
        }
    }

    /// Nearly always all of it is sent here, and need not be kept.
    fn begin(&mut self, cx: &mut Context<'_>, room: &RefCell<Vec<u8>>) -> Sending {
        let mut head = room.borrow_mut();
        head.clear();
        self.request.encode(&mut head);
        let sending = match Pin::new(&mut self.direct.stream).poll_write(cx, &head) {
            Poll::Pending => Sending::Rest(Bytes::copy_from_slice(&head)),
            Poll::Ready(Ok(sent @ 1..)) if sent < head.len() => {
                Sending::Rest(Bytes::copy_from_slice(&head[sent..]))
            }
            Poll::Ready(written) => sent(&written),
        };
        head.shrink_to(KEPT_ROOM);
        sending
    }

    fn poll_answer(&mut self, cx: &mut Context<'_>) -> Poll<Result<Answer, OriginError>> {
        loop {
            let read = ready!(poll_read(&mut self.direct.stream, cx, &mut self.received));
            let read = read.map_err(|error| broken(error, self.heard))?;
            if read == 0 {
                return Poll::Ready(Err(self.cut()));
            }
            self.heard = true;
            self.direct.wide = self.received.len() >= FIRST;
            if self.seen > 0 && !may_end(&self.received, self.seen) {
                self.go_on()?;
            } else if let Some(answer) = self.take()? {
                return Poll::Ready(Ok(answer));
            }
        }
    }

    /// The final head in what was received, those before it passed on.
    fn take(&mut self) -> Result<Option<Answer>, OriginError> {
        let mut held = std::mem::take(&mut self.received).freeze();
        loop {
            let head = parse(&held, &self.request.method)?;
            let Some(head) = head else {
                // Nobody else has any of it, so that nothing is copied.
                self.received = BytesMut::from(held);
                self.go_on()?;
                return Ok(None);
            };
            held.advance(head.length);
            match head.received.status {
                StatusCode::SWITCHING_PROTOCOLS => return Err(OriginError::Upgraded),
                status if status.is_informational() => self.interim(head)?,
                _ => return Ok(Some(self.answer(head, held))),
            }
        }
    }

    fn answer(&mut self, head: Head, held: Bytes) -> Answer {
        let is_sent = matches!(self.sending, Sending::Done);
        self.direct.keeps = head.keeps && is_sent;
        Answer {
            head: head.received,
            framing: head.framing,
            held,
        }
    }

    fn interim(&mut self, head: Head) -> Result<(), OriginError> {
        self.interim += 1;
        if self.interim > MOST_INTERIM {
            return Err(Flaw::Interim.into());
        }
        let head = head.received;
        if let Some(listener) = self.request.body.listener() {
            let fields = head.fields.to_map(0, |_| true);
            listener.tell(head.status, head.version, &fields);
        }
        Ok(())
    }

    /// Makes room for more of a head.
    fn go_on(&mut self) -> Result<(), OriginError> {
        self.seen = self.received.len();
        if self.seen >= MOST_BYTES {
            return Err(Flaw::TooLarge.into());
        }
        if self.received.capacity() - self.seen < FIRST / 2 {
            self.received.reserve(self.seen.clamp(FIRST, MOST_BYTES));
        }
        Ok(())
    }

    /// The origin closed the connection before it had answered.
    fn cut(&mut self) -> OriginError {
        let held = std::mem::take(&mut self.received).freeze();
        // What comes in parts is not looked at before its end.
        match parse(&held, &self.request.method) {
            Err(flaw) => flaw.into(),
            Ok(_) if self.heard => OriginError::Incomplete(Flaw::Closed.into()),
            Ok(_) => OriginError::Terminated(Flaw::Closed.into()),
        }
    }
}

/// Reads into `buffer` up to its capacity.
fn poll_read(
    stream: &mut Stream,
    cx: &mut Context<'_>,
    buffer: &mut BytesMut,
) -> Poll<io::Result<usize>> {
    pin!(stream.read_buf(buffer)).poll(cx)
}

/// An error shows again, or shows first what the origin had to say, by
/// reading.
/// Whether something is there, as the system knows it now.
fn peek(socket: &SockRef<'_>) -> io::Result<usize> {
    socket.peek(&mut [MaybeUninit::uninit()])
}

fn sent(written: &io::Result<usize>) -> Sending {
    match written {
        Ok(1..) => Sending::Flush,
        Ok(0) | Err(_) => Sending::Done,
    }
}

fn broken(error: io::Error, heard: bool) -> OriginError {
    match tls::cause(&error) {
        Some(cause) => cause.into(),
        None if heard => OriginError::Incomplete(error.into()),
        None => OriginError::Terminated(error.into()),
    }
}

impl From<Flaw> for OriginError {
    fn from(flaw: Flaw) -> Self {
        Self::Malformed(flaw.into())
    }
}

#[cfg(test)]
mod tests;
