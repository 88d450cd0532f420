//! What is still to come of a request that is answered here (section 6.7).

use std::pin::Pin;
use std::time::Duration;

use hyper::Version;
use hyper::body::Body as _;
use tokio::task::spawn_local;
use tokio::time::timeout;

use super::answer::Answer;
use super::record::Record;
use super::response::ClientResponse;
use crate::message::fields::{Fields, Name};
use crate::message::request_body::RequestBody;

/// This much of an unwanted body is read and dropped; beyond it, a new
/// connection is cheaper for both sides.
const MAX_DROPPED: u64 = 64 * 1024;

/// And no longer than this.
const PATIENCE: Duration = Duration::from_secs(1);

/// The body of a request, not yet read.
#[derive(Debug)]
pub(super) struct Rest {
    /// `None`: it has none.
    body: Option<RequestBody>,
    /// The client waits for a 100 before it sends the body.
    waits: bool,
}

impl Rest {
    pub(super) fn new(version: Version, fields: &Fields, body: Option<RequestBody>) -> Self {
        let body = body.filter(|body| !body.is_end_stream());
        Self {
            // An HTTP/1.0 client knows no 100 (RFC 9110 section 10.1.1).
            waits: body.is_some() && version > Version::HTTP_10 && fields.contains(Name::EXPECT),
            body,
        }
    }

    /// Whether it says that it is longer than `max` bytes.
    pub(super) fn exceeds(&self, max: u64) -> bool {
        self.announced() > max
    }

    /// Whether there is no body.
    pub(super) fn is_empty(&self) -> bool {
        self.body.is_none()
    }

    fn announced(&self) -> u64 {
        self.body
            .as_ref()
            .map_or(0, |body| body.size_hint().lower())
    }

    pub(super) fn into_body(self) -> Option<RequestBody> {
        self.body
    }

    /// Answers without the body. The connection is kept if the body is short
    /// and comes soon; else dropping it makes hyper close the connection
    /// after the answer. Reading a body is what makes hyper send the 100.
    pub(super) fn answer(self, answer: Answer, record: Record) -> ClientResponse {
        if self.waits || self.announced() > MAX_DROPPED {
            return self.drop_and_close(answer, record);
        }
        if let Some(body) = self.body {
            spawn_local(timeout(PATIENCE, read_and_drop(body)));
        }
        answer.into_response(record)
    }

    /// Answers, after which the connection is closed.
    pub(super) fn drop_and_close(self, answer: Answer, record: Record) -> ClientResponse {
        answer.closing().into_response(record)
    }
}

async fn read_and_drop(mut body: RequestBody) {
    let mut left = MAX_DROPPED;
    while let Some(Ok(frame)) = std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await
    {
        let length = frame.data_ref().map_or(0, |data| data.len() as u64);
        let Some(rest) = left.checked_sub(length) else {
            return;
        };
        left = rest;
    }
}
