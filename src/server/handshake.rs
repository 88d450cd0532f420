//! The TLS handshake of a connection that was accepted.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::io::ReadBuf;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;

use super::lingering;
use super::link::{Link, Verdict};
use super::socket::Socket;
use super::transport::{Counted, Transport};
use super::worker::Worker;
use crate::client::PeerAddr;
use crate::config::ServerSettings;

/// A record of a handshake begins so (RFC 8446 section 5.1).
const HANDSHAKE: u8 = 22;

/// What the client speaks to by TLS.
#[derive(Clone, Debug)]
pub(super) struct Handshake {
    pub(super) config: Arc<ServerConfig>,
    /// For all of it, from when it was accepted and its PROXY header read.
    pub(super) limit: Duration,
}

impl Handshake {
    /// By what is in force; `None`: there is no certificate.
    pub(super) fn new(settings: &ServerSettings) -> Option<Self> {
        let tls = settings.tls.as_ref()?;
        Some(Self {
            config: Arc::clone(&tls.config),
            limit: tls.handshake_timeout,
        })
    }

    /// Shakes hands. `None`: it came to nothing, and was counted.
    pub(super) async fn shake(
        self,
        worker: &Worker,
        link: &Link,
        socket: Socket,
        peer: PeerAddr,
    ) -> Option<Transport> {
        let counters = &worker.counters.connections;
        let mut accepting = pin!(self.accept(worker, link, socket, peer));
        let shaken = poll_fn(|cx| {
            link.register(cx);
            if link.called() == Some(Verdict::Evicted) {
                return Poll::Ready(Err(&counters.evicted));
            }
            let shaken = accepting.as_mut().poll(cx);
            shaken.map(|shaken| shaken.ok_or(&counters.failed_handshakes))
        });
        let shaken = timeout(self.limit, shaken).await;
        let failed = match shaken.unwrap_or(Err(&counters.failed_handshakes)) {
            Ok(transport) => return Some(transport),
            Err(failed) => failed,
        };
        failed.add(1);
        None
    }

    async fn accept(
        &self,
        worker: &Worker,
        link: &Link,
        socket: Socket,
        peer: PeerAddr,
    ) -> Option<Transport> {
        if first_byte(worker, link, &socket).await? != HANDSHAKE {
            answer_in_the_clear(worker, socket, peer).await;
            return None;
        }
        let acceptor = TlsAcceptor::from(Arc::clone(&self.config));
        let tls = acceptor.accept(Counted::new(socket)).await.ok()?;
        Some(Transport::Tls(Box::new(tls)))
    }
}

/// The first byte, which stays where it is; `None`: it ended before, or we stop
/// and it has nothing to say.
async fn first_byte(worker: &Worker, link: &Link, socket: &Socket) -> Option<u8> {
    let mut first = [0];
    poll_fn(|cx| {
        link.register(cx);
        let mut seen = ReadBuf::new(&mut first);
        match socket.poll_peek(cx, &mut seen) {
            Poll::Ready(Ok(_)) => Poll::Ready(seen.filled().first().copied()),
            Poll::Ready(Err(_)) => Poll::Ready(None),
            Poll::Pending if worker.closes_idle() => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

/// Tells who asks in the clear what is wrong.
async fn answer_in_the_clear(worker: &Worker, socket: Socket, peer: PeerAddr) {
    let why = "plain HTTP was sent to an address of server.tls.listen";
    let status = hyper::StatusCode::BAD_REQUEST;
    let answer = worker.proxy.refuse(status, why, peer);
    lingering::answer(Transport::Plain(socket), &answer).await;
}
