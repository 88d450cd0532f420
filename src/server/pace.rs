//! How fast a client takes what is written to it.

use std::cell::Cell;

use super::limits::Limits;
use crate::origin::SLOWEST;

/// A client is fast if within one tick of the clock it has taken so many
/// times what little may wait for it.
const FAST: u32 = 4;

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
    /// What waited unsent when that was measured, if nothing was written since.
    unsent: Cell<Option<u64>>,
    /// When the client began to be waited for, and what it had taken then.
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
        if self.unsent.take().is_some() {
            self.window.set(None);
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

    /// Whether much may wait for it, and does not yet. Says so once a tick.
    pub(super) fn is_fast(&self) -> bool {
        self.resumed.get() == FAST && !self.wide.get()
    }

    /// From here on much may wait unsent.
    pub(super) fn widened(&self) {
        self.wide.set(true);
    }

    /// Whether nothing could be written for so long that the kernel has to be
    /// asked what the client takes.
    pub(super) fn is_slow(&self, now: u64, slack: u64, limits: &Limits) -> bool {
        let waited = now.saturating_sub(self.since.get());
        self.blocked.get() && self.unsent.get().is_none() && waited >= limits.stall / 8 + slack
    }

    /// Whether the client took too little since it is waited for.
    pub(super) fn has_stalled(&self, now: u64, slack: u64, limits: &Limits) -> bool {
        let here = (now, self.taken());
        match self.window.get().filter(|_| self.blocked.get()) {
            None => self.window.set(self.blocked.get().then_some(here)),
            Some((since, before)) if now - since >= limits.stall.saturating_add(slack) => {
                if self.taken().saturating_sub(before) < least(limits.stall) {
                    return true;
                }
                self.window.set(Some(here));
            }
            Some(_) => {}
        }
        false
    }

    /// `unsent` bytes wait in the kernel at this time, and little may from
    /// here on.
    pub(super) fn measured(&self, unsent: u64, now: u64) {
        self.wide.set(false);
        if self.unsent.replace(Some(unsent)).is_none() {
            self.window.set(Some((now, self.taken())));
        }
    }

    /// Whether only the kernel knows what the client has taken.
    pub(super) fn is_measured(&self) -> bool {
        self.unsent.get().is_some()
    }

    fn taken(&self) -> u64 {
        let unsent = self.unsent.get().unwrap_or(0);
        self.written.get().saturating_sub(unsent)
    }
}

/// What is to be moved within `time`, in milliseconds.
pub(super) fn least(time: u64) -> u64 {
    (time.saturating_mul(SLOWEST) / 1000).max(1)
}
