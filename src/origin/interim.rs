//! Who is told of the responses before the response (RFC 9110 section 15.2).

use std::fmt::Debug;
use std::sync::Arc;

use hyper::{HeaderMap, StatusCode, Version};

/// Hears of interim responses. `Send` and `Sync` because hyper, which carries
/// uploads, wants that of whom it tells.
pub trait Hear: Debug + Send + Sync {
    /// The origin sent such a head before its answer to that request.
    fn hear(&self, request: u64, status: StatusCode, version: Version, fields: &HeaderMap);
}

/// Who is told of those that go before the answer to one request.
#[derive(Clone, Debug)]
pub struct Listener {
    /// By which the request is told from others.
    request: u64,
    to: Arc<dyn Hear>,
}

impl Listener {
    /// `to` is told, with the number of the request.
    pub fn new(request: u64, to: Arc<dyn Hear>) -> Self {
        Self { request, to }
    }

    pub(super) fn tell(&self, status: StatusCode, version: Version, fields: &HeaderMap) {
        self.to.hear(self.request, status, version, fields);
    }
}
