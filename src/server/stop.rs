//! Stopping, in two steps (section 11), and what becomes of the listening
//! sockets then.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::passed::Bound;

/// How a server is told to stop.
#[derive(Clone, Debug)]
pub struct Stop(Arc<State>);

#[derive(Debug)]
struct State {
    phase: watch::Sender<Phase>,
    /// What another process can be given; nothing once this one drains, since
    /// a socket is closed only with its last descriptor.
    kept: Mutex<Vec<Kept>>,
}

#[derive(Debug)]
struct Kept {
    bound: Bound,
    lives_on: LivesOn,
    /// Whether no process before this one has the socket any more.
    is_ours: bool,
}

impl Drop for Kept {
    /// Nobody can connect any more to a Unix socket without its file.
    fn drop(&mut self) {
        if let Some(file) = &self.bound.file
            && self.is_ours
            && !self.lives_on.get()
        {
            file.remove();
        }
    }
}

/// Whether a socket is open in another process too, so that nobody who waits
/// there is lost by closing it here.
#[derive(Clone, Debug, Default)]
pub(super) struct LivesOn(Arc<AtomicBool>);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    Serving,
    Draining,
    Stopped,
}

impl Default for Stop {
    fn default() -> Self {
        Self(Arc::new(State {
            phase: watch::Sender::new(Phase::Serving),
            kept: Mutex::default(),
        }))
    }
}

impl LivesOn {
    /// Of a socket that is passed, or bound here.
    pub(super) fn of(bound: &Bound) -> Self {
        Self(Arc::new(AtomicBool::new(bound.unit.is_some())))
    }

    pub(super) fn get(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

impl Stop {
    /// No new connections; what is in flight is finished within
    /// `server.drain_timeout`.
    pub fn drain(&self) {
        self.advance(Phase::Draining);
    }

    /// Ends at once, also while draining.
    pub fn now(&self) {
        self.advance(Phase::Stopped);
    }

    /// Drains, for another process serves on the addresses `taken`: who waits
    /// to be accepted there is left to that one. `false`: it drains already.
    pub fn hand_over(&self, taken: &[String]) -> bool {
        let mut kept = self.kept();
        if self.is_draining() {
            return false;
        }
        for one in kept.drain(..) {
            if taken.contains(&one.bound.address) {
                one.lives_on.0.store(true, Ordering::Release);
            }
        }
        self.raise(Phase::Draining);
        true
    }

    /// Whether it is to stop.
    pub fn is_draining(&self) -> bool {
        *self.0.phase.borrow() > Phase::Serving
    }

    /// Has `bound` among [`Self::sockets`].
    pub fn keep(&self, bound: Bound) {
        let lives_on = LivesOn::of(&bound);
        self.keep_with(bound, lives_on, true);
    }

    /// The same, for a socket that workers close by what `lives_on` says. Until
    /// [`Self::inherit`], the file of one that was passed is left alone.
    pub(super) fn keep_with(&self, bound: Bound, lives_on: LivesOn, is_ours: bool) {
        self.kept().push(Kept {
            bound,
            lives_on,
            is_ours,
        });
    }

    /// The process before has left this one what it has passed.
    pub fn inherit(&self) {
        for one in self.kept().iter_mut() {
            one.is_ours = true;
        }
    }

    /// What can be given to another process; nothing while it drains.
    ///
    /// # Errors
    ///
    /// If there are too many open files.
    pub fn sockets(&self) -> io::Result<Vec<Bound>> {
        let kept = self.kept();
        kept.iter().map(|one| one.bound.try_clone()).collect()
    }

    fn advance(&self, to: Phase) {
        let mut kept = self.kept();
        // First the files of Unix sockets: workers accept who has found one.
        kept.clear();
        self.raise(to);
    }

    fn raise(&self, to: Phase) {
        self.0.phase.send_if_modified(|phase| {
            let later = to > *phase;
            *phase = to.max(*phase);
            later
        });
    }

    fn kept(&self) -> MutexGuard<'_, Vec<Kept>> {
        // Every writer leaves it whole.
        self.0.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) async fn draining(&self) {
        self.reached(Phase::Draining).await;
    }

    pub(super) async fn stopped(&self) {
        self.reached(Phase::Stopped).await;
    }

    async fn reached(&self, wanted: Phase) {
        let mut phase = self.0.phase.subscribe();
        phase
            .wait_for(|phase| *phase >= wanted)
            .await
            .expect("this holds the sender");
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    fn kept(stop: &Stop, address: &str, unit: Option<&str>) -> LivesOn {
        let bound = Bound {
            address: address.to_owned(),
            socket: TcpListener::bind("127.0.0.1:0").unwrap().into(),
            unit: unit.map(str::to_owned),
            file: None,
        };
        let lives_on = LivesOn::of(&bound);
        stop.keep_with(bound, lives_on.clone(), true);
        lives_on
    }

    #[test]
    fn a_socket_lives_on_where_another_process_has_it() {
        let stop = Stop::default();
        let all = [
            kept(&stop, "a", None),
            kept(&stop, "b", None),
            kept(&stop, "c", Some("c.socket")),
        ];
        assert_eq!(all.each_ref().map(LivesOn::get), [false, false, true]);
        assert_eq!(stop.sockets().unwrap().len(), 3);
        assert!(stop.hand_over(&["a".to_owned()]));
        assert_eq!(all.each_ref().map(LivesOn::get), [true, false, true]);
        assert!(stop.is_draining() && stop.sockets().unwrap().is_empty());
    }

    #[test]
    fn what_stops_is_not_handed_over() {
        let stop = Stop::default();
        let one = kept(&stop, "a", None);
        stop.drain();
        assert!(!stop.hand_over(&["a".to_owned()]));
        assert!(!one.get() && stop.sockets().unwrap().is_empty());
    }
}
