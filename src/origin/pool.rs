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
use super::flow::{Flow, UploadState};
use super::limit::{Class, Limit, Permit, Place};
use super::lookup::Lookup;
use super::share::Busy;
use super::stream::Heard;
use super::wire::Wire;
use super::{Asking, ClientGroup, Limits, OriginError, OriginSettings, OriginUrl, Upload};
use crate::log::counters::{OriginCounters, WorkerCounters};

/// A connection idle for longer is closed: what stands between may have
/// forgotten it without a word.
const MAX_IDLE: Duration = Duration::from_secs(60);

/// How much of a response is read ahead of a slow client, and how much of an
/// upload is kept for a slow origin, in bytes.
const BUFFER: usize = 64 * 1024;

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
    idle: RefCell<Vec<(Instant, Box<Connection>)>>,
    /// Connections for those in line, by ticket.
    handed: RefCell<HashMap<u64, Box<Connection>>>,
    busy: RefCell<Busy>,
    counters: Arc<WorkerCounters>,
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
            .find(|e| e.leads_to(url) && e.trust_id == trust_id);
        if let Some(endpoint) = known {
            return Rc::clone(endpoint);
        }
        // Most likely `ca_file` has changed: nobody asks for these any more.
        for other in endpoints.iter().filter(|e| e.leads_to(url)) {
            other.idle.take();
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
    fn leads_to(&self, url: &OriginUrl) -> bool {
        self.port == url.port && self.host == url.host
    }

    /// A connection that nobody else uses: an idle one, a new one, or
    /// whichever is free first.
    pub(super) async fn lease(self: &Rc<Self>, asking: Asking<'_>) -> Result<Lease, OriginError> {
        let Asking {
            settings, client, ..
        } = asking;
        let max = settings.max_connections;
        let mut connection = match self.pop() {
            Some(connection) => connection,
            None => match self.limit.enter(self.worker, max, Class::Front) {
                Ok(permit) => self.open(settings, permit).await?,
                Err(place) => self.wait(settings, client, place).await?,
            },
        };
        connection.busy = true;
        connection.closing = false;
        connection.max = max;
        connection.stall_timeout = asking.stall_timeout;
        Ok(Lease {
            connection,
            used: Used::new(self, client),
        })
    }

    /// Waits in line for at most `connect_timeout`.
    async fn wait(
        self: &Rc<Self>,
        settings: &OriginSettings,
        client: Option<ClientGroup>,
        place: Place,
    ) -> Result<Box<Connection>, OriginError> {
        let since = Instant::now();
        let turn = self.turn(settings.max_connections, client, place);
        let turn = timeout(settings.connect_timeout, turn).await;
        self.counters.origin.waited_for(since.elapsed());
        match turn {
            Err(_) => Err(OriginError::NoConnectionFree),
            Ok(Turn::Reuse(connection)) => Ok(connection),
            Ok(Turn::Connect(permit)) => self.open(settings, permit).await,
        }
    }

    /// Those who have much wait behind all others. It is asked when somebody
    /// begins to wait, and once more when the turn has come, since many could
    /// have begun together: who has much by then steps back, once.
    async fn turn(self: &Rc<Self>, max: usize, client: Option<ClientGroup>, place: Place) -> Turn {
        let front = InLine::new(place, self);
        if self.has_much(client) {
            drop(front);
        } else {
            let turn = front.turn().await;
            if !(self.has_much(client) && self.limit.has_front()) {
                return turn;
            }
            match turn {
                Turn::Connect(permit) => drop(permit),
                Turn::Reuse(connection) => self.give_back(connection),
            }
        }
        self.counters.origin.waited_behind.add(1);
        match self.limit.enter(self.worker, max, Class::Behind) {
            Ok(permit) => Turn::Connect(permit),
            Err(place) => InLine::new(place, self).turn().await,
        }
    }

    fn has_much(&self, client: Option<ClientGroup>) -> bool {
        self.busy.borrow().is_much_for(client)
    }

    async fn open(
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
            driver: driver.abort_handle(),
        }))
    }

    fn pop(&self) -> Option<Box<Connection>> {
        self.change_idle(|idle| {
            while let Some((since, connection)) = idle.pop() {
                if connection.sender.is_ready() && since.elapsed() < MAX_IDLE {
                    return Some(connection);
                }
            }
            None
        })
    }

    /// Takes a connection back that is ready for the next request.
    fn give_back(&self, mut connection: Box<Connection>) {
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

    fn change_busy<T>(&self, change: impl FnOnce(&mut Busy) -> T) -> T {
        let mut busy = self.busy.borrow_mut();
        let before = busy.count();
        let result = change(&mut busy);
        let gauge = &self.counters.origin.busy;
        gauge.set(gauge.get() + busy.count() as u64 - before as u64);
        result
    }
}

impl Lease {
    /// What has become of the request's body.
    pub(super) fn upload(&self) -> UploadState {
        self.connection.flow.upload()
    }

    /// What its worker counts.
    pub(super) fn counters(&self) -> &OriginCounters {
        &self.used.endpoint.counters.origin
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

/// What somebody in line got.
enum Turn {
    Connect(Permit),
    Reuse(Box<Connection>),
}

/// Someone who waits for a connection, and may leave at any time.
struct InLine<'a> {
    place: Place,
    endpoint: &'a Rc<Endpoint>,
}

impl<'a> InLine<'a> {
    fn new(place: Place, endpoint: &'a Rc<Endpoint>) -> Self {
        Self { place, endpoint }
    }

    async fn turn(mut self) -> Turn {
        match self.place.turn().await {
            Some(permit) => Turn::Connect(permit),
            None => {
                let handed = self.handed();
                Turn::Reuse(handed.expect("it is handed over before the turn is taken"))
            }
        }
    }

    fn handed(&self) -> Option<Box<Connection>> {
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
