//! What is the same for all routes: `[server]`, `[client]` and `[log]`.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use hyper::header::HeaderName;

use super::{Compiler, fields, written_or};
use crate::client::{AddressField, ClientRules};
use crate::config::ServerSettings;
use crate::config::error::{Finding, quoted};
use crate::config::file::{Client, Entry, List, Log, Maybe, Server, Written};
use crate::log::{AccessTarget, ClientAddressMode, Level, LogFormat, LogSettings};

const LISTEN: &str = "127.0.0.1:8080";

/// `server.max_body` where it is not written: 1 GiB.
const MAX_BODY: u64 = 1 << 30;

/// What `server.max_header_bytes` may be; hyper's buffer is not smaller.
const HEADER_BYTES: RangeInclusive<u64> = 8 << 10..=1 << 20;

impl Compiler<'_> {
    /// `[server]`.
    pub(super) fn server(&self, raw: &Server) -> ServerSettings {
        let listen = match &raw.listen {
            None => LISTEN.parse().into_iter().collect(),
            Some(list) => self.listeners_of(list),
        };
        if let Some(list) = raw.listen.as_ref().filter(|list| list.is_empty()) {
            let finding = list.spot.error("no address is listed").label("empty");
            self.findings
                .add_first(finding.help(format!("write `listen = [\"{LISTEN}\"]`")));
        }
        let timeouts = [&raw.header_timeout, &raw.idle_timeout, &raw.stall_timeout];
        for written in timeouts.into_iter().flatten() {
            self.positive(written);
        }
        let seconds = Duration::from_secs;
        ServerSettings {
            listen,
            hosts: self.hosts(raw.hosts.as_ref()),
            workers: written_or(&raw.workers, 0),
            max_connections: written_or(&raw.max_connections, 10_000),
            header_timeout: written_or(&raw.header_timeout, seconds(10)),
            idle_timeout: written_or(&raw.idle_timeout, seconds(75)),
            stall_timeout: written_or(&raw.stall_timeout, seconds(30)),
            max_header_bytes: self.max_header_bytes(&raw.max_header_bytes),
            max_body: written_or(&raw.max_body, MAX_BODY),
            merge_slashes: written_or(&raw.merge_slashes, true),
            drain_timeout: written_or(&raw.drain_timeout, seconds(30)),
        }
    }

    fn max_header_bytes(&self, written: &Maybe<u64>) -> usize {
        let bytes = written_or(written, 32 << 10);
        if let Some(written) = written.as_ref().filter(|_| !HEADER_BYTES.contains(&bytes)) {
            let why = match bytes < *HEADER_BYTES.start() {
                true => "a browser's request head may be longer",
                false => "every connection could hold so much memory",
            };
            let finding = written.spot.error(why).label("out of range");
            self.findings.add(finding.allowed("\"8 KiB\" to \"1 MiB\""));
        }
        usize::try_from(bytes).unwrap_or(usize::MAX)
    }

    /// Each once: a second socket would find its port taken by the first.
    fn listeners_of(&self, list: &List) -> Vec<SocketAddr> {
        let mut listen = Vec::new();
        for address in list.iter().filter_map(|entry| self.listener(entry)) {
            if !listen.contains(&address) {
                listen.push(address);
            }
        }
        listen
    }

    fn listener(&self, entry: Entry<'_>) -> Option<SocketAddr> {
        match entry.text.parse() {
            Ok(address) => Some(address),
            Err(_) => {
                self.findings.add(bad_listener(entry));
                None
            }
        }
    }

    /// `[client]`.
    pub(super) fn client(&self, raw: &Client) -> ClientRules {
        let field = raw
            .header
            .as_ref()
            .and_then(|header| self.address_field(header));
        ClientRules {
            trusted_proxies: Arc::clone(&self.trusted),
            field: field.unwrap_or(AddressField::XForwardedFor),
            proxy_protocol: written_or(&raw.proxy_protocol, false),
        }
    }

    fn address_field(&self, header: &Written<String>) -> Option<AddressField> {
        let why = match HeaderName::from_bytes(header.value.as_bytes()) {
            Ok(name) if fields::may_name_client(name.as_str()) => {
                return Some(AddressField::new(name));
            }
            Ok(_) => "holds no client's address",
            Err(_) => "is not a field name",
        };
        let message = format!("{} {why}", quoted(&header.value));
        let finding = header.spot.error(message).label("not this field");
        self.findings.add(finding.allowed(
            "\"x-forwarded-for\", \"forwarded\", or a field that holds one address, \
             such as \"cf-connecting-ip\"",
        ));
        None
    }

    /// `[log]`.
    pub(super) fn log(&self, raw: &Log) -> LogSettings {
        LogSettings {
            level: written_or(&raw.level, Level::Info),
            format: written_or(&raw.format, LogFormat::Text),
            access: match &raw.access {
                None => AccessTarget::Stdout,
                Some(written) => self.access_target(written),
            },
            client_address: written_or(&raw.client_address, ClientAddressMode::Full),
        }
    }

    fn access_target(&self, written: &Written<String>) -> AccessTarget {
        match written.value.as_str() {
            "off" => AccessTarget::Off,
            "stdout" => AccessTarget::Stdout,
            "" => {
                let finding = written.spot.error("this is empty").label("empty");
                self.findings
                    .add(finding.allowed("\"off\", \"stdout\" or a file"));
                AccessTarget::Off
            }
            path => AccessTarget::File(self.base.join(path)),
        }
    }
}

fn bad_listener(entry: Entry<'_>) -> Finding {
    let text = entry.text;
    let finding = entry.error(format!("{} is not an address and port", quoted(text)));
    let finding = finding.label("not an address and port");
    let finding =
        finding.allowed("\"127.0.0.1:8080\", \"0.0.0.0:80\" for all of IPv4, \"[::]:80\"");
    let (host, port) = text.rsplit_once(':').unwrap_or(("", text));
    let is_port = port.parse::<u16>().is_ok();
    finding.help(match host {
        "" | "*" if is_port => {
            format!("write `\"0.0.0.0:{port}\"` for every address of this machine")
        }
        "localhost" if is_port => format!("write `\"127.0.0.1:{port}\"`"),
        _ if text.parse::<std::net::Ipv4Addr>().is_ok() => {
            format!("add the port: `\"{text}:8080\"`")
        }
        _ if text.parse::<std::net::Ipv6Addr>().is_ok() => {
            format!("add the port: `\"[{text}]:8080\"`")
        }
        _ => String::new(),
    })
}
