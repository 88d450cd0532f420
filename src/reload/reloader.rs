//! Loading a configuration and putting it into force.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;

use super::files::STILL;
use super::guard::Doubts;
use super::status::Status;
use crate::config::{ConfigErrors, Snapshot, SourceFile};

/// Compiles the configuration anew.
pub type Load<E> = Box<dyn Fn() -> Result<Snapshot, E> + Send>;

/// Gets what does not look at the policy by itself ready for a snapshot; what
/// it gives then puts that into force, and cannot fail.
pub type Prepare<E> = Box<dyn Fn(&Snapshot) -> Result<Commit, E> + Send>;

/// Puts into force what was got ready.
pub type Commit = Box<dyn FnOnce()>;

/// Hears of every reload that someone asked for when it begins, and of every
/// reload how it ended.
pub type Told = Box<dyn Fn(Step<'_>) + Send>;

/// How far a reload is.
#[derive(Clone, Copy, Debug)]
pub enum Step<'a> {
    /// It begins.
    Begins,
    /// The new generation is in force, or why it is not, for people.
    Ended(Result<u64, &'a str>),
}

/// Why a configuration is not taken.
pub trait Refusal: Error + 'static {
    /// The files that were read, or could not be: once one of them changes,
    /// it is worth another try.
    fn sources(&self) -> &[SourceFile];
}

/// Who wants a reload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// A file changed, whoever did that.
    Change,
    /// Someone asked for it, and so confirms what is in the files.
    Asked,
}

/// Puts a new configuration into force, or keeps the old one.
pub struct Reloader<E> {
    policy: Arc<ArcSwap<Snapshot>>,
    /// What the server runs by until it is restarted.
    started: AtStart,
    load: Load<E>,
    prepare: Prepare<E>,
    status: Status,
    told: Told,
}

/// The keys that are only read at the start, and what they say.
type AtStart = Vec<(&'static str, String)>;

/// The configuration was not taken; the old one stays in force.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError<E: Error + 'static> {
    /// It is wrong.
    #[error("the configuration is not taken, the old one stays in force")]
    Refused(#[source] E),
    /// Nobody has confirmed it.
    #[error("the change is not taken, the old configuration stays in force")]
    Doubtful(#[source] Doubts),
    /// What it calls for cannot be had.
    #[error("the configuration is not taken, the old one stays in force")]
    NotReady(#[source] E),
    /// A file was written just before it was read.
    #[error("the files are still being written")]
    Restless,
}

/// How a reload went that was told of.
pub(super) enum Attempt {
    /// The files have to come to rest first.
    Restless,
    Ended {
        /// The new generation, or why there is none.
        outcome: Result<u64, String>,
        /// The files that were read.
        sources: Vec<SourceFile>,
    },
}

impl<E> fmt::Debug for Reloader<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reloader").finish_non_exhaustive()
    }
}

impl Refusal for ConfigErrors {
    fn sources(&self) -> &[SourceFile] {
        self.sources()
    }
}

impl<E: Refusal> Reloader<E> {
    /// Reloads `policy`, which the server was started with, by `load`, which
    /// also runs the policy's tests, and `prepare`.
    pub fn new(policy: Arc<ArcSwap<Snapshot>>, load: Load<E>, prepare: Prepare<E>) -> Self {
        let snapshot = policy.load();
        let started = at_start(&snapshot);
        let status = Status::new(&snapshot);
        drop(snapshot);
        Self {
            policy,
            started,
            load,
            prepare,
            status,
            told: Box::new(|_| {}),
        }
    }

    /// The same, which tells how reloads go.
    #[must_use]
    pub fn telling(self, told: Told) -> Self {
        Self { told, ..self }
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
    /// [`ReloadError`]; the old snapshot is in force then.
    pub fn reload(&self, trigger: Trigger) -> Result<Arc<Snapshot>, ReloadError<E>> {
        self.load(trigger).0
    }

    /// The same, with the files that were read.
    fn load(&self, trigger: Trigger) -> (Result<Arc<Snapshot>, ReloadError<E>>, Vec<SourceFile>) {
        let loaded = (self.load)();
        let sources = match &loaded {
            Ok(snapshot) => snapshot.sources.clone(),
            Err(refusal) => refusal.sources().to_vec(),
        };
        let restless = |file: &SourceFile| file.was_changed_within(STILL);
        if trigger == Trigger::Change && sources.iter().any(restless) {
            return (Err(ReloadError::Restless), sources);
        }
        let loaded = loaded.map_err(ReloadError::Refused);
        let swapped = loaded.and_then(|snapshot| self.swap(snapshot, trigger));
        (swapped, sources)
    }

    fn swap(&self, mut new: Snapshot, trigger: Trigger) -> Result<Arc<Snapshot>, ReloadError<E>> {
        let old = self.policy.load_full();
        if trigger == Trigger::Change {
            Doubts::check(&old.sources, &new.sources).map_err(ReloadError::Doubtful)?;
        }
        let commit = (self.prepare)(&new).map_err(ReloadError::NotReady)?;
        new.generation = old.generation + 1;
        let due: Vec<_> = self.needs_restart(&new).collect();
        if new.server.tls.is_none() {
            // Its listeners stay until a restart, and need their certificates.
            new.server.tls.clone_from(&old.server.tls);
        }
        let new = Arc::new(new);
        self.policy.store(Arc::clone(&new));
        commit();
        self.status.succeeded(&new);
        for key in due {
            tracing::warn!("{key} has changed, which takes a restart to come into force");
        }
        tracing::info!(
            generation = new.generation,
            "a new configuration is in force"
        );
        Ok(new)
    }

    /// The keys that are only read at the start, and are not as they were
    /// then.
    fn needs_restart(&self, new: &Snapshot) -> impl Iterator<Item = &'static str> {
        let pairs = self.started.iter().zip(at_start(new));
        pairs.filter_map(|((key, old), (_, new))| (*old != new).then_some(*key))
    }

    /// Reloads and logs why it failed.
    pub(super) fn attempt(&self, trigger: Trigger) -> Attempt {
        if trigger == Trigger::Asked {
            (self.told)(Step::Begins);
        }
        let (reloaded, sources) = self.load(trigger);
        let outcome = match reloaded {
            Ok(new) => Ok(new.generation),
            Err(ReloadError::Restless) => return Attempt::Restless,
            Err(error) => Err(self.tell(&error)),
        };
        if outcome.is_err() && trigger == Trigger::Asked {
            self.renew();
        }
        (self.told)(Step::Ended(outcome.as_ref().copied().map_err(|why| &**why)));
        Attempt::Ended { outcome, sources }
    }

    fn tell(&self, error: &ReloadError<E>) -> String {
        let cause = error.source().map(ToString::to_string).unwrap_or_default();
        tracing::error!("{error}: {cause}");
        self.status.failed(cause.clone());
        cause
    }

    /// Files that are written to are opened again also for the configuration
    /// that stays: a log is rotated whatever became of the policy.
    fn renew(&self) {
        match (self.prepare)(&self.current()) {
            Ok(commit) => commit(),
            Err(error) => tracing::error!("{error}; the old one goes on"),
        }
    }
}

fn at_start(snapshot: &Snapshot) -> AtStart {
    let server = &snapshot.server;
    let tls_listen = server.tls.as_ref().map(|tls| &tls.listen);
    vec![
        ("server.listen", format!("{:?}", server.listen)),
        (
            "server.redirect_https",
            format!("{:?}", server.redirect_https),
        ),
        ("server.tls.listen", format!("{tls_listen:?}")),
        ("server.socket_mode", format!("{:o}", server.socket_mode)),
        ("server.workers", server.workers.to_string()),
        ("admin.listen", format!("{:?}", snapshot.admin.listen)),
        ("cache.memory", snapshot.cache_memory.to_string()),
    ]
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::config::{ConfigErrors, load_embedded};

    fn with_workers(workers: usize) -> Result<Snapshot, ConfigErrors> {
        with(&format!("[server]\nworkers = {workers}\n"))
    }

    fn with(tables: &str) -> Result<Snapshot, ConfigErrors> {
        let text = format!("{tables}[origin]\nurl = \"http://127.0.0.1:9\"\n");
        load_embedded("test.toml", &text, []).map(|(snapshot, _)| snapshot)
    }

    #[test]
    fn a_restart_is_due_until_all_is_as_it_was_at_the_start() {
        let policy = Arc::new(ArcSwap::from_pointee(with_workers(1).unwrap()));
        let next = Arc::new(Mutex::new(1));
        let written = Arc::clone(&next);
        let load = move || with_workers(*written.lock().unwrap());
        let reloader = Reloader::new(policy, Box::new(load), Box::new(|_| Ok(Box::new(|| {}))));
        // The second 2 is no change against what was in force before it.
        for (workers, due) in [(1, 0), (2, 1), (2, 1), (3, 1), (1, 0)] {
            *next.lock().unwrap() = workers;
            let new = reloader.reload(Trigger::Asked).unwrap();
            let keys: Vec<_> = reloader.needs_restart(&new).collect();
            assert_eq!(keys, ["server.workers"][..due], "{workers}");
        }
    }

    #[test]
    fn listeners_by_tls_keep_their_certificates_until_a_restart() {
        const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/tls");
        let tls = format!(
            "[server.tls]\nlisten = [\"127.0.0.1:8443\"]\n[[server.tls.certificates]]\n\
             cert_file = \"{FOLDER}/site.pem\"\nkey_file = \"{FOLDER}/site.key.pem\"\n"
        );
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.toml");
        let text = format!("{tls}[origin]\nurl = \"http://127.0.0.1:9\"\n");
        std::fs::write(&file, text).unwrap();
        let started = crate::config::load(&file).unwrap().0;
        let policy = Arc::new(ArcSwap::from_pointee(started));
        let load = || with("");
        let reloader = Reloader::new(policy, Box::new(load), Box::new(|_| Ok(Box::new(|| {}))));
        for _ in 0..2 {
            let new = reloader.reload(Trigger::Asked).unwrap();
            assert!(new.server.tls.is_some());
        }
        let due: Vec<_> = reloader.needs_restart(&with("").unwrap()).collect();
        assert_eq!(due, ["server.listen", "server.tls.listen"]);
    }

    #[test]
    fn of_the_cache_only_its_memory_needs_a_restart() {
        let started = Arc::new(ArcSwap::from_pointee(with("").unwrap()));
        let load = || with("");
        let reloader = Reloader::new(started, Box::new(load), Box::new(|_| Ok(Box::new(|| {}))));
        for (cache, due) in [
            ("memory = \"128 MiB\"", 0),
            ("memory = \"64 MiB\"", 1),
            ("memory = \"0\"", 1),
            ("default_ttl = \"1s\"\nset_cookie = \"bypass\"", 0),
        ] {
            let new = with(&format!("[cache]\n{cache}\n")).unwrap();
            let keys: Vec<_> = reloader.needs_restart(&new).collect();
            assert_eq!(keys, ["cache.memory"][..due], "{cache}");
        }
    }
}
