//! The body of a response, whoever made it.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};

use super::record::Record;
use crate::origin::Lease;

/// A response body. When it is dropped, at its end or before, the request is
/// over: its log line is written, the origin's connection kept or closed.
#[derive(Debug)]
pub struct Body {
    content: Content,
    record: Record,
}

/// What is left of a response whose body has been handed over: its log line,
/// written when this is dropped.
#[derive(Debug, Default)]
pub struct Tail(Record);

#[derive(Debug)]
enum Content {
    /// Made here.
    Own(Bytes),
    /// Streamed: the next part is read when the one before was taken.
    Origin {
        body: Incoming,
        lease: Option<Lease>,
        ended: bool,
    },
}

impl Body {
    pub(super) fn own(bytes: Bytes, record: Record) -> Self {
        Self {
            content: Content::Own(bytes),
            record,
        }
    }

    pub(super) fn origin(body: Incoming, lease: Lease, record: Record) -> Self {
        Self {
            content: Content::Origin {
                body,
                lease: Some(lease),
                ended: false,
            },
            record,
        }
    }
}

impl Body {
    /// The body was handed over, to its end or not: then its log line says
    /// `why`.
    pub fn finish(mut self, why: &'static str) -> Tail {
        if matches!(self.content, Content::Origin { .. }) && !self.is_end_stream() {
            self.record.failed(why);
        }
        Tail(std::mem::take(&mut self.record))
    }
}

impl Tail {
    /// Not all of the response went out.
    pub fn cut(mut self, why: &'static str) {
        self.0.failed(why);
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let this = &mut *self;
        let frame = match &mut this.content {
            Content::Own(bytes) if bytes.is_empty() => None,
            Content::Own(bytes) => Some(Ok(Frame::data(std::mem::take(bytes)))),
            Content::Origin { body, ended, .. } => {
                let frame = ready!(Pin::new(body).poll_frame(cx));
                *ended = frame.is_none();
                frame
            }
        };
        match &frame {
            Some(Ok(frame)) => this.record.sent(frame.data_ref().map_or(0, Bytes::len)),
            // An error here aborts the response: it never looks complete.
            Some(Err(_)) => this.record.failed("http_response_incomplete"),
            None => {}
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            Content::Own(bytes) => bytes.is_empty(),
            Content::Origin { body, ended, .. } => *ended || body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Own(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Content::Origin { body, .. } => body.size_hint(),
        }
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        let ended = self.is_end_stream();
        let Content::Origin { lease, .. } = &mut self.content else {
            return;
        };
        match lease.take() {
            Some(lease) if ended => lease.finish(),
            _ => self
                .record
                .failed("the client went away within the response"),
        }
    }
}
