//! Listeners: one a worker and address, all on the same port.
//!
//! Where this process binds, each is a socket of its own (SO_REUSEPORT), and
//! the kernel shares connections out. A socket that is passed stays what it
//! is: workers that share one all wake for a connection, and one gets it.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::AsFd;

use socket2::{Domain, Protocol, Socket, Type};
#[cfg(target_os = "linux")]
use socket2::{SockFilter, SockRef};

use super::passed::{Bound, Passed, Use};
use super::stop::{LivesOn, Stop};

/// Connections that wait to be accepted; the kernel may allow fewer.
const BACKLOG: i32 = 4096;

/// An address that cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("server.listen: cannot listen on {address}")]
pub struct BindError {
    /// As configured.
    pub address: SocketAddr,
    /// Why not.
    #[source]
    pub source: io::Error,
}

/// What all workers listen on.
#[derive(Debug)]
pub(super) struct Listeners {
    pub(super) addresses: Vec<SocketAddr>,
    pub(super) by_worker: Vec<Vec<Listener>>,
}

/// What one worker accepts from.
#[derive(Debug)]
pub(super) struct Listener {
    pub(super) socket: TcpListener,
    pub(super) lives_on: LivesOn,
}

/// Gives every worker a listener for every address, out of `passed` where that
/// has one. `stop` keeps the sockets until the server drains.
pub(super) fn bind(
    configured: &[SocketAddr],
    workers: usize,
    passed: &mut Passed,
    stop: &Stop,
) -> Result<Listeners, BindError> {
    let mut listeners = Listeners {
        addresses: Vec::with_capacity(configured.len()),
        by_worker: (0..workers).map(|_| Vec::new()).collect(),
    };
    for configured in configured {
        let failed = |source| BindError {
            address: *configured,
            source,
        };
        let mut sockets = passed.take(Use::Server, configured).map_err(failed)?;
        if sockets.is_empty() {
            sockets = bound(*configured, workers).map_err(failed)?;
        }
        listeners.share_out(sockets, stop).map_err(failed)?;
    }
    Ok(listeners)
}

impl Listeners {
    /// Every worker gets one of `sockets`, if need be one that others have
    /// too, and every socket has a worker.
    fn share_out(&mut self, sockets: Vec<Bound>, stop: &Stop) -> io::Result<()> {
        let workers = self.by_worker.len();
        let count = sockets.len();
        for (index, bound) in sockets.into_iter().enumerate() {
            let lives_on = LivesOn::of(&bound);
            let of_this = (index..workers.max(count)).step_by(count);
            for turn in of_this {
                let socket = TcpListener::from(bound.socket.try_clone()?);
                socket.set_nonblocking(true)?;
                if turn == 0 {
                    self.addresses.push(socket.local_addr()?);
                }
                self.by_worker[turn % workers].push(Listener {
                    socket,
                    lives_on: lives_on.clone(),
                });
            }
            stop.keep_with(bound, lives_on);
        }
        Ok(())
    }
}

/// A socket a worker, all on the port that the first one gets.
fn bound(configured: SocketAddr, workers: usize) -> io::Result<Vec<Bound>> {
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
    use std::time::Duration;

    use super::*;

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

    #[test]
    fn all_workers_share_a_port_and_nobody_else() {
        let any = "127.0.0.1:0".parse().unwrap();
        let (mut passed, stop) = (Passed::default(), Stop::default());
        let first = bind(&[any, any], 3, &mut passed, &stop).unwrap();
        assert_eq!(first.by_worker.len(), 3);
        for (index, address) in first.addresses.iter().enumerate() {
            let ports = first
                .by_worker
                .iter()
                .map(|l| l[index].socket.local_addr().unwrap());
            assert!(ports.clone().all(|port| port == *address) && address.port() != 0);
        }
        let error = bind(&first.addresses[..1], 1, &mut passed, &stop).unwrap_err();
        assert_eq!(error.source.kind(), io::ErrorKind::AddrInUse);
        assert_eq!(
            error.to_string(),
            format!("server.listen: cannot listen on {}", first.addresses[0])
        );
    }

    /// The next process may have more workers or fewer.
    #[test]
    fn every_worker_listens_and_every_passed_socket_is_accepted_from() {
        let any = "127.0.0.1:0".parse().unwrap();
        for (before, workers) in [(2, 2), (1, 3), (2, 5), (5, 2)] {
            let stop = Stop::default();
            let first = bind(&[any], before, &mut Passed::default(), &stop).unwrap();
            let mut passed = Passed::from(stop.sockets().unwrap());
            let next = bind(&[any], workers, &mut passed, &Stop::default()).unwrap();
            assert_eq!(next.addresses, first.addresses);
            let counts: Vec<_> = next.by_worker.iter().map(Vec::len).collect();
            assert!(counts.iter().all(|count| *count > 0), "{counts:?}");
            assert_eq!(counts.iter().sum::<usize>(), before.max(workers));
            drop(first);
            stop.drain();
            let clients: Vec<_> = (0..20)
                .map(|_| TcpStream::connect(next.addresses[0]).unwrap())
                .collect();
            let all = next.by_worker.iter().flatten();
            let accepted: usize = all
                .map(|l| std::iter::from_fn(|| l.socket.accept().ok()).count())
                .sum();
            assert_eq!(accepted, clients.len());
        }
    }
}
