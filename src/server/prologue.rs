//! What stands before anything of the client's on a trusted proxy's
//! connection: a PROXY header (`client.proxy_protocol`).
//!
//! It is read from the socket itself, and not a byte more, so that whatever
//! reads next, TLS or HTTP, finds the start of what is its own. That costs
//! such a connection two system calls and a short allocation.

use std::future::poll_fn;
use std::io;
use std::net::IpAddr;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use tokio::io::ReadBuf;

use super::connection::Served;
use super::proxy_protocol::{self, BadHeader, MOST};
use super::socket::Socket;

/// Why a connection has no header.
#[derive(Debug, thiserror::Error)]
enum NoHeader {
    #[error(transparent)]
    Bad(#[from] BadHeader),
    #[error("its PROXY header did not come within server.header_timeout")]
    Late,
    #[error("it ended within its PROXY header")]
    Cut,
    /// It ended before the first byte, or we stop: nothing is wrong with it.
    #[error("it has not begun")]
    Unused,
    #[error("another one has its place")]
    Evicted,
}

impl Served<'_> {
    /// Reads the header that this connection has to begin with. `false`: it
    /// does not, and is to be closed.
    pub(super) async fn introduce(&mut self, socket: &Socket) -> bool {
        let mut held = Vec::new();
        match poll_fn(|cx| self.poll_header(socket, &mut held, cx)).await {
            Ok(source) => {
                self.arrival.peer = self.arrival.peer.after_header(source);
                self.link.introduced();
                true
            }
            Err(NoHeader::Unused) => false,
            Err(NoHeader::Evicted) => {
                self.worker.counters.connections.evicted.add(1);
                false
            }
            Err(why) => {
                self.tell(&why);
                false
            }
        }
    }

    fn poll_header(
        &self,
        socket: &Socket,
        held: &mut Vec<u8>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<IpAddr>, NoHeader>> {
        if self.evicted(cx).is_some() {
            return Poll::Ready(Err(NoHeader::Evicted));
        }
        if let Poll::Ready(source) = poll_take(socket, held, cx) {
            return Poll::Ready(source);
        }
        if self.worker.closes_idle() && held.is_empty() {
            return Poll::Ready(Err(NoHeader::Unused));
        }
        match self.link.confirm(self.worker.is_draining()) {
            Some(_) => Poll::Ready(Err(NoHeader::Late)),
            None => Poll::Pending,
        }
    }

    fn tell(&self, why: &NoHeader) {
        self.worker.counters.connections.no_proxy_headers.add(1);
        if let Some(times) = self.worker.no_proxy_headers.count(Instant::now()) {
            let peer = self.arrival.peer.ip();
            tracing::warn!(
                times, %peer,
                "a trusted proxy's connection is closed: {why}; client.proxy_protocol requires one \
                 (HAProxy: send-proxy-v2, nginx: proxy_protocol on)"
            );
        }
    }
}

/// Takes what has come of a header into `held`; whom it names, when it is
/// complete.
fn poll_take(
    socket: &Socket,
    held: &mut Vec<u8>,
    cx: &mut Context<'_>,
) -> Poll<Result<Option<IpAddr>, NoHeader>> {
    loop {
        let taken = held.len();
        let mut room = [0; MOST];
        let mut seen = ReadBuf::new(&mut room[taken..]);
        if ready!(socket.poll_peek(cx, &mut seen)).is_err() || seen.filled().is_empty() {
            return Poll::Ready(Err(match taken {
                0 => NoHeader::Unused,
                _ => NoHeader::Cut,
            }));
        }
        held.extend_from_slice(seen.filled());
        let header = proxy_protocol::read(held)?;
        let length = header.map_or(held.len(), |header| header.length);
        if take(socket, &mut room[taken..length]).is_err() {
            return Poll::Ready(Err(NoHeader::Cut));
        }
        if let Some(header) = header {
            return Poll::Ready(Ok(header.source));
        }
    }
}

/// Takes bytes that are known to be there.
fn take(socket: &Socket, mut room: &mut [u8]) -> io::Result<()> {
    while !room.is_empty() {
        match socket.try_read(room)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            length => room = &mut room[length..],
        }
    }
    Ok(())
}
