//! Loading a configuration and putting it into force.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;

use super::Status;
use crate::config::{ServerSettings, Snapshot};

/// Compiles the configuration anew.
pub type Load<E> = Box<dyn Fn() -> Result<Snapshot, E> + Send>;

/// Told of every snapshot that has come into force.
pub type Swapped = Box<dyn Fn(&Snapshot) + Send>;

/// Puts a new configuration into force, or keeps the old one.
pub struct Reloader<E> {
    policy: Arc<ArcSwap<Snapshot>>,
    /// What the server runs by until it is restarted.
    started: ServerSettings,
    load: Load<E>,
    swapped: Swapped,
    status: Status,
}

/// The configuration was not taken; the old one stays in force.
#[derive(Debug, thiserror::Error)]
#[error("the configuration is not taken, the old one stays in force")]
pub struct ReloadError<E: Error + 'static>(#[source] pub E);

impl<E> fmt::Debug for Reloader<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reloader").finish_non_exhaustive()
    }
}

impl<E: Error + 'static> Reloader<E> {
    /// Reloads `policy`, which the server was started with, by `load`, which also runs the policy's tests;
    /// `swapped` adjusts what does not look at the policy by itself.
    pub fn new(policy: Arc<ArcSwap<Snapshot>>, load: Load<E>, swapped: Swapped) -> Self {
        let snapshot = policy.load();
        let started = snapshot.server.clone();
        let status = Status::new(&snapshot);
        drop(snapshot);
        Self {
            status,
            policy,
            started,
            load,
            swapped,
        }
    }

    /// The snapshot in force.
    pub fn current(&self) -> Arc<Snapshot> {
        self.policy.load_full()
    }

    /// How the reloads went.
    pub fn status(&self) -> &Status {
        &self.status
    }

    /// Loads and swaps.
    ///
    /// # Errors
    ///
    /// [`ReloadError`]; nothing has changed then.
    pub fn reload(&self) -> Result<Arc<Snapshot>, ReloadError<E>> {
        let old = self.policy.load_full();
        let mut new = (self.load)().map_err(|error| {
            self.status.failed(error.to_string());
            ReloadError(error)
        })?;
        new.generation = old.generation + 1;
        let new = Arc::new(new);
        self.policy.store(Arc::clone(&new));
        self.status.succeeded(&new);
        for key in self.needs_restart(&new) {
            tracing::warn!("{key} has changed, which takes a restart to come into force");
        }
        (self.swapped)(&new);
        tracing::info!(
            generation = new.generation,
            "a new configuration is in force"
        );
        Ok(new)
    }

    /// The keys that are only read at the start, and are not as they were
    /// then.
    fn needs_restart(&self, new: &Snapshot) -> impl Iterator<Item = &'static str> + use<E> {
        let (old, new) = (&self.started, &new.server);
        let listen = (old.listen != new.listen).then_some("server.listen");
        let workers = (old.workers != new.workers).then_some("server.workers");
        listen.into_iter().chain(workers)
    }

    /// Reloads and logs why it failed; the new generation, or why there is
    /// none.
    pub(super) fn reload_or_tell(&self) -> Result<u64, String> {
        let reloaded = self.reload().map(|new| new.generation);
        reloaded.map_err(|error| {
            let cause = error.source().map(ToString::to_string).unwrap_or_default();
            tracing::error!("{error}: {cause}");
            cause
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::config::{ConfigErrors, load_embedded};

    fn with_workers(workers: usize) -> Result<Snapshot, ConfigErrors> {
        let text =
            format!("[server]\nworkers = {workers}\n[origin]\nurl = \"http://127.0.0.1:9\"\n");
        load_embedded("test.toml", &text, []).map(|(snapshot, _)| snapshot)
    }

    #[test]
    fn a_restart_is_due_until_all_is_as_it_was_at_the_start() {
        let policy = Arc::new(ArcSwap::from_pointee(with_workers(1).unwrap()));
        let next = Arc::new(Mutex::new(1));
        let written = Arc::clone(&next);
        let load = move || with_workers(*written.lock().unwrap());
        let reloader = Reloader::new(policy, Box::new(load), Box::new(|_| {}));
        // The second 2 is no change against what was in force before it.
        for (workers, due) in [(1, 0), (2, 1), (2, 1), (3, 1), (1, 0)] {
            *next.lock().unwrap() = workers;
            let new = reloader.reload().unwrap();
            let keys: Vec<_> = reloader.needs_restart(&new).collect();
            assert_eq!(keys, ["server.workers"][..due], "{workers}");
        }
    }
}
