//! One request to the origin and the head of its response.

use std::rc::Rc;
use std::time::{Duration, Instant};

use hyper::body::{Body as _, Incoming};
use hyper::{Method, Request, Response, StatusCode};
use tokio::sync::Notify;

use super::pool::{Connection, Lease};
use super::{OriginError, OriginSettings, Origins, Upload, tls};

/// The origin's response and the connection it comes on.
#[derive(Debug)]
pub struct Reply {
    /// Head and body.
    pub response: Response<Incoming>,
    /// To be finished when the body has been read to its end.
    pub lease: Lease,
}

/// Why there is no response.
enum Failure {
    /// Nothing of the request was sent: the connection was closed while idle.
    Stale(Box<Request<Upload>>),
    Failed(OriginError),
}

impl Origins {
    /// Asks the origin, again if that is safe and `retries` allow.
    ///
    /// # Errors
    ///
    /// [`OriginError`] of the last attempt.
    pub async fn send(
        &self,
        settings: &OriginSettings,
        request: Request<Upload>,
    ) -> Result<Reply, OriginError> {
        let done = self.send_until_done(settings, request).await;
        if let Err(error) = &done {
            let limit = &self.endpoint(settings).limit;
            limit.troubles.tell(&settings.url, error, Instant::now());
        }
        done
    }

    async fn send_until_done(
        &self,
        settings: &OriginSettings,
        mut request: Request<Upload>,
    ) -> Result<Reply, OriginError> {
        let repeatable = request.body().is_empty() && is_idempotent(request.method());
        let mut retries = if repeatable { settings.retries } else { 0 };
        loop {
            let again = (retries > 0).then(|| copy_head(&request));
            match (self.attempt(settings, request).await, again) {
                (Err(error), Some(copy)) if error.may_retry() => request = copy,
                (done, _) => return done,
            }
            retries -= 1;
        }
    }

    async fn attempt(
        &self,
        settings: &OriginSettings,
        request: Request<Upload>,
    ) -> Result<Reply, OriginError> {
        let endpoint = self.endpoint(settings);
        let mut request = Box::new(request);
        loop {
            let mut connection = endpoint.connection(settings).await?;
            match connection.used {
                true => self.counters.origin.reused.add(1),
                false => self.counters.origin.opened.add(1),
            }
            match exchange(&mut connection, *request, settings.response_timeout).await {
                Ok(response) if response.status() == StatusCode::SWITCHING_PROTOCOLS => {
                    return Err(OriginError::Upgraded);
                }
                Ok(response) => {
                    return Ok(Reply {
                        response,
                        lease: Lease {
                            connection,
                            endpoint,
                        },
                    });
                }
                Err(Failure::Stale(unsent)) => request = unsent,
                Err(Failure::Failed(error)) => return Err(error),
            }
        }
    }
}

async fn exchange(
    connection: &mut Connection,
    mut request: Request<Upload>,
    limit: Duration,
) -> Result<Response<Incoming>, Failure> {
    connection.heard.set(false);
    let used = std::mem::replace(&mut connection.used, true);
    let sent = request.body_mut().watch();
    let answer = connection.sender.try_send_request(request);
    let result = tokio::select! {
        biased;
        result = answer => result,
        () = silence(sent, limit) => return Err(Failure::Failed(OriginError::ResponseTimeout)),
    };
    result.map_err(|mut error| match error.take_message() {
        Some(request) if used => Failure::Stale(Box::new(request)),
        _ => Failure::Failed(failed(error.into_error(), connection.heard.get())),
    })
}

/// Ends when the origin has been silent for `limit` after the request was sent.
async fn silence(sent: Option<Rc<Notify>>, limit: Duration) {
    if let Some(sent) = sent {
        sent.notified().await;
    }
    tokio::time::sleep(limit).await;
}

fn failed(error: hyper::Error, heard: bool) -> OriginError {
    if error.is_user() || error.is_body_write_aborted() {
        OriginError::Upload(error)
    } else if error.is_parse() {
        OriginError::Malformed(error)
    } else if let Some(cause) = tls::cause(&error) {
        cause.into()
    } else if heard {
        OriginError::Incomplete(error)
    } else {
        OriginError::Terminated(error)
    }
}

/// RFC 9110 section 9.2.2.
fn is_idempotent(method: &Method) -> bool {
    matches!(
        *method,
        Method::GET | Method::HEAD | Method::OPTIONS | Method::PUT | Method::DELETE
    )
}

/// The same request; only for one without a body.
fn copy_head(request: &Request<Upload>) -> Request<Upload> {
    debug_assert!(request.body().is_end_stream(), "a body cannot be copied");
    let mut copy = Request::new(Upload::default());
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.headers_mut() = request.headers().clone();
    copy
}
