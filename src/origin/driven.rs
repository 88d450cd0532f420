//! A connection on which hyper speaks, in a task of its own: for requests with
//! a body, which is sent while the response may come already.

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use hyper::body::Incoming;
use hyper::client::conn::http1::{Builder, SendRequest};
use hyper::header::{CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING};
use hyper::{HeaderMap, Response, Version};
use hyper_util::rt::TokioIo;
use tokio::task::{AbortHandle, spawn_local};

use super::direct::Direct;
use super::exchange::Failure;
use super::flow::{Flow, UploadState};
use super::pool::{BUFFER, Endpoint};
use super::timer::Timer;
use super::wire::Wire;
use super::{OriginError, OriginRequest, Upload, tls};
use crate::message::field;

/// A connection of hyper's.
#[derive(Debug)]
pub(super) struct Driven {
    pub(super) sender: SendRequest<Upload>,
    /// Whether the origin has sent a byte since this was last reset.
    heard: Rc<Cell<bool>>,
    /// How its upload moves.
    pub(super) flow: Rc<Flow>,
    /// Whether it carries a request now.
    pub(super) busy: bool,
    /// The origin reads no more after this response.
    pub(super) closing: bool,
    /// It may think that this response ends elsewhere.
    pub(super) doubtful: bool,
    driver: AbortHandle,
}

/// For how long what is waited for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// When the response is begun to be waited for, without an upload.
    pub(super) now: Instant,
    /// `origin.response_timeout`.
    pub(super) response: Duration,
    /// `server.stall_timeout`.
    pub(super) stall: Duration,
}

impl Drop for Driven {
    fn drop(&mut self) {
        // hyper goes on with an upload for as long as its client does, also
        // when nobody waits for the response any more.
        if self.busy {
            self.driver.abort();
        }
    }
}

impl Driven {
    /// hyper speaks from now on.
    pub(super) async fn new(direct: Direct, endpoint: &Rc<Endpoint>) -> Result<Self, OriginError> {
        let (stream, permit) = direct.into_parts();
        let heard = Rc::new(Cell::new(false));
        let flow = Rc::new(Flow::default());
        let wire = Wire::new(stream, Rc::clone(&flow), Rc::clone(&heard));
        let (sender, driver) = Builder::new()
            .max_buf_size(BUFFER)
            .handshake(TokioIo::new(wire))
            .await
            .map_err(|error| OriginError::Terminated(error.into()))?;
        let endpoint = Rc::downgrade(endpoint);
        let driver = spawn_local(async move {
            // Whoever waits for the response gets the error too.
            let _ = driver.await;
            drop(permit);
            if let Some(endpoint) = endpoint.upgrade() {
                endpoint.forget_closed();
            }
        });
        Ok(Self {
            sender,
            heard,
            flow,
            busy: true,
            closing: false,
            doubtful: false,
            driver: driver.abort_handle(),
        })
    }

    /// Sends the request, and puts it back where nothing of it was sent.
    pub(super) async fn exchange(
        &mut self,
        request: &mut Option<OriginRequest>,
        used: bool,
        timer: &mut Timer,
        limits: Limits,
    ) -> Result<Response<Incoming>, Failure> {
        self.heard.set(false);
        self.flow.unread.clear();
        self.closing = false;
        let taken = request.take().expect("it is there before each attempt");
        let head = taken.with_body(Upload::default());
        let mut taken = taken.into_hyper();
        if let Some(listener) = taken.body().listener().cloned() {
            hyper::ext::on_informational(&mut taken, move |head| {
                listener.tell(head.status(), head.version(), head.headers());
            });
        }
        let uploads = taken.body_mut().watch(&self.flow);
        let upload = uploads.then_some((&*self.flow, limits.stall));
        let answer = self.sender.try_send_request(taken);
        let result = tokio::select! {
            biased;
            result = answer => result,
            error = silence(upload, timer, limits) => return Err(Failure::Failed(error)),
        };
        let response = result.map_err(|mut error| match error.take_message() {
            Some(unsent) if used => {
                *request = Some(OriginRequest {
                    body: unsent.into_body(),
                    ..head
                });
                Failure::Unsent
            }
            _ => Failure::of(self.failed(error.into_error()), used),
        })?;
        // Only asked where it matters: if the upload still goes on.
        self.closing = self.flow.upload() == UploadState::Going
            && is_last(response.version(), response.headers());
        let tells = |name| response.headers().contains_key(name);
        self.doubtful = tells(TRANSFER_ENCODING) && tells(CONTENT_LENGTH);
        Ok(response)
    }

    fn failed(&self, error: hyper::Error) -> OriginError {
        if self.flow.upload() == UploadState::TooLarge {
            OriginError::UploadTooLarge
        } else if error.is_user() || error.is_body_write_aborted() {
            OriginError::Upload(error.into())
        } else if error.is_parse() {
            OriginError::Malformed(error.into())
        } else if let Some(cause) = tls::cause(&error) {
            cause.into()
        } else if self.heard.get() {
            OriginError::Incomplete(error.into())
        } else {
            OriginError::Terminated(error.into())
        }
    }
}

/// Ends when the upload is stalled, or when the origin has been silent for
/// `response_timeout` after the request was sent, which one without a body
/// is at once.
async fn silence(
    upload: Option<(&Flow, Duration)>,
    timer: &mut Timer,
    limits: Limits,
) -> OriginError {
    let mut sent = limits.now;
    if let Some((flow, stall_timeout)) = upload {
        if let Err(stalled) = flow.ended(stall_timeout).await {
            return stalled;
        }
        sent = Instant::now();
    }
    timer.passed(sent + limits.response).await;
    OriginError::ResponseTimeout
}

/// Whether the origin says that it reads no more after this response.
fn is_last(version: Version, headers: &HeaderMap) -> bool {
    let says = |wanted: &[u8]| {
        let lines = headers.get_all(CONNECTION).iter();
        let mut words = lines.flat_map(|line| field::entries(line.as_bytes()));
        words.any(|word| word.eq_ignore_ascii_case(wanted))
    };
    says(b"close") || version == Version::HTTP_10 && !says(b"keep-alive")
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    #[test]
    fn last_responses() {
        let says = |version, value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(CONNECTION, HeaderValue::from_static(value));
            is_last(version, &headers)
        };
        assert!(says(Version::HTTP_11, "Close") && says(Version::HTTP_11, "x, close"));
        assert!(!says(Version::HTTP_11, "closed") && says(Version::HTTP_10, "x"));
        assert!(!says(Version::HTTP_10, "keep-alive"));
    }
}
