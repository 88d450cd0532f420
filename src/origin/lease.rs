//! A connection while a request uses it.

use std::rc::Rc;
use std::time::Duration;

use tokio::task::spawn_local;

use super::flow::{Flow, UploadState};
use super::pool::{Connection, Endpoint, Link};
use super::{ClientGroup, OriginError};

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

    /// Has hyper speak on the connection, if it does not yet.
    pub(super) async fn driven(self) -> Result<Self, OriginError> {
        let Self { connection, used } = self;
        let connection = connection.driven(&used.endpoint).await?;
        Ok(Self { connection, used })
    }

    /// What has become of the request's body.
    pub(super) fn upload(&self) -> UploadState {
        match &self.connection.link {
            Link::Direct(_) => UploadState::Done,
            Link::Driven(driven) => driven.flow.upload(),
        }
    }

    /// The response was read to its end: the connection can be used again
    /// once the request has gone to its end too.
    pub(super) fn finish(mut self) {
        match &mut self.connection.link {
            Link::Direct(direct) if direct.keeps() => self.give_back(),
            Link::Direct(_) => {}
            Link::Driven(driven) if driven.doubtful => {}
            Link::Driven(driven) if driven.sender.is_ready() => self.give_back(),
            Link::Driven(driven) => {
                let cut = driven.closing && driven.flow.upload() == UploadState::Going;
                if !cut && !driven.sender.is_closed() {
                    spawn_local(self.outlived());
                }
            }
        }
    }

    /// Waits for an upload that goes on after its response.
    async fn outlived(mut self) {
        let stall_timeout = self.connection.stall_timeout;
        let Link::Driven(driven) = &mut self.connection.link else {
            return;
        };
        let ready = tokio::select! {
            ready = driven.sender.ready() => ready.is_ok(),
            () = gives_up(&driven.flow, stall_timeout) => false,
        };
        if ready {
            self.give_back();
        }
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
