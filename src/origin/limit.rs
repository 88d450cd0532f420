//! How many connections the process has open to one origin, and who is next
//! in line. Touched only when a connection opens, closes, or is waited for.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, oneshot};

use super::OriginSettings;
use super::trouble::Troubles;
use crate::network::UnixPath;

/// The limits of all origins, shared by all workers. Those of one host and
/// port that are reached in different ways (in the clear, or by TLS and other
/// roots) count apart, since a connection of the one cannot be handed to who
/// waits for the other.
#[derive(Debug, Default)]
pub struct Limits(Mutex<HashMap<Key, Arc<Limit>>>);

/// Host, port, Unix socket, and whose certificates are believed.
type Key = (String, u16, Option<UnixPath>, Option<u64>);

impl Limits {
    pub(super) fn of(&self, settings: &OriginSettings) -> Arc<Limit> {
        let key = (
            settings.url.host.clone(),
            settings.url.port,
            settings.url.socket.clone(),
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
    /// As in the line, to be read without the lock.
    open: AtomicUsize,
    waiting: AtomicUsize,
    /// Rung when someone starts to wait: idle connections are given up.
    pub(super) wanted: Notify,
    pub(super) troubles: Troubles,
}

/// Who waits: first those in `front`, then those `behind`, each in order.
#[derive(Debug, Default)]
struct Line {
    open: usize,
    front: VecDeque<Waiter>,
    behind: VecDeque<Waiter>,
    next_ticket: u64,
}

#[derive(Debug)]
struct Waiter {
    ticket: u64,
    worker: usize,
    /// The `max_connections` by which it asks.
    max: usize,
    turn: oneshot::Sender<Turn>,
}

/// Where in the line someone stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// Before all of the other class.
    Front,
    /// A client that has much already.
    Behind,
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
    class: Class,
    turn: oneshot::Receiver<Turn>,
    taken: bool,
    limit: Arc<Limit>,
}

/// The right to have one connection open.
#[derive(Debug)]
pub(super) struct Permit(Arc<Limit>);

impl Limit {
    /// A permit, or a place in line if `max` are open.
    pub(super) fn enter(
        self: &Arc<Self>,
        worker: usize,
        max: usize,
        class: Class,
    ) -> Result<Permit, Place> {
        let mut line = self.line();
        if line.open < max && line.is_empty() {
            self.set_open(&mut line, |open| open + 1);
            return Ok(Permit(Arc::clone(self)));
        }
        let ticket = line.next_ticket;
        line.next_ticket += 1;
        let (sender, turn) = oneshot::channel();
        line.of(class).push_back(Waiter {
            ticket,
            worker,
            max,
            turn: sender,
        });
        self.waiting.store(line.len(), Ordering::Relaxed);
        drop(line);
        self.wanted.notify_waiters();
        Err(Place {
            ticket,
            class,
            turn,
            taken: false,
            limit: Arc::clone(self),
        })
    }

    /// How many wait.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Whether anyone waits in front.
    pub(super) fn has_front(&self) -> bool {
        !self.line().front.is_empty()
    }

    /// How many are open.
    pub(super) fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    /// The ticket of the next in line if it is of `worker`, to whom a
    /// connection can be handed. Others need a connection of their own.
    pub(super) fn next_of(&self, worker: usize) -> Option<u64> {
        let mut line = self.line();
        while line.next()?.worker == worker {
            let waiter = self.pop(&mut line)?;
            if waiter.turn.send(Turn::Reuse).is_ok() {
                return Some(waiter.ticket);
            }
        }
        None
    }

    /// A connection was closed: the next in line may open one, if that is
    /// not one too many for it.
    fn release(&self) {
        let mut line = self.line();
        while line.next().is_some_and(|next| line.open <= next.max) {
            let waiter = self.pop(&mut line);
            if waiter.is_some_and(|waiter| waiter.turn.send(Turn::Connect).is_ok()) {
                return;
            }
        }
        self.set_open(&mut line, |open| open - 1);
    }

    fn pop(&self, line: &mut Line) -> Option<Waiter> {
        let waiter = line.front.pop_front().or_else(|| line.behind.pop_front());
        self.waiting.store(line.len(), Ordering::Relaxed);
        waiter
    }

    fn set_open(&self, line: &mut Line, change: impl FnOnce(usize) -> usize) {
        line.open = change(line.open);
        self.open.store(line.open, Ordering::Relaxed);
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        // No code that can panic runs under this lock.
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Line {
    fn of(&mut self, class: Class) -> &mut VecDeque<Waiter> {
        match class {
            Class::Front => &mut self.front,
            Class::Behind => &mut self.behind,
        }
    }

    fn next(&self) -> Option<&Waiter> {
        self.front.front().or_else(|| self.behind.front())
    }

    fn len(&self) -> usize {
        self.front.len() + self.behind.len()
    }

    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Place {
    /// Waits. [`Turn::Connect`] comes as a permit; `None`: the connection
    /// kept under the ticket.
    pub(super) async fn turn(&mut self) -> Option<Permit> {
        let turn = (&mut self.turn)
            .await
            .expect("the line is only left by taking a turn");
        self.taken = true;
        (turn == Turn::Connect).then(|| Permit(Arc::clone(&self.limit)))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.taken {
            return;
        }
        self.turn.close();
        if self.turn.try_recv() == Ok(Turn::Connect) {
            self.limit.release();
        }
        let mut line = self.limit.line();
        let waiters = line.of(self.class);
        // Tickets are given out in order.
        if let Ok(at) = waiters.binary_search_by_key(&self.ticket, |waiter| waiter.ticket) {
            waiters.remove(at);
            self.limit.waiting.store(line.len(), Ordering::Relaxed);
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.release();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn poll(place: &mut Place) -> Option<Turn> {
        let turn = place.turn.try_recv().ok();
        place.taken |= turn.is_some();
        turn
    }

    fn enter(limit: &Arc<Limit>, worker: usize) -> Result<Permit, Place> {
        limit.enter(worker, 1, Class::Front)
    }

    fn permit(limit: &Arc<Limit>) -> Permit {
        Permit(Arc::clone(limit))
    }

    #[test]
    fn permits_go_down_the_line() {
        let limit = Arc::new(Limit::default());
        let first = enter(&limit, 0).unwrap();
        let mut second = enter(&limit, 0).unwrap_err();
        let mut third = enter(&limit, 1).unwrap_err();
        assert_eq!((poll(&mut second), poll(&mut third)), (None, None));
        drop(first);
        assert_eq!(
            (poll(&mut second), poll(&mut third)),
            (Some(Turn::Connect), None)
        );
        drop(permit(&limit));
        assert_eq!(poll(&mut third), Some(Turn::Connect));
        drop(permit(&limit));
        drop((second, third));
        assert_eq!((limit.line().open, limit.open()), (0, 0));
    }

    #[test]
    fn who_leaves_passes_the_turn_on() {
        let limit = Arc::new(Limit::default());
        let first = enter(&limit, 0).unwrap();
        let second = enter(&limit, 0).unwrap_err();
        let mut third = enter(&limit, 0).unwrap_err();
        drop(first);
        drop(second);
        assert_eq!(poll(&mut third), Some(Turn::Connect));
        drop(permit(&limit));
        drop(third);
        assert_eq!((limit.waiting(), limit.line().open), (0, 0));
    }

    #[test]
    fn a_connection_is_handed_to_the_own_worker_only() {
        let limit = Arc::new(Limit::default());
        let _first = enter(&limit, 0).unwrap();
        let mut other = enter(&limit, 1).unwrap_err();
        let mut own = enter(&limit, 0).unwrap_err();
        assert_eq!(limit.next_of(0), None);
        assert_eq!(limit.next_of(1), Some(other.ticket));
        assert_eq!(limit.next_of(0), Some(own.ticket));
        assert_eq!(
            (poll(&mut other), poll(&mut own)),
            (Some(Turn::Reuse), Some(Turn::Reuse))
        );
    }

    #[test]
    fn who_has_much_waits_behind_all_others() {
        let limit = Arc::new(Limit::default());
        let first = enter(&limit, 0).unwrap();
        let mut much = limit.enter(0, 1, Class::Behind).unwrap_err();
        let mut late = enter(&limit, 0).unwrap_err();
        assert!(limit.has_front());
        drop(first);
        assert_eq!(
            (poll(&mut much), poll(&mut late)),
            (None, Some(Turn::Connect))
        );
        assert!(!limit.has_front());
        drop(permit(&limit));
        assert_eq!(poll(&mut much), Some(Turn::Connect));
    }

    #[test]
    fn a_lower_maximum_holds_for_those_who_ask_by_it() {
        let limit = Arc::new(Limit::default());
        let open: Vec<Permit> = (0..3)
            .map(|_| limit.enter(0, 3, Class::Front).unwrap())
            .collect();
        let mut place = limit.enter(0, 1, Class::Front).unwrap_err();
        for (left, permit) in open.into_iter().enumerate() {
            assert_eq!(poll(&mut place), None);
            drop(permit);
            assert_eq!(limit.open(), if left < 2 { 2 - left } else { 1 });
        }
        assert_eq!(poll(&mut place), Some(Turn::Connect));
    }

    proptest! {
        /// Whatever the order in which people come, wait, leave and finish:
        /// never more than the maximum, and nothing is left over.
        #[test]
        fn nothing_leaks(steps in prop::collection::vec((0..5_u8, 0..8_usize, 0..3_usize), 0..200)) {
            const MAX: usize = 3;
            let limit = Arc::new(Limit::default());
            let (mut permits, mut places) = (Vec::new(), Vec::new());
            for (step, which, worker) in steps {
                match step {
                    0 | 1 => {
                        let class = if which % 2 == 0 { Class::Front } else { Class::Behind };
                        match limit.enter(worker, MAX, class) {
                            Ok(permit) => permits.push(permit),
                            Err(place) => places.push(place),
                        }
                    }
                    2 if !permits.is_empty() => drop(permits.swap_remove(which % permits.len())),
                    3 if !places.is_empty() => drop(places.swap_remove(which % places.len())),
                    // Handed over: the giver's permit stays with the connection.
                    4 if !permits.is_empty() => drop(limit.next_of(worker)),
                    _ => {}
                }
                places.retain_mut(|place| match poll(place) {
                    None => true,
                    Some(turn) => {
                        permits.extend((turn == Turn::Connect).then(|| permit(&limit)));
                        false
                    }
                });
                prop_assert_eq!(limit.open(), permits.len());
                prop_assert!(permits.len() <= MAX);
                prop_assert_eq!(limit.waiting(), places.len());
                prop_assert!(places.is_empty() || permits.len() == MAX);
            }
            drop((permits, places));
            prop_assert_eq!((limit.open(), limit.waiting()), (0, 0));
        }
    }
}
