//! A worker's connections to origins: no lock, last in, first out.

use std::cell::RefCell;
use std::collections::HashMap;
use std::future::poll_fn;
use std::pin::pin;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use tokio::task::spawn_local;
use tokio::time::timeout;

use super::connect::connect;
use super::direct::Direct;
use super::driven::Driven;
use super::lease::Lease;
use super::limit::{Class, Limit, Permit};
use super::lookup::Lookup;
use super::share::Busy;
use super::timer::Timer;
use super::{Asking, Limits, OriginError, OriginSettings};
use crate::log::counters::WorkerCounters;
use crate::network::UnixPath;

/// A connection idle for longer is closed: what stands between may have
/// forgotten it without a word.
const MAX_IDLE: Duration = Duration::from_secs(60);

/// How much of a response is read at once, and how much of an upload is kept
/// for a slow origin, in bytes. It begins with 8 KiB and comes to this only where an
/// origin keeps it full. Of a body of 1 MiB two thirds of the cost
/// with 64 KiB; more than this gains nothing. A slow client holds three of them.
pub(super) const BUFFER: usize = 160 * 1024;

/// The origins that one worker talks to.
#[derive(Debug)]
pub struct Origins {
    worker: usize,
    limits: Arc<Limits>,
    pub(super) counters: Arc<WorkerCounters>,
    endpoints: RefCell<Vec<Rc<Endpoint>>>,
    /// Where the head of a request is written that is sent at once.
    pub(super) room: RefCell<Vec<u8>>,
}

/// One host and port or Unix socket, reached in one way, and the connections
/// to it.
#[derive(Debug)]
pub(super) struct Endpoint {
    host: String,
    port: u16,
    socket: Option<UnixPath>,
    /// Connections made in the clear, or by other roots, are none of these.
    trust_id: Option<u64>,
    lookup: Lookup,
    pub(super) worker: usize,
    pub(super) limit: Arc<Limit>,
    idle: RefCell<Vec<(Instant, Box<Connection>)>>,
    /// Wakes whoever looks after the idle.
    keeper: RefCell<Waker>,
    /// Connections for those in line, by ticket.
    pub(super) handed: RefCell<HashMap<u64, Box<Connection>>>,
    pub(super) busy: RefCell<Busy>,
    pub(super) counters: Arc<WorkerCounters>,
}

/// An open connection.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) link: Link,
    /// Whether it has carried a request before.
    pub(super) used: bool,
    /// `max_connections` by which it was asked for.
    max: usize,
    /// `server.stall_timeout` of the request that it carries.
    pub(super) stall_timeout: Duration,
    /// How long the response is waited for.
    pub(super) timer: Timer,
}

/// Who speaks on a connection. It begins as one of ours; the first request
/// with a body makes it hyper's, for good. A request without one takes either.
#[derive(Debug)]
pub(super) enum Link {
    Direct(Direct),
    Driven(Driven),
}

impl Connection {
    /// The same, but hyper speaks on it.
    pub(super) async fn driven(
        self: Box<Self>,
        endpoint: &Rc<Endpoint>,
    ) -> Result<Box<Self>, OriginError> {
        let Link::Direct(direct) = self.link else {
            return Ok(self);
        };
        let driven = Driven::new(direct, endpoint).await?;
        Ok(Box::new(Self {
            link: Link::Driven(driven),
            ..*self
        }))
    }

    /// Whether it may be used again, as far as is known without looking.
    fn is_open(&self) -> bool {
        match &self.link {
            Link::Direct(_) => true,
            Link::Driven(driven) => driven.sender.is_ready(),
        }
    }

    /// Whether one of ours that is idle can stay so. `cx` is woken if that
    /// changes.
    fn stays(&mut self, cx: &mut Context<'_>) -> bool {
        match &mut self.link {
            Link::Direct(direct) => direct.poll_ended(cx).is_pending(),
            Link::Driven(driven) => !driven.sender.is_closed(),
        }
    }

    fn set_busy(&mut self, busy: bool) {
        if let Link::Driven(driven) = &mut self.link {
            driven.busy = busy;
        }
    }

    /// Closes one that is idle.
    fn close(self) {
        if let Link::Direct(direct) = self.link {
            direct.close();
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
            room: RefCell::default(),
        }
    }

    pub(super) fn endpoint(&self, settings: &OriginSettings) -> Rc<Endpoint> {
        let url = &settings.url;
        let trust_id = settings.trust_id();
        let mut endpoints = self.endpoints.borrow_mut();
        let known = endpoints.iter().find(|known| {
            known.port == url.port
                && known.host == url.host
                && known.socket == url.socket
                && known.trust_id == trust_id
        });
        if let Some(endpoint) = known {
            return Rc::clone(endpoint);
        }
        // Configurations come and go, and so do their origins.
        endpoints.retain(|endpoint| Rc::strong_count(endpoint) > 1 || endpoint.has_idle());
        let endpoint = Rc::new(Endpoint {
            host: url.host.clone(),
            port: url.port,
            socket: url.socket.clone(),
            trust_id,
            lookup: Lookup::default(),
            worker: self.worker,
            limit: self.limits.of(settings),
            idle: RefCell::default(),
            keeper: RefCell::new(Waker::noop().clone()),
            handed: RefCell::default(),
            busy: RefCell::default(),
            counters: Arc::clone(&self.counters),
        });
        spawn_local(keep_idle(
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
        connection.set_busy(true);
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
        Ok(Box::new(Connection {
            link: Link::Direct(Direct::new(stream, permit)),
            used: false,
            max: settings.max_connections,
            stall_timeout: Duration::ZERO,
            timer: Timer::default(),
        }))
    }

    /// Those that hyper found closed are idle no more.
    pub(super) fn forget_closed(&self) {
        self.change_idle(|idle| {
            idle.retain(|(_, idle)| match &idle.link {
                Link::Direct(_) => true,
                Link::Driven(driven) => !driven.sender.is_closed(),
            });
        });
    }

    fn pop(&self, now: Instant) -> Option<Box<Connection>> {
        self.change_idle(|idle| {
            while let Some((since, connection)) = idle.pop() {
                let idle_for = now.saturating_duration_since(since);
                if connection.is_open() && idle_for < MAX_IDLE {
                    return Some(connection);
                }
                connection.close();
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
                // So that another worker may open one.
                return connection.close();
            }
        }
        if self.limit.open() > connection.max {
            // `max_connections` was lowered.
            return connection.close();
        }
        connection.set_busy(false);
        if !connection.stays(&mut Context::from_waker(&self.keeper.borrow())) {
            return;
        }
        let now = Instant::now();
        self.change_idle(|idle| idle.push((now, connection)));
    }

    /// Closes those that others wait for, and those that were idle for too long.
    fn give_up_idle(&self) {
        if !self.has_idle() {
            return;
        }
        let given_up: Vec<_> = self.change_idle(|idle| {
            let kept_for_long = idle.partition_point(|(since, _)| since.elapsed() >= MAX_IDLE);
            let given_up = kept_for_long.max(self.limit.waiting()).min(idle.len());
            idle.drain(..given_up).collect()
        });
        given_up.into_iter().for_each(|(_, idle)| idle.close());
    }

    /// Drops the idle that have ended, and has `cx` woken when another does:
    /// one waker for all, which each gets when it becomes idle.
    fn close_ended(&self, cx: &mut Context<'_>) {
        self.keeper.borrow_mut().clone_from(cx.waker());
        if self.has_idle() {
            self.change_idle(|idle| idle.retain_mut(|(_, idle)| idle.stays(cx)));
        }
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

/// Closes idle connections when other workers wait for some, those that have
/// been idle for too long, and those of ours that the origin closes.
async fn keep_idle(endpoint: Weak<Endpoint>, limit: Arc<Limit>) {
    loop {
        let wanted = limit.wanted.notified();
        let Some(known) = endpoint.upgrade() else {
            return;
        };
        known.give_up_idle();
        drop(known);
        // Late or not, it is looked at again.
        let mut pause = pin!(timeout(MAX_IDLE, wanted));
        poll_fn(|cx| {
            if let Some(endpoint) = endpoint.upgrade() {
                endpoint.close_ended(cx);
            }
            pause.as_mut().poll(cx).map(drop)
        })
        .await;
    }
}
