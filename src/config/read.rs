//! The parsed TOML read into [`ConfigFile`], table by table.

use super::error::Spot;
use super::file::{
    Admin, Cache, CacheKey, CertificateFiles, Client, ConfigFile, Downstream, Geo, ImageClient,
    Images, Ip, Limits, Log, Maybe, Mode, Origin, Origins, Policy, Referrer, Request, Response,
    Route, Server, ServerTls, Test, Unknown, UserAgent,
};
use super::reader::Table;
use crate::access::Missing;
use crate::cache::key::QueryMode;
use crate::cache::settings::SetCookie;
use crate::log::{ClientAddressMode, Level, LogFormat};
use crate::tls::MinVersion;

/// No list needs more; a number with more digits is a mistake.
const LARGEST_LIMIT: usize = 10_000_000;
const MOST_WORKERS: usize = 1024;
const MOST_CONNECTIONS: usize = 1_000_000;
/// By one connection; each takes memory.
const MOST_STREAMS: usize = 1000;
const MOST_RETRIES: usize = 10;

const MODES: &[(&str, Mode)] = &[
    ("off", Mode::Off),
    ("block", Mode::Block),
    ("allow", Mode::Allow),
];

const MISSING: &[(&str, Missing)] = &[
    ("allow", Missing::Allow),
    ("block", Missing::Block),
    ("infer", Missing::Infer),
];

const UNKNOWN: &[(&str, Unknown)] = &[("allow", Unknown::Allow), ("block", Unknown::Block)];

const QUERIES: &[(&str, QueryMode)] = &[
    ("keep", QueryMode::Keep),
    ("sort", QueryMode::Sort),
    ("drop", QueryMode::Drop),
];

const SET_COOKIES: &[(&str, SetCookie)] = &[
    ("strip", SetCookie::Strip),
    ("keep", SetCookie::Keep),
    ("bypass", SetCookie::Bypass),
];

const DOWNSTREAM: &[(&str, Downstream)] = &[
    ("public", Downstream::Public),
    ("private", Downstream::Private),
];

const TLS_VERSIONS: &[(&str, MinVersion)] =
    &[("1.2", MinVersion::Tls12), ("1.3", MinVersion::Tls13)];

const LEVELS: &[(&str, Level)] = &[
    ("error", Level::Error),
    ("warn", Level::Warn),
    ("info", Level::Info),
    ("debug", Level::Debug),
    ("trace", Level::Trace),
];

const FORMATS: &[(&str, LogFormat)] = &[("text", LogFormat::Text), ("json", LogFormat::Json)];

const CLIENT_ADDRESSES: &[(&str, ClientAddressMode)] = &[
    ("full", ClientAddressMode::Full),
    ("prefix", ClientAddressMode::Prefix),
    ("none", ClientAddressMode::None),
];

/// Reads the whole file.
pub(super) fn file(top: &Table<'_>) -> ConfigFile {
    let access = top.table("access", "access");
    let stored = top.table("cache", "cache");
    ConfigFile {
        server: top
            .table("server", "server")
            .map_or_else(Server::default, |t| server(&t)),
        client: top
            .table("client", "client")
            .map_or_else(Client::default, |t| client(&t)),
        limits: top
            .table("limits", "limits")
            .map_or_else(Limits::default, |t| limits(&t)),
        disclose: access.as_ref().and_then(|access| access.flag("disclose")),
        downstream: access
            .as_ref()
            .and_then(|access| access.choice("downstream", DOWNSTREAM)),
        memory: stored.as_ref().and_then(|table| table.size("memory")),
        policy: Policy {
            cache: stored.as_ref().map(|table| cache(table, None)),
            ..policy(top, access.as_ref())
        },
        admin: top
            .table("admin", "admin")
            .map_or_else(Admin::default, |t| admin(&t)),
        log: top
            .table("log", "log")
            .map_or_else(Log::default, |t| log(&t)),
        routes: top.tables("route", "route").iter().map(route).collect(),
        tests: top.tables("test", "test").iter().map(test).collect(),
        spot: Spot {
            span: 0..0,
            ..top.spot()
        },
    }
}

fn server(table: &Table<'_>) -> Server {
    Server {
        listen: table.list("listen"),
        hosts: table.list("hosts"),
        workers: table.integer("workers", 0..=MOST_WORKERS),
        max_connections: table.integer("max_connections", 1..=MOST_CONNECTIONS),
        header_timeout: table.duration("header_timeout"),
        idle_timeout: table.duration("idle_timeout"),
        stall_timeout: table.duration("stall_timeout"),
        max_header_bytes: table.size("max_header_bytes"),
        max_body: table.size("max_body"),
        merge_slashes: table.flag("merge_slashes"),
        drain_timeout: table.duration("drain_timeout"),
        redirect_https: table.list("redirect_https"),
        socket_mode: table.text("socket_mode"),
        tls: table.table("tls", "server.tls").map(|t| server_tls(&t)),
    }
}

fn server_tls(table: &Table<'_>) -> ServerTls {
    let certificates = table.tables("certificates", "server.tls.certificates");
    ServerTls {
        spot: table.spot(),
        listen: table.list("listen"),
        min_version: table.choice("min_version", TLS_VERSIONS),
        handshake_timeout: table.duration("handshake_timeout"),
        http2: table.flag("http2"),
        max_streams: table.integer("max_streams", 1..=MOST_STREAMS),
        certificates: certificates.iter().map(certificate_files).collect(),
    }
}

fn certificate_files(table: &Table<'_>) -> CertificateFiles {
    CertificateFiles {
        spot: table.spot(),
        cert_file: table.text("cert_file"),
        key_file: table.text("key_file"),
    }
}

fn client(table: &Table<'_>) -> Client {
    Client {
        trusted_proxies: table.list("trusted_proxies"),
        header: table.text("header"),
        proxy_protocol: table.flag("proxy_protocol"),
    }
}

fn limits(table: &Table<'_>) -> Limits {
    let limit = |name| table.integer(name, 0..=LARGEST_LIMIT);
    Limits {
        ip_entries: limit("ip_entries"),
        referrers: limit("referrers"),
        origin_patterns: limit("origin_patterns"),
        user_agents: limit("user_agents"),
    }
}

/// The units that stand in `table`, which is the top level or a route; but
/// `cache`, which holds other keys there and here.
fn policy(table: &Table<'_>, access: Option<&Table<'_>>) -> Policy {
    let origins = access.and_then(|access| access.table("origins", "access.origins"));
    let origins = origins.as_ref();
    let unit = |name, section| access.and_then(|access| access.table(name, section));
    Policy {
        origin: table.table("origin", "origin").map(|t| origin(&t)),
        exempt_paths: access.and_then(|access| access.list("exempt_paths")),
        ip: unit("ip", "access.ip").map(|t| ip(&t)),
        user_agent: unit("user_agent", "access.user_agent").map(|t| user_agent(&t)),
        geo: unit("geo", "access.geo").map(|t| geo(&t)),
        upload: origins
            .and_then(|t| t.table("upload", "access.origins.upload"))
            .map(|t| direction(&t)),
        delivery: origins
            .and_then(|t| t.table("delivery", "access.origins.delivery"))
            .map(|t| direction(&t)),
        referrer: unit("referrer", "access.referrer").map(|t| referrer(&t)),
        images: table.table("images", "images").map(|t| images(&t)),
        cache_key: table.table("cache_key", "cache_key").map(|t| cache_key(&t)),
        cache: None,
        response: table.table("response", "response").map(|t| response(&t)),
    }
}

fn origin(table: &Table<'_>) -> Origin {
    Origin {
        spot: table.spot(),
        url: table.text("url"),
        host: table.text("host"),
        methods: table.list("methods"),
        ca_file: table.text("ca_file"),
        connect_timeout: table.duration("connect_timeout"),
        response_timeout: table.duration("response_timeout"),
        max_connections: table.integer("max_connections", 1..=MOST_CONNECTIONS),
        retries: table.integer("retries", 0..=MOST_RETRIES),
    }
}

fn ip(table: &Table<'_>) -> Ip {
    Ip {
        block: table.list("block"),
        block_files: table.list("block_files"),
        exempt: table.list("exempt"),
        shadow: table.flag("shadow"),
    }
}

fn user_agent(table: &Table<'_>) -> UserAgent {
    UserAgent {
        block: table.list("block"),
        shadow: table.flag("shadow"),
    }
}

fn geo(table: &Table<'_>) -> Geo {
    Geo {
        spot: table.spot(),
        mode: table.choice("mode", MODES),
        countries: table.list("countries"),
        database: table.text("database"),
        unknown: table.choice("unknown", UNKNOWN),
        shadow: table.flag("shadow"),
    }
}

fn direction(table: &Table<'_>) -> Origins {
    Origins {
        spot: table.spot(),
        patterns: table.list("patterns"),
        missing: table.choice("missing", MISSING),
        shadow: table.flag("shadow"),
    }
}

fn referrer(table: &Table<'_>) -> Referrer {
    Referrer {
        spot: table.spot(),
        mode: table.choice("mode", MODES),
        urls: table.list("urls"),
        missing: table.choice("missing", MISSING),
        shadow: table.flag("shadow"),
    }
}

fn images(table: &Table<'_>) -> Images {
    let clients = table.tables("clients", "images.clients");
    Images {
        spot: table.spot(),
        extensions: table.list("extensions"),
        formats: table.list("formats"),
        clients: clients.iter().map(image_client).collect(),
    }
}

fn image_client(table: &Table<'_>) -> ImageClient {
    ImageClient {
        spot: table.spot(),
        user_agents: table.list("user_agents"),
        accept: table.text("accept"),
    }
}

fn cache_key(table: &Table<'_>) -> CacheKey {
    CacheKey {
        query: table.choice("query", QUERIES),
        drop: table.list("drop"),
        only: table.list("only"),
        field: table.text("field"),
    }
}

/// What `[cache]` and `[route.cache]` share.
fn cache(table: &Table<'_>, enabled: Maybe<bool>) -> Cache {
    Cache {
        enabled,
        max_object: table.size("max_object"),
        default_ttl: table.duration("default_ttl"),
        stale_while_revalidate: table.duration("stale_while_revalidate"),
        stale_if_error: table.duration("stale_if_error"),
        set_cookie: table.choice("set_cookie", SET_COOKIES),
    }
}

fn response(table: &Table<'_>) -> Response {
    Response {
        set: table.free_texts("set"),
        remove: table.list("remove"),
    }
}

fn admin(table: &Table<'_>) -> Admin {
    Admin {
        listen: table.text("listen"),
        token_file: table.text("token_file"),
        hosts: table.list("hosts"),
    }
}

fn log(table: &Table<'_>) -> Log {
    Log {
        level: table.choice("level", LEVELS),
        format: table.choice("format", FORMATS),
        access: table.text("access"),
        client_address: table.choice("client_address", CLIENT_ADDRESSES),
    }
}

fn route(table: &Table<'_>) -> Route {
    let access = table.table("access", "route.access");
    let stored = table.table("cache", "route.cache");
    Route {
        spot: table.spot(),
        name: table.text("name"),
        hosts: table.list("hosts"),
        paths: table.list("paths"),
        policy: Policy {
            cache: stored.map(|table| cache(&table, table.flag("enabled"))),
            ..policy(table, access.as_ref())
        },
    }
}

fn test(table: &Table<'_>) -> Test {
    Test {
        spot: table.spot(),
        name: table.text("name"),
        request: table.table("request", "test.request").map(|t| request(&t)),
        expect: table.text("expect"),
    }
}

fn request(table: &Table<'_>) -> Request {
    Request {
        spot: table.spot(),
        url: table.text("url"),
        method: table.text("method"),
        client: table.text("client"),
        peer: table.text("peer"),
        headers: table.free_table("headers"),
    }
}
