//! The folders that the system tells of changes in.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};

use crate::config::SourceFile;

/// The folders that are watched: those of the files, since a file that is
/// replaced by a rename takes its watch away; and where symbolic links lead.
pub(super) struct Folders {
    watcher: Option<RecommendedWatcher>,
    /// With the place of the folder on its disk: one that was removed takes
    /// its watch along, and may come again under its name.
    watched: BTreeMap<PathBuf, Option<(u64, u64)>>,
}

impl Folders {
    /// None yet; `changed` is called for whatever happens in one.
    pub(super) fn new(changed: impl Fn() + Send + 'static) -> Self {
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            // Our own reading is no change.
            if !event.is_ok_and(|event| event.kind.is_access()) {
                changed();
            }
        });
        if let Err(error) = &watcher {
            tracing::warn!(
                "files cannot be watched, and are looked at from time to time instead: {error}"
            );
        }
        Self {
            watcher: watcher.ok(),
            watched: BTreeMap::new(),
        }
    }

    /// Watches those of `files`, and no others.
    pub(super) fn watch(&mut self, files: &[SourceFile]) {
        let Some(watcher) = &mut self.watcher else {
            return;
        };
        let wanted: BTreeMap<_, _> = files
            .iter()
            .flat_map(|file| folders_of(&file.path))
            .map(|folder| (folder.clone(), place(&folder)))
            .collect();
        for (folder, place) in &self.watched {
            if wanted.get(folder) != Some(place) {
                // It may be gone, and its watch with it.
                let _ = watcher.unwatch(folder);
            }
        }
        for (folder, place) in &wanted {
            if self.watched.get(folder) != Some(place)
                && let Err(error) = watcher.watch(folder, RecursiveMode::NonRecursive)
            {
                tracing::debug!("{} cannot be watched: {error}", folder.display());
            }
        }
        self.watched = wanted;
    }
}

fn place(folder: &Path) -> Option<(u64, u64)> {
    let metadata = std::fs::metadata(folder).ok()?;
    Some((metadata.dev(), metadata.ino()))
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
