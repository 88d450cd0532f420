//! A response's body as it comes on a connection of ours.

use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use hyper::body::SizeHint;

use super::chunked::Chunked;
use super::direct::Direct;
use super::error::{Cause, Flaw};
use super::head::Framing;

/// What is to come of a body.
#[derive(Debug)]
pub(super) struct Inflow {
    framing: Framing,
    /// Received, and not handed on.
    held: Bytes,
    /// What stands behind what was handed on.
    flaw: Option<Flaw>,
}

/// Chunks smaller than this are handed on together, in bytes: each piece
/// becomes a frame of HTTP/2, and clients take thousands of little ones for
/// an attack.
const SMALL: usize = 512;

/// How much of them at a time, about.
const TOGETHER: usize = 8 * 1024;

impl Inflow {
    /// The body of an answer, whose connection is not used again if more came
    /// than belongs to it.
    pub(super) fn new(framing: Framing, held: Bytes, direct: &mut Direct) -> Self {
        let mut inflow = Self {
            framing,
            held,
            flaw: None,
        };
        inflow.look_for_end(direct);
        inflow
    }

    /// Whether all of it was handed on.
    pub(super) fn is_over(&self) -> bool {
        match &self.framing {
            Framing::Length(left) => *left == 0,
            Framing::Chunked(chunked) => chunked.is_over(),
            Framing::Close => false,
        }
    }

    pub(super) fn size_hint(&self) -> SizeHint {
        match self.framing {
            Framing::Length(left) => SizeHint::with_exact(left),
            Framing::Chunked(_) | Framing::Close => SizeHint::new(),
        }
    }

    /// More of it; `None` at its end.
    pub(super) fn poll_data(
        &mut self,
        cx: &mut Context<'_>,
        direct: &mut Direct,
    ) -> Poll<Option<Result<Bytes, Cause>>> {
        if let Some(cause) = direct.broken.take() {
            return Poll::Ready(Some(Err(*cause)));
        }
        match ready!(self.poll_next(cx, direct)) {
            Some(Err(cause)) => {
                // What came before may have come just now: it is to be sent
                // on before that connection is cut too.
                direct.broken = Some(Box::new(cause));
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            next => Poll::Ready(next),
        }
    }

    fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
        direct: &mut Direct,
    ) -> Poll<Option<Result<Bytes, Cause>>> {
        while !self.is_over() {
            let data = self.take()?;
            self.look_for_end(direct);
            if data.is_some() {
                return Poll::Ready(data.map(Ok));
            }
            if !self.is_over() {
                ready!(self.poll_more(cx, direct))?;
            }
        }
        Poll::Ready(None)
    }

    /// Data out of what is held.
    fn take(&mut self) -> Result<Option<Bytes>, Flaw> {
        match &mut self.framing {
            _ if self.held.is_empty() => Ok(None),
            Framing::Chunked(chunked) => gather(chunked, &mut self.held, &mut self.flaw),
            Framing::Close => Ok(Some(std::mem::take(&mut self.held))),
            Framing::Length(left) => {
                let length = usize::try_from(*left).unwrap_or(usize::MAX);
                let data = match length >= self.held.len() {
                    true => std::mem::take(&mut self.held),
                    false => self.held.split_to(length),
                };
                *left -= data.len() as u64;
                Ok(Some(data))
            }
        }
    }

    fn poll_more(&mut self, cx: &mut Context<'_>, direct: &mut Direct) -> Poll<Result<(), Cause>> {
        let left = match self.framing {
            Framing::Length(left) => left,
            Framing::Chunked(_) | Framing::Close => u64::MAX,
        };
        self.held = ready!(direct.poll_body(cx, left)).map_err(Cause::from)?;
        if self.held.is_empty() {
            if !matches!(self.framing, Framing::Close) {
                return Poll::Ready(Err(Flaw::Closed.into()));
            }
            direct.end(false);
            self.framing = Framing::Length(0);
        }
        Poll::Ready(Ok(()))
    }

    fn look_for_end(&mut self, direct: &mut Direct) {
        if self.is_over() {
            // What is there beyond the end is an answer to nobody: were it
            // kept, the next request would be answered by it.
            direct.end(self.held.is_empty());
            self.held = Bytes::new();
        }
    }
}

/// Data out of what is `held`: a chunk, or several small ones. What is wrong
/// behind them is told the next time.
fn gather(
    chunked: &mut Chunked,
    held: &mut Bytes,
    flaw: &mut Option<Flaw>,
) -> Result<Option<Bytes>, Flaw> {
    if let Some(flaw) = flaw.take() {
        return Err(flaw);
    }
    let Some(first) = chunked.next(held)? else {
        return Ok(None);
    };
    if first.len() >= SMALL || held.is_empty() || chunked.is_over() {
        return Ok(Some(first));
    }
    let mut together = BytesMut::with_capacity(TOGETHER);
    together.extend_from_slice(&first);
    while together.len() < TOGETHER {
        match chunked.next(held) {
            Ok(Some(more)) => together.extend_from_slice(&more),
            Ok(None) => break,
            Err(error) => {
                *flaw = Some(error);
                break;
            }
        }
    }
    Ok(Some(together.freeze()))
}
