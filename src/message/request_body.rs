//! The body of a request, by whichever protocol it comes.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::RecvStream;
use hyper::body::{Body, Frame, Incoming, SizeHint};

use super::unread::Unread;

/// The body of a request, not yet read.
#[derive(Debug)]
pub enum RequestBody {
    /// By HTTP/1; and what is read of its connection.
    Http1(Incoming, Rc<Unread>),
    /// By HTTP/2.
    Http2(StreamBody),
}

/// Why a body ended before its time.
#[derive(Debug, thiserror::Error)]
pub enum RequestBodyError {
    /// By HTTP/1.
    #[error(transparent)]
    Http1(#[from] hyper::Error),
    /// By HTTP/2.
    #[error(transparent)]
    Http2(#[from] h2::Error),
}

/// The body on a stream of HTTP/2. The client may send more as soon as what it
/// sent is taken from here (RFC 9113 section 5.2).
#[derive(Debug)]
pub struct StreamBody {
    stream: RecvStream,
    /// What is left of the length that was announced, in bytes; whether it is
    /// kept to is seen by what reads the frames.
    left: Option<u64>,
}

impl StreamBody {
    /// A body of the announced length, in bytes.
    pub fn new(stream: RecvStream, length: Option<u64>) -> Self {
        Self {
            stream,
            left: length,
        }
    }

    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, h2::Error>>> {
        let data = match ready!(self.stream.poll_data(cx)) {
            Some(Ok(data)) => data,
            other => return Poll::Ready(other),
        };
        // It fails for a stream that is over, which needs none.
        let _ = self.stream.flow_control().release_capacity(data.len());
        if let Some(left) = &mut self.left {
            *left = left.saturating_sub(data.len() as u64);
        }
        Poll::Ready(Some(Ok(data)))
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = RequestBodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, RequestBodyError>>> {
        match &mut *self {
            Self::Http1(body, unread) => {
                let frame = ready!(Pin::new(body).poll_frame(cx));
                unread.clear();
                Poll::Ready(frame.map(|frame| frame.map_err(RequestBodyError::Http1)))
            }
            Self::Http2(body) => {
                let data = ready!(body.poll_data(cx));
                Poll::Ready(data.map(|data| Ok(Frame::data(data?))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Http1(body, _) => body.is_end_stream(),
            Self::Http2(body) => body.stream.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Http1(body, _) => body.size_hint(),
            Self::Http2(body) => match body.left {
                _ if body.stream.is_end_stream() => SizeHint::with_exact(0),
                Some(left) => SizeHint::with_exact(left),
                None => SizeHint::new(),
            },
        }
    }
}
