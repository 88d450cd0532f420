//! The files of the configuration that was loaded last.

use std::time::{Duration, Instant};

use super::folders::Folders;
use crate::config::SourceFile;

/// Files are read when they have not changed for so long (section 3).
pub(super) const STILL: Duration = Duration::from_millis(500);

/// How often it is told that a file does not come to rest.
const TOLD: Duration = Duration::from_secs(60);

/// The files as they were read, be it in vain.
pub(super) struct Files {
    read: Vec<SourceFile>,
    folders: Folders,
}

/// Waiting until nothing has changed for a while.
pub(super) struct Settling {
    looks: Vec<SourceFile>,
    since: Instant,
    told: Instant,
}

impl Files {
    pub(super) fn new(read: Vec<SourceFile>, folders: Folders) -> Self {
        let mut files = Self {
            read: Vec::new(),
            folders,
        };
        files.follow(read);
        files
    }

    /// From now on it is these.
    pub(super) fn follow(&mut self, read: Vec<SourceFile>) {
        self.read = read;
        self.folders.watch(&self.read);
    }

    pub(super) fn look_different(&self) -> bool {
        self.read.iter().any(SourceFile::looks_different)
    }

    /// Whether there is something else in one of them.
    pub(super) fn are_different(&mut self) -> bool {
        let mut different = false;
        for file in &mut self.read {
            // Each is asked, and remembers how it looks now.
            different |= file.is_different();
        }
        // A symbolic link may lead elsewhere, to the same.
        self.folders.watch(&self.read);
        different
    }

    pub(super) fn settling(&self) -> Settling {
        let now = Instant::now();
        Settling {
            looks: self.read.iter().map(SourceFile::seen_now).collect(),
            since: now,
            told: now,
        }
    }
}

impl Settling {
    /// Looks again; whether all have been still for long enough.
    pub(super) fn is_over(&mut self) -> bool {
        let mut moved = None;
        for file in &mut self.looks {
            if file.looks_different() {
                *file = file.seen_now();
                moved = Some(file.path.clone());
            }
        }
        let Some(path) = moved else {
            return self.since.elapsed() >= STILL;
        };
        self.since = Instant::now();
        if self.told.elapsed() >= TOLD {
            self.told = self.since;
            let path = path.display();
            tracing::warn!(
                "{path} keeps changing: it is read once it has been still for half a second"
            );
        }
        false
    }
}
