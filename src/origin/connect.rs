//! A new connection to the origin.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpStream, UnixStream};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::lookup::Lookup;
use super::stream::Stream;
use super::{OriginError, OriginSettings};
use crate::network::UnixPath;

/// How long an address may be silent before the next one is tried beside it
/// (RFC 8305 section 5).
const HEAD_START: Duration = Duration::from_millis(250);

/// How soon a Unix socket that was full is tried again.
const FULL: Duration = Duration::from_millis(10);

/// After this long without a byte, and as often after that, the origin's
/// system is asked whether it is still there.
const KEEPALIVE: Duration = Duration::from_secs(30);

/// So many times without an answer, and the connection is given up.
const UNANSWERED: u32 = 3;

/// Finds the origin, connects to the first of its addresses that answers, and
/// shakes hands: all of it within `connect_timeout`.
pub(super) async fn connect(
    settings: &OriginSettings,
    lookup: &Lookup,
) -> Result<Stream, OriginError> {
    let deadline = Instant::now() + settings.connect_timeout;
    if let Some(path) = &settings.url.socket {
        let stream = timeout_at(deadline, dial_unix(path)).await;
        let stream = stream.map_err(|_| OriginError::ConnectTimeout)??;
        return Ok(Stream::Unix(stream));
    }
    let addresses = timeout_at(deadline, lookup.addresses(&settings.url))
        .await
        .map_err(|_| OriginError::DnsTimeout)??;
    let stream = timeout_at(deadline, dial(&addresses))
        .await
        .map_err(|_| OriginError::ConnectTimeout)??;
    // These only cost latency or patience where they fail.
    let _ = stream.set_nodelay(true);
    let keepalive = TcpKeepalive::new()
        .with_time(KEEPALIVE)
        .with_interval(KEEPALIVE)
        .with_retries(UNANSWERED);
    let _ = SockRef::from(&stream).set_tcp_keepalive(&keepalive);
    let Some(tls) = &settings.tls else {
        return Ok(Stream::Plain(stream));
    };
    let stream = timeout_at(deadline, tls.handshake(stream))
        .await
        .map_err(|_| OriginError::TlsTimeout)??;
    Ok(Stream::Tls(Box::new(stream)))
}

/// Tries all addresses, each as soon as the one before it has failed or had
/// its head start; those tried before go on.
async fn dial(addresses: &[SocketAddr]) -> Result<TcpStream, OriginError> {
    if let [address] = addresses {
        return TcpStream::connect(address).await.map_err(failed);
    }
    let mut last = OriginError::Dns(io::ErrorKind::NotFound.into());
    let mut attempts = JoinSet::new();
    let mut untried = addresses.iter().copied();
    loop {
        let patience = match untried.next() {
            Some(address) => {
                attempts.spawn_local(TcpStream::connect(address));
                HEAD_START
            }
            None if attempts.is_empty() => return Err(last),
            None => Duration::MAX,
        };
        match timeout(patience, attempts.join_next()).await {
            Ok(Some(Ok(Ok(stream)))) => return Ok(stream),
            Ok(Some(Ok(Err(error)))) => last = failed(error),
            // Nobody aborts an attempt, so it panicked; or it is silent.
            Ok(_) | Err(_) => {}
        }
    }
}

/// A socket that has no room for those who wait says so at once: whoever
/// connects in the usual, blocking way would be waiting.
async fn dial_unix(path: &UnixPath) -> Result<UnixStream, OriginError> {
    loop {
        match UnixStream::connect(path.as_path()).await {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => sleep(FULL).await,
            connected => return connected.map_err(failed),
        }
    }
}

fn failed(error: io::Error) -> OriginError {
    use io::ErrorKind as Kind;
    match error.kind() {
        // Nobody listens on a Unix socket that is not there.
        Kind::ConnectionRefused | Kind::NotFound => OriginError::Refused(error),
        Kind::ConnectionReset | Kind::ConnectionAborted => OriginError::Reset(error),
        Kind::TimedOut => OriginError::ConnectTimeout,
        Kind::HostUnreachable | Kind::NetworkUnreachable | Kind::NetworkDown => {
            OriginError::Unreachable(error)
        }
        Kind::PermissionDenied => OriginError::Prohibited(error),
        // Out of file descriptors, ports or memory.
        _ => OriginError::NoSocket(error),
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use socket2::{Domain, Socket, Type};
    use tokio::runtime::{Builder, LocalOptions};

    use super::*;

    fn dialled(addresses: &[SocketAddr]) -> Result<SocketAddr, OriginError> {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build_local(LocalOptions::default())
            .unwrap();
        let limit = Duration::from_secs(10);
        let dialled = runtime.block_on(async { timeout(limit, dial(addresses)).await });
        dialled.unwrap().map(|stream| stream.peer_addr().unwrap())
    }

    fn listener() -> (TcpListener, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        (listener, address)
    }

    #[test]
    fn an_address_that_refuses_is_followed_by_the_next() {
        let (closed, refuses) = listener();
        drop(closed);
        let (_open, answers) = listener();
        assert_eq!(dialled(&[refuses, answers]).unwrap(), answers);
        assert_eq!(dialled(&[answers, refuses]).unwrap(), answers);
        let none = dialled(&[refuses, refuses]).unwrap_err();
        assert_eq!(none.as_str(), "connection_refused");
        assert_eq!(dialled(&[]).unwrap_err().as_str(), "dns_error");
    }

    #[test]
    fn an_address_that_is_silent_does_not_keep_the_next_one_waiting() {
        // Nobody accepts, and its queue is full: what comes now is dropped.
        let silent = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        silent
            .bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into())
            .unwrap();
        silent.listen(0).unwrap();
        let hangs = silent.local_addr().unwrap().as_socket().unwrap();
        let short = Duration::from_millis(200);
        let fill = || std::net::TcpStream::connect_timeout(&hangs, short);
        let queue: Vec<_> = std::iter::from_fn(|| fill().ok()).take(64).collect();
        let (_open, answers) = listener();
        assert_eq!(dialled(&[hangs, hangs, answers]).unwrap(), answers);
        drop(queue);
    }

    #[test]
    fn a_failure_is_the_origins_or_the_ways_or_ours() {
        use io::ErrorKind as Kind;
        for (kind, expected) in [
            (Kind::ConnectionRefused, "connection_refused"),
            (Kind::NotFound, "connection_refused"),
            (Kind::ConnectionReset, "connection_terminated"),
            (Kind::HostUnreachable, "destination_ip_unroutable"),
            (Kind::NetworkUnreachable, "destination_ip_unroutable"),
            (Kind::PermissionDenied, "destination_ip_prohibited"),
            (Kind::TimedOut, "connection_timeout"),
            (Kind::AddrNotAvailable, "proxy_internal_error"),
        ] {
            assert_eq!(failed(kind.into()).as_str(), expected, "{kind}");
        }
        let too_many_open_files = io::Error::from_raw_os_error(24);
        assert_eq!(failed(too_many_open_files).status(), 503);
    }
}
