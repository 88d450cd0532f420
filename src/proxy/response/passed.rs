//! The head of a response of the origin's that is passed on.

use hyper::header::{ALT_SVC, CACHE_STATUS, HeaderName, HeaderValue, VARY, VIA};
use hyper::{StatusCode, Version};

use crate::cache::status::CacheStatus;
use crate::message::connection::{self, HOP_BY_HOP};
use crate::message::field::Single;
use crate::message::fields::{FieldLine, Fields, Name};
use crate::message::vary;
use crate::origin::ReceivedHead;
use crate::proxy::framing;
use crate::proxy::respond::{Edit, has_body};

/// The head of a response of the origin's that has nothing odd about it, and of
/// which only what ends here is not passed on.
#[derive(Debug)]
pub(in crate::proxy) struct PassedHead {
    pub(super) received: Box<ReceivedHead>,
    /// By which the client is answered.
    pub(super) version: Version,
    pub(super) via: HeaderValue,
    /// What the cache says of it.
    pub(super) cache: Option<CacheStatus>,
    pub(super) edit: Edit,
}

impl PassedHead {
    /// The head of a response that [may be passed on](may_pass) and of which
    /// no more than its Vary is edited, which came by `via`; `has_length`: it
    /// is known how long the body is.
    pub(in crate::proxy) fn new(
        received: Box<ReceivedHead>,
        has_length: bool,
        edit: Edit,
        via: &HeaderValue,
        cache: Option<CacheStatus>,
    ) -> Self {
        Self {
            // Without a length, a body by HTTP/1.0 ends with the connection.
            version: match has_length || !has_body(edit.shape.head, received.status) {
                true => Version::HTTP_11,
                false => edit.shape.version,
            },
            received,
            via: via.clone(),
            cache,
            edit,
        }
    }

    pub(in crate::proxy) fn status(&self) -> StatusCode {
        self.received.status
    }

    pub(super) fn each_field(&self, mut take: impl FnMut(&HeaderName, &[u8])) {
        for line in self.received() {
            if let Some(known) = line.known {
                take(known.name(), line.value);
            } else if let Ok(name) = HeaderName::from_bytes(line.name) {
                take(&name, line.value);
            }
        }
        self.each_added(take);
    }

    /// What is passed on as it was received.
    pub(super) fn received(&self) -> impl Iterator<Item = FieldLine<'_>> {
        let ours = self.edit.vary().is_some();
        self.received
            .fields
            .iter()
            .filter(move |line| match line.known {
                Some(Name::VARY) => !ours,
                Some(name) => !HOP_BY_HOP.contains(name),
                None => !line.name.eq_ignore_ascii_case(ALT_SVC.as_str().as_bytes()),
            })
    }

    /// What is not.
    pub(super) fn each_added(&self, mut take: impl FnMut(&HeaderName, &[u8])) {
        take(&VIA, self.via.as_bytes());
        if let Some(status) = &self.cache {
            take(&CACHE_STATUS, status.value().as_bytes());
        }
        let Some(ours) = self.edit.vary() else { return };
        let theirs = || self.received.fields.lines(Name::VARY);
        match vary::merged(theirs, ours.as_bytes()) {
            Some(merged) => take(&VARY, &merged),
            None => theirs().for_each(|line| take(&VARY, line)),
        }
    }
}

/// Whether there is nothing about a response that has to be looked at.
pub(in crate::proxy) fn may_pass(received: &ReceivedHead) -> bool {
    received.status != StatusCode::NO_CONTENT && is_plain(&received.fields)
}

/// Whether the length of the body is told once and as a number, or not at all,
/// and Connection names no field that would pass on else.
pub(super) fn is_plain(fields: &Fields) -> bool {
    let length = match fields.single(Name::CONTENT_LENGTH) {
        Single::One(length) => framing::is_length(length),
        Single::Missing => !fields.contains(Name::CONTENT_LENGTH),
        Single::Several => false,
    };
    length && !fields.contains(Name::TRANSFER_ENCODING) && connection::names_only_hop_by_hop(fields)
}
