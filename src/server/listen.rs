//! Listeners: one a worker and address, all on the same port or path.
//!
//! Where this process binds a port, each is a socket of its own (SO_REUSEPORT),
//! and the kernel shares connections out. A Unix socket is one, and one that
//! is passed stays what it is: workers that share one all wake for a
//! connection, and one gets it.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::AsFd;
use std::os::unix::net::UnixListener;

#[cfg(target_os = "linux")]
use socket2::SockFilter;
use socket2::{Domain, Protocol, SockRef, Socket, Type};

use super::passed::{Bound, Passed, Use};
use super::socket_file;
use super::stop::{LivesOn, Stop};
use crate::network::ListenAddress;

/// Connections that wait to be accepted; the kernel may allow fewer.
const BACKLOG: i32 = 4096;

/// An address that cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("{key}: cannot listen on {address}")]
pub struct BindError {
    /// Which key says so.
    pub key: &'static str,
    /// As configured.
    pub address: ListenAddress,
    /// Why not.
    #[source]
    pub source: io::Error,
}

/// What all workers listen on.
#[derive(Debug)]
pub(super) struct Listeners {
    /// In the order in which they are configured.
    pub(super) addresses: Vec<ListenAddress>,
    pub(super) by_worker: Vec<Vec<Listener>>,
}

/// What one worker accepts from.
#[derive(Debug)]
pub(super) struct Listener {
    pub(super) socket: ListenSocket,
    /// The place of its address among [`Listeners::addresses`].
    pub(super) place: usize,
    pub(super) lives_on: LivesOn,
}

/// A listening socket that does not block.
#[derive(Debug)]
pub(super) enum ListenSocket {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// Where to listen, and which key says so.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub(super) key: &'static str,
    pub(super) address: ListenAddress,
}

/// Gives every worker a listener for every address, out of `passed` where that
/// has one. `stop` keeps the sockets until the server drains.
pub(super) fn bind(
    configured: &[Wanted],
    socket_mode: u32,
    workers: usize,
    passed: &mut Passed,
    stop: &Stop,
) -> Result<Listeners, BindError> {
    let mut listeners = Listeners {
        addresses: Vec::with_capacity(configured.len()),
        by_worker: (0..workers).map(|_| Vec::new()).collect(),
    };
    for Wanted { key, address } in configured {
        let failed = |source| BindError {
            key,
            address: address.clone(),
            source,
        };
        let mut sockets = passed.take(Use::Server, address).map_err(failed)?;
        let made_here = sockets.is_empty();
        if made_here {
            sockets = bound(address, socket_mode, workers).map_err(failed)?;
        }
        let shared = listeners.share_out(address, sockets, made_here, stop);
        shared.map_err(failed)?;
    }
    Ok(listeners)
}

impl Listeners {
    /// Every worker gets one of `sockets`, if need be one that others have
    /// too, and every socket has a worker.
    fn share_out(
        &mut self,
        address: &ListenAddress,
        sockets: Vec<Bound>,
        made_here: bool,
        stop: &Stop,
    ) -> io::Result<()> {
        let workers = self.by_worker.len();
        let (count, place) = (sockets.len(), self.addresses.len());
        for (index, bound) in sockets.into_iter().enumerate() {
            let lives_on = LivesOn::of(&bound);
            let of_this = (index..workers.max(count)).step_by(count);
            for turn in of_this {
                let socket = ListenSocket::of(&bound, address)?;
                if turn == 0 {
                    self.addresses.push(socket.address(address)?);
                }
                self.by_worker[turn % workers].push(Listener {
                    socket,
                    place,
                    lives_on: lives_on.clone(),
                });
            }
            stop.keep_with(bound, lives_on, made_here);
        }
        Ok(())
    }
}

impl ListenSocket {
    /// `bound`, once more, which is configured as `address`.
    fn of(bound: &Bound, address: &ListenAddress) -> io::Result<Self> {
        let socket = bound.socket.try_clone()?;
        SockRef::from(&socket).set_nonblocking(true)?;
        Ok(match address {
            ListenAddress::Tcp(_) => Self::Tcp(socket.into()),
            ListenAddress::Unix(_) => Self::Unix(socket.into()),
        })
    }

    /// Where it listens: what is configured, but for a port that was 0.
    fn address(&self, configured: &ListenAddress) -> io::Result<ListenAddress> {
        match self {
            Self::Tcp(tcp) => tcp.local_addr().map(ListenAddress::Tcp),
            Self::Unix(_) => Ok(configured.clone()),
        }
    }
}

fn bound(address: &ListenAddress, socket_mode: u32, workers: usize) -> io::Result<Vec<Bound>> {
    let path = match address {
        ListenAddress::Tcp(address) => return ports(*address, workers),
        ListenAddress::Unix(path) => path,
    };
    let (socket, file) = socket_file::listen(path, socket_mode, BACKLOG)?;
    Ok(vec![Bound {
        address: Use::Server.of(address),
        socket,
        unit: None,
        file: Some(file),
    }])
}

/// A socket a worker, all on the port that the first one gets.
fn ports(configured: SocketAddr, workers: usize) -> io::Result<Vec<Bound>> {
    let mut address = configured;
    if address.port() != 0 {
        // With SO_REUSEPORT a second process of ours would share the
        // port and take half of the connections.
        socket(address, false)?;
    }
    let bind = |_| {
        let listener = listener(address)?;
        address = listener.local_addr()?;
        Ok(Bound {
            address: Use::Server.of(&configured),
            socket: listener.into(),
            unit: None,
            file: None,
        })
    };
    (0..workers).map(bind).collect()
}

fn listener(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = socket(address, true)?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Drops every first packet of a handshake from here on; handshakes that have
/// begun go on. A client whose packet is dropped sends it again after a
/// second, and finds the next process on the port, or nobody.
///
/// # Errors
///
/// If the system cannot do that.
#[cfg(target_os = "linux")]
pub(super) fn refuse_new(listener: &impl AsFd) -> io::Result<()> {
    const LOAD_BYTE: u16 = 0x30; // BPF_LD | BPF_B | BPF_ABS
    const AND: u16 = 0x54; // BPF_ALU | BPF_AND | BPF_K
    const JUMP_IF_EQUAL: u16 = 0x15; // BPF_JMP | BPF_JEQ | BPF_K
    const RETURN: u16 = 0x06; // BPF_RET | BPF_K
    const FLAGS: u32 = 13; // their place in a TCP header (RFC 9293 section 3.1)
    const SYN: u32 = 0x02;
    const ACK: u32 = 0x10;
    SockRef::from(listener).attach_filter(&[
        SockFilter::new(LOAD_BYTE, 0, 0, FLAGS),
        SockFilter::new(AND, 0, 0, SYN | ACK),
        SockFilter::new(JUMP_IF_EQUAL, 0, 1, SYN),
        SockFilter::new(RETURN, 0, 0, 0),
        SockFilter::new(RETURN, 0, 0, u32::MAX),
    ])
}

/// Only Linux filters packets for a socket.
///
/// # Errors
///
/// Always.
#[cfg(not(target_os = "linux"))]
pub(super) fn refuse_new(_: &impl AsFd) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// A bound socket. `[::]` does not take IPv4 along, so that it can stand
/// beside `0.0.0.0`.
fn socket(address: SocketAddr, shared: bool) -> io::Result<Socket> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_address(true)?;
    if shared {
        socket.set_reuse_port(true)?;
    }
    socket.bind(&address.into())?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;
    use std::os::unix::net::UnixStream;
    use std::time::Duration;

    use super::*;
    use crate::network::UnixPath;

    #[cfg(target_os = "linux")]
    #[test]
    fn who_has_begun_is_let_in_and_nobody_begins() {
        let listener = listener("127.0.0.1:0".parse().unwrap()).unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let _begun = TcpStream::connect(address).unwrap();
        refuse_new(&listener).unwrap();
        let error = TcpStream::connect_timeout(&address, Duration::from_millis(300)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(listener.accept().is_ok());
        assert_eq!(
            listener.accept().unwrap_err().kind(),
            io::ErrorKind::WouldBlock
        );
    }

    const ANY: &str = "127.0.0.1:0";

    fn bind(
        addresses: &[ListenAddress],
        workers: usize,
        passed: &mut Passed,
        stop: &Stop,
    ) -> Result<Listeners, BindError> {
        let key = "server.tls.listen";
        let wanted = addresses.iter().cloned();
        let wanted: Vec<_> = wanted.map(|address| Wanted { key, address }).collect();
        super::bind(&wanted, 0o600, workers, passed, stop)
    }

    fn any() -> ListenAddress {
        ListenAddress::Tcp(ANY.parse().unwrap())
    }

    fn tcp(listener: &Listener) -> &TcpListener {
        match &listener.socket {
            ListenSocket::Tcp(tcp) => tcp,
            ListenSocket::Unix(_) => panic!("a Unix socket"),
        }
    }

    #[test]
    fn all_workers_share_a_port_and_nobody_else() {
        let (mut passed, stop) = (Passed::default(), Stop::default());
        let first = bind(&[any(), any()], 3, &mut passed, &stop).unwrap();
        assert_eq!(first.by_worker.len(), 3);
        for (index, address) in first.addresses.iter().enumerate() {
            let ports = first
                .by_worker
                .iter()
                .map(|l| ListenAddress::Tcp(tcp(&l[index]).local_addr().unwrap()));
            assert!(ports.clone().all(|port| port == *address));
            assert_ne!(address.tcp().unwrap().port(), 0);
        }
        let error = bind(&first.addresses[..1], 1, &mut passed, &stop).unwrap_err();
        assert_eq!(error.source.kind(), io::ErrorKind::AddrInUse);
        assert_eq!(
            error.to_string(),
            format!("server.tls.listen: cannot listen on {}", first.addresses[0])
        );
    }

    /// The next process may have more workers or fewer.
    #[test]
    fn every_worker_listens_and_every_passed_socket_is_accepted_from() {
        for (before, workers) in [(2, 2), (1, 3), (2, 5), (5, 2)] {
            let stop = Stop::default();
            let first = bind(&[any()], before, &mut Passed::default(), &stop).unwrap();
            let mut passed = Passed::from(stop.sockets().unwrap());
            let next = bind(&[any()], workers, &mut passed, &Stop::default()).unwrap();
            assert_eq!(next.addresses, first.addresses);
            let counts: Vec<_> = next.by_worker.iter().map(Vec::len).collect();
            assert!(counts.iter().all(|count| *count > 0), "{counts:?}");
            assert_eq!(counts.iter().sum::<usize>(), before.max(workers));
            drop(first);
            stop.drain();
            let clients: Vec<_> = (0..20)
                .map(|_| TcpStream::connect(next.addresses[0].tcp().unwrap()).unwrap())
                .collect();
            let all = next.by_worker.iter().flatten();
            let accepted: usize = all
                .map(|l| std::iter::from_fn(|| tcp(l).accept().ok()).count())
                .sum();
            assert_eq!(accepted, clients.len());
        }
    }

    #[test]
    fn however_many_sockets_are_passed_each_is_of_its_address() {
        let (stop, two) = (Stop::default(), [any(), any()]);
        let first = bind(&two, 5, &mut Passed::default(), &stop).unwrap();
        let mut passed = Passed::from(stop.sockets().unwrap());
        let next = bind(&two, 2, &mut passed, &Stop::default()).unwrap();
        for listener in next.by_worker.iter().flatten() {
            let address = ListenAddress::Tcp(tcp(listener).local_addr().unwrap());
            assert_eq!(address, first.addresses[listener.place]);
        }
        assert_eq!(next.by_worker.iter().flatten().count(), 10);
    }

    #[test]
    fn workers_share_a_unix_socket_that_goes_with_the_last_process() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let address = ListenAddress::Unix(UnixPath::new(path.to_str().unwrap()).unwrap());
        let all = std::slice::from_ref(&address);
        let name = Use::Server.of(&address);
        let stop = Stop::default();
        let first = bind(all, 3, &mut Passed::default(), &stop).unwrap();
        assert_eq!(
            (first.by_worker.len(), &first.addresses[..]),
            (3, &[address.clone()][..])
        );
        // One that takes it over and fails leaves it where it is.
        let heir = Stop::default();
        let mut passed = Passed::from(stop.sockets().unwrap());
        bind(all, 1, &mut passed, &heir).unwrap();
        heir.now();
        assert!(path.exists());
        // And one that does not fail owns it from then on.
        let heir = Stop::default();
        let mut passed = Passed::from(stop.sockets().unwrap());
        let _next = bind(all, 1, &mut passed, &heir).unwrap();
        assert!(stop.hand_over(&[name]));
        heir.inherit();
        assert!(path.exists() && UnixStream::connect(&path).is_ok());
        heir.drain();
        assert!(!path.exists());
    }

    #[test]
    fn a_unix_socket_is_not_left_behind_where_another_listener_fails() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let taken = TcpListener::bind(ANY).unwrap().local_addr().unwrap();
        let _taken = TcpListener::bind(taken).unwrap();
        let unix = ListenAddress::Unix(UnixPath::new(path.to_str().unwrap()).unwrap());
        let stop = Stop::default();
        assert!(bind(&[unix, taken.into()], 1, &mut Passed::default(), &stop).is_err());
        drop(stop);
        assert!(!path.exists());
    }
}
