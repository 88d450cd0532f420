//! The connections of a worker: whose turn it is to be closed, and a coarse
//! clock, so that no request needs a timer or looks at a clock.

use std::cell::{Cell, RefCell};
use std::cmp::Reverse;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::link::{Link, Verdict};
use super::ring::Ring;

/// The sweeper looks at all connections so often: a sixteenth of the shortest
/// timeout, within these bounds.
const SHORTEST: u64 = 10;
const LONGEST: u64 = 1000;

/// All connections of a worker.
#[derive(Debug)]
pub(super) struct Table {
    started: Instant,
    now: Cell<u64>,
    period: Cell<u64>,
    parked: Cell<bool>,
    filled: Notify,
    slots: RefCell<Slots>,
}

#[derive(Debug, Default)]
struct Slots {
    links: Vec<Option<Rc<Link>>>,
    free: Vec<u32>,
    /// Those between two requests, longest first.
    idle: Ring,
    /// Those that are late with a request, longest last, as of the last sweep:
    /// noted there, they cost the connections themselves nothing.
    late: Vec<u32>,
}

impl Slots {
    /// Takes out whose turn it is to make room: who is late with a request,
    /// else who has waited longest for the next one.
    fn first(&mut self) -> Option<Rc<Link>> {
        while let Some(slot) = self.late.pop() {
            // It may have gone on since the sweep, or be another one.
            if let Some(link) = &self.links[slot as usize]
                && link.late_since().is_some()
            {
                return Some(Rc::clone(link));
            }
        }
        let slot = self.idle.first()?;
        self.idle.remove(slot);
        self.links[slot as usize].clone()
    }
}

impl Default for Table {
    fn default() -> Self {
        Self {
            started: Instant::now(),
            now: Cell::new(0),
            period: Cell::new(LONGEST),
            parked: Cell::new(false),
            filled: Notify::new(),
            slots: RefCell::default(),
        }
    }
}

impl Table {
    /// Milliseconds since the worker started, as of the last sweep.
    pub(super) fn now(&self) -> u64 {
        self.now.get()
    }

    /// How late the clock may be, and a verdict.
    pub(super) fn slack(&self) -> u64 {
        self.period.get()
    }

    /// Enters a connection that needs to be looked at by `shortest`, its
    /// shortest timeout.
    pub(super) fn enter(
        self: &Rc<Self>,
        shortest: u64,
        link: impl FnOnce(Rc<Self>, u32) -> Link,
    ) -> Rc<Link> {
        self.look_at_clock();
        self.period.set(self.period.get().min(period(shortest)));
        let mut slots = self.slots.borrow_mut();
        let slot = slots.free.pop().unwrap_or_else(|| {
            slots.links.push(None);
            slots.links.len() as u32 - 1
        });
        let link = Rc::new(link(Rc::clone(self), slot));
        slots.links[slot as usize] = Some(Rc::clone(&link));
        if self.parked.replace(false) {
            self.filled.notify_one();
        }
        link
    }

    /// The connection in `slot` is over.
    pub(super) fn leave(&self, slot: u32) {
        let mut slots = self.slots.borrow_mut();
        slots.idle.remove(slot);
        slots.links[slot as usize] = None;
        slots.free.push(slot);
    }

    /// The connection in `slot` waits for its next request.
    pub(super) fn idle(&self, slot: u32) {
        self.slots.borrow_mut().idle.push(slot);
    }

    /// It no longer does.
    pub(super) fn not_idle(&self, slot: u32) {
        self.slots.borrow_mut().idle.remove(slot);
    }

    /// How many wait for their next request, counted up to `most`.
    pub(super) fn idle_to(&self, most: usize) -> usize {
        self.slots.borrow().idle.count_to(most)
    }

    /// Closes a connection of which nothing is being answered, for another;
    /// `false` if there is none.
    pub(super) fn evict(&self) -> bool {
        let first = self.slots.borrow_mut().first();
        if let Some(link) = &first {
            link.call(Verdict::Evicted);
        }
        first.is_some()
    }

    /// Wakes every connection.
    pub(super) fn wake_all(&self) {
        for link in self.slots.borrow().links.iter().flatten() {
            link.wake();
        }
    }

    /// Calls on those whose time is up, for as long as the worker runs.
    pub(super) async fn sweep(&self, is_draining: &Cell<bool>) {
        loop {
            if self.is_empty() {
                self.period.set(LONGEST);
                self.parked.set(true);
                self.filled.notified().await;
            }
            tokio::time::sleep(Duration::from_millis(self.period.get())).await;
            self.look_at_clock();
            let mut shortest = u64::MAX;
            let mut late = Vec::new();
            for (slot, link) in self.slots.borrow().links.iter().enumerate() {
                let Some(link) = link else { continue };
                shortest = shortest.min(link.shortest());
                if let Some(verdict) = link.judge(is_draining.get()) {
                    link.call(verdict);
                } else if let Some(since) = link.late_since() {
                    late.push((Reverse(since), slot as u32));
                }
            }
            late.sort_unstable();
            self.slots.borrow_mut().late = late.into_iter().map(|(_, slot)| slot).collect();
            self.period.set(period(shortest));
        }
    }

    #[cfg(test)]
    pub(super) fn set_now(&self, now: u64) {
        self.now.set(now);
    }

    fn is_empty(&self) -> bool {
        let slots = self.slots.borrow();
        slots.links.len() == slots.free.len()
    }

    fn look_at_clock(&self) {
        let now = self.started.elapsed().as_millis();
        self.now.set(u64::try_from(now).unwrap_or(u64::MAX));
    }
}

fn period(shortest: u64) -> u64 {
    (shortest / 16).clamp(SHORTEST, LONGEST)
}
