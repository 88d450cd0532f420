//! What is the same for all routes: `[server]`, `[client]` and `[log]`.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use hyper::header::HeaderName;

use super::listeners::Listeners;
use super::{Compiler, fields, written_or};
use crate::client::{AddressField, ClientRules};
use crate::config::ServerSettings;
use crate::config::error::quoted;
use crate::config::file::{Client, Log, Maybe, Server, Written};
use crate::log::{AccessTarget, ClientAddressMode, Level, LogFormat, LogSettings};

/// `server.max_body` where it is not written: 1 GiB.
const MAX_BODY: u64 = 1 << 30;

/// What `server.max_header_bytes` may be; hyper's buffer is not smaller.
const HEADER_BYTES: RangeInclusive<u64> = 8 << 10..=1 << 20;

impl Compiler<'_> {
    /// `[server]`; its listeners are ours from now on.
    pub(super) fn server(&mut self, raw: &Server) -> ServerSettings {
        let Listeners {
            plain,
            redirect,
            tls,
        } = self.listeners(raw);
        let tls = raw.tls.as_ref().and_then(|raw| self.server_tls(raw, tls));
        let timeouts = [&raw.header_timeout, &raw.idle_timeout, &raw.stall_timeout];
        for written in timeouts.into_iter().flatten() {
            self.positive(written);
        }
        let seconds = Duration::from_secs;
        ServerSettings {
            listen: plain,
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
            redirect_https: redirect,
            socket_mode: self.socket_mode(&raw.socket_mode),
            tls,
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
