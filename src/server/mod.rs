//! Workers, listeners, and the life of one connection (sections 10 and 11).

mod accepting;
mod connection;
mod crowd;
mod descriptors;
mod farewell;
mod handshake;
mod http2;
mod limits;
mod lingering;
mod link;
mod listen;
mod pace;
mod passed;
mod plain;
mod prologue;
pub mod proxy_protocol;
mod ring;
mod seldom;
mod socket;
mod socket_file;
mod stop;
mod stream;
mod table;
mod transport;
mod unsent;
mod watched;
mod worker;

pub use listen::BindError;
pub use passed::{Bound, Passed, PassedError, Use};
pub use socket_file::SocketFile;
pub use stop::Stop;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;

use arc_swap::ArcSwap;

use self::listen::{Listener, Listeners, Wanted};
use self::worker::{Entrance, Shared};
use crate::cache::Cache;
use crate::config::{ServerSettings, Snapshot};
use crate::log::access::Spool;
use crate::log::counters::Counters;
use crate::network::ListenAddress;
use crate::origin::Limits;
use crate::proxy::{Instance, Mistakes};

/// Why the server does not start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// An address cannot be listened on.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// What listens already is of no use.
    #[error(transparent)]
    Passed(#[from] PassedError),
    /// A worker cannot be started.
    #[error("a worker cannot be started")]
    Worker(#[source] io::Error),
    /// There is no randomness for ids.
    #[error("the system has no random source")]
    Random(#[source] getrandom::Error),
}

/// A running server: a thread, a runtime and its own listeners a worker.
#[derive(Debug)]
pub struct Server {
    addresses: Vec<ListenAddress>,
    workers: Vec<JoinHandle<()>>,
    counters: Counters,
    cache: Option<Cache>,
    stop: Stop,
}

impl Server {
    /// Binds every address of `server.listen` and starts to serve by
    /// whatever `policy` is in force; access log lines go to `spool`.
    ///
    /// # Errors
    ///
    /// [`ServeError`]; nothing runs then.
    pub fn start(policy: &Arc<ArcSwap<Snapshot>>, spool: &Spool) -> Result<Self, ServeError> {
        Self::start_on(policy, spool, &mut Passed::default())
    }

    /// The same, but does not bind what is `passed`.
    ///
    /// # Errors
    ///
    /// [`ServeError`]; nothing runs then.
    pub fn start_on(
        policy: &Arc<ArcSwap<Snapshot>>,
        spool: &Spool,
        passed: &mut Passed,
    ) -> Result<Self, ServeError> {
        let settings = policy.load().server.clone();
        descriptors::prepare(&policy.load());
        let count = worker_count(settings.workers);
        let stop = Stop::default();
        let Listeners {
            addresses,
            by_worker,
        } = listen::bind(
            &to_bind(&settings),
            settings.socket_mode,
            count,
            passed,
            &stop,
        )?;
        passed.refuse_rest()?;
        let entrances = entrances(&settings, &addresses);
        let counters = Counters::new(count);
        let memory = policy.load().cache_memory;
        let cache = (memory > 0).then(|| Cache::new(memory));
        let shared = Shared {
            cache: cache.clone(),
            policy: Arc::clone(policy),
            instance: Arc::new(Instance::new().map_err(ServeError::Random)?),
            mistakes: Arc::new(Mistakes::default()),
            limits: Arc::new(Limits::default()),
            spool: spool.clone(),
            counters: counters.clone(),
            open: Arc::default(),
            stop: stop.clone(),
        };
        let start = |(index, listeners): (usize, Vec<Listener>)| {
            let listeners = listeners.into_iter();
            let listeners = listeners.map(|listener| (entrances[listener.place], listener));
            worker::start(index, listeners.collect(), shared.clone())
        };
        let started: Result<Vec<_>, _> = by_worker.into_iter().enumerate().map(start).collect();
        match started {
            Ok(workers) => Ok(Self {
                addresses,
                workers,
                counters,
                cache,
                stop,
            }),
            Err(error) => {
                stop.now();
                Err(ServeError::Worker(error))
            }
        }
    }

    /// Where it listens; ports that were 0 are known now.
    pub fn listens_on(&self) -> &[ListenAddress] {
        &self.addresses
    }

    /// The same, but for Unix sockets.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        let all = self.addresses.iter();
        all.filter_map(ListenAddress::tcp).collect()
    }

    /// What its workers count.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// What its workers store and answer from; `None`: `cache.memory` is 0.
    pub fn cache(&self) -> Option<&Cache> {
        self.cache.as_ref()
    }

    /// How it is told to stop, from anywhere.
    pub fn stop(&self) -> &Stop {
        &self.stop
    }

    /// Waits until it has stopped.
    pub fn wait(mut self) {
        for worker in self.workers.drain(..) {
            // A worker's panic was told when it happened.
            let _ = worker.join();
        }
    }
}

impl Drop for Server {
    /// Nobody can wait for it any more.
    fn drop(&mut self) {
        self.stop.now();
    }
}

/// All addresses, in the order of [`entrances`].
fn to_bind(settings: &ServerSettings) -> Vec<Wanted> {
    let tls = settings.tls.iter().flat_map(|tls| &tls.listen);
    let of = |key| {
        move |address: &ListenAddress| Wanted {
            key,
            address: address.clone(),
        }
    };
    let plain = settings.listen.iter().map(of("server.listen"));
    let all = plain.chain(tls.map(of("server.tls.listen")));
    let redirect = settings.redirect_https.iter();
    all.chain(redirect.map(of("server.redirect_https")))
        .collect()
}

/// What is spoken at each of `addresses`.
fn entrances(settings: &ServerSettings, addresses: &[ListenAddress]) -> Vec<Entrance> {
    let tls = settings.tls.as_ref().map_or(0, |tls| tls.listen.len());
    let mut entrances = vec![Entrance::Plain; settings.listen.len()];
    let mut by_tls = addresses.iter().skip(entrances.len()).take(tls);
    let https = by_tls.find_map(ListenAddress::tcp);
    let https = https.map_or(443, |address| address.port());
    entrances.resize(entrances.len() + tls, Entrance::Tls);
    entrances.resize(addresses.len(), Entrance::Redirect(https));
    entrances
}

/// `server.workers`; 0 is one a core that this process may use, by its
/// cgroup quota and its cpuset.
fn worker_count(configured: usize) -> usize {
    match configured {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        count => count,
    }
}
