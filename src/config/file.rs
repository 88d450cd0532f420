//! The configuration as it is written: the same tables and keys, each value
//! with its place, and nothing worked out yet.
//!
//! `None` is a key or table that is absent, or was wrong and is reported.

use std::time::Duration;

use super::error::{Finding, Spot, quoted};
use crate::access::Missing;
use crate::cache::key::QueryMode;
use crate::cache::settings::SetCookie;
use crate::log::{ClientAddressMode, Level, LogFormat};
use crate::tls::MinVersion;

mod list;

pub(super) use list::{Entry, List};

/// A value and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Written<T> {
    pub(super) value: T,
    pub(super) spot: Spot,
}

impl<T> Written<T> {
    pub(super) fn new(value: T, spot: Spot) -> Self {
        Self { value, spot }
    }
}

/// What a table leaves open, as it is written.
pub(super) type Maybe<T> = Option<Written<T>>;

#[derive(Clone, Debug)]
pub(super) struct ConfigFile {
    pub(super) server: Server,
    pub(super) client: Client,
    pub(super) limits: Limits,
    pub(super) disclose: Maybe<bool>,
    pub(super) downstream: Maybe<Downstream>,
    /// `cache.memory`, which is the whole process's.
    pub(super) memory: Maybe<u64>,
    pub(super) policy: Policy,
    pub(super) admin: Admin,
    pub(super) log: Log,
    pub(super) routes: Vec<Route>,
    pub(super) tests: Vec<Test>,
    /// The start of the file, for what is missing from it.
    pub(super) spot: Spot,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Server {
    pub(super) listen: Option<List>,
    pub(super) hosts: Option<List>,
    pub(super) workers: Maybe<usize>,
    pub(super) max_connections: Maybe<usize>,
    pub(super) header_timeout: Maybe<Duration>,
    pub(super) idle_timeout: Maybe<Duration>,
    pub(super) stall_timeout: Maybe<Duration>,
    pub(super) max_header_bytes: Maybe<u64>,
    pub(super) max_body: Maybe<u64>,
    pub(super) merge_slashes: Maybe<bool>,
    pub(super) drain_timeout: Maybe<Duration>,
    pub(super) redirect_https: Option<List>,
    pub(super) socket_mode: Maybe<String>,
    pub(super) tls: Option<ServerTls>,
}

#[derive(Clone, Debug)]
pub(super) struct ServerTls {
    pub(super) spot: Spot,
    pub(super) listen: Option<List>,
    pub(super) min_version: Maybe<MinVersion>,
    pub(super) handshake_timeout: Maybe<Duration>,
    pub(super) http2: Maybe<bool>,
    pub(super) max_streams: Maybe<usize>,
    pub(super) certificates: Vec<CertificateFiles>,
}

#[derive(Clone, Debug)]
pub(super) struct CertificateFiles {
    pub(super) spot: Spot,
    pub(super) cert_file: Maybe<String>,
    pub(super) key_file: Maybe<String>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Client {
    pub(super) trusted_proxies: Option<List>,
    pub(super) header: Maybe<String>,
    pub(super) proxy_protocol: Maybe<bool>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Limits {
    pub(super) ip_entries: Maybe<usize>,
    pub(super) referrers: Maybe<usize>,
    pub(super) origin_patterns: Maybe<usize>,
    pub(super) user_agents: Maybe<usize>,
}

/// The units that a route inherits or replaces, each whole.
#[derive(Clone, Debug, Default)]
pub(super) struct Policy {
    pub(super) origin: Option<Origin>,
    pub(super) exempt_paths: Option<List>,
    pub(super) ip: Option<Ip>,
    pub(super) user_agent: Option<UserAgent>,
    pub(super) geo: Option<Geo>,
    pub(super) upload: Option<Origins>,
    pub(super) delivery: Option<Origins>,
    pub(super) referrer: Option<Referrer>,
    pub(super) images: Option<Images>,
    pub(super) cache_key: Option<CacheKey>,
    pub(super) cache: Option<Cache>,
    pub(super) response: Option<Response>,
}

#[derive(Clone, Debug)]
pub(super) struct Origin {
    pub(super) spot: Spot,
    pub(super) url: Maybe<String>,
    pub(super) host: Maybe<String>,
    pub(super) methods: Option<List>,
    pub(super) ca_file: Maybe<String>,
    pub(super) connect_timeout: Maybe<Duration>,
    pub(super) response_timeout: Maybe<Duration>,
    pub(super) max_connections: Maybe<usize>,
    pub(super) retries: Maybe<usize>,
}

#[derive(Clone, Debug)]
pub(super) struct Ip {
    pub(super) block: Option<List>,
    pub(super) block_files: Option<List>,
    pub(super) exempt: Option<List>,
    pub(super) shadow: Maybe<bool>,
}

#[derive(Clone, Debug)]
pub(super) struct UserAgent {
    pub(super) block: Option<List>,
    pub(super) shadow: Maybe<bool>,
}

/// Whether a list names who is refused or who is let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    Off,
    Block,
    Allow,
}

/// What the geo rule does about an address without a country.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unknown {
    Allow,
    Block,
}

#[derive(Clone, Debug)]
pub(super) struct Geo {
    pub(super) spot: Spot,
    pub(super) mode: Maybe<Mode>,
    pub(super) countries: Option<List>,
    pub(super) database: Maybe<String>,
    pub(super) unknown: Maybe<Unknown>,
    pub(super) shadow: Maybe<bool>,
}

#[derive(Clone, Debug)]
pub(super) struct Origins {
    pub(super) spot: Spot,
    pub(super) patterns: Option<List>,
    pub(super) missing: Maybe<Missing>,
    pub(super) shadow: Maybe<bool>,
}

#[derive(Clone, Debug)]
pub(super) struct Referrer {
    pub(super) spot: Spot,
    pub(super) mode: Maybe<Mode>,
    pub(super) urls: Option<List>,
    pub(super) missing: Maybe<Missing>,
    pub(super) shadow: Maybe<bool>,
}

#[derive(Clone, Debug)]
pub(super) struct Images {
    pub(super) spot: Spot,
    pub(super) extensions: Option<List>,
    pub(super) formats: Option<List>,
    pub(super) clients: Vec<ImageClient>,
}

#[derive(Clone, Debug)]
pub(super) struct ImageClient {
    pub(super) spot: Spot,
    pub(super) user_agents: Option<List>,
    pub(super) accept: Maybe<String>,
}

#[derive(Clone, Debug)]
pub(super) struct CacheKey {
    pub(super) query: Maybe<QueryMode>,
    pub(super) drop: Option<List>,
    pub(super) only: Option<List>,
    pub(super) field: Maybe<String>,
}

/// What `[cache]` and `[route.cache]` may both hold, and `enabled`, which only
/// the latter may.
#[derive(Clone, Debug)]
pub(super) struct Cache {
    pub(super) enabled: Maybe<bool>,
    pub(super) max_object: Maybe<u64>,
    pub(super) default_ttl: Maybe<Duration>,
    pub(super) stale_while_revalidate: Maybe<Duration>,
    pub(super) stale_if_error: Maybe<Duration>,
    pub(super) set_cookie: Maybe<SetCookie>,
}

#[derive(Clone, Debug)]
pub(super) struct Response {
    pub(super) set: Vec<(Written<String>, Written<String>)>,
    pub(super) remove: Option<List>,
}

/// Who may store what a route with rules forwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Downstream {
    Public,
    Private,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Admin {
    pub(super) listen: Maybe<String>,
    pub(super) token_file: Maybe<String>,
    pub(super) hosts: Option<List>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Log {
    pub(super) level: Maybe<Level>,
    pub(super) format: Maybe<LogFormat>,
    pub(super) access: Maybe<String>,
    pub(super) client_address: Maybe<ClientAddressMode>,
}

#[derive(Clone, Debug)]
pub(super) struct Route {
    pub(super) spot: Spot,
    pub(super) name: Maybe<String>,
    pub(super) hosts: Option<List>,
    pub(super) paths: Option<List>,
    pub(super) policy: Policy,
}

#[derive(Clone, Debug)]
pub(super) struct Test {
    pub(super) spot: Spot,
    pub(super) name: Maybe<String>,
    pub(super) request: Option<Request>,
    pub(super) expect: Maybe<String>,
}

#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) spot: Spot,
    pub(super) url: Maybe<String>,
    pub(super) method: Maybe<String>,
    pub(super) client: Maybe<String>,
    pub(super) peer: Maybe<String>,
    pub(super) headers: Vec<(Written<String>, List)>,
}
