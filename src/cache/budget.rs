//! How much memory the cache may hold, whoever holds it: stored responses,
//! fills under way, and bodies that were evicted while somebody reads them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A bound in bytes, and what of it is taken.
#[derive(Debug)]
pub struct Budget {
    limit: u64,
    taken: AtomicU64,
}

/// A part of a budget, given back when this is dropped.
#[derive(Debug)]
pub struct Reservation {
    budget: Arc<Budget>,
    bytes: u64,
}

impl Budget {
    /// A budget of `limit` bytes.
    pub fn new(limit: u64) -> Arc<Self> {
        Arc::new(Self {
            limit,
            taken: AtomicU64::new(0),
        })
    }

    /// Takes `bytes`, if they are left.
    pub fn take(self: &Arc<Self>, bytes: u64) -> Option<Reservation> {
        let fits = |taken: u64| taken.checked_add(bytes).filter(|sum| *sum <= self.limit);
        let order = Ordering::Relaxed;
        let taken = self.taken.fetch_update(order, order, fits);
        taken.ok().map(|_| Reservation {
            budget: Arc::clone(self),
            bytes,
        })
    }

    /// How many bytes are taken.
    pub fn taken(&self) -> u64 {
        self.taken.load(Ordering::Relaxed)
    }

    /// How many bytes there are.
    pub fn limit(&self) -> u64 {
        self.limit
    }
}

impl Reservation {
    /// How many bytes it is.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Makes `other` a part of this one.
    pub fn merge(&mut self, mut other: Self) {
        debug_assert!(Arc::ptr_eq(&self.budget, &other.budget));
        self.bytes += std::mem::take(&mut other.bytes);
    }

    /// All of it, of which nothing is left here.
    #[must_use]
    pub fn take(&mut self) -> Self {
        Self {
            budget: Arc::clone(&self.budget),
            bytes: std::mem::take(&mut self.bytes),
        }
    }

    /// Gives back all but `bytes`.
    pub fn shrink(&mut self, bytes: u64) {
        let rest = self.bytes.saturating_sub(bytes);
        self.bytes -= rest;
        self.budget.taken.fetch_sub(rest, Ordering::Relaxed);
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.budget.taken.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_is_given_back() {
        let budget = Budget::new(100);
        let mut first = budget.take(60).unwrap();
        assert!(budget.take(41).is_none());
        first.merge(budget.take(40).unwrap());
        assert_eq!((first.bytes(), budget.taken()), (100, 100));
        first.shrink(30);
        assert_eq!((first.bytes(), budget.taken()), (30, 30));
        drop(first);
        assert_eq!(budget.taken(), 0);
        assert!(budget.take(u64::MAX).is_none());
    }
}
