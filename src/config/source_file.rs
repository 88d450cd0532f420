//! The files that a configuration is made from, as they were when they were
//! read.

use std::fs::{self, File, Metadata, OpenOptions};
use std::hash::{BuildHasher as _, Hasher as _};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use foldhash::quality::FixedState;
use rustix::fs::OFlags;

/// A file is hashed by pieces of this size.
const PIECE: u64 = 64 * 1024;

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

/// What a regular file looks like from outside. A rename or a swapped symbolic link
/// gives it another inode.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Look {
    real_path: PathBuf,
    length: u64,
    modified: Option<SystemTime>,
    /// Of the inode, which nobody can set back.
    changed: Option<SystemTime>,
    place: (u64, u64),
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
        // A pipe can be read once only.
        if file.look.is_some() || bytes.is_err() {
            file.contents = Contents::of(&bytes);
        }
        (file, bytes)
    }

    /// The same of one that a configuration names: it has to be a regular
    /// file. Whoever opened a pipe would wait for somebody to write to it.
    pub(super) fn read_regular(path: &Path) -> (Self, io::Result<Vec<u8>>) {
        let mut file = Self::named(path);
        let bytes = open_regular(path).and_then(|mut opened| {
            let mut bytes = Vec::new();
            opened.read_to_end(&mut bytes).map(|_| bytes)
        });
        file.contents = Contents::of(&bytes);
        (file, bytes)
    }

    /// Whether the file is still as it was when it was read: the bytes, and
    /// nobody has touched it meanwhile.
    pub fn is_steady(&self) -> bool {
        !self.looks_different() && self.has_same_bytes(self.look.as_ref())
    }

    /// Whether it was written (or put there) less than `time` before it was
    /// read; a time in the future says nothing.
    pub fn was_changed_within(&self, time: Duration) -> bool {
        let changed = self.look.as_ref().and_then(|look| look.changed);
        let age = changed.and_then(|changed| SystemTime::now().duration_since(changed).ok());
        age.is_some_and(|age| age < time)
    }

    /// Whether the file looks otherwise now than before it was read.
    pub fn looks_different(&self) -> bool {
        Look::of(&self.path) != self.look
    }

    /// The same file as it looks now.
    pub fn seen_now(&self) -> Self {
        Self::named(&self.path)
    }

    /// Whether something else is in the file now. Where that is not so, the
    /// look that it has got meanwhile is the one to compare with from now on.
    pub fn is_different(&mut self) -> bool {
        let look = Look::of(&self.path);
        let same = match self.contents {
            Contents::NotSeen => look == self.look,
            _ => self.has_same_bytes(look.as_ref()),
        };
        if same {
            self.look = look;
        }
        !same
    }

    fn has_same_bytes(&self, look: Option<&Look>) -> bool {
        match (self.contents, look) {
            (Contents::NotSeen, _) => true,
            (seen, Some(_)) => Contents::of_file(&self.path) == seen,
            (seen, None) => seen == Contents::Unreadable,
        }
    }

    /// Whether both were read with the same bytes in them.
    pub fn has_bytes_of(&self, other: &Self) -> bool {
        self.contents != Contents::NotSeen && self.contents == other.contents
    }
}

impl Contents {
    fn of(bytes: &io::Result<Vec<u8>>) -> Self {
        bytes
            .as_ref()
            .map_or(Self::Unreadable, |bytes| Self::read(bytes.as_slice()))
    }

    /// Of what is there now; the file is not held in memory for it.
    fn of_file(path: &Path) -> Self {
        open_regular(path).map_or(Self::Unreadable, Self::read)
    }

    fn read(mut source: impl Read) -> Self {
        let mut hasher = FixedState::default().build_hasher();
        let mut piece = Vec::with_capacity(PIECE as usize);
        loop {
            piece.clear();
            match source.by_ref().take(PIECE).read_to_end(&mut piece) {
                Err(_) => return Self::Unreadable,
                Ok(0) => return Self::Hash(hasher.finish()),
                Ok(_) => hasher.write(&piece),
            }
        }
    }
}

fn open_regular(path: &Path) -> io::Result<File> {
    let flags = OFlags::NONBLOCK.bits().cast_signed();
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(flags)
        .open(path)?;
    let kind = file.metadata()?.file_type();
    if kind.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    match kind.is_file() {
        true => Ok(file),
        false => Err(io::ErrorKind::InvalidInput.into()),
    }
}

impl Look {
    fn of(path: &Path) -> Option<Self> {
        let real_path = fs::canonicalize(path).ok()?;
        let metadata = fs::metadata(&real_path).ok()?;
        metadata.is_file().then(|| Self {
            real_path,
            length: metadata.len(),
            modified: metadata.modified().ok(),
            changed: changed(&metadata),
            place: (metadata.dev(), metadata.ino()),
        })
    }
}

fn changed(metadata: &Metadata) -> Option<SystemTime> {
    let seconds = Duration::from_secs(metadata.ctime().try_into().ok()?);
    let nanos = Duration::from_nanos(metadata.ctime_nsec().try_into().ok()?);
    SystemTime::UNIX_EPOCH.checked_add(seconds + nanos)
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
        assert!(file.is_steady() && !file.is_different());
        assert!(file.was_changed_within(Duration::from_secs(60)));
        assert!(!file.was_changed_within(Duration::ZERO));
        fs::rename(&path, folder.path().join("b")).unwrap();
        assert!(file.looks_different() && file.is_different());
        fs::write(&path, "one").unwrap();
        assert!(!file.is_steady() && !file.is_different());
        assert!(file.is_steady());
        fs::write(&path, "two").unwrap();
        assert!(file.is_different() && file.is_different());
    }

    #[test]
    fn a_large_one_is_compared_to_its_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let mut bytes = vec![7; 2 * PIECE as usize + 1];
        fs::write(&path, &bytes).unwrap();
        let (mut file, _) = SourceFile::read(&path);
        fs::write(&path, &bytes).unwrap();
        assert!(!file.is_different());
        *bytes.last_mut().unwrap() = 8;
        fs::write(&path, &bytes).unwrap();
        assert!(file.is_different());
    }

    #[test]
    fn nobody_waits_for_who_writes_to_a_pipe() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        fs::write(&path, "one").unwrap();
        let (mut file, _) = SourceFile::read_regular(&path);
        fs::remove_file(&path).unwrap();
        let made = std::process::Command::new("mkfifo").arg(&path).status();
        assert!(made.unwrap().success());
        assert!(file.looks_different() && file.is_different());
        let (_, bytes) = SourceFile::read_regular(&path);
        assert_eq!(bytes.unwrap_err().kind(), io::ErrorKind::InvalidInput);
        let (_, bytes) = SourceFile::read_regular(folder.path());
        assert_eq!(bytes.unwrap_err().kind(), io::ErrorKind::IsADirectory);
        let (_, bytes) = SourceFile::read_regular(Path::new("/dev/zero"));
        assert_eq!(bytes.unwrap_err().kind(), io::ErrorKind::InvalidInput);
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
