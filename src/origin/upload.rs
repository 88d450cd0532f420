//! A request body on its way to the origin.

use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::sync::Notify;

/// A client's body, streamed: read only as fast as the origin takes it.
/// Trailers end it and go no further.
#[derive(Debug, Default)]
pub struct Upload {
    body: Option<Incoming>,
    sent: Option<Sent>,
    /// To which the bytes that come are added.
    received: Option<Rc<Cell<u64>>>,
}

/// Tells that the body was handed over, to its end or not.
#[derive(Debug)]
struct Sent(Rc<Notify>);

impl Drop for Sent {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

impl Upload {
    /// The body of a request; empty if there is none.
    pub fn new(body: Incoming) -> Self {
        Self {
            body: Some(body).filter(|body| !body.is_end_stream()),
            sent: None,
            received: None,
        }
    }

    /// Adds the bytes that come of it to `received`.
    pub fn counted(self, received: &Rc<Cell<u64>>) -> Self {
        Self {
            received: Some(Rc::clone(received)),
            ..self
        }
    }

    /// Whether there is nothing to send.
    pub fn is_empty(&self) -> bool {
        self.body.is_none()
    }

    /// What to wait for until the body is sent; `None` if there is none.
    pub(super) fn watch(&mut self) -> Option<Rc<Notify>> {
        self.body.as_ref()?;
        let notify = Rc::new(Notify::new());
        self.sent = Some(Sent(Rc::clone(&notify)));
        Some(notify)
    }
}

impl Body for Upload {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let Some(body) = &mut self.body else {
            return Poll::Ready(None);
        };
        let frame = ready!(Pin::new(body).poll_frame(cx));
        match frame {
            Some(Ok(frame)) if frame.is_data() => {
                if let (Some(received), Some(data)) = (&self.received, frame.data_ref()) {
                    received.set(received.get() + data.len() as u64);
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Some(Err(error)) => Poll::Ready(Some(Err(error))),
            Some(Ok(_)) | None => {
                self.body = None;
                Poll::Ready(None)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body
            .as_ref()
            .map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}
