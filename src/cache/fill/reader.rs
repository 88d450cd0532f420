//! Those who read a fill.

use std::future::poll_fn;
use std::ops::Range;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;

use super::{Fill, Phase, State, Verdict};

/// Reads a part of a fill, as it comes.
#[derive(Debug)]
pub struct FillReader {
    fill: Arc<Fill>,
    range: Range<u64>,
    place: usize,
}

/// A fill that ended before its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut(pub &'static str);

/// Where the readers of a fill are.
#[derive(Debug, Default)]
pub(super) struct Readers {
    places: Vec<Option<Place>>,
    writer: Option<Waker>,
}

#[derive(Debug)]
struct Place {
    at: u64,
    waker: Option<Waker>,
}

impl FillReader {
    /// A reader of `range`; up to the end of the body if it ends at
    /// `u64::MAX`.
    pub fn new(fill: Arc<Fill>, range: Range<u64>) -> Self {
        let place = fill.lock().readers.add(range.start);
        Self { fill, range, place }
    }

    /// Waits until there is something to say. Whoever waits has a place among
    /// the readers: what comes meanwhile is kept for it as for them, and
    /// nothing of it stays behind when it goes away.
    pub async fn verdict(&mut self) -> Verdict {
        poll_fn(|cx| {
            let mut state = self.fill.lock();
            let State { phase, readers } = &mut *state;
            Poll::Ready(match phase {
                Phase::Asked => {
                    readers.wait(self.place, cx.waker());
                    return Poll::Pending;
                }
                Phase::Closed(verdict) => verdict.clone(),
                // What it would begin with is gone.
                Phase::Open(_, growing) if growing.at(self.range.start).is_none() => Verdict::Alone,
                Phase::Open(opened, _) | Phase::Done(opened, _) | Phase::Cut(opened, ..) => {
                    Verdict::Open(Arc::clone(opened))
                }
            })
        })
        .await
    }

    /// The next bytes; `None` at the end.
    pub fn poll(&mut self, cx: &Context<'_>) -> Poll<Option<Result<Bytes, Cut>>> {
        if self.range.is_empty() {
            return Poll::Ready(None);
        }
        let mut state = self.fill.lock();
        let State { phase, readers } = &mut *state;
        let found = match phase {
            Phase::Open(_, growing) => growing.at(self.range.start).map(|bytes| {
                let over = growing.has_ended().then_some(Ok(()));
                (bytes, over)
            }),
            Phase::Cut(_, growing, why) => growing
                .at(self.range.start)
                .map(|bytes| (bytes, Some(Err(Cut(why))))),
            Phase::Done(_, body) => Some((body.slice(self.range.clone()), Some(Ok(())))),
            Phase::Asked | Phase::Closed(_) => None,
        };
        // Too slow for a body that is not held.
        let Some((mut bytes, over)) = found else {
            return Poll::Ready(Some(Err(Cut("connection_write_timeout"))));
        };
        if bytes.is_empty() {
            return match over {
                Some(end) => Poll::Ready(end.err().map(Err)),
                None => {
                    readers.wait(self.place, cx.waker());
                    Poll::Pending
                }
            };
        }
        let wanted = self.range.end - self.range.start;
        bytes.truncate(usize::try_from(wanted).unwrap_or(usize::MAX));
        self.range.start += bytes.len() as u64;
        readers.moved(self.place, self.range.start);
        Poll::Ready(Some(Ok(bytes)))
    }

    /// Whether all of its part was read.
    pub fn is_over(&self) -> bool {
        if self.range.is_empty() {
            return true;
        }
        let state = self.fill.lock();
        match &state.phase {
            Phase::Done(_, body) => self.range.start >= body.length(),
            Phase::Open(_, growing) => {
                growing.has_ended() && growing.at(self.range.start).is_some_and(|b| b.is_empty())
            }
            Phase::Asked | Phase::Closed(_) | Phase::Cut(..) => false,
        }
    }
}

impl Drop for FillReader {
    fn drop(&mut self) {
        self.fill.lock().readers.remove(self.place);
    }
}

impl Readers {
    fn add(&mut self, at: u64) -> usize {
        let place = Some(Place { at, waker: None });
        match self.places.iter().position(Option::is_none) {
            Some(free) => {
                self.places[free] = place;
                free
            }
            None => {
                self.places.push(place);
                self.places.len() - 1
            }
        }
    }

    fn remove(&mut self, place: usize) {
        self.places[place] = None;
        self.wake_writer();
    }

    fn wait(&mut self, place: usize, waker: &Waker) {
        let Some(place) = &mut self.places[place] else {
            return;
        };
        match &mut place.waker {
            Some(known) => known.clone_from(waker),
            None => place.waker = Some(waker.clone()),
        }
    }

    fn moved(&mut self, place: usize, at: u64) {
        if let Some(place) = &mut self.places[place] {
            place.at = at;
        }
        self.wake_writer();
    }

    fn wake_writer(&mut self) {
        if let Some(writer) = self.writer.take() {
            writer.wake();
        }
    }

    /// Wakes `writer` when a reader has moved.
    pub(super) fn tell_writer(&mut self, writer: &Waker) {
        self.writer = Some(writer.clone());
    }

    /// Something has come.
    pub(super) fn wake(&mut self) {
        for place in self.places.iter_mut().flatten() {
            if let Some(waker) = place.waker.take() {
                waker.wake();
            }
        }
    }

    /// Where the fastest of them is; `None`: there are none.
    pub(super) fn fastest(&self) -> Option<u64> {
        self.places.iter().flatten().map(|place| place.at).max()
    }

    /// Where the slowest of them is.
    pub(super) fn slowest(&self) -> Option<u64> {
        self.places.iter().flatten().map(|place| place.at).min()
    }
}
