//! The body of a response, whoever made it.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame, SizeHint};

use super::cached::{Reading, Source};
use super::record::Record;
use crate::cache::fill::Cut;
use crate::origin::{Download, DownloadError};

/// A response body.
#[derive(Debug)]
pub struct Body {
    content: Content,
    record: Record,
}

/// What is left of a response whose body has been handed over: its log line,
/// written when this is dropped, and what the cache counts as held until then.
#[derive(Debug, Default)]
pub struct Tail {
    record: Option<Record>,
    _held: Option<Source>,
}

#[derive(Debug)]
enum Content {
    /// Made here.
    Own(Bytes),
    /// Streamed.
    Origin(Download),
    /// Stored, or on its way into the cache.
    Cached(Reading),
}

/// Why a response was cut.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// The origin's body was.
    #[error(transparent)]
    Origin(#[from] DownloadError),
    /// What was on its way into the cache was, for the reason named as RFC
    /// 9209 does.
    #[error("the response that was being stored was cut: {0}")]
    Fill(&'static str),
}

impl BodyError {
    /// The name of RFC 9209 section 2.3.
    const fn as_str(&self) -> &'static str {
        match self {
            Self::Origin(error) => error.as_str(),
            Self::Fill(name) => name,
        }
    }
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

    pub(super) fn cached(reading: Reading, record: Record) -> Self {
        Self {
            content: Content::Cached(reading),
            record,
        }
    }
}

impl Body {
    /// Whether its bytes are held in memory anyway, however many wait to be
    /// sent.
    pub fn is_stored(&self) -> bool {
        match &self.content {
            Content::Own(_) => true,
            Content::Origin(_) => false,
            Content::Cached(reading) => reading.is_stored(),
        }
    }

    /// The body was handed over, to its end or not: then its log line says
    /// `why`.
    pub fn finish(mut self, why: &'static str) -> Tail {
        if !matches!(self.content, Content::Own(_)) && !self.is_end_stream() {
            self.record.failed(why);
        }
        let held = match self.content {
            Content::Own(_) | Content::Origin(_) => None,
            // The client has not taken it yet.
            Content::Cached(reading) => Some(reading.into_source()),
        };
        Tail {
            record: Some(self.record),
            _held: held,
        }
    }
}

impl Tail {
    /// Not all of the response went out.
    pub fn cut(mut self, why: &'static str) {
        if let Some(record) = &mut self.record {
            record.failed(why);
        }
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        let frame = match &mut this.content {
            Content::Own(bytes) if bytes.is_empty() => None,
            Content::Own(bytes) => Some(Ok(Frame::data(std::mem::take(bytes)))),
            Content::Origin(download) => {
                let frame = ready!(Pin::new(download).poll_frame(cx));
                frame.map(|frame| frame.map_err(BodyError::from))
            }
            Content::Cached(reading) => {
                let bytes = ready!(reading.poll(cx));
                bytes.map(|bytes| {
                    bytes
                        .map(Frame::data)
                        .map_err(|Cut(why)| BodyError::Fill(why))
                })
            }
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
            Content::Cached(reading) => reading.is_over(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Own(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Content::Origin(download) => download.size_hint(),
            Content::Cached(reading) => reading
                .left()
                .map_or_else(SizeHint::new, SizeHint::with_exact),
        }
    }
}
