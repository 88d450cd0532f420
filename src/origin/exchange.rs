//! One request to the origin and the head of its response.

use std::time::{Duration, Instant};

use hyper::body::{Body as _, Incoming};
use hyper::header::CONNECTION;
use hyper::{HeaderMap, Method, Request, Response, StatusCode, Version};

use super::flow::{Flow, UploadState};
use super::pool::Connection;
use super::timer::Timer;
use super::{ClientGroup, Download, OriginError, OriginSettings, Origins, Upload, tls};
use crate::message::field;

/// How the origin is asked.
#[derive(Clone, Copy, Debug)]
pub struct Asking<'a> {
    /// The route's `[origin]`.
    pub settings: &'a OriginSettings,
    /// Who asks, where one client can be told from another.
    pub client: Option<ClientGroup>,
    /// `server.stall_timeout`.
    pub stall_timeout: Duration,
}

/// Why there is no response.
enum Failure {
    /// Nothing of the request was sent: the connection was closed while idle.
    Unsent,
    /// The request was sent on a connection that had carried another before,
    /// and was closed at that time.
    Stale(OriginError),
    Failed(OriginError),
}

impl Origins {
    /// Asks the origin, again if that is safe and `retries` allow.
    ///
    /// # Errors
    ///
    /// [`OriginError`] of the last attempt.
    pub fn send<'a>(
        &'a self,
        asking: Asking<'a>,
        request: Request<Upload>,
    ) -> impl Future<Output = Result<Response<Download>, OriginError>> + use<'a> {
        // Where it stays: an `async fn` would move it once more.
        let mut next = Some(request);
        async move {
            let done = self.attempts(asking, &mut next).await;
            done.inspect_err(|error| {
                let limit = &self.endpoint(asking.settings).limit;
                limit
                    .troubles
                    .tell(&asking.settings.url, error, Instant::now());
            })
        }
    }

    async fn attempts(
        &self,
        asking: Asking<'_>,
        next: &mut Option<Request<Upload>>,
    ) -> Result<Response<Download>, OriginError> {
        let repeatable = next.as_ref().is_some_and(is_repeatable);
        let mut retries = if repeatable {
            asking.settings.retries
        } else {
            0
        };
        // The race with an origin that closes an idle connection is not a
        // failure of the origin's, so it is not one of the retries.
        let mut stale = repeatable;
        loop {
            let again = next.as_ref().filter(|_| retries > 0 || stale);
            let again = again.map(copy_head);
            match (self.attempt(asking, next).await, again) {
                (Ok(response), _) => return Ok(response),
                (Err(Failure::Unsent), _) => self.counters.origin.stale.add(1),
                (Err(Failure::Stale(_)), Some(copy)) if stale => {
                    self.counters.origin.stale.add(1);
                    stale = false;
                    // The others that closed with it are found by then.
                    tokio::task::yield_now().await;
                    *next = Some(copy);
                }
                (Err(Failure::Stale(error) | Failure::Failed(error)), Some(copy))
                    if error.may_retry() && retries > 0 =>
                {
                    self.counters.origin.retried.add(1);
                    retries -= 1;
                    *next = Some(copy);
                }
                (Err(Failure::Stale(error) | Failure::Failed(error)), _) => return Err(error),
            }
        }
    }

    /// Takes the request, and puts it back where nothing of it was sent.
    async fn attempt(
        &self,
        asking: Asking<'_>,
        request: &mut Option<Request<Upload>>,
    ) -> Result<Response<Download>, Failure> {
        let endpoint = self.endpoint(asking.settings);
        let mut now = Instant::now();
        let mut lease = match endpoint.lease_idle(asking, now) {
            Some(lease) => lease,
            None => {
                // Boxed: it is seldom needed, and needs much room.
                let lease = Box::pin(endpoint.lease(asking)).await;
                now = Instant::now();
                lease.map_err(Failure::Failed)?
            }
        };
        match lease.connection.used {
            true => self.counters.origin.reused.add(1),
            false => self.counters.origin.opened.add(1),
        }
        let limit = asking.settings.response_timeout;
        let response = exchange(&mut lease.connection, request, now, limit).await?;
        let (head, body) = response.into_parts();
        if head.status == StatusCode::SWITCHING_PROTOCOLS {
            return Err(Failure::Failed(OriginError::Upgraded));
        }
        // Only asked where it matters: if the upload still goes on.
        lease.connection.closing =
            lease.upload() == UploadState::Going && is_last(head.version, &head.headers);
        let download = Download::new(body, lease);
        Ok(Response::from_parts(head, download))
    }
}

async fn exchange(
    connection: &mut Connection,
    request: &mut Option<Request<Upload>>,
    now: Instant,
    limit: Duration,
) -> Result<Response<Incoming>, Failure> {
    connection.heard.set(false);
    let used = std::mem::replace(&mut connection.used, true);
    let mut taken = request.take().expect("it is there before each attempt");
    let uploads = taken.body_mut().watch(&connection.flow);
    let upload = uploads.then_some((&*connection.flow, connection.stall_timeout));
    let answer = connection.sender.try_send_request(taken);
    let result = tokio::select! {
        biased;
        result = answer => result,
        error = silence(upload, &mut connection.timer, now, limit) => {
            return Err(Failure::Failed(error));
        }
    };
    result.map_err(|mut error| match error.take_message() {
        Some(unsent) if used => {
            *request = Some(unsent);
            Failure::Unsent
        }
        _ => match failed(error.into_error(), connection) {
            error @ OriginError::Terminated(_) if used => Failure::Stale(error),
            error => Failure::Failed(error),
        },
    })
}

/// Ends when the upload is stalled, or when the origin has been silent for
/// `response_timeout` after the request was sent, which one without a body
/// is at once.
async fn silence(
    upload: Option<(&Flow, Duration)>,
    timer: &mut Timer,
    mut sent: Instant,
    response_timeout: Duration,
) -> OriginError {
    if let Some((flow, stall_timeout)) = upload {
        if let Err(stalled) = flow.ended(stall_timeout).await {
            return stalled;
        }
        sent = Instant::now();
    }
    timer.passed(sent + response_timeout).await;
    OriginError::ResponseTimeout
}

fn failed(error: hyper::Error, connection: &Connection) -> OriginError {
    if connection.flow.upload() == UploadState::TooLarge {
        OriginError::UploadTooLarge
    } else if error.is_user() || error.is_body_write_aborted() {
        OriginError::Upload(error)
    } else if error.is_parse() {
        OriginError::Malformed(error)
    } else if let Some(cause) = tls::cause(&error) {
        cause.into()
    } else if connection.heard.get() {
        OriginError::Incomplete(error)
    } else {
        OriginError::Terminated(error)
    }
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

/// Whether it can be sent twice.
fn is_repeatable(request: &Request<Upload>) -> bool {
    request.body().is_empty() && is_idempotent(request.method())
}

/// RFC 9110 section 9.2.2.
fn is_idempotent(method: &Method) -> bool {
    matches!(
        *method,
        Method::GET | Method::HEAD | Method::OPTIONS | Method::PUT | Method::DELETE
    )
}

/// The same request, which is listened to in the same way; only for one
/// without a body.
pub fn copy_head(request: &Request<Upload>) -> Request<Upload> {
    debug_assert!(request.body().is_end_stream(), "a body cannot be copied");
    let mut copy = Request::new(Upload::default());
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.headers_mut() = request.headers().clone();
    *copy.extensions_mut() = request.extensions().clone();
    copy
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
