//! Listening sockets that another process has bound: systemd, or the process
//! that this one takes over from.

use std::fmt;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use listenfd::ListenFd;
use socket2::{SockAddr, SockRef};

use super::socket_file::SocketFile;

/// A listening socket, and what it is for.
#[derive(Debug)]
pub struct Bound {
    /// For whom and where, as [`Use::of`] writes it; if systemd has bound it,
    /// only where.
    pub address: String,
    /// It listens for streams.
    pub socket: OwnedFd,
    /// By which name systemd has it; then it is also open while this process
    /// is not there.
    pub unit: Option<String>,
    /// The file of a Unix socket that one of ours has made.
    pub file: Option<SocketFile>,
}

/// Who accepts from a socket. Port 0 may be configured for both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// Workers.
    Server,
    /// The admin listener.
    Admin,
}

/// What listens already when this process starts.
#[derive(Debug, Default)]
pub struct Passed {
    left: Vec<Bound>,
    taken: Vec<String>,
}

/// A socket of systemd that is of no use.
#[derive(Debug, thiserror::Error)]
pub enum PassedError {
    /// It does not listen for streams.
    #[error(
        "systemd passes the socket {unit}, which does not listen for connections: \
         its .socket unit needs ListenStream= and Accept=no"
    )]
    NotListening {
        /// Its name.
        unit: String,
    },
    /// Nobody would answer there.
    #[error(
        "systemd passes the socket {unit} on {address}, which is neither in server.listen nor \
         in server.tls.listen, server.redirect_https or admin.listen: add it there, or take it \
         out of the .socket unit"
    )]
    NotConfigured {
        /// Its name.
        unit: String,
        /// Where it listens.
        address: String,
    },
    /// The system does not tell where it listens, or does not copy it.
    #[error("a socket that another process has bound cannot be used")]
    System(#[source] io::Error),
}

impl From<Vec<Bound>> for Passed {
    fn from(left: Vec<Bound>) -> Self {
        Self {
            left,
            taken: Vec::new(),
        }
    }
}

impl Use {
    /// The name of a socket for it that is configured as `address`.
    pub fn of(self, address: &impl fmt::Display) -> String {
        match self {
            Self::Server => format!("server {address}"),
            Self::Admin => format!("admin {address}"),
        }
    }
}

impl Bound {
    /// The same socket, once more.
    ///
    /// # Errors
    ///
    /// If there are too many open files.
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(Self {
            address: self.address.clone(),
            socket: self.socket.try_clone()?,
            unit: self.unit.clone(),
            file: self.file.clone(),
        })
    }
}

impl Passed {
    /// What systemd has passed to this process (sd_listen_fds(3)), if it has.
    /// To be called before there is a second thread: it takes the variables
    /// out of the environment.
    ///
    /// # Errors
    ///
    /// [`PassedError::NotListening`].
    pub fn by_systemd() -> Result<Self, PassedError> {
        let read = |name| std::env::var(name).unwrap_or_default();
        let (process, names) = (read("LISTEN_PID"), read("LISTEN_FDNAMES"));
        // The library also takes what is meant for whoever comes first.
        if process != std::process::id().to_string() {
            return Ok(Self::default());
        }
        let mut sockets = ListenFd::from_env();
        let mut names = names.split(':');
        let bound = (0..sockets.len()).map(|index| {
            let name = names.next().filter(|name| !name.is_empty());
            let unit = name.unwrap_or("unknown").to_owned();
            let socket = take(&mut sockets, index).filter(listens);
            let Some(socket) = socket else {
                return Err(PassedError::NotListening { unit });
            };
            let address = SockRef::from(&socket).local_addr();
            Ok(Bound {
                address: written(&address.map_err(PassedError::System)?),
                socket,
                unit: Some(unit),
                file: None,
            })
        });
        Ok(bound.collect::<Result<Vec<_>, _>>()?.into())
    }

    /// Takes the sockets for `address`: one, or as many as one process had of
    /// it. None: it is not bound yet.
    ///
    /// # Errors
    ///
    /// If the system does not tell where they listen.
    pub fn take(&mut self, user: Use, address: &impl fmt::Display) -> io::Result<Vec<Bound>> {
        let names = [user.of(address), address.to_string()];
        let local = |bound: &Bound| SockRef::from(&bound.socket).local_addr();
        let Some(first) = self
            .left
            .iter()
            .find(|bound| names.contains(&bound.address))
        else {
            return Ok(Vec::new());
        };
        let (address, place) = (first.address.clone(), local(first)?);
        let mut taken = Vec::new();
        for bound in std::mem::take(&mut self.left) {
            // Port 0 may be configured twice.
            if bound.address == address && local(&bound)? == place {
                taken.push(bound);
            } else {
                self.left.push(bound);
            }
        }
        self.taken.push(address);
        Ok(taken)
    }

    /// [`Bound::address`] of what was taken so far.
    pub fn taken(&self) -> &[String] {
        &self.taken
    }

    /// Fails for what systemd listens on and nobody has taken: who connects
    /// there would wait for ever.
    pub(super) fn refuse_rest(&self) -> Result<(), PassedError> {
        for bound in &self.left {
            if let Some(unit) = &bound.unit {
                return Err(PassedError::NotConfigured {
                    unit: unit.clone(),
                    address: bound.address.clone(),
                });
            }
        }
        Ok(())
    }
}

fn take(sockets: &mut ListenFd, index: usize) -> Option<OwnedFd> {
    if let Ok(listener) = sockets.take_tcp_listener(index) {
        return listener.map(OwnedFd::from);
    }
    sockets.take_unix_listener(index).ok()?.map(OwnedFd::from)
}

fn listens(socket: &OwnedFd) -> bool {
    SockRef::from(socket).is_listener().unwrap_or(false)
}

/// As it would stand in a configuration.
fn written(address: &SockAddr) -> String {
    match (address.as_socket(), address.as_pathname()) {
        (Some(address), _) => address.to_string(),
        (None, path) => format!("unix:{}", path.unwrap_or(Path::new("")).display()),
    }
}

#[cfg(test)]
mod tests {
    use std::net::{SocketAddr, TcpListener};

    use super::*;

    fn bound(address: &str, socket: &TcpListener, unit: Option<&str>) -> Bound {
        Bound {
            address: address.to_owned(),
            socket: socket.try_clone().unwrap().into(),
            unit: unit.map(str::to_owned),
            file: None,
        }
    }

    #[test]
    fn a_place_is_taken_whole_and_once_by_whom_it_is_for() {
        let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let listeners = [(); 2].map(|()| TcpListener::bind(any).unwrap());
        let mut passed = Passed::from(vec![
            bound("server 127.0.0.1:0", &listeners[0], None),
            bound("server 127.0.0.1:0", &listeners[1], None),
            bound("server 127.0.0.1:0", &listeners[0], None),
        ]);
        assert!(passed.take(Use::Admin, &any).unwrap().is_empty());
        for (listener, count) in [(&listeners[0], 2), (&listeners[1], 1)] {
            let taken = passed.take(Use::Server, &any).unwrap();
            assert_eq!(taken.len(), count);
            for one in taken {
                let place = TcpListener::from(one.socket).local_addr().unwrap();
                assert_eq!(place, listener.local_addr().unwrap());
            }
        }
        assert!(passed.take(Use::Server, &any).unwrap().is_empty());
        assert_eq!(passed.taken(), ["server 127.0.0.1:0", "server 127.0.0.1:0"]);
    }

    #[test]
    fn what_systemd_has_bound_is_for_whoever_has_its_address() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        for user in [Use::Server, Use::Admin] {
            let unit = Some("a.socket");
            let mut passed = Passed::from(vec![bound(&address.to_string(), &listener, unit)]);
            assert_eq!(passed.take(user, &address).unwrap().len(), 1);
        }
    }

    #[test]
    fn only_what_systemd_goes_on_listening_on_has_to_be_taken() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let passed = Passed::from(vec![bound("127.0.0.1:81", &listener, None)]);
        assert!(passed.refuse_rest().is_ok());
        let passed = Passed::from(vec![bound("127.0.0.1:81", &listener, Some("a.socket"))]);
        let error = passed.refuse_rest().unwrap_err().to_string();
        assert!(
            error.contains("a.socket on 127.0.0.1:81") && error.contains("server.listen"),
            "{error}"
        );
    }

    #[test]
    fn addresses_are_written_as_in_a_configuration() {
        let written_as = |address: &str| {
            let address: SocketAddr = address.parse().unwrap();
            written(&address.into())
        };
        assert_eq!(written_as("[::]:80"), "[::]:80");
        assert_eq!(written_as("127.0.0.1:80"), "127.0.0.1:80");
        let unix = SockAddr::unix("/run/a").unwrap();
        assert_eq!(written(&unix), "unix:/run/a");
    }
}
