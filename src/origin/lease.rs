//! A connection while a request uses it.

use std::rc::Rc;
use std::time::Duration;

use tokio::task::spawn_local;

use super::ClientGroup;
use super::flow::{Flow, UploadState};
use super::pool::{Connection, Endpoint};

/// A connection that a request uses. Dropping it closes the connection, and
/// with it whatever is still on its way.
#[derive(Debug)]
pub(super) struct Lease {
    pub(super) connection: Box<Connection>,
    used: Used,
}

/// A place among the busy.
#[derive(Debug)]
struct Used {
    endpoint: Rc<Endpoint>,
    slot: usize,
}

impl Lease {
    pub(super) fn new(
        connection: Box<Connection>,
        endpoint: &Rc<Endpoint>,
        client: Option<ClientGroup>,
    ) -> Self {
        Self {
            connection,
            used: Used::new(endpoint, client),
        }
    }

    /// What has become of the request's body.
    pub(super) fn upload(&self) -> UploadState {
        self.connection.flow.upload()
    }

    /// The response was read to its end: the connection can be used again
    /// once the request has gone to its end too.
    pub(super) fn finish(mut self) {
        if self.connection.sender.is_ready() {
            return self.give_back();
        }
        let cut = self.connection.closing && self.upload() == UploadState::Going;
        if cut || self.connection.sender.is_closed() {
            return;
        }
        spawn_local(async move {
            let flow = Rc::clone(&self.connection.flow);
            let stall_timeout = self.connection.stall_timeout;
            let ready = tokio::select! {
                ready = self.connection.sender.ready() => ready.is_ok(),
                () = gives_up(&flow, stall_timeout) => false,
            };
            if ready {
                self.give_back();
            }
        });
    }

    fn give_back(self) {
        let Self { connection, used } = self;
        let endpoint = Rc::clone(&used.endpoint);
        // First, since it may be the next one's turn, who is judged by it.
        drop(used);
        endpoint.give_back(connection);
    }
}

/// Ends when an upload that outlives its response does not move.
async fn gives_up(flow: &Flow, stall_timeout: Duration) {
    if flow.ended(stall_timeout).await.is_ok() {
        tokio::time::sleep(stall_timeout).await;
    }
}

impl Used {
    fn new(endpoint: &Rc<Endpoint>, client: Option<ClientGroup>) -> Self {
        Self {
            endpoint: Rc::clone(endpoint),
            slot: endpoint.change_busy(|busy| busy.enter(client)),
        }
    }
}

impl Drop for Used {
    fn drop(&mut self) {
        self.endpoint.change_busy(|busy| busy.leave(self.slot));
    }
}
