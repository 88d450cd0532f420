//! Whether files changed, whatever a watch says or misses.

use std::fs::{self, File};
use std::hash::{BuildHasher as _, Hasher as _};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use foldhash::quality::FixedState;

/// What a file looks like from outside. A rename or a swapped symbolic link
/// gives it another inode.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Look {
    real_path: PathBuf,
    length: u64,
    modified: Option<SystemTime>,
    #[cfg(unix)]
    inode: (u64, u64, i64),
}

/// The state of a list of files; `None` for one that is not there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Looks(Vec<Option<Look>>);

/// The contents of a list of files, hashed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Contents(Vec<Option<u64>>);

impl Looks {
    pub(super) fn of(files: &[PathBuf]) -> Self {
        Self(files.iter().map(|file| look(file).ok()).collect())
    }
}

impl Contents {
    pub(super) fn of(files: &[PathBuf]) -> Self {
        Self(files.iter().map(|file| hash(file).ok()).collect())
    }
}

fn look(file: &Path) -> io::Result<Look> {
    let real_path = fs::canonicalize(file)?;
    let metadata = fs::metadata(&real_path)?;
    Ok(Look {
        real_path,
        length: metadata.len(),
        modified: metadata.modified().ok(),
        #[cfg(unix)]
        inode: {
            use std::os::unix::fs::MetadataExt as _;
            (metadata.dev(), metadata.ino(), metadata.ctime_nsec())
        },
    })
}

/// No stranger chooses these contents, so a fast hash with a fixed seed will do.
fn hash(file: &Path) -> io::Result<u64> {
    let mut hasher = FixedState::default().build_hasher();
    let mut file = File::open(file)?;
    let mut part = vec![0; 64 * 1024];
    loop {
        match file.read(&mut part)? {
            0 => return Ok(hasher.finish()),
            length => hasher.write(&part[..length]),
        }
    }
}
