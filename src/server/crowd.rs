//! One connection too many (`server.max_connections`).

use std::cell::Cell;
use std::rc::Rc;
use std::time::Instant;

use hyper::StatusCode;
use tokio::task::spawn_local;

use super::lingering;
use super::seldom::Seldom;
use super::socket::Socket;
use super::transport::Transport;
use super::worker::{Entrance, Worker};
use crate::client::PeerAddr;

/// A worker closes so many refused connections in order at a time; the others
/// at once, which may cost a client the answer but us nothing.
const MOST: usize = 64;

/// What a worker notes of those it refuses.
#[derive(Debug, Default)]
pub(super) struct Crowd {
    leaving: Cell<usize>,
    told: Seldom,
}

/// Counts a connection that is being closed.
struct Leaving(Rc<Worker>);

impl Drop for Leaving {
    fn drop(&mut self) {
        let leaving = &self.0.crowd.leaving;
        leaving.set(leaving.get() - 1);
    }
}

/// Answers 503 without waiting for anything.
pub(super) fn refuse(worker: &Rc<Worker>, entrance: Entrance, socket: Socket, peer: PeerAddr) {
    worker.counters.connections.refused.add(1);
    if let Some(refused) = worker.crowd.told.count(Instant::now()) {
        tracing::warn!(refused, "connections are refused: server.max_connections");
    }
    let status = StatusCode::SERVICE_UNAVAILABLE;
    let why = "server.max_connections is reached";
    let answer = worker.proxy.refuse(status, why, peer);
    // The kernel's buffer of a new connection has room for it. By TLS it would
    // take a handshake, which is more than a refused one is worth.
    if entrance != Entrance::Tls {
        let _ = socket.options().send(&answer);
    }
    let leaving = &worker.crowd.leaving;
    if leaving.get() < MOST {
        leaving.set(leaving.get() + 1);
        let guard = Leaving(Rc::clone(worker));
        spawn_local(async move {
            lingering::close(Transport::Plain(socket)).await;
            drop(guard);
        });
    }
}
