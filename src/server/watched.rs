//! A response whose end its connection notices.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame, SizeHint};

use super::link::Link;
use crate::proxy::Body;

/// Tells the link when hyper has had all of the body. Costs a request one
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
        match &mut self.body {
            Some(body) => Pin::new(body).poll_frame(cx),
            None => Poll::Ready(None),
        }
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
