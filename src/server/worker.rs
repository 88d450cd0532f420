//! One worker: a thread, a runtime, its own listeners and connections.

use std::cell::Cell;
use std::future::poll_fn;
use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::thread::JoinHandle;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, LocalOptions, LocalRuntime};
use tokio::sync::Notify;
use tokio::task::spawn_local;

use super::connection;
use super::stop::Stop;
use crate::config::Snapshot;
use crate::log::access::{Journal, Spool};
use crate::log::counters::{Counters, WorkerCounters};
use crate::origin::{Limits, Origins};
use crate::proxy::{Instance, Mistakes, Proxy};

/// How long to wait when the system has no room for another connection.
const PAUSE: Duration = Duration::from_millis(50);

/// What all workers share; nothing of it is written on the request path.
#[derive(Clone, Debug)]
pub(super) struct Shared {
    pub(super) policy: Arc<ArcSwap<Snapshot>>,
    pub(super) instance: Arc<Instance>,
    pub(super) mistakes: Arc<Mistakes>,
    pub(super) limits: Arc<Limits>,
    pub(super) spool: Spool,
    pub(super) counters: Counters,
    pub(super) stop: Stop,
}

/// What the connections of a worker share.
#[derive(Debug)]
pub(super) struct Worker {
    pub(super) proxy: Proxy,
    counters: Arc<WorkerCounters>,
    is_draining: Cell<bool>,
    drain: Notify,
    open: Cell<usize>,
    last_closed: Notify,
}

/// Counts a connection, also one that ends in a panic.
struct Open(Rc<Worker>);

/// Starts worker number `index`.
pub(super) fn start(
    index: usize,
    listeners: Vec<StdListener>,
    shared: Shared,
) -> io::Result<JoinHandle<()>> {
    let name = format!("worker-{index}");
    std::thread::Builder::new().name(name).spawn(move || {
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

fn run(runtime: &LocalRuntime, index: usize, listeners: Vec<StdListener>, shared: Shared) {
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
                origins,
                journal,
            ),
            counters,
            is_draining: Cell::new(false),
            drain: Notify::new(),
            open: Cell::new(0),
            last_closed: Notify::new(),
        });
        for listener in listeners {
            match TcpListener::from_std(listener) {
                Ok(listener) => drop(spawn_local(accept(Rc::clone(&worker), listener, shared.stop.clone()))),
                Err(error) => tracing::error!("worker {index} cannot listen: {error}"),
            }
        }
        shared.stop.draining().await;
        worker.start_draining();
        let limit = policy.load().server.drain_timeout;
        tokio::select! {
            () = worker.all_closed() => {}
            () = shared.stop.stopped() => {}
            () = tokio::time::sleep(limit) => {
                tracing::warn!(open = worker.open.get(), "connections are cut: server.drain_timeout");
            }
        }
    });
}

/// Accepts until the worker drains; then those who were already let in.
async fn accept(worker: Rc<Worker>, listener: TcpListener, stop: Stop) {
    let mut draining = std::pin::pin!(stop.draining());
    loop {
        tokio::select! {
            biased;
            () = &mut draining => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => admit(&worker, stream, peer),
                Err(error) => pause(&error).await,
            },
        }
    }
    // Closing a listener resets whoever stands in its queue.
    poll_fn(|cx| {
        while let Poll::Ready(Ok((stream, peer))) = listener.poll_accept(cx) {
            admit(&worker, stream, peer);
        }
        Poll::Ready(())
    })
    .await;
}

/// A task a connection: a panic in one costs that one.
fn admit(worker: &Rc<Worker>, stream: TcpStream, peer: SocketAddr) {
    let open = Open::new(worker);
    spawn_local(async move {
        connection::serve(Rc::clone(&open.0), stream, peer).await;
    });
}

/// Some errors are the end of one connection only; the others, such as too
/// many open files, do not pass by trying again at once.
async fn pause(error: &io::Error) {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
    if matches!(
        error.kind(),
        ConnectionAborted | ConnectionReset | Interrupted
    ) {
        return;
    }
    tracing::warn!("a connection cannot be accepted: {error}");
    tokio::time::sleep(PAUSE).await;
}

impl Worker {
    /// Ends when the worker drains.
    pub(super) async fn draining(&self) {
        let told = self.drain.notified();
        if !self.is_draining.get() {
            told.await;
        }
    }

    fn start_draining(&self) {
        self.is_draining.set(true);
        self.drain.notify_waiters();
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

impl Open {
    fn new(worker: &Rc<Worker>) -> Self {
        worker.set_open(worker.open.get() + 1);
        worker.counters.connections.accepted.add(1);
        Self(Rc::clone(worker))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let open = self.0.open.get() - 1;
        self.0.set_open(open);
        if open == 0 {
            self.0.last_closed.notify_one();
        }
    }
}
