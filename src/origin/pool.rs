//! A worker's connections to origins: no lock, last in, first out.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper::client::conn::http1::{Builder, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::task::spawn_local;
use tokio::time::timeout;

use super::connect::connect;
use super::limit::{Limit, Permit};
use super::lookup::Lookup;
use super::stream::Heard;
use super::{Limits, OriginError, OriginSettings, Upload};
use crate::log::counters::WorkerCounters;

/// A connection idle for longer is closed: what stands between may have
/// forgotten it without a word.
const MAX_IDLE: Duration = Duration::from_secs(60);

/// The origins that one worker talks to.
#[derive(Debug)]
pub struct Origins {
    worker: usize,
    limits: Arc<Limits>,
    pub(super) counters: Arc<WorkerCounters>,
    endpoints: RefCell<Vec<Rc<Endpoint>>>,
}

/// One host and port, reached in one way, and the connections to it.
#[derive(Debug)]
pub(super) struct Endpoint {
    host: String,
    port: u16,
    /// Connections made in the clear, or by other roots, are none of these.
    trust_id: Option<u64>,
    lookup: Lookup,
    worker: usize,
    pub(super) limit: Arc<Limit>,
    idle: RefCell<Vec<(Instant, Connection)>>,
    /// Connections for those in line, by ticket.
    handed: RefCell<HashMap<u64, Connection>>,
}

/// An open connection.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) sender: SendRequest<Upload>,
    /// Whether the origin has sent a byte since this was last reset.
    pub(super) heard: Rc<Cell<bool>>,
    /// Whether it has carried a request before.
    pub(super) used: bool,
}

/// A connection whose response is still being read.
#[derive(Debug)]
pub struct Lease {
    pub(super) connection: Connection,
    pub(super) endpoint: Rc<Endpoint>,
}

impl Origins {
    /// No connections yet. `worker` tells workers apart; `limits` is what
    /// they share.
    pub fn new(worker: usize, limits: Arc<Limits>, counters: Arc<WorkerCounters>) -> Self {
        Self {
            worker,
            limits,
            counters,
            endpoints: RefCell::default(),
        }
    }

    pub(super) fn endpoint(&self, settings: &OriginSettings) -> Rc<Endpoint> {
        let url = &settings.url;
        let trust_id = settings.trust_id();
        let mut endpoints = self.endpoints.borrow_mut();
        let known = endpoints
            .iter()
            .find(|e| e.port == url.port && e.host == url.host && e.trust_id == trust_id);
        if let Some(endpoint) = known {
            return Rc::clone(endpoint);
        }
        // Configurations come and go, and so do their origins.
        endpoints.retain(|endpoint| Rc::strong_count(endpoint) > 1 || endpoint.has_idle());
        let endpoint = Rc::new(Endpoint {
            host: url.host.clone(),
            port: url.port,
            trust_id,
            lookup: Lookup::default(),
            worker: self.worker,
            limit: self.limits.of(settings),
            idle: RefCell::default(),
            handed: RefCell::default(),
        });
        spawn_local(give_up_idle(
            Rc::downgrade(&endpoint),
            Arc::clone(&endpoint.limit),
        ));
        endpoints.push(Rc::clone(&endpoint));
        endpoint
    }
}

impl Endpoint {
    /// A connection that nobody uses: an idle one, a new one, or whichever
    /// is free first.
    pub(super) async fn connection(
        self: &Rc<Self>,
        settings: &OriginSettings,
    ) -> Result<Connection, OriginError> {
        if let Some(connection) = self.pop() {
            return Ok(connection);
        }
        let permit = match self.limit.enter(self.worker, settings.max_connections) {
            Ok(permit) => permit,
            Err(place) => {
                let mut place = InLine {
                    place,
                    endpoint: self,
                };
                match timeout(settings.connect_timeout, place.place.turn()).await {
                    Err(_) => return Err(OriginError::NoConnectionFree),
                    Ok(Some(permit)) => permit,
                    Ok(None) => {
                        return Ok(place
                            .handed()
                            .expect("it is handed over before the turn is taken"));
                    }
                }
            }
        };
        self.open(settings, permit).await
    }

    async fn open(
        self: &Rc<Self>,
        settings: &OriginSettings,
        permit: Permit,
    ) -> Result<Connection, OriginError> {
        let stream = connect(settings, &self.lookup).await?;
        let heard = Rc::new(Cell::new(false));
        let io = TokioIo::new(Heard {
            stream,
            heard: Rc::clone(&heard),
        });
        let (sender, driver) = Builder::new()
            .handshake(io)
            .await
            .map_err(OriginError::Terminated)?;
        let endpoint = Rc::downgrade(self);
        spawn_local(async move {
            // Whoever waits for the response gets the error too.
            let _ = driver.await;
            drop(permit);
            if let Some(endpoint) = endpoint.upgrade() {
                endpoint
                    .idle
                    .borrow_mut()
                    .retain(|(_, idle)| !idle.sender.is_closed());
            }
        });
        Ok(Connection {
            sender,
            heard,
            used: false,
        })
    }

    fn pop(&self) -> Option<Connection> {
        let mut idle = self.idle.borrow_mut();
        while let Some((since, connection)) = idle.pop() {
            if connection.sender.is_ready() && since.elapsed() < MAX_IDLE {
                return Some(connection);
            }
        }
        None
    }

    /// Takes a connection back that is ready for the next request.
    fn give_back(&self, connection: Connection) {
        if self.limit.is_waited_for() {
            if let Some(ticket) = self.limit.next_of(self.worker) {
                self.handed.borrow_mut().insert(ticket, connection);
                return;
            }
            if self.limit.is_waited_for() {
                // Closed, so that another worker may open one.
                return;
            }
        }
        let mut idle = self.idle.borrow_mut();
        let now = Instant::now();
        idle.push((now, connection));
        if idle
            .first()
            .is_some_and(|(since, _)| now - *since >= MAX_IDLE)
        {
            idle.remove(0);
        }
    }

    fn has_idle(&self) -> bool {
        !self.idle.borrow().is_empty()
    }
}

impl Lease {
    /// The response was read to its end: the connection can be used again.
    pub fn finish(self) {
        let Self {
            mut connection,
            endpoint,
        } = self;
        if connection.sender.is_ready() {
            endpoint.give_back(connection);
        } else if !connection.sender.is_closed() {
            spawn_local(async move {
                if connection.sender.ready().await.is_ok() {
                    endpoint.give_back(connection);
                }
            });
        }
    }
}

/// Someone who waits for a connection, and may leave at any time.
struct InLine<'a> {
    place: super::limit::Place,
    endpoint: &'a Rc<Endpoint>,
}

impl InLine<'_> {
    fn handed(&self) -> Option<Connection> {
        self.endpoint.handed.borrow_mut().remove(&self.place.ticket)
    }
}

impl Drop for InLine<'_> {
    fn drop(&mut self) {
        if let Some(connection) = self.handed() {
            self.endpoint.give_back(connection);
        }
    }
}

/// Closes an idle connection whenever another worker waits for one, and those
/// that nobody takes: they may be to an origin, or by a `ca_file`, of an
/// earlier configuration.
async fn give_up_idle(endpoint: Weak<Endpoint>, limit: Arc<Limit>) {
    loop {
        let wanted = limit.wanted.notified();
        let Some(endpoint) = endpoint.upgrade() else {
            return;
        };
        endpoint
            .idle
            .borrow_mut()
            .retain(|(since, _)| since.elapsed() < MAX_IDLE);
        if limit.is_waited_for() && endpoint.has_idle() {
            endpoint.idle.borrow_mut().remove(0);
        }
        drop(endpoint);
        // Either way it is time to look.
        let _ = timeout(MAX_IDLE, wanted).await;
    }
}
