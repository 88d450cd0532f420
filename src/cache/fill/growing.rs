//! A body that is still coming.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use smallvec::SmallVec;

use super::Grown;
use crate::cache::budget::Reservation;
use crate::cache::entry::{PIECE, StoredBody};
use crate::cache::store::Store;

/// A body that is only passed on is read so far ahead of its fastest reader.
const AHEAD: u64 = PIECE as u64;

/// What comes in smaller parts is joined: each costs a reader a step, and
/// keeps all that was received with it.
const SMALL: usize = 16 << 10;

/// A body that is still coming. While it can be stored all of it is held, in
/// pieces as they will be stored, behind them what came since the last one,
/// as it came. Once it is too long for that, a part of it is: as much as was
/// held then.
#[derive(Debug)]
pub(super) struct Growing {
    store: Store,
    max: u64,
    announced: Option<u64>,
    room: Reservation,
    pieces: VecDeque<Bytes>,
    /// Where the first of the pieces stands in the body.
    start: u64,
    fresh: VecDeque<Bytes>,
    fresh_bytes: usize,
    length: u64,
    /// How much may be held, once it is too long to be stored.
    window: Option<u64>,
    ended: bool,
}

impl Growing {
    /// `None`: there is no room for it. `announced` is its length, if the
    /// origin told it; `max` what may be stored.
    pub(super) fn new(store: Store, announced: Option<u64>, max: u64) -> Option<Self> {
        let piece = PIECE as u64;
        // What came last is there twice while a piece is made of it.
        let wanted = announced.map_or(piece, |length| {
            StoredBody::room_for(length).saturating_add(length.min(piece))
        });
        let room = store.reserve(wanted)?;
        Some(Self {
            store,
            max,
            announced,
            room,
            pieces: VecDeque::new(),
            start: 0,
            fresh: VecDeque::new(),
            fresh_bytes: 0,
            length: 0,
            window: None,
            ended: false,
        })
    }

    /// Adds what came.
    pub(super) fn push(&mut self, bytes: Bytes) -> Grown {
        self.length += bytes.len() as u64;
        self.fresh_bytes += bytes.len();
        self.fresh.push_back(bytes);
        self.join_small();
        if self.window.is_none() && !self.has_room() {
            self.window = Some((self.length - self.fresh_bytes as u64).max(AHEAD));
        }
        while self.fresh_bytes >= PIECE {
            let piece = self.take_fresh(PIECE);
            self.pieces.push_back(piece);
        }
        self.grown()
    }

    /// Joins what came last with what came before, as long as that is no
    /// longer: a byte is copied as often as its part can double.
    fn join_small(&mut self) {
        while let Some(at) = self.fresh.len().checked_sub(2) {
            let (before, last) = (&self.fresh[at], &self.fresh[at + 1]);
            let length = before.len() + last.len();
            if before.len() > last.len() || length > SMALL {
                break;
            }
            let mut joined = BytesMut::with_capacity(length);
            joined.extend_from_slice(before);
            joined.extend_from_slice(last);
            self.fresh.truncate(at);
            self.fresh.push_back(joined.freeze());
        }
    }

    fn grown(&self) -> Grown {
        match self.window {
            None => Grown::Kept,
            Some(_) => Grown::PassedOn,
        }
    }

    /// Whether all of it can be held.
    fn has_room(&mut self) -> bool {
        if self.length > self.max {
            return false;
        }
        let needed = StoredBody::room_for(self.length).saturating_add(PIECE as u64);
        let lacking = needed.saturating_sub(self.room.bytes());
        if self.announced.is_some() || lacking == 0 {
            return true;
        }
        // In steps that grow with it, so that they are few.
        let step = lacking.max(self.room.bytes() / 2);
        match self.store.reserve(step) {
            Some(more) => {
                self.room.merge(more);
                true
            }
            None => false,
        }
    }

    /// Joins the first `length` fresh bytes.
    fn take_fresh(&mut self, length: usize) -> Bytes {
        let mut piece = BytesMut::with_capacity(length);
        while piece.len() < length
            && let Some(mut first) = self.fresh.pop_front()
        {
            let rest = first.split_off(first.len().min(length - piece.len()));
            piece.extend_from_slice(&first);
            if !rest.is_empty() {
                self.fresh.push_front(rest);
            }
        }
        self.fresh_bytes -= piece.len();
        piece.freeze()
    }

    /// Forgets what nobody reads any more, and what stands too far behind.
    pub(super) fn forget_before(&mut self, slowest: Option<u64>) {
        let Some(window) = self.window else { return };
        let slowest = slowest.unwrap_or(self.length);
        while let Some(first) = self.pieces.front() {
            let end = self.start + first.len() as u64;
            let too_far = self.length - self.start > window.saturating_add(AHEAD);
            if end > slowest && !too_far {
                break;
            }
            self.start = end;
            self.pieces.pop_front();
        }
    }

    /// Whether what a reader at `at` reads next may be forgotten soon.
    pub(super) fn may_lose(&self, at: u64) -> bool {
        let behind = self.length.saturating_sub(at);
        self.window.is_some_and(|window| behind > window / 2)
    }

    /// Whether a reader at `at` wants more soon.
    pub(super) fn is_near(&self, at: u64) -> bool {
        self.length.saturating_sub(at) < AHEAD
    }

    /// Whether it can still be stored.
    pub(super) fn is_kept(&self) -> bool {
        self.window.is_none()
    }

    /// Whether no more comes.
    pub(super) fn has_ended(&self) -> bool {
        self.ended
    }

    /// No more comes. Whether it can be stored.
    pub(super) fn finish(&mut self) -> bool {
        self.ended = true;
        self.is_kept()
    }

    /// All of it, as it is stored.
    pub(super) fn stored(&mut self) -> Arc<StoredBody> {
        let last = self.take_fresh(self.fresh_bytes);
        let mut pieces: SmallVec<[Bytes; 1]> = self.pieces.drain(..).collect();
        pieces.extend(Some(last).filter(|last| !last.is_empty()));
        pieces.shrink_to_fit();
        let mut room = self.room.take();
        room.shrink(StoredBody::room_for(self.length));
        Arc::new(StoredBody::new(pieces, room))
    }

    /// What stands at `at`, as far as it is there; `None`: forgotten.
    pub(super) fn at(&self, at: u64) -> Option<Bytes> {
        let mut behind = at.checked_sub(self.start)?;
        let number = usize::try_from(behind / PIECE as u64).ok()?;
        if let Some(piece) = self.pieces.get(number) {
            return Some(piece.slice((behind % PIECE as u64) as usize..));
        }
        behind -= self.pieces.len() as u64 * PIECE as u64;
        for bytes in &self.fresh {
            let length = bytes.len() as u64;
            if behind < length {
                return Some(bytes.slice(behind as usize..));
            }
            behind -= length;
        }
        Some(Bytes::new())
    }
}
