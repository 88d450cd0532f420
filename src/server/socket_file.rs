//! The file of a Unix socket that this program makes, and removes again.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};

use socket2::{Domain, SockAddr, Socket, Type};

use crate::network::UnixPath;

/// A file that was made for a socket of ours. Another may have its place since.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SocketFile {
    path: UnixPath,
    device: u64,
    inode: u64,
}

/// Why nobody can listen at a path.
#[derive(Debug, thiserror::Error)]
enum NoPlace {
    #[error(
        "its folder {0} is not there: make it, or write RuntimeDirectory= into the .service unit"
    )]
    NoFolder(String),
    #[error("what is there is no socket, and is left alone: remove it, or choose another path")]
    NoSocket,
    #[error("somebody else listens there: stop that, or choose another path")]
    Taken,
    #[error("a socket is there, and whether somebody listens on it cannot be told: {0}")]
    Unknown(io::Error),
}

impl From<NoPlace> for io::Error {
    fn from(why: NoPlace) -> Self {
        let kind = match why {
            NoPlace::NoFolder(_) => io::ErrorKind::NotFound,
            NoPlace::NoSocket => io::ErrorKind::AlreadyExists,
            NoPlace::Taken | NoPlace::Unknown(_) => io::ErrorKind::AddrInUse,
        };
        Self::new(kind, why)
    }
}

/// Listens at `path`, whose file gets the permissions `mode`. What a process
/// left there that was killed is replaced; nothing else is.
///
/// # Errors
///
/// If it cannot be, with what to do about it where that is known.
pub(super) fn listen(
    path: &UnixPath,
    mode: u32,
    backlog: i32,
) -> io::Result<(OwnedFd, SocketFile)> {
    if !path.folder().is_dir() {
        let folder = path.folder().display().to_string();
        return Err(NoPlace::NoFolder(folder).into());
    }
    let address = SockAddr::unix(path.as_path())?;
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    if let Err(error) = socket.bind(&address) {
        if error.kind() != io::ErrorKind::AddrInUse {
            return Err(error);
        }
        remove_stale(path, &address)?;
        socket.bind(&address)?;
    }
    let file = SocketFile::at(path)?;
    // Nobody can connect before somebody listens.
    let ready = fs::set_permissions(path.as_path(), fs::Permissions::from_mode(mode))
        .and_then(|()| socket.listen(backlog));
    match ready {
        Ok(()) => Ok((socket.into(), file)),
        Err(error) => {
            file.remove();
            Err(error)
        }
    }
}

/// Removes a socket on which nobody listens any more.
fn remove_stale(path: &UnixPath, address: &SockAddr) -> io::Result<()> {
    let found = match fs::symlink_metadata(path.as_path()) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        found => found?,
    };
    if !found.file_type().is_socket() {
        return Err(NoPlace::NoSocket.into());
    }
    let client = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    // One that is full is not waited for: somebody listens there.
    client.set_nonblocking(true)?;
    match client.connect(address) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {}
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            return Err(NoPlace::Unknown(error).into());
        }
        _ => return Err(NoPlace::Taken.into()),
    }
    tracing::info!("{path} was left by a process that is gone, and is replaced");
    fs::remove_file(path.as_path())
}

impl SocketFile {
    fn at(path: &UnixPath) -> io::Result<Self> {
        let file = fs::symlink_metadata(path.as_path())?;
        Ok(Self {
            path: path.clone(),
            device: file.dev(),
            inode: file.ino(),
        })
    }

    /// Removes the file, if it still is the one that was made.
    pub(super) fn remove(&self) {
        if Self::at(&self.path).is_ok_and(|file| file == *self)
            && let Err(error) = fs::remove_file(self.path.as_path())
        {
            tracing::warn!("{} cannot be removed: {error}", self.path);
        }
    }

    /// In one line, for another process.
    pub fn written(&self) -> String {
        let Self {
            path,
            device,
            inode,
        } = self;
        format!("{device} {inode} {}", path.as_path().display())
    }

    /// What [`Self::written`] wrote.
    pub fn read(text: &str) -> Option<Self> {
        let mut words = text.splitn(3, ' ');
        Some(Self {
            device: words.next()?.parse().ok()?,
            inode: words.next()?.parse().ok()?,
            path: UnixPath::new(words.next()?).ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};

    use tempfile::TempDir;

    use super::*;

    fn place(name: &str) -> (TempDir, UnixPath) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        let path = UnixPath::new(path.to_str().unwrap()).unwrap();
        (folder, path)
    }

    fn listen(path: &UnixPath) -> io::Result<(OwnedFd, SocketFile)> {
        super::listen(path, 0o660, 16)
    }

    fn mode(path: &UnixPath) -> u32 {
        fs::metadata(path.as_path()).unwrap().mode() & 0o7777
    }

    #[test]
    fn it_is_made_with_its_mode_and_removed() {
        let (_folder, path) = place("s");
        for wanted in [0o660, 0o600, 0o666] {
            let (_socket, file) = super::listen(&path, wanted, 16).unwrap();
            assert_eq!(mode(&path), wanted);
            assert!(UnixStream::connect(path.as_path()).is_ok());
            assert_eq!(SocketFile::read(&file.written()), Some(file.clone()));
            file.remove();
            assert!(!path.as_path().exists());
        }
    }

    #[test]
    fn what_a_dead_process_left_is_replaced() {
        let (_folder, path) = place("s");
        drop(listen(&path).unwrap());
        let before = SocketFile::at(&path).unwrap();
        let (_socket, file) = listen(&path).unwrap();
        assert!(UnixStream::connect(path.as_path()).is_ok());
        // The file of another is not the one that was made.
        fs::rename(path.as_path(), path.folder().join("kept")).unwrap();
        let _other = UnixListener::bind(path.as_path()).unwrap();
        file.remove();
        before.remove();
        assert!(path.as_path().exists());
    }

    #[test]
    fn what_somebody_uses_is_left_alone() {
        let (_folder, path) = place("s");
        let told = |path| listen(path).unwrap_err().to_string();
        let live = UnixListener::bind(path.as_path()).unwrap();
        assert!(told(&path).contains("somebody else listens"));
        // Also where its queue is full, now by whoever has just looked.
        socket2::SockRef::from(&live).listen(0).unwrap();
        assert!(told(&path).contains("somebody else listens"));
        drop(live);

        let (_folder, path) = place("d");
        let _datagrams = UnixDatagram::bind(path.as_path()).unwrap();
        assert!(told(&path).contains("somebody else listens"));

        let (_folder, path) = place("f");
        fs::write(path.as_path(), "precious").unwrap();
        assert!(told(&path).contains("no socket, and is left alone"));
        assert_eq!(fs::read_to_string(path.as_path()).unwrap(), "precious");

        // A link to a dead socket is not a socket.
        let (_folder, path) = place("l");
        drop(UnixListener::bind(path.folder().join("s")).unwrap());
        std::os::unix::fs::symlink("s", path.as_path()).unwrap();
        assert!(told(&path).contains("no socket, and is left alone"));
        assert!(path.as_path().is_symlink());
    }

    #[test]
    fn a_folder_that_is_not_there_is_named() {
        let (_folder, path) = place("none/s");
        let told = listen(&path).unwrap_err().to_string();
        assert!(told.contains("none is not there"), "{told}");
    }
}
