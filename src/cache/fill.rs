//! A response on its way into the cache, and those who read it meanwhile.
//!
//! Whoever fetches it writes, at the origin's speed; readers follow at their
//! own, on whatever worker they are. What they have not read yet is what will
//! be stored, so a slow one costs nothing and slows nobody.

mod growing;
mod reader;

pub use reader::{Cut, FillReader};

use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;

use bytes::Bytes;
use hyper::StatusCode;

use self::growing::Growing;
use self::reader::Readers;
use super::asked::Asked;
use super::clock::Moment;
use super::directives::RequestDirectives;
use super::entry::{Entry, Head, Key, StoredBody};
use super::purge::Purge;
use super::reuse::{Reuse, reuse};
use super::store::Store;
use crate::images::Variant;

/// A response on its way into the cache.
#[derive(Debug)]
pub struct Fill {
    hash: u64,
    url: Box<str>,
    origin: Box<str>,
    wish: Wish,
    /// Whether others may wait for its head.
    is_shared: bool,
    /// It must not be stored any more.
    purged: AtomicBool,
    state: Mutex<State>,
}

/// What a fill was begun for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wish {
    /// The variant that was asked for.
    pub variant: Variant,
    /// What responses most often vary by: Accept-Encoding and `Origin`.
    pub likeness: u64,
    /// When.
    pub begun: Moment,
}

#[derive(Debug)]
struct State {
    phase: Phase,
    /// Also those who still wait for the head.
    readers: Readers,
}

#[derive(Debug)]
enum Phase {
    /// Its head has not come.
    Asked,
    /// Nothing of it is shared.
    Closed(Verdict),
    /// Its body is on its way.
    Open(Arc<Opened>, Growing),
    /// Its body is here.
    Done(Arc<Opened>, Arc<StoredBody>),
    /// Its body was cut.
    Cut(Arc<Opened>, Growing, &'static str),
}

/// The head of a fill.
#[derive(Debug)]
pub struct Opened {
    /// As it will be stored.
    pub head: Head,
    /// How long the body will be, if the origin said so, in bytes.
    pub length: Option<u64>,
}

/// What those who waited for the head of a fill are told.
#[derive(Clone, Debug)]
pub enum Verdict {
    /// It may be read, by those whom it fits.
    Open(Arc<Opened>),
    /// A stored response was validated.
    Validated(Arc<Entry>),
    /// The response is for one client only: everyone goes on by themselves.
    Alone,
    /// The origin answered with an error that is not shared, but a stale
    /// response would do.
    Error,
    /// There was no response.
    Failed(Failure),
}

/// Why a fill got no response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The status that says so.
    pub status: StatusCode,
    /// Its name in RFC 9209 section 2.3.
    pub error: &'static str,
}

/// What becomes of a body that has grown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grown {
    /// It can still be stored.
    Kept,
    /// It has become too long: it is only passed on.
    PassedOn,
}

impl Fill {
    pub(super) fn new(hash: u64, key: Key<'_>, wish: Wish, is_shared: bool) -> Self {
        Self {
            hash,
            url: key.url.into(),
            origin: key.origin.into(),
            wish,
            is_shared,
            purged: AtomicBool::new(false),
            state: Mutex::new(State {
                phase: Phase::Asked,
                readers: Readers::default(),
            }),
        }
    }

    /// The hash of its key.
    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// Where it will be stored.
    pub fn key(&self) -> Key<'_> {
        Key {
            url: &self.url,
            origin: &self.origin,
        }
    }

    /// Whether others may wait for its head.
    pub fn is_shared(&self) -> bool {
        self.is_shared
    }

    /// Tells those who wait that there is nothing to share, and why.
    pub fn close(&self, verdict: Verdict) {
        let mut state = self.lock();
        state.phase = Phase::Closed(verdict);
        state.readers.wake();
    }

    /// The head has come: from now on the body can be read. It is kept up to
    /// `max` bytes. `None`: there is no room for it.
    pub fn open(&self, opened: Opened, store: &Store, max: u64) -> Option<Arc<Opened>> {
        let growing = Growing::new(store.clone(), opened.length, max)?;
        let opened = Arc::new(opened);
        let mut state = self.lock();
        state.phase = Phase::Open(Arc::clone(&opened), growing);
        state.readers.wake();
        Some(opened)
    }

    /// More of the body has come.
    pub fn push(&self, bytes: Bytes) -> Grown {
        let mut state = self.lock();
        let State { phase, readers } = &mut *state;
        let Phase::Open(_, growing) = phase else {
            return Grown::PassedOn;
        };
        let grown = growing.push(bytes);
        if grown == Grown::PassedOn {
            growing.forget_before(readers.slowest());
        }
        readers.wake();
        grown
    }

    /// Ends when more can come without anybody losing what it has not read, of
    /// a body that is only passed on.
    pub async fn caught_up(&self) {
        poll_fn(|cx| {
            let mut state = self.lock();
            let State { phase, readers } = &mut *state;
            match (phase, readers.slowest()) {
                (Phase::Open(_, growing), Some(at)) if growing.may_lose(at) => {
                    readers.tell_writer(cx.waker());
                    Poll::Pending
                }
                _ => Poll::Ready(()),
            }
        })
        .await;
    }

    /// A body that is only passed on waits for its fastest reader. `false`:
    /// there is none left.
    pub async fn wanted(&self) -> bool {
        poll_fn(|cx| {
            let mut state = self.lock();
            let State { phase, readers } = &mut *state;
            let Phase::Open(_, growing) = phase else {
                return Poll::Ready(false);
            };
            growing.forget_before(readers.slowest());
            match readers.fastest() {
                None => Poll::Ready(false),
                Some(at) if growing.is_near(at) => Poll::Ready(true),
                Some(_) => {
                    readers.tell_writer(cx.waker());
                    Poll::Pending
                }
            }
        })
        .await
    }

    /// Whether more of its body is to come.
    pub fn is_growing(&self) -> bool {
        matches!(self.lock().phase, Phase::Open(..))
    }

    /// Whether anybody reads it, or waits for its head.
    pub fn is_read(&self) -> bool {
        self.lock().readers.fastest().is_some()
    }

    /// The body is here. What there is to store, if it can be.
    pub(super) fn finish(&self) -> Option<(Arc<Opened>, Arc<StoredBody>)> {
        let mut state = self.lock();
        let State { phase, readers } = &mut *state;
        let Phase::Open(opened, growing) = phase else {
            return None;
        };
        let opened = Arc::clone(opened);
        if !growing.finish() {
            readers.wake();
            return None;
        }
        let body = growing.stored();
        *phase = Phase::Done(Arc::clone(&opened), Arc::clone(&body));
        readers.wake();
        Some((opened, body))
    }

    /// The body was cut: whoever reads it learns so at its end.
    pub fn cut(&self, why: &'static str) {
        let mut state = self.lock();
        let phase = std::mem::replace(&mut state.phase, Phase::Asked);
        state.phase = match phase {
            Phase::Open(opened, growing) => Phase::Cut(opened, growing, why),
            other => other,
        };
        state.readers.wake();
    }

    /// It must not be stored.
    pub(super) fn mark(&self) {
        self.purged.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_marked(&self) -> bool {
        self.purged.load(Ordering::Relaxed)
    }

    /// Whether `purge` is about it; of one whose head has not come, nobody
    /// knows the tags.
    pub(super) fn is_met_by(&self, purge: &Purge) -> bool {
        if purge.matches_key(&self.url) {
            return true;
        }
        purge.has_tags()
            && match &self.lock().phase {
                Phase::Asked => true,
                Phase::Closed(_) => false,
                Phase::Open(opened, _) | Phase::Done(opened, _) | Phase::Cut(opened, ..) => {
                    purge.matches(&self.url, &opened.head.headers)
                }
            }
    }

    /// Whether someone who asks for `asked` may wait for it, or read it;
    /// `others` are known to be of other forms. What takes longer to come than
    /// it is fresh helps nobody who asks after that: they wait for a newer one.
    pub(super) fn may_help(
        &self,
        asked: &Asked<'_>,
        likeness: u64,
        others: bool,
        now: Moment,
    ) -> bool {
        match &self.lock().phase {
            Phase::Asked => {
                let alike = !others || self.wish.likeness == likeness;
                self.is_shared && self.wish.variant == asked.variant && alike
            }
            Phase::Open(opened, growing) => growing.is_kept() && opened.answers(asked, now),
            Phase::Done(opened, _) => opened.answers(asked, now),
            Phase::Closed(_) | Phase::Cut(..) => false,
        }
    }

    /// Whether it tells what the origin now has for `asked`, whoever it is for.
    pub(super) fn may_bring(&self, asked: &Asked<'_>, likeness: u64) -> bool {
        match &self.lock().phase {
            Phase::Asked => self.wish.variant == asked.variant && self.wish.likeness == likeness,
            Phase::Open(opened, _) => opened.fits(asked),
            Phase::Closed(_) | Phase::Done(..) | Phase::Cut(..) => false,
        }
    }

    /// When it was begun.
    pub(super) fn begun(&self) -> Moment {
        self.wish.begun
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic leaves it as it was before, or after.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Opened {
    /// Whether it answers such a request.
    pub fn fits(&self, asked: &Asked<'_>) -> bool {
        self.head.fits(asked)
    }

    /// Whether it does so now, unless that request wants it fresher.
    fn answers(&self, asked: &Asked<'_>, now: Moment) -> bool {
        let usable = reuse(&self.head.policy, &RequestDirectives::default(), now);
        self.fits(asked) && usable != Reuse::Validate
    }
}

#[cfg(test)]
mod tests;
