//! What costs the origin a request happens once a second and key at most,
//! also where the origin fails and nothing new is stored: a client's
//! `no-cache` (section 9), and what is fetched behind a stale answer.

use std::sync::atomic::{AtomicU64, Ordering};

use super::clock::Moment;

/// Keys that can be remembered; two that meet share one time a second.
const KEYS: usize = 4096;

/// How often it may happen, in milliseconds.
const PAUSE: u64 = 1000;

/// When it happened last, by key: the moment, and one more.
#[derive(Debug)]
pub(super) struct Seldom(Box<[AtomicU64]>);

impl Seldom {
    pub(super) fn new() -> Self {
        Self((0..KEYS).map(|_| AtomicU64::new(0)).collect())
    }

    /// Whether it may happen now; if so, not again for a while.
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
        let seldom = Seldom::new();
        assert!(seldom.take(7, Moment(0)) && !seldom.take(7, Moment(999)));
        assert!(seldom.take(8, Moment(500)));
        assert!(seldom.take(7, Moment(1000)) && !seldom.take(7, Moment(1001)));
    }
}
