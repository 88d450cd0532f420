//! A worker's connections to origins: no lock, last in, first out.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper::client::conn::http1::{Builder, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::task::{AbortHandle, spawn_local};
use tokio::time::timeout;

use super::connect::connect;
use super::flow::Flow;
use super::lease::Lease;
use super::limit::{Class, Limit, Permit};
use super::lookup::Lookup;
use super::share::Busy;
use super::stream::Heard;
use super::timer::Timer;
use super::wire::Wire;
use super::{Asking, Limits, OriginError, OriginSettings, Upload};
use crate::log::counters::WorkerCounters;

/// A connection idle for longer is closed: what stands between may have
/// forgotten it without a word.
const MAX_IDLE: Duration = Duration::from_secs(60);

/// How much of a response is read at once, and how much of an upload is kept
/// for a slow origin, in bytes. hyper begins with 8 KiB and comes to this only
/// where an origin keeps it full. Of a body of 1 MiB two thirds of the cost
/// with 64 KiB; more than this gains nothing. A slow client holds three of them.
const BUFFER: usize = 160 * 1024;

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
    pub(super) worker: usize,
    pub(super) limit: Arc<Limit>,
    idle: RefCell<Vec<(Instant, Box<Connection>)>>,
    /// Connections for those in line, by ticket.
    pub(super) handed: RefCell<HashMap<u64, Box<Connection>>>,
    pub(super) busy: RefCell<Busy>,
    pub(super) counters: Arc<WorkerCounters>,
}

/// An open connection.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) sender: SendRequest<Upload>,
    /// Whether the origin has sent a byte since this was last reset.
    pub(super) heard: Rc<Cell<bool>>,
    /// How its upload moves.
    pub(super) flow: Rc<Flow>,
    /// Whether it has carried a request before.
    pub(super) used: bool,
    /// Whether it carries one now.
    busy: bool,
    /// The origin reads no more after this response.
    pub(super) closing: bool,
    /// `max_connections` by which it was asked for.
    max: usize,
    /// `server.stall_timeout` of the request that it carries.
    pub(super) stall_timeout: Duration,
    /// How long the response is waited for.
    pub(super) timer: Timer,
    driver: AbortHandle,
}

impl Drop for Connection {
    fn drop(&mut self) {
        // hyper goes on with an upload for as long as its client does, also
        // when nobody waits for the response any more.
        if self.busy {
            self.driver.abort();
        }
    }
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
            busy: RefCell::default(),
            counters: Arc::clone(&self.counters),
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
    /// An idle connection, if there is one.
    pub(super) fn lease_idle(self: &Rc<Self>, asking: Asking<'_>, now: Instant) -> Option<Lease> {
        let connection = self.pop(now)?;
        Some(self.hand_over(connection, asking))
    }

    /// A connection that nobody else uses where none is idle: a new one, or
    /// whichever is free first.
    pub(super) async fn lease(self: &Rc<Self>, asking: Asking<'_>) -> Result<Lease, OriginError> {
        let Asking {
            settings, client, ..
        } = asking;
        let max = settings.max_connections;
        let connection = match self.limit.enter(self.worker, max, Class::Front) {
            Ok(permit) => self.open(settings, permit).await?,
            Err(place) => self.wait(settings, client, place).await?,
        };
        Ok(self.hand_over(connection, asking))
    }

    fn hand_over(self: &Rc<Self>, mut connection: Box<Connection>, asking: Asking<'_>) -> Lease {
        connection.busy = true;
        connection.closing = false;
        connection.max = asking.settings.max_connections;
        connection.stall_timeout = asking.stall_timeout;
        Lease::new(connection, self, asking.client)
    }

    pub(super) async fn open(
        self: &Rc<Self>,
        settings: &OriginSettings,
        permit: Permit,
    ) -> Result<Box<Connection>, OriginError> {
        let stream = connect(settings, &self.lookup).await?;
        let heard = Rc::new(Cell::new(false));
        let flow = Rc::new(Flow::default());
        let stream = Heard {
            stream,
            heard: Rc::clone(&heard),
        };
        let io = TokioIo::new(Wire::new(stream, Rc::clone(&flow)));
        let (sender, driver) = Builder::new()
            .max_buf_size(BUFFER)
            .handshake(io)
            .await
            .map_err(OriginError::Terminated)?;
        let endpoint = Rc::downgrade(self);
        let driver = spawn_local(async move {
            // Whoever waits for the response gets the error too.
            let _ = driver.await;
            drop(permit);
            if let Some(endpoint) = endpoint.upgrade() {
                endpoint.change_idle(|idle| idle.retain(|(_, idle)| !idle.sender.is_closed()));
            }
        });
        Ok(Box::new(Connection {
            sender,
            heard,
            flow,
            used: false,
            busy: true,
            closing: false,
            max: settings.max_connections,
            stall_timeout: Duration::ZERO,
            timer: Timer::default(),
            driver: driver.abort_handle(),
        }))
    }

    fn pop(&self, now: Instant) -> Option<Box<Connection>> {
        self.change_idle(|idle| {
            while let Some((since, connection)) = idle.pop() {
                let idle_for = now.saturating_duration_since(since);
                if connection.sender.is_ready() && idle_for < MAX_IDLE {
                    return Some(connection);
                }
            }
            None
        })
    }

    /// Takes a connection back that is ready for the next request.
    pub(super) fn give_back(&self, mut connection: Box<Connection>) {
        if self.limit.waiting() > 0 {
            if let Some(ticket) = self.limit.next_of(self.worker) {
                self.handed.borrow_mut().insert(ticket, connection);
                return;
            }
            if self.limit.waiting() > 0 {
                // Closed, so that another worker may open one.
                return;
            }
        }
        if self.limit.open() > connection.max {
            // `max_connections` was lowered.
            return;
        }
        connection.busy = false;
        let now = Instant::now();
        self.change_idle(|idle| idle.push((now, connection)));
    }

    fn has_idle(&self) -> bool {
        !self.idle.borrow().is_empty()
    }

    fn change_idle<T>(&self, change: impl FnOnce(&mut Vec<(Instant, Box<Connection>)>) -> T) -> T {
        let mut idle = self.idle.borrow_mut();
        let before = idle.len();
        let result = change(&mut idle);
        let gauge = &self.counters.origin.idle;
        gauge.set(gauge.get() + idle.len() as u64 - before as u64);
        result
    }

    pub(super) fn change_busy<T>(&self, change: impl FnOnce(&mut Busy) -> T) -> T {
        let mut busy = self.busy.borrow_mut();
        let before = busy.count();
        let result = change(&mut busy);
        let gauge = &self.counters.origin.busy;
        gauge.set(gauge.get() + busy.count() as u64 - before as u64);
        result
    }
}

/// Closes idle connections when other workers wait for some, and those that
/// have been idle for too long.
async fn give_up_idle(endpoint: Weak<Endpoint>, limit: Arc<Limit>) {
    loop {
        let wanted = limit.wanted.notified();
        let Some(endpoint) = endpoint.upgrade() else {
            return;
        };
        if endpoint.has_idle() {
            endpoint.change_idle(|idle| {
                let kept_for_long = idle.partition_point(|(since, _)| since.elapsed() >= MAX_IDLE);
                let given_up = kept_for_long.max(limit.waiting()).min(idle.len());
                idle.drain(..given_up);
            });
        }
        drop(endpoint);
        // Late or not, it is looked at again.
        let _ = timeout(MAX_IDLE, wanted).await;
    }
}
