//! When to look at the files again.

use std::collections::BTreeSet;
use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, channel, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};

use super::Reloader;
use super::fingerprint::{Contents, Looks};

/// Files are read when they have not changed for so long.
const STILL: Duration = Duration::from_millis(500);

/// Files that never come to rest are read anyway after this.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often files are looked at while nothing is heard of them: watches do
/// not work on every file system.
const POLL: Duration = Duration::from_secs(5);

/// How often files are looked at while they are changing.
const STEP: Duration = Duration::from_millis(100);

enum Message {
    /// Something happened in a folder of a file.
    Look,
    /// Reload, whether or not anything changed, and tell who asked.
    Reload(Option<SyncSender<Result<u64, String>>>),
    Stop,
}

/// The thread that watches. Dropping it ends it.
#[derive(Debug)]
pub struct Handle {
    messages: Sender<Message>,
    thread: Option<JoinHandle<()>>,
}

impl Handle {
    /// Reloads now, whatever the files look like (SIGHUP).
    pub fn reload(&self) {
        // A thread that has ended has said why.
        let _ = self.messages.send(Message::Reload(None));
    }

    /// The same, and waits for the outcome, `patience` at most: the new
    /// generation.
    ///
    /// # Errors
    ///
    /// Why the old snapshot is still in force, for people.
    pub fn reload_and_wait(&self, patience: Duration) -> Result<u64, String> {
        let (outcome, received) = sync_channel(1);
        let _ = self.messages.send(Message::Reload(Some(outcome)));
        received.recv_timeout(patience).unwrap_or_else(|error| {
            Err(match error {
                RecvTimeoutError::Timeout => "it is still being loaded; see the log".to_owned(),
                RecvTimeoutError::Disconnected => "the process is about to stop".to_owned(),
            })
        })
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        let _ = self.messages.send(Message::Stop);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Watches the files of the snapshot in force, on a thread of its own.
///
/// # Errors
///
/// If the thread cannot be started.
pub fn start<E: Error + 'static>(reloader: Reloader<E>) -> io::Result<Handle> {
    let (messages, received) = channel();
    let events = messages.clone();
    let mut files = Files::new(&reloader, Folders::new(events));
    let thread = std::thread::Builder::new()
        .name("reload".to_owned())
        .spawn(move || run(&reloader, &mut files, &received))?;
    Ok(Handle {
        messages,
        thread: Some(thread),
    })
}

fn run<E: Error + 'static>(
    reloader: &Reloader<E>,
    files: &mut Files,
    messages: &Receiver<Message>,
) {
    loop {
        let (asked, waits) = match messages.recv_timeout(POLL) {
            Ok(Message::Stop) | Err(RecvTimeoutError::Disconnected) => return,
            Ok(Message::Reload(waits)) => (true, waits),
            Ok(Message::Look) | Err(RecvTimeoutError::Timeout) => (false, None),
        };
        if !asked {
            if !files.look_different() {
                continue;
            }
            files.come_to_rest();
            if !files.are_different() {
                continue;
            }
        }
        // Remembered before they are read: what changes meanwhile is seen.
        files.remember();
        let outcome = reloader.reload_or_tell();
        files.follow(reloader);
        if let Some(waits) = waits {
            // Who asked may have given up.
            let _ = waits.try_send(outcome);
        }
    }
}

/// The files of the configuration as they were when it was last loaded.
struct Files {
    paths: Vec<PathBuf>,
    looks: Looks,
    contents: Contents,
    folders: Folders,
}

impl Files {
    fn new<E: Error + 'static>(reloader: &Reloader<E>, folders: Folders) -> Self {
        let paths = reloader.current().sources.clone();
        let (looks, contents) = (Looks::of(&paths), Contents::of(&paths));
        let mut files = Self {
            paths,
            looks,
            contents,
            folders,
        };
        files.folders.watch(&files.paths);
        files
    }

    fn look_different(&self) -> bool {
        Looks::of(&self.paths) != self.looks
    }

    fn are_different(&mut self) -> bool {
        let looks = Looks::of(&self.paths);
        let different = Contents::of(&self.paths) != self.contents;
        if !different {
            self.looks = looks;
        }
        different
    }

    /// Waits until nothing has changed for a while.
    fn come_to_rest(&self) {
        let (begun, mut since) = (Instant::now(), Instant::now());
        let mut looks = Looks::of(&self.paths);
        while since.elapsed() < STILL && begun.elapsed() < PATIENCE {
            std::thread::sleep(STEP);
            let now = Looks::of(&self.paths);
            if now != looks {
                looks = now;
                since = Instant::now();
            }
        }
    }

    fn remember(&mut self) {
        self.looks = Looks::of(&self.paths);
        self.contents = Contents::of(&self.paths);
    }

    /// A new configuration may name other files.
    fn follow<E: Error + 'static>(&mut self, reloader: &Reloader<E>) {
        let sources = &reloader.current().sources;
        if *sources != self.paths {
            self.paths.clone_from(sources);
            self.remember();
        }
        self.folders.watch(&self.paths);
    }
}

/// The folders that are watched: those of the files, since a file that is
/// replaced by a rename takes its watch away; and where symbolic links lead.
struct Folders {
    watcher: Option<RecommendedWatcher>,
    watched: BTreeSet<PathBuf>,
}

impl Folders {
    fn new(events: Sender<Message>) -> Self {
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            // Our own reading is no change.
            if !event.is_ok_and(|event| event.kind.is_access()) {
                let _ = events.send(Message::Look);
            }
        });
        if let Err(error) = &watcher {
            tracing::warn!(
                "files cannot be watched, they are looked at every five seconds: {error}"
            );
        }
        Self {
            watcher: watcher.ok(),
            watched: BTreeSet::new(),
        }
    }

    fn watch(&mut self, files: &[PathBuf]) {
        let Some(watcher) = &mut self.watcher else {
            return;
        };
        let wanted: BTreeSet<PathBuf> = files.iter().flat_map(|file| folders_of(file)).collect();
        for gone in self.watched.difference(&wanted) {
            // A folder that was removed has taken its watch along.
            let _ = watcher.unwatch(gone);
        }
        for folder in wanted.difference(&self.watched) {
            if let Err(error) = watcher.watch(folder, RecursiveMode::NonRecursive) {
                tracing::debug!("{} cannot be watched: {error}", folder.display());
            }
        }
        self.watched = wanted;
    }
}

fn folders_of(file: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    let parent = |path: &Path| match path.parent() {
        Some(folder) if folder.as_os_str().is_empty() => Some(PathBuf::from(".")),
        folder => folder.map(Path::to_owned),
    };
    let real = std::fs::canonicalize(file).ok();
    parent(file)
        .into_iter()
        .chain(real.as_deref().and_then(parent))
}
