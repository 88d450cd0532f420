//! One request to the origin and the head of its response.

use std::time::{Duration, Instant};

use hyper::{Method, StatusCode};

use super::driven;
use super::lease::Lease;
use super::pool::{Connection, Link};
use super::{
    ClientGroup, Download, OriginError, OriginHead, OriginRequest, OriginResponse, OriginSettings,
    Origins,
};

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
pub(super) enum Failure {
    /// Nothing of the request was sent: the connection was closed while idle.
    Unsent,
    /// The request was sent on a connection that had carried another before,
    /// and was closed at that time.
    Stale(OriginError),
    Failed(OriginError),
}

impl Failure {
    /// That of a request that was sent, on a connection that was `used` before.
    pub(super) fn of(error: OriginError, used: bool) -> Self {
        match error {
            error @ OriginError::Terminated(_) if used => Self::Stale(error),
            error => Self::Failed(error),
        }
    }
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
        request: OriginRequest,
    ) -> impl Future<Output = Result<OriginResponse, OriginError>> + use<'a> {
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
        next: &mut Option<OriginRequest>,
    ) -> Result<OriginResponse, OriginError> {
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
            match self.attempt(asking, next, retries > 0 || stale).await {
                Ok(response) => return Ok(response),
                Err(Failure::Unsent) => self.counters.origin.stale.add(1),
                Err(Failure::Stale(_)) if stale => {
                    self.counters.origin.stale.add(1);
                    stale = false;
                    // The others that closed with it are found by then.
                    tokio::task::yield_now().await;
                }
                Err(Failure::Stale(error) | Failure::Failed(error))
                    if error.may_retry() && retries > 0 =>
                {
                    self.counters.origin.retried.add(1);
                    retries -= 1;
                }
                Err(Failure::Stale(error) | Failure::Failed(error)) => return Err(error),
            }
        }
    }

    /// Leaves the request there after a failure if nothing of it was sent, or
    /// it is asked `again`.
    async fn attempt(
        &self,
        asking: Asking<'_>,
        request: &mut Option<OriginRequest>,
        again: bool,
    ) -> Result<OriginResponse, Failure> {
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
        let used = std::mem::replace(&mut lease.connection.used, true);
        match used {
            true => self.counters.origin.reused.add(1),
            false => self.counters.origin.opened.add(1),
        }
        let asked = request.as_ref().expect("it is there before each attempt");
        let Connection { link, timer, .. } = &mut *lease.connection;
        if let Link::Direct(direct) = link {
            let quiet = match is_repeatable(asked) {
                true => direct.quiet(),
                false => direct.quiet_now(),
            };
            if let Err(error) = quiet {
                return Err(match used {
                    true => Failure::Unsent,
                    false => Failure::Failed(error),
                });
            }
            if asked.body.is_empty() {
                let due = now + asking.settings.response_timeout;
                let answer = direct.ask(asked, &self.room, timer, due).await;
                let answer = answer.map_err(|error| Failure::of(error, used))?;
                return Ok(Download::direct(answer, lease));
            }
        }
        let limits = driven::Limits {
            now,
            response: asking.settings.response_timeout,
            stall: asking.stall_timeout,
        };
        // Boxed, since it is seldom needed too.
        Box::pin(drive(lease, request, used, again, limits)).await
    }
}

/// Has hyper send the request.
async fn drive(
    lease: Lease,
    request: &mut Option<OriginRequest>,
    used: bool,
    again: bool,
    limits: driven::Limits,
) -> Result<OriginResponse, Failure> {
    let mut lease = lease.driven().await.map_err(Failure::Failed)?;
    let copy = request.as_ref().filter(|_| again).map(OriginRequest::copy);
    let Connection { link, timer, .. } = &mut *lease.connection;
    let Link::Driven(driven) = link else {
        unreachable!("it was made one just now")
    };
    let answer = driven.exchange(request, used, timer, limits).await;
    if request.is_none() {
        *request = copy;
    }
    let (head, body) = answer?.into_parts();
    if head.status == StatusCode::SWITCHING_PROTOCOLS {
        return Err(Failure::Failed(OriginError::Upgraded));
    }
    Ok(OriginResponse {
        head: OriginHead::Parts(Box::new(head)),
        body: Download::driven(body, lease),
    })
}

/// Whether it can be sent twice.
fn is_repeatable(request: &OriginRequest) -> bool {
    request.body.is_empty() && is_idempotent(&request.method)
}

/// RFC 9110 section 9.2.2.
fn is_idempotent(method: &Method) -> bool {
    matches!(
        *method,
        Method::GET | Method::HEAD | Method::OPTIONS | Method::PUT | Method::DELETE
    )
}
