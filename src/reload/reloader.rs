//! Loading a configuration and putting it into force.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::config::Snapshot;

/// Compiles the configuration anew.
pub type Load<E> = Box<dyn Fn() -> Result<Snapshot, E> + Send>;

/// Told of every snapshot that has come into force.
pub type Swapped = Box<dyn Fn(&Snapshot) + Send>;

/// Puts a new configuration into force, or keeps the old one.
pub struct Reloader<E> {
    policy: Arc<ArcSwap<Snapshot>>,
    load: Load<E>,
    swapped: Swapped,
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
    /// Reloads `policy` by `load`, which also runs the policy's tests;
    /// `swapped` adjusts what does not look at the policy by itself.
    pub fn new(policy: Arc<ArcSwap<Snapshot>>, load: Load<E>, swapped: Swapped) -> Self {
        Self {
            policy,
            load,
            swapped,
        }
    }

    /// The snapshot in force.
    pub fn current(&self) -> Arc<Snapshot> {
        self.policy.load_full()
    }

    /// Loads and swaps.
    ///
    /// # Errors
    ///
    /// [`ReloadError`]; nothing has changed then.
    pub fn reload(&self) -> Result<Arc<Snapshot>, ReloadError<E>> {
        let old = self.policy.load_full();
        let mut new = (self.load)().map_err(ReloadError)?;
        new.generation = old.generation + 1;
        let new = Arc::new(new);
        self.policy.store(Arc::clone(&new));
        for key in needs_restart(&old, &new) {
            tracing::warn!("{key} has changed, which takes a restart to come into force");
        }
        (self.swapped)(&new);
        tracing::info!(
            generation = new.generation,
            "a new configuration is in force"
        );
        Ok(new)
    }

    /// Reloads and logs why it failed.
    pub(super) fn reload_or_tell(&self) {
        if let Err(error) = self.reload() {
            let cause = error.source().map(ToString::to_string).unwrap_or_default();
            tracing::error!("{error}: {cause}");
        }
    }
}

/// The keys that changed and are only read at the start.
fn needs_restart(old: &Snapshot, new: &Snapshot) -> impl Iterator<Item = &'static str> {
    let listen = (old.server.listen != new.server.listen).then_some("server.listen");
    let workers = (old.server.workers != new.server.workers).then_some("server.workers");
    listen.into_iter().chain(workers)
}
