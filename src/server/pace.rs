//! How fast a client takes what is written to it.

use std::cell::Cell;

use super::limits::Limits;
use crate::origin::SLOWEST;

/// A client is fast if within one tick of the clock it has taken so many
/// times what little may wait for it.
const FAST: u32 = 4;

/// How often writing was tried, whatever the kernel says, since it last said
/// that there is room. Of a slow client's it says so too late: when much of
/// what waits unsent is gone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Tried {
    #[default]
    Never,
    /// All room is taken: what is found from here on is what the client takes.
    Once,
    /// At the end of the time that it has.
    Again,
}

/// What is asked of a client that does not take all at once. The times are of
/// the table's clock, which ticks with its sweeps.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// Bytes wait for the client to take what was written.
    blocked: Cell<bool>,
    written: Cell<u64>,
    /// When something was written last.
    since: Cell<u64>,
    /// How often a blocked write went on at `since`.
    resumed: Cell<u32>,
    /// Much may wait unsent.
    wide: Cell<bool>,
    tried: Cell<Tried>,
    /// Writing is to be tried until there is no room.
    tries: Cell<bool>,
    /// When the client began to be waited for, and `written` then.
    window: Cell<Option<(u64, u64)>>,
}

impl Pace {
    /// `written` of `length` bytes went out.
    pub(super) fn wrote(&self, written: usize, length: usize, now: u64) {
        if self.since.replace(now) != now {
            self.resumed.set(0);
        }
        if self.blocked.replace(written < length) {
            self.resumed.set(self.resumed.get() + 1);
        }
        if !self.tries.get() {
            self.tried.set(Tried::Never);
        }
        self.written.set(self.written.get() + written as u64);
    }

    /// Nothing goes out until the client takes some.
    pub(super) fn block(&self) {
        self.blocked.set(true);
    }

    /// Everything went out.
    pub(super) fn flushed(&self) {
        self.blocked.set(false);
    }

    pub(super) fn is_blocked(&self) -> bool {
        self.blocked.get()
    }

    /// Whether the client was just seen to be fast. Says so once.
    pub(super) fn is_fast(&self) -> bool {
        self.resumed.get() >= FAST && !self.wide.replace(true)
    }

    /// Whether writing has to be tried before a client can be judged.
    pub(super) fn is_slow(&self, now: u64, slack: u64, limits: &Limits) -> bool {
        let waited = now.saturating_sub(self.since.get());
        let never = self.tried.get() == Tried::Never;
        self.blocked.get() && never && waited >= limits.stall / 8 + slack
    }

    /// Whether the client took too little since it is waited for.
    pub(super) fn has_stalled(&self, now: u64, slack: u64, limits: &Limits) -> bool {
        let here = (now, self.written.get());
        match self.window.get().filter(|_| self.blocked.get()) {
            None => self.window.set(self.blocked.get().then_some(here)),
            Some((since, before)) if now - since >= limits.stall.saturating_add(slack) => {
                if self.written.get() - before < least(limits.stall) {
                    return true;
                }
                self.window.set(Some(here));
                self.tried.set(Tried::Once);
            }
            Some(_) => {}
        }
        false
    }

    /// Has all room taken, for one that is slow.
    pub(super) fn try_first(&self) {
        self.tried.set(Tried::Once);
        self.tries.set(true);
    }

    /// Has writing tried, for one that is about to be taken for stalled.
    /// `false`: it was, in vain.
    pub(super) fn try_last(&self) -> bool {
        let may = self.tried.replace(Tried::Again) != Tried::Again;
        self.tries.set(may);
        may
    }

    /// Whether to try.
    pub(super) fn tries(&self) -> bool {
        self.tries.get()
    }

    /// There is no room.
    pub(super) fn tried(&self, now: u64) {
        self.tries.set(false);
        if self.tried.get() == Tried::Once {
            self.window.set(Some((now, self.written.get())));
        }
    }
}

/// What is to be moved within `time`, in milliseconds.
pub(super) fn least(time: u64) -> u64 {
    (time.saturating_mul(SLOWEST) / 1000).max(1)
}
