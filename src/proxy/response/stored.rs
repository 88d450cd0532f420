//! The head of a stored response that is sent whole.

use std::sync::Arc;

use hyper::StatusCode;
use hyper::header::{CONTENT_LENGTH, HeaderName, HeaderValue, VARY};

use crate::cache::clock::Moment;
use crate::cache::entry::{self, Entry};
use crate::cache::reply::added_fields;
use crate::cache::status::CacheStatus;
use crate::cache::storable::is_cookie;
use crate::message::vary;
use crate::proxy::respond::Edit;

/// The head of a stored response that is sent whole, with what every answer
/// from the cache has.
#[derive(Debug)]
pub(in crate::proxy) struct StoredHead {
    entry: Arc<Entry>,
    now: Moment,
    status: CacheStatus,
    edit: Edit,
}

impl StoredHead {
    /// `edit` only adds to its `Vary`: more is not told in passing.
    pub(in crate::proxy) fn new(
        entry: Arc<Entry>,
        now: Moment,
        status: CacheStatus,
        edit: Edit,
    ) -> Self {
        debug_assert!(edit.only_adds_vary(), "else it is edited as a map");
        Self {
            entry,
            now,
            status,
            edit,
        }
    }

    pub(super) fn status(&self) -> StatusCode {
        self.entry.head.status
    }

    /// The fields that are written down already; see [`entry::Head::lines`].
    pub(super) fn lines(&self) -> &[u8] {
        &self.entry.head.lines
    }

    pub(super) fn each_field(&self, mut take: impl FnMut(&HeaderName, &[u8])) {
        let merges = self.edit.vary().is_some();
        for (name, value) in &self.entry.head.headers {
            let told_after = *name == CONTENT_LENGTH || merges && *name == VARY;
            if !told_after && (self.edit.keeps_cookies || !is_cookie(name)) {
                take(name, value.as_bytes());
            }
        }
        self.each_added(take);
    }

    /// What is not in the stored lines.
    pub(super) fn each_unwritten(&self, mut take: impl FnMut(&HeaderName, &[u8])) {
        if self.edit.vary().is_none() {
            each_vary(&self.entry.head, &mut take);
        }
        self.each_added(take);
    }

    fn each_added(&self, mut take: impl FnMut(&HeaderName, &[u8])) {
        let Entry { head, body, .. } = &*self.entry;
        added_fields(head, body.length(), self.now, &self.status, &mut take);
        let Some(ours) = self.edit.vary() else { return };
        match vary::merged(|| vary_of(head), ours.as_bytes()) {
            Some(merged) => take(&VARY, &merged),
            None => each_vary(head, take),
        }
    }
}

fn each_vary(head: &entry::Head, mut take: impl FnMut(&HeaderName, &[u8])) {
    vary_of(head).for_each(|line| take(&VARY, line));
}

fn vary_of(head: &entry::Head) -> impl Iterator<Item = &[u8]> {
    let lines = head.headers.get_all(VARY).iter();
    lines.map(HeaderValue::as_bytes)
}
