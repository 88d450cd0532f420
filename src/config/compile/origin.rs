//! `[origin]`.

use std::net::IpAddr;
use std::time::Duration;

use hyper::Method;
use hyper::header::HeaderValue;

use super::{Compiler, written_or};
use crate::config::error::{Finding, Place, Spot, quoted};
use crate::config::file::{ConfigFile, Entry, List, Origin, Written};
use crate::message::Scheme;
use crate::message::authority::Authority;
use crate::network::ListenAddress;
use crate::origin::{HostMode, OriginSettings, OriginUrl};

/// Those that an origin is asked by where nothing else is written.
pub(in crate::config) const METHODS: [&str; 7] =
    ["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"];

const URLS: &str =
    "http://host:port or https://host, and a path if it stands before every other; unix:/path";

const EXAMPLE: &str = "write `url = \"http://127.0.0.1:9000\"` in `[origin]`";

impl Compiler<'_> {
    /// The top level's `[origin]`, which the catch-all route always needs.
    pub(super) fn top_origin(&mut self, file: &ConfigFile) -> Option<OriginSettings> {
        if let Some(raw) = &file.policy.origin {
            return self.origin(raw);
        }
        let message = "must be given: requests that no route matches end at the top level's origin";
        let finding = Finding::error(Place::whole(&file.spot.source), "origin.url", message);
        self.findings.add_first(finding.allowed(URLS).help(EXAMPLE));
        None
    }

    /// `[origin]`, the top level's or a route's.
    pub(super) fn origin(&mut self, raw: &Origin) -> Option<OriginSettings> {
        if raw.url.is_none() {
            self.findings.add_first(without_url(&raw.spot));
        }
        for written in [&raw.connect_timeout, &raw.response_timeout]
            .into_iter()
            .flatten()
        {
            self.positive(written);
        }
        let host = raw
            .host
            .as_ref()
            .map_or(Some(HostMode::Preserve), |host| self.host_mode(host));
        let url = raw.url.as_ref().and_then(|url| self.origin_url(url));
        let tls = self.tls(raw, url.as_ref());
        let seconds = Duration::from_secs;
        Some(OriginSettings {
            connect_timeout: written_or(&raw.connect_timeout, seconds(3)),
            response_timeout: written_or(&raw.response_timeout, seconds(30)),
            max_connections: written_or(&raw.max_connections, 512),
            retries: u32::try_from(written_or(&raw.retries, 1)).unwrap_or(u32::MAX),
            methods: self.methods(raw.methods.as_ref()),
            host: host?,
            tls: tls.ok()?,
            url: url?,
        })
    }

    fn methods(&self, list: Option<&List>) -> Vec<Method> {
        let Some(list) = list else {
            return METHODS
                .iter()
                .filter_map(|name| name.parse().ok())
                .collect();
        };
        if list.is_empty() {
            let finding = list
                .spot
                .error("every request would be answered 405")
                .label("empty");
            self.findings
                .add_first(finding.help("leave the key out for the usual methods"));
        }
        list.iter().filter_map(|entry| self.method(entry)).collect()
    }

    fn origin_url(&self, written: &Written<String>) -> Option<OriginUrl> {
        let spot = &written.spot;
        let url = match OriginUrl::parse(&written.value) {
            Ok(url) => url,
            Err(error) => {
                let finding = spot.error(format!("{}: {error}", quoted(&written.value)));
                let finding = finding.label("not an origin").allowed(URLS);
                self.findings.add(finding.help(with_scheme(&written.value)));
                return None;
            }
        };
        if url.port == 0 {
            let finding = spot.error("nothing can be reached at port 0");
            let finding = finding.label("not a port to connect to");
            self.findings.add(finding.allowed(URLS));
            return None;
        }
        if let Some((key, listener)) = self
            .listeners
            .iter()
            .find(|(_, listener)| leads_to(&url, listener))
        {
            let finding = spot.error(format!("this is our own listener, {listener}"));
            self.findings.add(
                finding
                    .label("requests would go round in a circle")
                    .help(format!(
                        "name the server that has the assets, or change `{key}`"
                    )),
            );
        }
        Some(url)
    }

    fn host_mode(&self, written: &Written<String>) -> Option<HostMode> {
        let text = written.value.trim();
        match text {
            "preserve" => return Some(HostMode::Preserve),
            "origin" => return Some(HostMode::Origin),
            _ => {}
        }
        let authority = Authority::parse(text.as_bytes(), Scheme::Http);
        let value = authority.and_then(|host| HeaderValue::from_str(&host.to_string()).ok());
        if value.is_none() {
            let finding = written
                .spot
                .error(format!("{} is not a host", quoted(text)));
            let finding = finding.label("not a host");
            let allowed = "\"preserve\", \"origin\", or a host with an optional port";
            self.findings.add(finding.allowed(allowed));
        }
        value.map(HostMode::Literal)
    }

    fn method(&self, entry: Entry<'_>) -> Option<Method> {
        let upper = entry.text.to_ascii_uppercase();
        let refuse = |why: &str, help: String| {
            let finding = entry.error(format!("{} {why}", quoted(entry.text)));
            self.findings
                .add(finding.label("not this method").help(help));
            None
        };
        match entry.text.parse::<Method>() {
            Err(_) => refuse("is not a method", String::new()),
            Ok(_) if matches!(&*upper, "TRACE" | "CONNECT") => {
                refuse("is always answered 405", "take it out".to_owned())
            }
            Ok(_) if upper != entry.text && METHODS.contains(&&*upper) => refuse(
                "is another method: case counts",
                format!("write `\"{upper}\"`"),
            ),
            Ok(method) => Some(method),
        }
    }

    pub(super) fn positive(&self, written: &Written<Duration>) {
        if written.value.is_zero() {
            let finding = written
                .spot
                .error("no request could be answered in no time");
            self.findings
                .add(finding.label("zero").allowed("more than nothing: \"3s\""));
        }
    }
}

fn without_url(table: &Spot) -> Finding {
    let message = match table.key.as_str() {
        "origin" => "must be given",
        _ => "must be given; `[origin]` of a route replaces the top level's whole",
    };
    let finding = table
        .lacking("url")
        .error(message)
        .label("`url` is missing");
    finding
        .allowed(URLS)
        .help("write `url = \"http://127.0.0.1:9000\"`")
}

/// Whether a connection to `url` would end at `listener`; names but
/// `localhost` are not looked up.
fn leads_to(url: &OriginUrl, listener: &ListenAddress) -> bool {
    let listener = match (listener, &url.socket) {
        (ListenAddress::Tcp(listener), None) => *listener,
        (ListenAddress::Unix(listener), Some(socket)) => return listener == socket,
        _ => return false,
    };
    if url.port != listener.port() {
        return false;
    }
    let bare = url.host.trim_start_matches('[').trim_end_matches(']');
    let own = |address: IpAddr| {
        let address = address.to_canonical();
        let here = address.is_loopback() || address.is_unspecified();
        address == listener.ip() || here && listener.ip().is_unspecified()
    };
    match bare.parse::<IpAddr>() {
        Ok(address) => own(address),
        Err(_) => {
            bare == "localhost" && (listener.ip().is_loopback() || listener.ip().is_unspecified())
        }
    }
}

fn with_scheme(text: &str) -> String {
    if let Some(path) = text.split_once("://unix:").map(|(_, path)| path) {
        return format!("write `\"unix:{path}\"`: HTTP/1.1 is spoken there, without TLS");
    }
    if text.starts_with("unix:") {
        return String::new();
    }
    match text.contains("://") {
        false if text.starts_with('/') => format!("write `\"unix:{text}\"` for a Unix socket"),
        false if !text.is_empty() => format!("write `\"http://{text}\"`"),
        _ => String::new(),
    }
}
