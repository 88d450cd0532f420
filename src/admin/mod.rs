//! The admin listener (section 13): what operators and their tools ask.
//!
//! It has a thread and a runtime of its own, so that it answers while every
//! worker is busy, and is never on the way of a request.

mod connections;
mod denials;
mod explain;
mod guard;
mod metrics;
mod outstanding;
mod policy;
mod process;
mod purge;
mod reply;
mod routes;
mod shadow;
mod taking;

pub use shadow::{Shadow, Shadows};

use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Instant;

use arc_swap::ArcSwap;
use tokio::sync::{oneshot, watch};

use self::outstanding::Outstanding;
use crate::cache::Cache;
use crate::cache::purge::Purge;
use crate::config::Snapshot;
use crate::log::access::Spool;
use crate::log::counters::Counters;
use crate::reload;

/// Why there is no admin listener.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// It cannot be listened on.
    #[error("admin.listen: cannot listen on {address}")]
    Bind {
        /// As configured.
        address: SocketAddr,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// Its thread cannot be started.
    #[error("the thread of the admin listener cannot be started")]
    Thread(#[source] io::Error),
}

/// What the admin listener tells of, and what it can do.
pub struct Subject {
    /// What is in force.
    pub policy: Arc<ArcSwap<Snapshot>>,
    /// How the reloads went.
    pub status: reload::Status,
    /// What asks for a reload.
    pub reload: Arc<reload::Handle>,
    /// What the workers count.
    pub counters: Counters,
    /// Since when rules are in shadow.
    pub shadows: Arc<Shadows>,
    /// Where access log lines go.
    pub spool: Spool,
    /// What is stored; `None`: there is no cache.
    pub cache: Option<Cache>,
    /// Whether the process is about to stop.
    pub draining: Box<dyn Fn() -> bool + Send + Sync>,
}

/// A bound admin listener, which does not answer yet.
#[derive(Debug)]
pub struct Admin {
    listener: TcpListener,
    address: SocketAddr,
}

/// An admin listener that answers. Dropping it ends it.
#[derive(Debug)]
pub struct Running {
    address: SocketAddr,
    retire: watch::Sender<bool>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// What every answer is made from.
#[derive(Debug)]
struct State {
    subject: Subject,
    started: Instant,
    /// Whether only this machine can reach the listener.
    is_loopback: bool,
    /// Who looks through all that is kept.
    searching: Arc<tokio::sync::Mutex<()>>,
    /// Large answers that are not taken yet.
    outstanding: Outstanding,
}

impl Admin {
    /// Listens on `address`.
    ///
    /// # Errors
    ///
    /// [`AdminError::Bind`].
    pub fn bind(address: SocketAddr) -> Result<Self, AdminError> {
        let failed = |source| AdminError::Bind { address, source };
        let listener = TcpListener::bind(address).map_err(failed)?;
        Self::on(listener).map_err(failed)
    }

    /// On a socket that listens already.
    ///
    /// # Errors
    ///
    /// If the system refuses.
    pub fn on(listener: TcpListener) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        Ok(Self { listener, address })
    }

    /// Its listening socket, once more.
    ///
    /// # Errors
    ///
    /// If there are too many open files.
    pub fn socket(&self) -> io::Result<OwnedFd> {
        Ok(self.listener.try_clone()?.into())
    }

    /// Answers questions about `subject`, on a thread of its own.
    ///
    /// # Errors
    ///
    /// [`AdminError::Thread`].
    pub fn serve(self, subject: Subject) -> Result<Running, AdminError> {
        let state = Arc::new(State {
            subject,
            started: Instant::now(),
            is_loopback: self.address.ip().to_canonical().is_loopback(),
            searching: Arc::default(),
            outstanding: Outstanding::default(),
        });
        let (stop, stopped) = oneshot::channel();
        let (retire, retired) = watch::channel(false);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(AdminError::Thread)?;
        let run = move || {
            runtime.block_on(async {
                tokio::select! {
                    () = connections::serve(self.listener, routes::router(state), retired) => {}
                    _ = stopped => {}
                }
            });
            // A reload that is waited for may take its time.
            runtime.shutdown_background();
        };
        let thread = std::thread::Builder::new()
            .name("admin".to_owned())
            .spawn(run)
            .map_err(AdminError::Thread)?;
        Ok(Running {
            address: self.address,
            retire,
            stop: Some(stop),
            thread: Some(thread),
        })
    }
}

impl Running {
    /// Where it listens; a port that was 0 is known now.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Leaves the listener to another process: accepts nobody any more, and
    /// ends once what was asked is answered.
    pub fn retire(&self) {
        // It may have ended.
        let _ = self.retire.send(true);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic was told when it happened.
            let _ = thread.join();
        }
    }
}

impl Subject {
    /// Removes stored responses, and says how many.
    fn purge(&self, purge: &Purge) -> usize {
        self.cache.as_ref().map_or(0, |cache| cache.purge(purge))
    }
}

impl fmt::Debug for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subject").finish_non_exhaustive()
    }
}
