//! One worker: a thread, a runtime, its own listeners and connections.

use std::cell::Cell;
use std::future::poll_fn;
use std::io;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::thread;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use tokio::runtime::{Builder, LocalOptions, LocalRuntime};
use tokio::sync::Notify;
use tokio::task::{JoinHandle, spawn_local};

use super::accepting::Accepting;
use super::crowd::{self, Crowd};
use super::handshake::Handshake;
use super::limits::Limits as ConnectionLimits;
use super::listen::Listener;
use super::plain::Bench;
use super::seldom::Seldom;
use super::socket::Socket;
use super::stop::{LivesOn, Stop};
use super::table::Table;
use super::{connection, farewell};
use crate::cache::Cache;
use crate::client::PeerAddr;
use crate::config::Snapshot;
use crate::log::access::{Journal, Spool};
use crate::log::counters::{Counters, WorkerCounters};
use crate::message::Scheme;
use crate::origin::{Limits, Origins};
use crate::plan::Arrival;
use crate::proxy::{Instance, Mistakes, Proxy};

/// How long to wait when the system has no room for another connection.
const PAUSE: Duration = Duration::from_millis(50);

/// How long a client may take from the first to the third packet of a
/// handshake, once nobody may begin one any more.
const LAST_CALL: Duration = Duration::from_millis(200);

/// What all workers share; but for the cache, nothing of it is written on the
/// request path.
#[derive(Clone, Debug)]
pub(super) struct Shared {
    pub(super) policy: Arc<ArcSwap<Snapshot>>,
    pub(super) instance: Arc<Instance>,
    pub(super) mistakes: Arc<Mistakes>,
    /// `None`: `cache.memory` is 0.
    pub(super) cache: Option<Cache>,
    pub(super) limits: Arc<Limits>,
    pub(super) spool: Spool,
    pub(super) counters: Counters,
    /// Connections of the process; touched where one begins or ends.
    pub(super) open: Arc<AtomicUsize>,
    pub(super) stop: Stop,
}

/// What the connections of a worker share.
#[derive(Debug)]
pub(super) struct Worker {
    pub(super) proxy: Proxy,
    pub(super) counters: Arc<WorkerCounters>,
    pub(super) table: Rc<Table>,
    pub(super) crowd: Crowd,
    pub(super) bench: Bench,
    policy: Arc<ArcSwap<Snapshot>>,
    is_draining: Cell<bool>,
    closes_idle: Cell<bool>,
    accept_errors: Seldom,
    pub(super) no_proxy_headers: Seldom,
    /// Of the process.
    all_open: Arc<AtomicUsize>,
    open: Cell<usize>,
    last_closed: Notify,
}

/// Counts a connection, also one that ends in a panic.
struct Open {
    worker: Rc<Worker>,
    /// How many the process had with this one.
    number: usize,
}

/// Places among `server.max_connections` that a connection takes beyond its
/// own, for streams beside its first: however requests come, there is an end
/// to how many there are at a time.
#[derive(Debug)]
pub(super) struct Places<'a> {
    worker: &'a Worker,
    taken: usize,
}

/// What is spoken by those who connect to an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entrance {
    /// HTTP: `server.listen`.
    Plain,
    /// The same, but that everything is found at this port by https:
    /// `server.redirect_https`.
    Redirect(u16),
    /// HTTP by TLS: `server.tls.listen`.
    Tls,
}

/// Starts worker number `index`.
pub(super) fn start(
    index: usize,
    listeners: Vec<(Entrance, Listener)>,
    shared: Shared,
) -> io::Result<thread::JoinHandle<()>> {
    let name = format!("worker-{index}");
    thread::Builder::new().name(name).spawn(move || {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build_local(LocalOptions::default());
        match runtime {
            Ok(runtime) => {
                run(&runtime, index, listeners, shared);
                // A name that is still being looked up is not waited for.
                runtime.shutdown_background();
            }
            Err(error) => tracing::error!("worker {index} cannot start its runtime: {error}"),
        }
    })
}

fn run(runtime: &LocalRuntime, index: usize, listeners: Vec<(Entrance, Listener)>, shared: Shared) {
    runtime.block_on(async {
        let journal = Journal::new(shared.spool);
        let counters = shared.counters.of(index);
        let origins = Origins::new(index, shared.limits, Arc::clone(&counters));
        let policy = Arc::clone(&shared.policy);
        let worker = Rc::new(Worker {
            proxy: Proxy::new(
                shared.policy,
                shared.instance,
                shared.mistakes,
                shared.cache,
                origins,
                journal,
                Arc::clone(&counters),
            ),
            counters,
            table: Rc::default(),
            crowd: Crowd::default(),
            bench: Bench::default(),
            policy: Arc::clone(&policy),
            is_draining: Cell::new(false),
            closes_idle: Cell::new(false),
            accept_errors: Seldom::default(),
            no_proxy_headers: Seldom::default(),
            all_open: shared.open,
            open: Cell::new(0),
            last_closed: Notify::new(),
        });
        let swept = Rc::clone(&worker);
        spawn_local(async move { swept.table.sweep(&swept.is_draining).await });
        let mut accepting = Vec::with_capacity(listeners.len());
        for (entrance, listener) in listeners {
            let Listener { socket, lives_on, .. } = listener;
            match Accepting::new(socket) {
                Ok(listener) => accepting.push(spawn_local(accept(
                    Rc::clone(&worker),
                    entrance,
                    listener,
                    lives_on,
                    shared.stop.clone(),
                ))),
                Err(error) => tracing::error!("worker {index} cannot listen: {error}"),
            }
        }
        shared.stop.draining().await;
        worker.start_draining();
        let limit = policy.load().server.drain_timeout;
        tokio::select! {
            () = all_done(accepting, &worker) => {}
            () = shared.stop.stopped() => {}
            () = tokio::time::sleep(limit) => {
                tracing::warn!(open = worker.open.get(), "connections are cut: server.drain_timeout");
            }
        }
    });
}

/// Accepts until the worker drains; then those who were already let in.
async fn accept(
    worker: Rc<Worker>,
    entrance: Entrance,
    listener: Accepting,
    lives_on: LivesOn,
    stop: Stop,
) {
    let mut draining = std::pin::pin!(stop.draining());
    loop {
        tokio::select! {
            biased;
            () = &mut draining => break,
            accepted = listener.accept() => match accepted {
                Ok(accepted) => admit(&worker, entrance, accepted),
                Err(error) => worker.recover(&error).await,
            },
        }
    }
    // Who waits there is accepted by whoever has it next, who would also not
    // hear of anybody if first packets were dropped.
    if lives_on.get() {
        return;
    }
    // Closing a listener resets who has begun to connect, and may have sent a
    // request by now: nobody may begin any more, and these are let in.
    if listener.refuse_new() {
        let mut end = std::pin::pin!(tokio::time::sleep(LAST_CALL));
        loop {
            tokio::select! {
                biased;
                Ok(accepted) = listener.accept() => admit(&worker, entrance, accepted),
                () = &mut end => break,
            }
        }
    }
    poll_fn(|cx| {
        while let Poll::Ready(Ok(accepted)) = listener.poll_accept(cx) {
            admit(&worker, entrance, accepted);
        }
        Poll::Ready(())
    })
    .await;
}

/// Ends when nobody is let in any more, and the last connection is closed.
async fn all_done(accepting: Vec<JoinHandle<()>>, worker: &Worker) {
    for listener in accepting {
        // A panic in one was told when it happened.
        let _ = listener.await;
    }
    worker.all_closed().await;
    worker.proxy.fills_read().await;
}

/// A task a connection: a panic in one costs that one.
fn admit(worker: &Rc<Worker>, entrance: Entrance, (socket, peer): (Socket, IpAddr)) {
    let peer = PeerAddr::new(peer);
    worker.counters.connections.accepted.add(1);
    let policy = worker.policy.load();
    let open = Open::new(worker);
    if open.number > policy.server.max_connections && !worker.table.evict() {
        drop(open);
        return crowd::refuse(worker, entrance, socket, peer);
    }
    let limits = ConnectionLimits::new(&policy.server);
    let mut arrival = Arrival::new(Scheme::Http, peer);
    let mut handshake = None;
    match entrance {
        Entrance::Plain => {}
        Entrance::Redirect(port) => arrival.https_port = Some(port),
        Entrance::Tls => {
            arrival.scheme = Scheme::Https;
            handshake = Handshake::new(&policy.server);
            if handshake.is_none() {
                // Not by a reload, which leaves the certificates to who listens.
                return worker.counters.connections.failed_handshakes.add(1);
            }
        }
    }
    spawn_local(async move {
        connection::serve(&open.worker, socket, handshake, arrival, limits).await;
    });
}

impl Worker {
    /// Whether each response is to be the last on its connection.
    pub(super) fn is_draining(&self) -> bool {
        self.is_draining.get()
    }

    /// Whether a connection from `peer` has to begin with a PROXY header.
    pub(super) fn expects_header(&self, peer: PeerAddr) -> bool {
        self.policy.load().client.expects_header(peer)
    }

    /// Whether a connection on which nothing is asked is to be closed.
    pub(super) fn closes_idle(&self) -> bool {
        self.closes_idle.get()
    }

    fn start_draining(self: &Rc<Self>) {
        self.is_draining.set(true);
        // By HTTP/2 a client can be told at any time.
        self.table.wake_all();
        let worker = Rc::clone(self);
        spawn_local(async move {
            tokio::time::sleep(farewell::GRACE).await;
            worker.closes_idle.set(true);
            worker.table.wake_all();
        });
    }

    /// Some errors are the end of one connection only; the others, such as
    /// too many open files, do not pass by trying again at once.
    async fn recover(&self, error: &io::Error) {
        use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
        if matches!(
            error.kind(),
            ConnectionAborted | ConnectionReset | Interrupted
        ) {
            return;
        }
        self.counters.connections.accept_errors.add(1);
        if let Some(times) = self.accept_errors.count(Instant::now()) {
            tracing::warn!(times, "a connection cannot be accepted: {error}");
        }
        self.table.evict();
        tokio::time::sleep(PAUSE).await;
    }

    fn set_open(&self, open: usize) {
        self.open.set(open);
        self.counters.connections.open.set(open as u64);
    }

    async fn all_closed(&self) {
        while self.open.get() > 0 {
            self.last_closed.notified().await;
        }
    }
}

impl<'a> Places<'a> {
    pub(super) fn new(worker: &'a Worker) -> Self {
        Self { worker, taken: 0 }
    }

    pub(super) fn taken(&self) -> usize {
        self.taken
    }

    /// Takes one more of `most`, if need be that of an idle connection. Who
    /// has as many as are left, these counted too, gets no more: else a few
    /// connections could have all of them, and nobody could connect.
    pub(super) fn take(&mut self, most: usize) -> bool {
        let Worker {
            all_open, table, ..
        } = self.worker;
        let free = most.saturating_sub(all_open.fetch_add(1, Ordering::Relaxed));
        let has_less = |left: usize| self.taken < left;
        let is_fair = has_less(free) || has_less(free + table.idle_to(self.taken + 1));
        if is_fair && (free > 0 || table.evict()) {
            self.taken += 1;
            return true;
        }
        all_open.fetch_sub(1, Ordering::Relaxed);
        false
    }

    /// Gives back all but `rest`.
    pub(super) fn keep(&mut self, rest: usize) {
        let more = self.taken.saturating_sub(rest);
        if more > 0 {
            self.taken -= more;
            self.worker.all_open.fetch_sub(more, Ordering::Relaxed);
        }
    }
}

impl Drop for Places<'_> {
    fn drop(&mut self) {
        self.keep(0);
    }
}

impl Open {
    fn new(worker: &Rc<Worker>) -> Self {
        worker.set_open(worker.open.get() + 1);
        Self {
            worker: Rc::clone(worker),
            number: worker.all_open.fetch_add(1, Ordering::Relaxed) + 1,
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let open = self.worker.open.get() - 1;
        self.worker.set_open(open);
        self.worker.all_open.fetch_sub(1, Ordering::Relaxed);
        if open == 0 {
            self.worker.last_closed.notify_one();
        }
    }
}
