//! What HTTP/2 is spoken over: the client's stream, seen as frames as they
//! come. Only their heads are read here; what they say is the library's.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use smallvec::SmallVec;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::flood::{CANCELLED, FRAME, Flood};
use crate::server::link::Link;
use crate::server::stream::Stream;

/// The length of what a connection begins with (RFC 9113 section 3.4).
const PREFACE: u64 = 24;

/// The length of a frame's head (section 4.1).
const HEAD: usize = 9;

/// Types of frames (section 6).
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const CONTINUATION: u8 = 9;

/// Flags of `DATA`, and of what carries fields.
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// So many bytes are gathered for one record of TLS (RFC 8446 section 5.1). The
/// library writes and flushes each frame that has a body by itself, which would
/// be a record and a system call for each.
const GATHERED: usize = 16 * 1024;

/// So much room for them is kept between two flushes.
const KEPT: usize = 4 * 1024;

/// The library writes a frame in two pieces at most.
const PIECES: usize = 4;

/// TLS holds so many bytes at most that it has taken and not sent, and what it
/// adds to them.
const HELD: u64 = 80 * 1024;

/// The client's stream, and what its frames tell.
#[derive(Debug)]
pub(super) struct Wire {
    stream: Stream,
    link: Rc<Link>,
    /// Frames that wait for the next flush.
    gathered: RefCell<Vec<u8>>,
    /// There was nothing to read since the last flush: the library looks again
    /// for each request that it hands over.
    dry: Cell<bool>,
    flood: Flood,
    flooded: Cell<bool>,
    /// Nothing is read any more.
    deaf: Cell<bool>,
    /// The client has ended its side.
    ended: Cell<bool>,
    reader: RefCell<Reader>,
    sent: RefCell<Sent>,
}

/// What the library has written.
#[derive(Debug)]
struct Sent {
    reader: Reader,
    bytes: u64,
    /// Streams that have ended, each with where that is among the bytes.
    ends: VecDeque<(u32, u64)>,
    /// Streams of bodies that are not stored: how many bytes of each the
    /// library holds.
    bodies: Vec<(u32, u64)>,
}

impl Sent {
    /// Notes the first `taken` bytes of `pieces`.
    fn note(&mut self, pieces: &[IoSlice<'_>], mut taken: usize) {
        self.bytes += taken as u64;
        let Self {
            reader,
            bytes,
            ends,
            bodies,
        } = self;
        for piece in pieces {
            let part = &piece[..taken.min(piece.len())];
            taken -= part.len();
            reader.read(part, |head| {
                if head.kind == DATA && !bodies.is_empty() {
                    went(bodies, head.stream, head.length.into());
                }
                if head.ends() {
                    // Not before all of it is written.
                    ends.push_back((head.stream, *bytes + u64::from(head.length)));
                }
            });
        }
    }
}

/// So many bytes of the body are with the library no more.
fn went(bodies: &mut Vec<(u32, u64)>, stream: u32, bytes: u64) {
    if let Some(place) = bodies.iter().position(|body| body.0 == stream) {
        bodies[place].1 = bodies[place].1.saturating_sub(bytes);
        if bodies[place].1 == 0 {
            bodies.swap_remove(place);
        }
    }
}

impl Wire {
    pub(super) fn new(stream: &Stream, link: &Rc<Link>) -> Rc<Self> {
        Rc::new(Self {
            stream: stream.clone(),
            link: Rc::clone(link),
            gathered: RefCell::default(),
            dry: Cell::default(),
            flood: Flood::new(link.limits.streams),
            flooded: Cell::default(),
            deaf: Cell::default(),
            ended: Cell::default(),
            reader: RefCell::default(),
            sent: RefCell::new(Sent {
                reader: Reader {
                    skip: 0,
                    ..Reader::default()
                },
                bytes: 0,
                ends: VecDeque::new(),
                bodies: Vec::new(),
            }),
        })
    }

    /// The library got so many bytes of a body that is not stored.
    pub(super) fn handed(&self, stream: u32, bytes: usize) {
        let bodies = &mut self.sent.borrow_mut().bodies;
        match bodies.iter_mut().find(|body| body.0 == stream) {
            Some(body) => body.1 += bytes as u64,
            None => bodies.push((stream, bytes as u64)),
        }
    }

    /// The library has none of this stream any more.
    pub(super) fn dropped(&self, stream: u32) {
        let bodies = &mut self.sent.borrow_mut().bodies;
        bodies.retain(|body| body.0 != stream);
    }

    /// How many bytes of bodies that are not stored the library holds.
    pub(super) fn unsent(&self) -> u64 {
        let sent = self.sent.borrow();
        sent.bodies.iter().map(|body| body.1).sum()
    }

    /// The next stream of which all has gone out, also while others keep
    /// everything full.
    pub(super) fn next_end(&self) -> Option<u32> {
        let mut sent = self.sent.borrow_mut();
        let out = sent.bytes - self.gathered.borrow().len() as u64;
        let (stream, _) = sent.ends.pop_front_if(|end| end.1 + HELD <= out)?;
        Some(stream)
    }

    /// Streams that have ended and may still be on their way out.
    pub(super) fn ends(&self) -> usize {
        self.sent.borrow().ends.len()
    }

    /// Everything has gone out.
    pub(super) fn all_out(&self) {
        let mut sent = self.sent.borrow_mut();
        sent.ends.clear();
        sent.bodies.clear();
    }

    /// Whether the client sends too much that asks for nothing.
    pub(super) fn is_flooded(&self) -> bool {
        self.flooded.get()
    }

    /// Whether the client has ended its side.
    pub(super) fn has_ended(&self) -> bool {
        self.ended.get()
    }

    /// From now on nothing is read.
    pub(super) fn stop_reading(&self) {
        self.deaf.set(true);
    }

    /// A request was answered.
    pub(super) fn answered(&self) {
        self.flood.answered();
    }

    /// Has everything go out that waits here.
    pub(super) fn flush(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.dry.set(false);
        let mut gathered = self.gathered.borrow_mut();
        if !gathered.is_empty() {
            ready!(self.poll_spill(cx, &mut gathered, &[]))?;
            if gathered.capacity() > KEPT {
                *gathered = Vec::new();
            }
        }
        self.stream.flush(cx)
    }

    fn poll_put(&self, cx: &mut Context<'_>, pieces: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let mut gathered = self.gathered.borrow_mut();
        let length: usize = pieces.iter().map(|piece| piece.len()).sum();
        let taken = match gathered.len() + length <= GATHERED {
            true => {
                pieces
                    .iter()
                    .for_each(|piece| gathered.extend_from_slice(piece));
                length
            }
            false => ready!(self.poll_spill(cx, &mut gathered, pieces))?,
        };
        self.sent.borrow_mut().note(pieces, taken);
        self.flood.sent(taken);
        Poll::Ready(Ok(taken))
    }

    /// Hands on what is gathered, and what it can of `more`: so many bytes.
    fn poll_spill(
        &self,
        cx: &mut Context<'_>,
        gathered: &mut Vec<u8>,
        more: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        loop {
            let mut pieces = SmallVec::<[IoSlice<'_>; PIECES]>::new();
            pieces.push(IoSlice::new(gathered));
            pieces.extend(more.iter().map(|piece| IoSlice::new(piece)));
            let filled = ready!(self.stream.fill(cx, &pieces))?;
            drop(pieces);
            if filled == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            let of_gathered = filled.min(gathered.len());
            gathered.drain(..of_gathered);
            let taken = filled - of_gathered;
            if gathered.is_empty() && (taken > 0 || more.is_empty()) {
                return Poll::Ready(Ok(taken));
            }
        }
    }

    fn read(&self, bytes: &[u8]) {
        self.reader.borrow_mut().read(bytes, |head| self.note(head));
    }

    fn note(&self, head: FrameHead) {
        let has = |flag| head.flags & flag != 0;
        let points = match head.kind {
            HEADERS => {
                self.link.in_block(!has(END_HEADERS));
                return;
            }
            CONTINUATION => {
                self.link.in_block(!has(END_HEADERS));
                FRAME
            }
            DATA if head.length > 0 || has(END_STREAM) => return,
            RST_STREAM => CANCELLED,
            _ => FRAME,
        };
        if self.flood.add(points, self.link.now()) {
            self.flooded.set(true);
        }
    }
}

/// A frame's head, as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct FrameHead {
    length: u32,
    kind: u8,
    flags: u8,
    stream: u32,
}

impl FrameHead {
    /// Whether it is the last of its stream.
    fn ends(self) -> bool {
        let last = matches!(self.kind, DATA | HEADERS) && self.flags & END_STREAM != 0;
        last || self.kind == RST_STREAM
    }
}

/// Finds the heads of frames in what comes.
#[derive(Debug)]
struct Reader {
    /// What has come of a head.
    head: [u8; HEAD],
    length: usize,
    /// So many bytes come before the next one.
    skip: u64,
}

impl Default for Reader {
    fn default() -> Self {
        Self {
            head: [0; HEAD],
            length: 0,
            skip: PREFACE,
        }
    }
}

impl Reader {
    fn read(&mut self, mut bytes: &[u8], mut each: impl FnMut(FrameHead)) {
        loop {
            let skipped = bytes
                .len()
                .min(usize::try_from(self.skip).unwrap_or(usize::MAX));
            self.skip -= skipped as u64;
            bytes = &bytes[skipped..];
            if bytes.is_empty() {
                return;
            }
            let (part, rest) = bytes.split_at(bytes.len().min(HEAD - self.length));
            self.head[self.length..self.length + part.len()].copy_from_slice(part);
            self.length += part.len();
            bytes = rest;
            if self.length == HEAD {
                self.length = 0;
                let [a, b, c, kind, flags, w, x, y, z] = self.head;
                let length = u32::from_be_bytes([0, a, b, c]);
                self.skip = u64::from(length);
                each(FrameHead {
                    length,
                    kind,
                    flags,
                    stream: u32::from_be_bytes([w, x, y, z]),
                });
            }
        }
    }
}

/// The stream, for the library. What that has written goes out when the wire
/// is flushed.
#[derive(Debug)]
pub(super) struct Frames(Rc<Wire>);

impl Frames {
    pub(super) fn new(wire: &Rc<Wire>) -> Self {
        Self(Rc::clone(wire))
    }
}

impl AsyncRead for Frames {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let wire = &self.0;
        if wire.deaf.get() || wire.flooded.get() || wire.dry.get() {
            return Poll::Pending;
        }
        let before = buf.filled().len();
        let received = wire.stream.poll_receive(cx, buf);
        wire.dry.set(received.is_pending());
        ready!(received)?;
        let read = &buf.filled()[before..];
        wire.ended.set(read.is_empty());
        wire.read(read);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Frames {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.0.poll_put(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.0.poll_put(cx, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    /// The connection is closed in order when HTTP/2 is done with it.
    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_found_however_the_bytes_are_split() {
        let mut bytes = vec![b'p'; PREFACE as usize];
        let mut expected = Vec::new();
        for (length, kind, flags) in [(0, 4, 0), (3, HEADERS, END_HEADERS), (70_000, DATA, 1)] {
            let [_, a, b, c] = u32::to_be_bytes(length);
            bytes.extend([a, b, c, kind, flags, 0, 0, 0, 1]);
            bytes.extend(vec![kind; length as usize]);
            expected.push(FrameHead {
                length,
                kind,
                flags,
                stream: 1,
            });
        }
        for size in [1, 2, 8, 9, 10, 33, 1000, bytes.len()] {
            let (mut reader, mut found) = (Reader::default(), Vec::new());
            for part in bytes.chunks(size) {
                reader.read(part, |head| found.push(head));
            }
            assert_eq!(found, expected, "in pieces of {size}");
        }
    }
}
