//! Listeners: one a worker and address, all on the same port.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::AsFd;

use socket2::{Domain, Protocol, Socket, Type};
#[cfg(target_os = "linux")]
use socket2::{SockFilter, SockRef};

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
    pub(super) by_worker: Vec<Vec<TcpListener>>,
}

/// Binds every address once a worker.
pub(super) fn bind(configured: &[SocketAddr], workers: usize) -> Result<Listeners, BindError> {
    let mut addresses = Vec::with_capacity(configured.len());
    let mut by_worker: Vec<Vec<TcpListener>> = (0..workers).map(|_| Vec::new()).collect();
    for configured in configured {
        let failed = |source| BindError {
            address: *configured,
            source,
        };
        let mut address = *configured;
        if address.port() != 0 {
            // With SO_REUSEPORT a second process of ours would share the
            // port and take half of the connections.
            socket(address, false).map_err(failed)?;
        }
        for listeners in &mut by_worker {
            let listener = listener(address).map_err(failed)?;
            address = listener.local_addr().map_err(failed)?;
            listeners.push(listener);
        }
        addresses.push(address);
    }
    Ok(Listeners {
        addresses,
        by_worker,
    })
}

fn listener(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = socket(address, true)?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
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
        let first = bind(&[any, any], 3).unwrap();
        assert_eq!(first.by_worker.len(), 3);
        for (index, address) in first.addresses.iter().enumerate() {
            let ports = first
                .by_worker
                .iter()
                .map(|l| l[index].local_addr().unwrap());
            assert!(ports.clone().all(|port| port == *address) && address.port() != 0);
        }
        let error = bind(&first.addresses[..1], 1).unwrap_err();
        assert_eq!(error.source.kind(), io::ErrorKind::AddrInUse);
        assert_eq!(
            error.to_string(),
            format!("server.listen: cannot listen on {}", first.addresses[0])
        );
    }
}
