//! How many connections the process has open to one origin, and who is next
//! in line. Touched only when a connection opens, closes, or is waited for.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, oneshot};

use super::OriginSettings;
use super::trouble::Troubles;

/// The limits of all origins, shared by all workers. Those of one host and
/// port that are reached in different ways (in the clear, or by TLS and other
/// roots) count apart, since a connection of the one cannot be handed to who
/// waits for the other.
#[derive(Debug, Default)]
pub struct Limits(Mutex<HashMap<Key, Arc<Limit>>>);

/// Host, port, and whose certificates are believed.
type Key = (String, u16, Option<u64>);

impl Limits {
    pub(super) fn of(&self, settings: &OriginSettings) -> Arc<Limit> {
        let key = (
            settings.url.host.clone(),
            settings.url.port,
            settings.trust_id(),
        );
        let mut limits = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !limits.contains_key(&key) {
            // Configurations come and go.
            limits.retain(|_, limit| Arc::strong_count(limit) > 1);
        }
        Arc::clone(limits.entry(key).or_default())
    }
}

/// The connections to one origin.
#[derive(Debug, Default)]
pub(super) struct Limit {
    line: Mutex<Line>,
    waiting: AtomicUsize,
    /// Rung when someone starts to wait: idle connections are given up.
    pub(super) wanted: Notify,
    pub(super) troubles: Troubles,
}

#[derive(Debug, Default)]
struct Line {
    open: usize,
    max: usize,
    waiters: VecDeque<Waiter>,
    next_ticket: u64,
}

#[derive(Debug)]
struct Waiter {
    ticket: u64,
    worker: usize,
    turn: oneshot::Sender<Turn>,
}

/// What someone in line gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// The right to open a connection.
    Connect,
    /// A connection of the same worker, kept under the ticket.
    Reuse,
}

/// A place in line.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) ticket: u64,
    turn: oneshot::Receiver<Turn>,
    limit: Arc<Limit>,
}

/// The right to have one connection open.
#[derive(Debug)]
pub(super) struct Permit(Arc<Limit>);

impl Limit {
    /// A permit, or a place in line if `max` are open.
    pub(super) fn enter(self: &Arc<Self>, worker: usize, max: usize) -> Result<Permit, Place> {
        let mut line = self.line();
        line.max = max;
        if line.open < max && line.waiters.is_empty() {
            line.open += 1;
            return Ok(Permit(Arc::clone(self)));
        }
        let ticket = line.next_ticket;
        line.next_ticket += 1;
        let (sender, turn) = oneshot::channel();
        line.waiters.push_back(Waiter {
            ticket,
            worker,
            turn: sender,
        });
        self.waiting.store(line.waiters.len(), Ordering::Relaxed);
        drop(line);
        self.wanted.notify_waiters();
        Err(Place {
            ticket,
            turn,
            limit: Arc::clone(self),
        })
    }

    /// Whether anyone waits.
    pub(super) fn is_waited_for(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) > 0
    }

    /// The ticket of the next in line if it is of `worker`, to whom a
    /// connection can be handed. Others need a connection of their own.
    pub(super) fn next_of(&self, worker: usize) -> Option<u64> {
        let mut line = self.line();
        while line.waiters.front()?.worker == worker {
            let waiter = self.pop(&mut line)?;
            if waiter.turn.send(Turn::Reuse).is_ok() {
                return Some(waiter.ticket);
            }
        }
        None
    }

    /// A connection was closed: the next in line may open one.
    fn release(&self) {
        let mut line = self.line();
        while line.open <= line.max {
            let Some(waiter) = self.pop(&mut line) else {
                break;
            };
            if waiter.turn.send(Turn::Connect).is_ok() {
                return;
            }
        }
        line.open -= 1;
    }

    fn pop(&self, line: &mut Line) -> Option<Waiter> {
        let waiter = line.waiters.pop_front();
        self.waiting.store(line.waiters.len(), Ordering::Relaxed);
        waiter
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        // No code that can panic runs under this lock.
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Waits. [`Turn::Connect`] comes as a permit; `None`: the connection
    /// kept under the ticket.
    pub(super) async fn turn(&mut self) -> Option<Permit> {
        let turn = (&mut self.turn)
            .await
            .expect("the line is only left by taking a turn");
        (turn == Turn::Connect).then(|| Permit(Arc::clone(&self.limit)))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.turn.close();
        if self.turn.try_recv() == Ok(Turn::Connect) {
            self.limit.release();
        }
        let mut line = self.limit.line();
        line.waiters.retain(|waiter| waiter.ticket != self.ticket);
        self.limit
            .waiting
            .store(line.waiters.len(), Ordering::Relaxed);
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.release();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn poll(place: &mut Place) -> Option<Turn> {
        place.turn.try_recv().ok()
    }

    #[test]
    fn permits_go_down_the_line() {
        let limit = Arc::new(Limit::default());
        let first = limit.enter(0, 1).unwrap();
        let mut second = limit.enter(0, 1).unwrap_err();
        let mut third = limit.enter(1, 1).unwrap_err();
        assert_eq!((poll(&mut second), poll(&mut third)), (None, None));
        drop(first);
        assert_eq!(
            (poll(&mut second), poll(&mut third)),
            (Some(Turn::Connect), None)
        );
        drop(Permit(Arc::clone(&limit)));
        assert_eq!(poll(&mut third), Some(Turn::Connect));
        drop(Permit(Arc::clone(&limit)));
        drop((second, third));
        assert_eq!(limit.line().open, 0);
    }

    #[test]
    fn who_leaves_passes_the_turn_on() {
        let limit = Arc::new(Limit::default());
        let first = limit.enter(0, 1).unwrap();
        let second = limit.enter(0, 1).unwrap_err();
        let mut third = limit.enter(0, 1).unwrap_err();
        drop(first);
        drop(second);
        assert_eq!(poll(&mut third), Some(Turn::Connect));
        drop(Permit(Arc::clone(&limit)));
        drop(third);
        assert!(!limit.is_waited_for());
        assert_eq!(limit.line().open, 0);
    }

    #[test]
    fn a_connection_is_handed_to_the_own_worker_only() {
        let limit = Arc::new(Limit::default());
        let _first = limit.enter(0, 1).unwrap();
        let mut other = limit.enter(1, 1).unwrap_err();
        let mut own = limit.enter(0, 1).unwrap_err();
        assert_eq!(limit.next_of(0), None);
        assert_eq!(limit.next_of(1), Some(other.ticket));
        assert_eq!(limit.next_of(0), Some(own.ticket));
        assert_eq!(
            (poll(&mut other), poll(&mut own)),
            (Some(Turn::Reuse), Some(Turn::Reuse))
        );
    }
}
