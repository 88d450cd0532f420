//! Large answers: no more bytes of them at once than there is memory for, however
//! slowly their askers take them.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::response::Response;
use bytes::Bytes;
use hyper::StatusCode;
use hyper::body::{Body, Frame, SizeHint};
use hyper::header::{self, HeaderValue};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::reply;

/// So many bytes may wait to be taken at once, but for small answers.
const MOST: usize = 16 << 20;

/// An answer up to this size, in bytes, is small: connections hold no more of
/// them than there are connections.
const SMALL: usize = 64 << 10;

/// When there may be room again, in seconds. Whoever takes nothing for longer
/// is cut off.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("20");

/// The room that is left: a permit a byte.
#[derive(Debug)]
pub(super) struct Outstanding(Arc<Semaphore>);

/// A body in pieces, each of which is gone once it is sent.
#[derive(Debug)]
struct Pieces {
    pieces: VecDeque<Bytes>,
    /// Bytes in them.
    left: usize,
    /// One for each of these bytes, or none of a small answer.
    room: Option<OwnedSemaphorePermit>,
}

impl Default for Outstanding {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(MOST)))
    }
}

impl Outstanding {
    /// Answers with JSON, or with 503 if others have not taken theirs yet.
    pub(super) fn json(&self, pieces: Vec<Bytes>) -> Response {
        let left = pieces.iter().map(Bytes::len).sum();
        let Ok(room) = self.room(left) else {
            let mut refusal = reply::text(
                StatusCode::SERVICE_UNAVAILABLE,
                "Others have asked for much and not taken it yet. Ask for less (limit=100), or again in a moment.",
            );
            let fields = refusal.headers_mut();
            fields.insert(header::RETRY_AFTER, RETRY_AFTER);
            return refusal;
        };
        let body = Pieces {
            pieces: pieces.into(),
            left,
            room,
        };
        reply::json_text(StatusCode::OK, axum::body::Body::new(body))
    }

    /// Room for so many bytes, where they need any; an error: there is none.
    fn room(&self, bytes: usize) -> Result<Option<OwnedSemaphorePermit>, ()> {
        if bytes <= SMALL {
            return Ok(None);
        }
        let bytes = u32::try_from(bytes).map_err(|_| ())?;
        let room = Arc::clone(&self.0).try_acquire_many_owned(bytes);
        room.map(Some).map_err(|_| ())
    }
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    /// It is asked for a piece when there is little left of the one before.
    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let Some(piece) = self.pieces.pop_front() else {
            return Poll::Ready(None);
        };
        self.left -= piece.len();
        if let Some(room) = &mut self.room {
            drop(room.split(piece.len()));
        }
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.pieces.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(count: usize) -> Vec<Bytes> {
        vec![Bytes::from_static(&[b'x'; SMALL]); count]
    }

    #[test]
    fn there_is_room_for_so_much_and_again_once_it_is_taken() {
        let outstanding = Outstanding::default();
        let all = MOST / SMALL;
        let mut first = outstanding.json(pieces(all - 1));
        assert_eq!(first.status(), StatusCode::OK);
        let refused = outstanding.json(pieces(2));
        assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert!(refused.headers().contains_key(header::RETRY_AFTER));
        // A small one needs none.
        assert_eq!(outstanding.json(pieces(1)).status(), StatusCode::OK);
        let mut context = Context::from_waker(std::task::Waker::noop());
        let piece = Pin::new(first.body_mut()).poll_frame(&mut context);
        assert!(matches!(piece, Poll::Ready(Some(Ok(_)))));
        assert_eq!(outstanding.json(pieces(2)).status(), StatusCode::OK);
        drop(first);
        assert_eq!(outstanding.json(pieces(all)).status(), StatusCode::OK);
        let too_much = outstanding.json(pieces(all + 1));
        assert_eq!(too_much.status(), StatusCode::SERVICE_UNAVAILABLE);
    }
}
