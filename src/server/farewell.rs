//! How a connection ends while the server drains.
//!
//! Closing one that is idle would cross with a request on its way, which then
//! is lost: its client cannot know whether it was acted on (RFC 9112 section
//! 9.6). So for a while clients are let speak first: the next response says
//! that it is the last. Only who has nothing to say for so long is closed on.

use std::time::Duration;

use hyper::Response;
use hyper::header::{CONNECTION, HeaderValue};

/// How long an idle connection is kept for one more request.
pub(super) const GRACE: Duration = Duration::from_secs(1);

/// Tells the client that this response is the last; hyper closes after it.
pub(super) fn announce<B>(response: &mut Response<B>) {
    let close = HeaderValue::from_static("close");
    response.headers_mut().insert(CONNECTION, close);
}
