//! The body of a response, whoever made it.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame, SizeHint};

use super::record::Record;
use crate::origin::{Download, DownloadError};

/// A response body. When it is dropped, at its end or before, the request is
/// over: its log line is written.
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
    /// Streamed.
    Origin(Download),
}

impl Body {
    pub(super) fn own(bytes: Bytes, record: Record) -> Self {
        Self {
            content: Content::Own(bytes),
            record,
        }
    }

    pub(super) fn origin(download: Download, record: Record) -> Self {
        Self {
            content: Content::Origin(download),
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
    type Error = DownloadError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, DownloadError>>> {
        let this = &mut *self;
        let frame = match &mut this.content {
            Content::Own(bytes) if bytes.is_empty() => None,
            Content::Own(bytes) => Some(Ok(Frame::data(std::mem::take(bytes)))),
            Content::Origin(download) => ready!(Pin::new(download).poll_frame(cx)),
        };
        match &frame {
            Some(Ok(frame)) => this.record.sent(frame.data_ref().map_or(0, Bytes::len)),
            // An error here aborts the response: it never looks complete.
            Some(Err(error)) => this.record.failed(error.as_str()),
            None => {}
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            Content::Own(bytes) => bytes.is_empty(),
            Content::Origin(download) => download.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Own(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Content::Origin(download) => download.size_hint(),
        }
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        if let Content::Origin(download) = &self.content
            && !download.is_end_stream()
        {
            self.record
                .failed("the client went away within the response");
        }
    }
}
