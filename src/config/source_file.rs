//! The files that a configuration is made from, as they were when they were
//! read.

use std::fs;
use std::hash::{BuildHasher as _, Hasher as _};
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use foldhash::quality::FixedState;

/// A file that went into a configuration: its own, a list, a database.
#[derive(Clone, Debug)]
pub struct SourceFile {
    /// Where it is; a relative path starts at the current directory.
    pub path: PathBuf,
    /// What was found in it.
    pub held: Held,
    /// Before it was read; `None`: it was not there.
    look: Option<Look>,
    contents: Contents,
}

/// What a file held that could be lost from it unnoticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held {
    /// Nothing that is counted.
    Uncounted,
    /// One of `access.ip.block_files`.
    List {
        /// Lines with an address or a network.
        entries: u64,
        /// Whether its last line has a newline, or it has no byte.
        ends_in_newline: bool,
    },
    /// A country database.
    Database {
        /// Nodes of its search tree (`node_count` of its metadata): it grows
        /// and shrinks with what the file tells apart.
        nodes: u64,
    },
}

/// The very bytes that were compiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Contents {
    /// Someone else reads the file; its look has to tell.
    NotSeen,
    Unreadable,
    /// No stranger chooses them, so a fast hash with a fixed seed will do.
    Hash(u64),
}

/// What a file looks like from outside. A rename or a swapped symbolic link
/// gives it another inode.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Look {
    real_path: PathBuf,
    length: u64,
    modified: Option<SystemTime>,
    #[cfg(unix)]
    inode: (u64, u64, i64, i64),
}

impl SourceFile {
    /// A file that its user is about to read.
    pub(super) fn named(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            held: Held::Uncounted,
            look: Look::of(path),
            contents: Contents::NotSeen,
        }
    }

    /// Reads a file; what was read is remembered, also that nothing could be.
    pub(super) fn read(path: &Path) -> (Self, io::Result<Vec<u8>>) {
        let mut file = Self::named(path);
        let bytes = fs::read(path);
        file.contents = Contents::of(&bytes);
        (file, bytes)
    }

    /// Whether the file looks otherwise now than before it was read.
    pub fn looks_different(&self) -> bool {
        Look::of(&self.path) != self.look
    }

    /// Whether something else is in the file now. Where that is not so, the
    /// look that it has got meanwhile is the one to compare with from now on.
    pub fn is_different(&mut self) -> bool {
        let look = Look::of(&self.path);
        let same_look = look == self.look;
        let same = match self.contents {
            Contents::NotSeen => same_look,
            seen => Contents::of(&fs::read(&self.path)) == seen,
        };
        if same {
            self.look = look;
        }
        !same
    }

    /// Whether both were read with the same bytes in them.
    pub fn has_bytes_of(&self, other: &Self) -> bool {
        self.contents != Contents::NotSeen && self.contents == other.contents
    }
}

impl Contents {
    fn of(bytes: &io::Result<Vec<u8>>) -> Self {
        let Ok(bytes) = bytes else {
            return Self::Unreadable;
        };
        let mut hasher = FixedState::default().build_hasher();
        hasher.write(bytes);
        Self::Hash(hasher.finish())
    }
}

impl Look {
    fn of(path: &Path) -> Option<Self> {
        let real_path = fs::canonicalize(path).ok()?;
        let metadata = fs::metadata(&real_path).ok()?;
        Some(Self {
            real_path,
            length: metadata.len(),
            modified: metadata.modified().ok(),
            #[cfg(unix)]
            inode: {
                use std::os::unix::fs::MetadataExt as _;
                let (seconds, nanos) = (metadata.ctime(), metadata.ctime_nsec());
                (metadata.dev(), metadata.ino(), seconds, nanos)
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_touch_is_no_change_and_every_other_byte_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        fs::write(&path, "one").unwrap();
        let (mut file, bytes) = SourceFile::read(&path);
        assert_eq!(bytes.unwrap(), b"one");
        assert!(!file.looks_different() && !file.is_different());
        fs::rename(&path, folder.path().join("b")).unwrap();
        assert!(file.looks_different() && file.is_different());
        fs::write(&path, "one").unwrap();
        assert!(file.looks_different() && !file.is_different());
        assert!(!file.looks_different());
        fs::write(&path, "two").unwrap();
        assert!(file.is_different() && file.is_different());
    }

    #[test]
    fn one_that_nobody_could_read_is_different_once_somebody_can() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let (mut file, bytes) = SourceFile::read(&path);
        assert!(bytes.is_err() && !file.is_different());
        fs::write(&path, "").unwrap();
        assert!(file.looks_different() && file.is_different());
    }
}
