//! What is in force, and how the reloads went; asked for by the admin
//! listener (section 13).

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use crate::config::Snapshot;

/// A handle to what a [`Reloader`](super::Reloader) writes down. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Status(Arc<Mutex<State>>);

/// The snapshot in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InForce {
    /// Its generation.
    pub generation: u64,
    /// Since when.
    pub since: SystemTime,
    /// The configuration file; `None` for an embedded one.
    pub file: Option<PathBuf>,
}

/// A configuration that was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// When it was tried.
    pub at: SystemTime,
    /// Why not, as it was logged.
    pub why: String,
    /// Whether it is newer than the snapshot in force.
    pub newest: bool,
}

/// How the reloads since the start ended; the start is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reloads {
    /// So many came into force.
    pub succeeded: u64,
    /// So many left the old snapshot in force.
    pub failed: u64,
    /// When the last one ended, either way.
    pub last: Option<SystemTime>,
}

#[derive(Debug)]
struct State {
    in_force: InForce,
    failure: Option<Failure>,
    reloads: Reloads,
}

impl Status {
    /// Of a process that has just started with `snapshot`.
    pub fn new(snapshot: &Snapshot) -> Self {
        Self(Arc::new(Mutex::new(State {
            in_force: InForce::now(snapshot),
            failure: None,
            reloads: Reloads::default(),
        })))
    }

    /// What is in force.
    pub fn in_force(&self) -> InForce {
        self.state().in_force.clone()
    }

    /// The last reload that failed, also after one that succeeded.
    pub fn last_failure(&self) -> Option<Failure> {
        self.state().failure.clone()
    }

    /// How many reloads there were.
    pub fn reloads(&self) -> Reloads {
        self.state().reloads
    }

    /// `snapshot` has come into force.
    pub(super) fn succeeded(&self, snapshot: &Snapshot) {
        let mut state = self.state();
        state.in_force = InForce::now(snapshot);
        state.reloads.succeeded += 1;
        state.reloads.last = Some(state.in_force.since);
        if let Some(failure) = &mut state.failure {
            failure.newest = false;
        }
    }

    /// The old snapshot stays in force.
    pub(super) fn failed(&self, why: String) {
        let mut state = self.state();
        let at = SystemTime::now();
        state.reloads.failed += 1;
        state.reloads.last = Some(at);
        state.failure = Some(Failure {
            at,
            why,
            newest: true,
        });
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every writer leaves it whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl InForce {
    fn now(snapshot: &Snapshot) -> Self {
        Self {
            generation: snapshot.generation,
            since: SystemTime::now(),
            file: snapshot.sources.first().map(|file| file.path.clone()),
        }
    }
}
