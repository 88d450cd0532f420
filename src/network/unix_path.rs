//! Where a Unix socket is, as a configuration names it.

use std::ffi::OsStr;
use std::fmt;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

/// What stands before the path where an address may stand, too.
const PREFIX: &str = "unix:";

/// The longest path that fits an address of the system, in bytes (unix(7):
/// `sun_path` has 108 with the zero at its end).
const LONGEST: usize = 107;

/// The absolute path of a Unix socket. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct UnixPath(Arc<Path>);

/// Why that is no path of a Unix socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnixPathError {
    /// It would depend on where the program is started.
    #[error("the path of a Unix socket has to begin with `/`")]
    Relative,
    /// Over 107 bytes, which is all that the system takes.
    #[error("the path of a Unix socket has {LONGEST} bytes at most, and this one has {0}")]
    TooLong(usize),
    /// A folder, or two names for one file.
    #[error("the path of a Unix socket ends in the name of a file and has no `..`")]
    NoFile,
    /// Zero, line breaks and the like.
    #[error("the path of a Unix socket has no control characters")]
    Control,
}

impl UnixPath {
    /// The path in `unix:/path`; `None`: `text` does not begin so.
    ///
    /// # Errors
    ///
    /// [`UnixPathError`], if it does.
    pub fn parse(text: &str) -> Option<Result<Self, UnixPathError>> {
        text.strip_prefix(PREFIX).map(Self::new)
    }

    /// The socket at `path`; more than one slash at a place is one.
    ///
    /// # Errors
    ///
    /// [`UnixPathError`].
    pub fn new(path: &str) -> Result<Self, UnixPathError> {
        if path.contains(char::is_control) {
            return Err(UnixPathError::Control);
        }
        let written = Path::new(path);
        if !written.is_absolute() {
            return Err(UnixPathError::Relative);
        }
        let climbs = written
            .components()
            .any(|part| part == Component::ParentDir);
        if climbs || path.ends_with('/') || path.ends_with("/.") {
            return Err(UnixPathError::NoFile);
        }
        let normal: PathBuf = written.components().collect();
        match normal.as_os_str().len() {
            ..=LONGEST => Ok(Self(normal.into())),
            length => Err(UnixPathError::TooLong(length)),
        }
    }

    /// The path itself.
    pub fn as_path(&self) -> &Path {
        &self.0
    }

    /// The folder that has to be there.
    pub fn folder(&self) -> &Path {
        self.0.parent().unwrap_or(Path::new("/"))
    }
}

impl fmt::Display for UnixPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}", self.0.display())
    }
}

impl AsRef<OsStr> for UnixPath {
    fn as_ref(&self) -> &OsStr {
        self.0.as_os_str()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_absolute_and_ends_in_a_file() {
        let parse = |text| UnixPath::parse(text).map(|path| path.map(|path| path.to_string()));
        let ok = |text: &str| Some(Ok(text.to_owned()));
        assert_eq!(parse("127.0.0.1:80"), None);
        assert_eq!(parse("unix:/run/a.sock"), ok("unix:/run/a.sock"));
        assert_eq!(parse("unix://run/./a.sock"), ok("unix:/run/a.sock"));
        for (text, why) in [
            ("unix:", UnixPathError::Relative),
            ("unix:run/a.sock", UnixPathError::Relative),
            ("unix:@abstract", UnixPathError::Relative),
            ("unix:/", UnixPathError::NoFile),
            ("unix:/run/", UnixPathError::NoFile),
            ("unix:/run/.", UnixPathError::NoFile),
            ("unix:/run/../a", UnixPathError::NoFile),
            ("unix:/a\0b", UnixPathError::Control),
            ("unix:/a\nb", UnixPathError::Control),
        ] {
            assert_eq!(parse(text), Some(Err(why)), "{text}");
        }
    }

    /// The system takes what is taken here, and no more.
    #[test]
    fn a_path_is_as_long_as_the_system_allows() {
        let path = |length: usize| format!("/{}", "a".repeat(length - 1));
        let longest = UnixPath::new(&path(107)).unwrap();
        assert!(socket2::SockAddr::unix(longest.as_path()).is_ok());
        assert!(socket2::SockAddr::unix(path(108)).is_err());
        assert_eq!(UnixPath::new(&path(108)), Err(UnixPathError::TooLong(108)));
    }
}
