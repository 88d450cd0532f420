//! The TLS handshake of a connection that was accepted.

use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;

use super::lingering;
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
    /// For all of it, from the first byte.
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
        tcp: TcpStream,
        peer: PeerAddr,
    ) -> Option<Transport> {
        let _ = tcp.set_nodelay(true);
        let transport = timeout(self.limit, self.accept(worker, tcp, peer)).await;
        let transport = transport.ok().flatten();
        if transport.is_none() {
            worker.counters.connections.failed_handshakes.add(1);
        }
        transport
    }

    async fn accept(&self, worker: &Worker, tcp: TcpStream, peer: PeerAddr) -> Option<Transport> {
        let mut first = [0];
        if tcp.peek(&mut first).await.ok()? == 0 {
            return None;
        }
        if first[0] != HANDSHAKE {
            answer_in_the_clear(worker, tcp, peer).await;
            return None;
        }
        let acceptor = TlsAcceptor::from(Arc::clone(&self.config));
        let tls = acceptor.accept(Counted::new(tcp)).await.ok()?;
        Some(Transport::Tls(Box::new(tls)))
    }
}

/// Tells who asks in the clear what is wrong.
async fn answer_in_the_clear(worker: &Worker, tcp: TcpStream, peer: PeerAddr) {
    let why = "plain HTTP was sent to an address of server.tls.listen";
    let status = hyper::StatusCode::BAD_REQUEST;
    let answer = worker.proxy.refuse(status, why, peer);
    lingering::answer(Transport::Tcp(tcp), &answer).await;
}
