//! A response body on its way from the origin.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::time::{Instant, Sleep, sleep};

use super::direct::Answer;
use super::error::Cause;
use super::flow::UploadState;
use super::inflow::Inflow;
use super::lease::Lease;
use super::pool::Link;
use super::{OriginHead, OriginResponse};

/// The body is looked at so many times in `stall_timeout`.
const LOOKS: u32 = 4;

/// The origin's body, streamed: the next part is read when the one before was
/// taken. When it is dropped at its end, its connection is kept for the next
/// request; before, it is closed. Trailers end it and go no further.
#[derive(Debug)]
pub struct Download {
    source: Source,
    lease: Option<Lease>,
    ended: bool,
    patience: Patience,
}

/// Where it comes from.
#[derive(Debug)]
enum Source {
    Direct(Inflow),
    Driven(Incoming),
}

/// Why a response was cut.
#[derive(Debug, thiserror::Error)]
pub enum DownloadError {
    /// The origin did not send it to the end.
    #[error("the origin's response ended before its time")]
    Incomplete(#[source] Cause),
    /// The origin sent nothing for `server.stall_timeout`.
    #[error("the origin sent nothing of its response for server.stall_timeout")]
    Stalled,
    /// The request's body was cut, and the response with it.
    #[error("the request body was cut within the response")]
    Upload(#[source] Cause),
}

/// How long somebody has waited, without a clock call until somebody does.
#[derive(Debug, Default)]
struct Patience {
    timer: Option<Pin<Box<Sleep>>>,
    looks: u32,
}

impl Download {
    /// What comes on a connection of ours.
    pub(super) fn direct(answer: Answer, mut lease: Lease) -> OriginResponse {
        let Answer {
            head,
            framing,
            held,
        } = answer;
        let Link::Direct(direct) = &mut lease.connection.link else {
            unreachable!("an answer is read from a connection of ours")
        };
        let inflow = Inflow::new(framing, held, direct);
        OriginResponse {
            head: OriginHead::Received(head),
            body: Self::new(Source::Direct(inflow), lease),
        }
    }

    /// What hyper reads.
    pub(super) fn driven(body: Incoming, lease: Lease) -> Self {
        Self::new(Source::Driven(body), lease)
    }

    fn new(source: Source, lease: Lease) -> Self {
        Self {
            source,
            lease: Some(lease),
            ended: false,
            patience: Patience::default(),
        }
    }

    /// Closes the connection, also where the body has ended.
    pub fn close(mut self) {
        self.lease = None;
    }

    /// More of it; `None` at its end, which trailers are too.
    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Cause>>> {
        match (&mut self.source, &mut self.lease) {
            (Source::Driven(body), lease) => {
                let frame = ready!(Pin::new(body).poll_frame(cx));
                if let Some(Link::Driven(driven)) = lease.as_ref().map(|it| &it.connection.link) {
                    driven.flow.unread.clear();
                }
                Poll::Ready(frame.and_then(|frame| match frame {
                    Ok(frame) => frame.into_data().ok().map(Ok),
                    Err(error) => Some(Err(error.into())),
                }))
            }
            (Source::Direct(inflow), Some(lease)) => match &mut lease.connection.link {
                Link::Direct(direct) => inflow.poll_data(cx, direct),
                Link::Driven(_) => unreachable!("it is read from a connection of ours"),
            },
            // It was given up.
            (Source::Direct(_), None) => Poll::Pending,
        }
    }

    /// The connection is of no more use.
    fn fail(&mut self, error: DownloadError) -> DownloadError {
        self.lease = None;
        error
    }

    fn cut(&mut self, error: Cause) -> DownloadError {
        let upload = self.lease.as_ref().map(Lease::upload);
        let error = match upload {
            Some(UploadState::Cut | UploadState::TooLarge) => DownloadError::Upload(error),
            Some(UploadState::Done | UploadState::Going) | None => DownloadError::Incomplete(error),
        };
        self.fail(error)
    }
}

impl DownloadError {
    /// The name of RFC 9209 section 2.3.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Incomplete(_) => "http_response_incomplete",
            Self::Stalled => "connection_read_timeout",
            Self::Upload(_) => "http_request_error",
        }
    }
}

impl Body for Download {
    type Data = Bytes;
    type Error = DownloadError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, DownloadError>>> {
        let this = &mut *self;
        let Poll::Ready(data) = this.poll_data(cx) else {
            // Asked for and not there: it is the origin that is waited for.
            let Some(lease) = &this.lease else {
                return Poll::Pending;
            };
            let limit = lease.connection.stall_timeout;
            return this.patience.poll_lost(cx, limit).map(|()| {
                let error = this.fail(DownloadError::Stalled);
                Some(Err(error))
            });
        };
        this.patience.reward();
        Poll::Ready(match data {
            Some(Ok(data)) => Some(Ok(Frame::data(data))),
            Some(Err(error)) => Some(Err(this.cut(error))),
            None => {
                this.ended = true;
                None
            }
        })
    }

    fn is_end_stream(&self) -> bool {
        self.ended
            || match &self.source {
                Source::Direct(inflow) => inflow.is_over(),
                Source::Driven(body) => body.is_end_stream(),
            }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Direct(inflow) => inflow.size_hint(),
            Source::Driven(body) => body.size_hint(),
        }
    }
}

impl Drop for Download {
    fn drop(&mut self) {
        if self.is_end_stream()
            && let Some(lease) = self.lease.take()
        {
            lease.finish();
        }
    }
}

impl Patience {
    /// Ready when whoever calls has waited for `limit` without a reward.
    fn poll_lost(&mut self, cx: &mut Context<'_>, limit: Duration) -> Poll<()> {
        let pause = (limit / LOOKS).max(Duration::from_millis(1));
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep(pause)));
        while timer.as_mut().poll(cx).is_ready() {
            self.looks += 1;
            // The first look does not know since when it was waited.
            if self.looks > LOOKS {
                return Poll::Ready(());
            }
            timer.as_mut().reset(Instant::now() + pause);
        }
        Poll::Pending
    }

    /// What was waited for has come.
    fn reward(&mut self) {
        self.looks = 0;
    }
}
