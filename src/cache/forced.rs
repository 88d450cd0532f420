//! A client's `no-cache` costs the origin at most one request a second and
//! key (section 9), also where the origin fails and nothing new is stored.

use std::sync::atomic::{AtomicU64, Ordering};

use super::clock::Moment;

/// Keys that can be remembered; two that meet share one request a second.
const KEYS: usize = 4096;

/// How often a client may have it, in milliseconds.
const PAUSE: u64 = 1000;

/// When the keys were last validated for a client: the moment, and one more.
#[derive(Debug)]
pub(super) struct Forced(Box<[AtomicU64]>);

impl Forced {
    pub(super) fn new() -> Self {
        Self((0..KEYS).map(|_| AtomicU64::new(0)).collect())
    }

    /// Whether it may be now; if so, not again for a while.
    pub(super) fn take(&self, hash: u64, now: Moment) -> bool {
        let last = &self.0[hash as usize % KEYS];
        let then = last.load(Ordering::Relaxed);
        let next = now.0 + 1;
        if then != 0 && next.saturating_sub(then) < PAUSE {
            return false;
        }
        let order = Ordering::Relaxed;
        last.compare_exchange(then, next, order, order).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn once_a_second_and_key() {
        let forced = Forced::new();
        assert!(forced.take(7, Moment(0)) && !forced.take(7, Moment(999)));
        assert!(forced.take(8, Moment(500)));
        assert!(forced.take(7, Moment(1000)) && !forced.take(7, Moment(1001)));
    }
}
