//! A response whose end its connection notices.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame, SizeHint};

use super::link::Link;
use crate::proxy::Body;

/// So much of a body that is not stored waits in hyper's buffers to be sent.
const WAITING: u64 = 64 * 1024;

/// Tells the link when hyper has had all of the body, and gives hyper no more
/// of what comes from elsewhere than it can send soon. Costs a request one
/// count of a reference.
#[derive(Debug)]
pub(super) struct Watched {
    body: Option<Body>,
    link: Rc<Link>,
}

impl Watched {
    pub(super) fn new(body: Body, link: &Rc<Link>) -> Self {
        Self {
            body: Some(body),
            link: Rc::clone(link),
        }
    }
}

impl HttpBody for Watched {
    type Data = Bytes;
    type Error = <Body as HttpBody>::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let Self { body, link } = &mut *self;
        let Some(body) = body else {
            return Poll::Ready(None);
        };
        if link.unsent() >= WAITING && !body.is_stored() {
            link.wait_for_flush();
            return Poll::Pending;
        }
        let polled = Pin::new(body).poll_frame(cx);
        if let Poll::Ready(Some(Ok(frame))) = &polled {
            link.handed(frame.data_ref().map_or(0, Bytes::len));
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body
            .as_ref()
            .map_or_else(SizeHint::new, Body::size_hint)
    }
}

impl Drop for Watched {
    /// hyper drops a body as soon as it has all of it, or with the connection.
    fn drop(&mut self) {
        if let Some(body) = self.body.take() {
            let why = self.link.why_cut();
            self.link.answered(body.finish(why));
        }
    }
}
