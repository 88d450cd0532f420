//! Those who read a fill.

use std::ops::Range;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;

use super::{Fill, Phase, State};

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

    /// A reader of all of it, which holds its start; `None`: that is forgotten
    /// already, as of a body that is only passed on.
    pub fn of_all(fill: &Arc<Fill>) -> Option<Self> {
        let mut state = fill.lock();
        let State { phase, readers, .. } = &mut *state;
        match phase {
            Phase::Open(_, growing) | Phase::Cut(_, growing, _) => growing.at(0).map(drop)?,
            Phase::Asked | Phase::Closed(_) | Phase::Done(..) => {}
        }
        Some(Self {
            fill: Arc::clone(fill),
            range: 0..u64::MAX,
            place: readers.add(0),
        })
    }

    /// The next bytes; `None` at the end.
    pub fn poll(&mut self, cx: &Context<'_>) -> Poll<Option<Result<Bytes, Cut>>> {
        if self.range.is_empty() {
            return Poll::Ready(None);
        }
        let mut state = self.fill.lock();
        let State { phase, readers, .. } = &mut *state;
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

#[cfg(test)]
mod tests {
    use super::super::{Grown, Opened, Wish};
    use super::*;
    use crate::cache::clock::Moment;
    use crate::cache::entry::{Key, PIECE};
    use crate::cache::fixture::stored;
    use crate::cache::store::Store;
    use crate::images::Variant;

    fn begun() -> Arc<Fill> {
        let wish = Wish {
            variant: Variant::Original,
            likeness: 0,
            begun: Moment::default(),
        };
        let key = Key {
            url: "http://a/",
            origin: "http://b/",
        };
        Arc::new(Fill::new(0, key, wish, true))
    }

    /// Whoever comes when the start of a body is gone must learn so before
    /// there is a response head.
    #[test]
    fn nobody_begins_to_read_what_is_forgotten() {
        let fill = begun();
        let head = stored(&[("cache-control", "max-age=9")]).unwrap();
        let opened = Opened { head, length: None };
        let store = Store::new(8 << 20);
        fill.open(opened, &store, PIECE as u64).unwrap();
        let held = FillReader::of_all(&fill).unwrap();
        for expected in [Grown::Kept, Grown::PassedOn] {
            assert_eq!(fill.push(Bytes::from(vec![0; PIECE])), expected);
        }
        assert!(FillReader::of_all(&fill).is_some(), "somebody reads it");
        drop(held);
        fill.push(Bytes::from(vec![0; PIECE]));
        assert!(FillReader::of_all(&fill).is_none());
    }
}
