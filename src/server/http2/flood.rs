//! What a client may cost by frames that ask for nothing: pings, settings,
//! cancelled requests ("rapid reset", CVE-2023-44487). Each costs points;
//! requests that are answered, bytes that are sent and time make up for them.

use std::cell::Cell;

/// With more points than this, and those of leaving all streams that may be
/// open, a connection is ended. No client that was tried comes near: curl,
/// nghttp and load generators stay below 100.
const MOST: u64 = 1000;

/// A frame that asks for nothing.
pub(super) const FRAME: u64 = 1;

/// A cancelled request, which has begun to be worked on.
pub(super) const CANCELLED: u64 = 8;

/// What an answered request makes up for.
const ANSWERED: u64 = 8;

/// And each time so many bytes are sent: a client tells of every few frames
/// that it has taken them.
const BYTES: u64 = 1024;

/// And each so many milliseconds.
const TIME: u64 = 10;

/// The points of one connection.
#[derive(Debug)]
pub(super) struct Flood {
    most: u64,
    points: Cell<u64>,
    /// When time was last counted.
    since: Cell<u64>,
    /// Bytes that were sent and make up for nothing yet.
    bytes: Cell<u64>,
}

impl Flood {
    /// Of a connection where so many streams may be open.
    pub(super) fn new(streams: u32) -> Self {
        Self {
            most: MOST + CANCELLED * u64::from(streams),
            points: Cell::default(),
            since: Cell::default(),
            bytes: Cell::default(),
        }
    }

    /// Adds `points` at `now`, in milliseconds. Whether that is too many.
    pub(super) fn add(&self, points: u64, now: u64) -> bool {
        let time = now.saturating_sub(self.since.replace(now)) / TIME;
        self.make_up(time);
        self.points.set(self.points.get() + points);
        self.points.get() > self.most
    }

    /// A request was answered.
    pub(super) fn answered(&self) {
        self.make_up(ANSWERED);
    }

    /// So many bytes went out.
    pub(super) fn sent(&self, bytes: usize) {
        let bytes = self.bytes.get() + bytes as u64;
        self.bytes.set(bytes % BYTES);
        self.make_up(bytes / BYTES);
    }

    fn make_up(&self, points: u64) {
        self.points.set(self.points.get().saturating_sub(points));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_asks_for_nothing_is_too_much_in_the_end() {
        let flood = Flood::new(100);
        assert!((0..flood.most).all(|_| !flood.add(FRAME, 0)));
        assert!(flood.add(FRAME, 0));
    }

    #[test]
    fn work_and_time_make_up_for_it() {
        let flood = Flood::new(100);
        let many = 10 * flood.most;
        for _ in 0..many {
            assert!(!flood.add(CANCELLED, 0));
            flood.answered();
        }
        assert!((0..many).all(|turn| !flood.add(FRAME, turn * TIME)));
        for _ in 0..many {
            flood.sent(BYTES as usize / 2);
            assert!(!flood.add(FRAME, many * TIME));
            flood.sent(BYTES as usize / 2);
        }
    }

    #[test]
    fn cancelling_again_and_again_is_a_flood() {
        let flood = Flood::new(100);
        let cancelled = (0..).take_while(|_| !flood.add(CANCELLED, 0)).count();
        assert_eq!(cancelled as u64, flood.most / CANCELLED);
    }
}
