//! A request body on its way to the origin.

use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};

use super::Listener;
use super::flow::{Flow, UploadState};
use crate::message::request_body::{RequestBody, RequestBodyError};

/// A client's body, streamed: read only as fast as the origin takes it.
/// Trailers end it and go no further.
#[derive(Debug, Default)]
pub struct Upload {
    body: Option<RequestBody>,
    /// To which the bytes that come are added.
    received: Option<Rc<Cell<u64>>>,
    /// How many more bytes `server.max_body` allows.
    left: u64,
    flow: Option<Going>,
    /// Who is told of interim responses to the request.
    listener: Option<Listener>,
}

/// Why an upload was cut here: never to look complete.
#[derive(Debug, thiserror::Error)]
pub enum UploadError {
    /// The client did not send it to the end.
    #[error("the client's body ended before its time")]
    Client(#[source] RequestBodyError),
    /// It is longer than `server.max_body`.
    #[error("the client's body is too long (server.max_body)")]
    TooLarge,
}

/// Tells that the body was handed over, to its end or not.
#[derive(Debug)]
struct Going(Rc<Flow>);

impl Drop for Going {
    fn drop(&mut self) {
        self.0.end(UploadState::Cut);
    }
}

impl Upload {
    /// The body of a request, of which `max` bytes are sent at most; empty
    /// if there is none.
    pub fn new(body: Option<RequestBody>, max: u64) -> Self {
        Self {
            body: body.filter(|body| !body.is_end_stream()),
            left: max,
            flow: None,
            received: None,
            listener: None,
        }
    }

    /// Has `listener` told of the interim responses to this request.
    pub fn listen(&mut self, listener: Listener) {
        self.listener = Some(listener);
    }

    pub(super) fn listener(&self) -> Option<&Listener> {
        self.listener.as_ref()
    }

    /// No body, for a request that is listened to in the same way.
    pub(super) fn none_like(other: &Self) -> Self {
        Self {
            listener: other.listener.clone(),
            ..Self::default()
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

    /// From now on `flow` is told what happens. Whether there is an upload.
    pub(super) fn watch(&mut self, flow: &Rc<Flow>) -> bool {
        self.flow = None;
        if self.body.is_none() {
            return false;
        }
        flow.begin();
        self.flow = Some(Going(Rc::clone(flow)));
        true
    }

    fn end(&mut self, state: UploadState) {
        self.body = None;
        if let Some(Going(flow)) = &self.flow {
            flow.end(state);
        }
    }

    fn take(&mut self, data: Bytes) -> Result<Frame<Bytes>, UploadError> {
        let length = data.len() as u64;
        let Some(left) = self.left.checked_sub(length) else {
            self.end(UploadState::TooLarge);
            return Err(UploadError::TooLarge);
        };
        self.left = left;
        if let Some(received) = &self.received {
            received.set(received.get() + length);
        }
        if let Some(Going(flow)) = &self.flow {
            flow.received(data.len());
        }
        if self.body.as_ref().is_none_or(Body::is_end_stream) {
            self.end(UploadState::Done);
        }
        Ok(Frame::data(data))
    }
}

impl Body for Upload {
    type Data = Bytes;
    type Error = UploadError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, UploadError>>> {
        let Some(body) = &mut self.body else {
            return Poll::Ready(None);
        };
        let Poll::Ready(frame) = Pin::new(body).poll_frame(cx) else {
            if let Some(Going(flow)) = &self.flow {
                flow.starve();
            }
            return Poll::Pending;
        };
        match frame.map(|frame| frame.map(Frame::into_data)) {
            Some(Ok(Ok(data))) => Poll::Ready(Some(self.take(data))),
            Some(Err(error)) => {
                self.end(UploadState::Cut);
                Poll::Ready(Some(Err(UploadError::Client(error))))
            }
            Some(Ok(Err(_))) | None => {
                self.end(UploadState::Done);
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
