//! What is counted (section 13): each worker has counters of its own, which
//! only it writes; they are summed when somebody asks.

mod cache;
mod connections;
mod histogram;
mod origin;
mod requests;
mod routes;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

pub use cache::{CacheCounters, CacheGauges, CacheResult, FillEnd};
pub use connections::ConnectionCounters;
pub use histogram::Histogram;
pub use origin::OriginCounters;
pub use requests::{Ended, RULES, RequestCounters, RouteCounters, StatusClass, Verdict};
pub use routes::{MOST_NAMES, RouteNames, RouteSlot};

use crate::log::access::{self, AllKept, Block, Keeper, Kept};

/// A number that only ever grows, written by one thread and read by others.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

/// A number that goes up and down, written by one thread and read by others.
#[derive(Debug, Default)]
pub struct Gauge(AtomicU64);

/// The counters of one worker.
#[derive(Debug, Default)]
pub struct WorkerCounters {
    /// Of what it does for the cache.
    pub cache: CacheCounters,
    /// Of its clients' connections.
    pub connections: ConnectionCounters,
    /// Of its connections to origins.
    pub origin: OriginCounters,
    /// Of its requests.
    pub requests: RequestCounters,
    /// Its newest denials.
    pub kept: Kept,
}

/// The counters of all workers.
#[derive(Clone, Debug, Default)]
pub struct Counters {
    workers: Vec<Arc<WorkerCounters>>,
    names: Arc<RouteNames>,
}

impl Counter {
    /// Adds `more`. Only the owning thread may: there is no locked
    /// instruction in it.
    pub fn add(&self, more: u64) {
        self.0
            .store(self.get().wrapping_add(more), Ordering::Relaxed);
    }

    /// The number now.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Gauge {
    /// Sets the number. Only the owning thread may.
    pub fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    /// The number now.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Counters {
    /// Counters for so many workers.
    pub fn new(workers: usize) -> Self {
        let names = Arc::<RouteNames>::default();
        let kept = AllKept::default();
        let worker = |_| {
            Arc::new(WorkerCounters {
                kept: kept.worker(),
                requests: RequestCounters::new(Arc::clone(&names)),
                ..WorkerCounters::default()
            })
        };
        Self {
            workers: (0..workers).map(worker).collect(),
            names,
        }
    }

    /// Those of worker number `index`.
    pub fn of(&self, index: usize) -> Arc<WorkerCounters> {
        Arc::clone(&self.workers[index])
    }

    /// What `read` finds in each worker, summed.
    pub fn sum(&self, read: impl Fn(&WorkerCounters) -> u64) -> u64 {
        self.iter().map(read).sum()
    }

    /// Those of each worker.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &WorkerCounters> {
        self.workers.iter().map(|worker| &**worker)
    }

    /// What all workers keep of a kind, in blocks.
    pub fn kept(&self, of: impl Fn(&Kept) -> &Keeper) -> Vec<Arc<Block>> {
        access::read(self.iter().map(|worker| of(&worker.kept)))
    }

    /// The names of the routes that were counted.
    pub fn names(&self) -> &RouteNames {
        &self.names
    }
}
