//! One whole configuration, compiled: what a request is handled by.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use hyper::header::{HeaderName, HeaderValue};
use tokio_rustls::rustls;

use super::{PolicyTest, SourceFile, Token};
use crate::access::Ruleset;
use crate::cache::key::KeyRules;
use crate::cache::settings::CacheSettings;
use crate::client::ClientRules;
use crate::images::Images;
use crate::log::LogSettings;
use crate::network::ListenAddress;
use crate::origin::OriginSettings;
use crate::route::{HostPattern, RouteMatcher};

/// The compiled form of one configuration file; never changed, only swapped.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// How many configurations were in force before this one, plus one.
    pub generation: u64,
    /// `[server]`.
    pub server: ServerSettings,
    /// `[client]`.
    pub client: ClientRules,
    /// `access.disclose`.
    pub disclose: bool,
    /// The routes in the order of the file; the last is the catch-all, `default`.
    pub routes: Vec<Route>,
    /// Finds a route by its place in [`Self::routes`]; none: the catch-all.
    pub matcher: RouteMatcher,
    /// `[admin]`.
    pub admin: AdminSettings,
    /// `[log]`.
    pub log: LogSettings,
    /// `cache.memory`, in bytes; 0: no cache. What it said at the start is in
    /// force until a restart.
    pub cache_memory: u64,
    /// `[[test]]`.
    pub tests: Vec<PolicyTest>,
    /// The files this was made from: the configuration first, then lists and
    /// databases.
    pub sources: Vec<SourceFile>,
}

/// The `[server]` table, compiled.
#[derive(Clone, Debug)]
pub struct ServerSettings {
    /// `listen`, in the clear; empty only where [`Self::tls`] is not `None`.
    pub listen: Vec<ListenAddress>,
    /// `hosts`; empty: any.
    pub hosts: Vec<HostPattern>,
    /// `workers`; 0: one a core.
    pub workers: usize,
    /// `max_connections` of the process.
    pub max_connections: usize,
    /// `header_timeout`: from the first byte of a request head to its end.
    pub header_timeout: Duration,
    /// `idle_timeout`: until the first byte of the next head.
    pub idle_timeout: Duration,
    /// `stall_timeout`: of a body that makes no progress, in either direction.
    pub stall_timeout: Duration,
    /// `max_header_bytes` of a request head.
    pub max_header_bytes: usize,
    /// `max_body` of a request, in bytes.
    pub max_body: u64,
    /// `merge_slashes`.
    pub merge_slashes: bool,
    /// `drain_timeout`.
    pub drain_timeout: Duration,
    /// `redirect_https`: listeners in the clear that send everybody to https.
    pub redirect_https: Vec<ListenAddress>,
    /// `socket_mode`: the permissions of Unix sockets that are made here.
    pub socket_mode: u32,
    /// `[server.tls]`; `None`: nothing listens by TLS.
    pub tls: Option<TlsSettings>,
}

/// The `[server.tls]` table, compiled. `Debug` tells nothing of keys.
#[derive(Clone)]
pub struct TlsSettings {
    /// `listen`; never empty.
    pub listen: Vec<ListenAddress>,
    /// `handshake_timeout`: from the accepted connection to the end of its
    /// handshake.
    pub handshake_timeout: Duration,
    /// `max_streams`: requests that a client may have open on one connection
    /// by HTTP/2.
    pub max_streams: usize,
    /// What a handshake runs by: certificates, versions, tickets, ALPN.
    pub config: Arc<rustls::ServerConfig>,
    /// `certificates`, in short; the first is for who asks for no name of any.
    pub certificates: Vec<ShownCertificate>,
}

/// What there is to tell of a certificate that clients are shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShownCertificate {
    /// `cert_file`, as it is written; no other certificate has the same.
    pub file: String,
    /// The names that it is for, the first of its subjectAltName first.
    pub names: Vec<String>,
    /// The last moment that it is valid.
    pub expires: SystemTime,
}

/// The `[admin]` table, compiled.
#[derive(Clone, Debug, Default)]
pub struct AdminSettings {
    /// `listen`; `None`: off.
    pub listen: Option<SocketAddr>,
    /// What is in `token_file`; `None`: nobody may change anything.
    pub token: Option<Token>,
    /// `hosts`.
    pub hosts: Vec<HostPattern>,
}

/// A route with everything that applies to it, inherited or its own.
#[derive(Clone, Debug)]
pub struct Route {
    /// `name`; the catch-all is `default`.
    pub name: String,
    /// Its access rules.
    pub rules: Ruleset,
    /// Its origin.
    pub origin: Arc<OriginSettings>,
    /// Its image variants.
    pub images: Arc<Images>,
    /// Its cache key.
    pub key: Arc<KeyRules>,
    /// Its part of the cache.
    pub cache: CacheSettings,
    /// What it does to the fields of a response; `None`: nothing.
    pub response: Option<Arc<ResponseFields>>,
    /// Whether its responses leave as `private`: it has rules, and
    /// `access.downstream` says so.
    pub private: bool,
}

/// The `[response]` table, compiled.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResponseFields {
    /// `remove`, which comes first.
    pub remove: Vec<HeaderName>,
    /// `set`, each in place of the origin's own.
    pub set: Vec<(HeaderName, HeaderValue)>,
}

impl fmt::Debug for TlsSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsSettings")
            .field("listen", &self.listen)
            .field("handshake_timeout", &self.handshake_timeout)
            .field("certificates", &self.certificates)
            .finish_non_exhaustive()
    }
}

impl Snapshot {
    /// The route at `index`, or the catch-all.
    pub fn route(&self, index: Option<usize>) -> &Route {
        &self.routes[self.place(index)]
    }

    /// Where in [`Self::routes`] that is.
    pub fn place(&self, index: Option<usize>) -> usize {
        index.unwrap_or(self.routes.len() - 1)
    }
}
