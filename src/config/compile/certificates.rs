//! `[server.tls]`: its certificates and keys.

mod files;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio_rustls::rustls;

use self::files::{Refused, chain, key, told, unreadable};
use super::admin::{everyone_reads, is_open};
use super::{Compiler, written_or};
use crate::config::error::{Finding, Spot, quoted};
use crate::config::file::{CertificateFiles, Maybe, ServerTls, Written};
use crate::config::{ShownCertificate, TlsSettings};
use crate::network::ListenAddress;
use crate::tls::{
    Certificate, Certificates, Conflict, MinVersion, MismatchError, Name, server_config,
};

/// What is spoken inside of TLS, best first (RFC 9113 section 3.2).
const PROTOCOLS: &[&[u8]] = &[b"h2", b"http/1.1"];

/// What is spoken where `http2` is false.
const ONLY_HTTP1: &[&[u8]] = &[b"http/1.1"];

/// `max_streams` where it is not written: what a page asks for at once, and no
/// fewer than RFC 9113 section 6.5.2 recommends.
const STREAMS: usize = 128;

const CERT_FILES: &str = "a PEM file with the certificate and then those of its issuers";

const KEY_FILES: &str = "a PEM file with the certificate's private key, not encrypted";

const EXAMPLE: &str = "write `[[server.tls.certificates]]`, and `cert_file` and `key_file` below";

/// A certificate, and where its files are named.
struct Loaded<'a> {
    raw: &'a CertificateFiles,
    cert_file: &'a Written<String>,
    certificate: Certificate,
}

impl Compiler<'_> {
    /// `[server.tls]`, which listens at `listen`; `None`: nowhere, or
    /// something is wrong.
    pub(super) fn server_tls(
        &mut self,
        raw: &ServerTls,
        listen: Vec<ListenAddress>,
    ) -> Option<TlsSettings> {
        if let Some(written) = &raw.handshake_timeout {
            self.positive(written);
        }
        self.are_used(raw);
        let now = SystemTime::now();
        let mut loaded: Vec<Loaded<'_>> = Vec::new();
        for files in &raw.certificates {
            let new = self.loaded(files, now);
            loaded.extend(new.filter(|new| self.is_new(new, &loaded)));
        }
        let config = self.tls_config(raw, &loaded);
        Some(TlsSettings {
            handshake_timeout: written_or(&raw.handshake_timeout, Duration::from_secs(10)),
            max_streams: written_or(&raw.max_streams, STREAMS),
            config: config.filter(|_| !listen.is_empty())?,
            certificates: loaded.iter().map(Loaded::shown).collect(),
            listen,
        })
    }

    /// Who listens needs certificates, and they need who listens.
    fn are_used(&self, raw: &ServerTls) {
        let listens = raw.listen.as_ref().is_some_and(|list| !list.is_empty());
        match raw.certificates.first() {
            None if listens => {
                let spot = raw.spot.lacking("certificates");
                self.findings.add_first(without_certificates(&spot));
            }
            Some(first) if !listens => self.findings.add(never_used(&first.spot)),
            _ => {}
        }
        if let (false, Some(streams)) = (written_or(&raw.http2, true), &raw.max_streams) {
            let finding = streams
                .spot
                .warning("no stream is ever opened: `http2` is false");
            self.findings
                .add(finding.help("remove it, or offer HTTP/2"));
        }
    }

    fn tls_config(
        &self,
        raw: &ServerTls,
        loaded: &[Loaded<'_>],
    ) -> Option<Arc<rustls::ServerConfig>> {
        for one in loaded {
            self.nameless(one, &raw.certificates);
        }
        let all = loaded.iter().map(|one| one.certificate.clone()).collect();
        let certificates = Certificates::new(all)?;
        let spots: Vec<&Spot> = loaded.iter().map(|one| &one.raw.spot).collect();
        for conflict in certificates.conflicts() {
            self.findings.add(never_shown(&conflict, &spots));
        }
        let oldest = written_or(&raw.min_version, MinVersion::Tls12);
        let protocols = match written_or(&raw.http2, true) {
            true => PROTOCOLS,
            false => ONLY_HTTP1,
        };
        server_config(Arc::new(certificates), oldest, protocols)
            .map_err(|error| self.findings.add(raw.spot.error(error.to_string())))
            .ok()
    }

    /// Each file once: metrics tell certificates apart by it.
    fn is_new(&self, new: &Loaded<'_>, others: &[Loaded<'_>]) -> bool {
        let path = |one: &Loaded<'_>| self.base.join(&one.cert_file.value);
        let Some(same) = others.iter().find(|other| path(other) == path(new)) else {
            return true;
        };
        let message = format!("{} is named already", quoted(&new.cert_file.value));
        let finding = new.cert_file.spot.error(message).label("repeated");
        let first = format!("the first is {}", same.cert_file.spot.key);
        self.findings
            .add(finding.note(first).help("take one of them out"));
        false
    }

    /// A certificate that no client could ask for has to be the only one, or
    /// have an address and be the first.
    fn nameless(&self, one: &Loaded<'_>, all: &[CertificateFiles]) {
        let names = one.certificate.names();
        let has_host = names.iter().any(|name| !matches!(name, Name::Address(_)));
        let is_first = all
            .first()
            .is_some_and(|first| std::ptr::eq(first, one.raw));
        if has_host || is_first && (all.len() == 1 || !names.is_empty()) {
            return;
        }
        let help = match names.is_empty() {
            true => "get one with names: the common name counts for nothing",
            false => "one that has only addresses can be the first, for who asks by address",
        };
        let path = self.base.join(&one.cert_file.value);
        let why = told(
            &path,
            "it has no name of a host (dNSName of subjectAltName) that a client could ask for",
        );
        let finding = one.cert_file.spot.error(why).label("for no host");
        self.findings.add(finding.help(help));
    }

    fn loaded<'a>(&mut self, raw: &'a CertificateFiles, now: SystemTime) -> Option<Loaded<'a>> {
        let cert_file = self.named(raw, "cert_file", &raw.cert_file);
        let key_file = self.named(raw, "key_file", &raw.key_file);
        let chain = cert_file.and_then(|file| self.read_as(file, CERT_FILES, chain));
        let key = key_file.and_then(|file| self.read_as(file, KEY_FILES, key));
        let (cert_file, key_file) = (cert_file?, key_file?);
        if key.is_some() && is_open(&self.base.join(&key_file.value)) {
            let path = self.base.join(&key_file.value);
            self.findings.add(everyone_reads(key_file, &path));
        }
        let certificate = match Certificate::new(chain?, key?) {
            Ok(certificate) => certificate,
            Err(error) => {
                self.findings
                    .add(self.mismatch(&error, cert_file, key_file));
                return None;
            }
        };
        self.check_time(&certificate, cert_file, now)?;
        Some(Loaded {
            raw,
            cert_file,
            certificate,
        })
    }

    fn named<'a>(
        &self,
        raw: &CertificateFiles,
        name: &str,
        written: &'a Maybe<String>,
    ) -> Option<&'a Written<String>> {
        match written {
            Some(written) if written.value.is_empty() => {
                let finding = written.spot.error("this is empty").label("empty");
                self.findings.add(finding.allowed("the path of a file"));
                None
            }
            None => {
                let finding = raw.spot.lacking(name).error("must be given");
                let finding = finding.label(format!("`{name}` is missing"));
                self.findings.add_first(finding.help(EXAMPLE));
                None
            }
            written => written.as_ref(),
        }
    }

    fn read_as<T>(
        &mut self,
        written: &Written<String>,
        allowed: &str,
        read: fn(&[u8]) -> Result<T, Refused>,
    ) -> Option<T> {
        let (path, bytes) = self.read_source(&written.value);
        let read = bytes
            .map_err(|error| unreadable(&error))
            .and_then(|bytes| read(&bytes));
        let refuse = |(why, help): Refused| {
            let finding = written.spot.error(told(&path, &why)).label("this file");
            self.findings.add(finding.allowed(allowed).help(help));
        };
        read.map_err(refuse).ok()
    }

    fn mismatch(
        &self,
        error: &MismatchError,
        cert_file: &Written<String>,
        key_file: &Written<String>,
    ) -> Finding {
        let (written, help) = match error {
            MismatchError::OtherKey => (
                key_file,
                "name the key that this certificate was made with; was one of the two renewed?",
            ),
            MismatchError::Order { .. } => (
                cert_file,
                "put the server's own certificate first, then each one's issuer",
            ),
            MismatchError::Unusable(_) => (cert_file, "get one of X.509 version 3"),
        };
        let message = told(&self.base.join(&written.value), &error.to_string());
        written.spot.error(message).label("this file").help(help)
    }

    /// `None` if nobody would believe it now.
    fn check_time(
        &self,
        certificate: &Certificate,
        written: &Written<String>,
        now: SystemTime,
    ) -> Option<()> {
        let path = self.base.join(&written.value);
        if let Err(error) = certificate.check(now) {
            let finding = written.spot.error(told(&path, &error.to_string()));
            let help =
                "put a certificate here that is valid now; or is this machine's clock wrong?";
            self.findings.add(finding.label("not valid now").help(help));
            return None;
        }
        for (number, error) in certificate.invalid_issuers(now) {
            let message = told(&path, &format!("its certificate number {number}: {error}"));
            let finding = written.spot.warning(message).label("an issuer's");
            self.findings.add(
                finding.help("renew the whole file: clients may not believe what that one issued"),
            );
        }
        if certificate.is_about_to_expire(now) {
            let end = httpdate::fmt_http_date(certificate.expires());
            let message = told(&path, &format!("it is valid until {end} only"));
            let finding = written.spot.warning(message).label("expires soon");
            let why = "once it has expired, neither a start nor a reload takes this configuration";
            self.findings.add(finding.note(why).help("renew it"));
        }
        Some(())
    }
}

impl Loaded<'_> {
    fn shown(&self) -> ShownCertificate {
        let names = self.certificate.names().iter();
        ShownCertificate {
            file: self.cert_file.value.clone(),
            names: names.map(ToString::to_string).collect(),
            expires: self.certificate.expires(),
        }
    }
}

fn without_certificates(spot: &Spot) -> Finding {
    let finding = spot.error("must be given: there is none to show to who connects");
    finding.label("no certificate").help(EXAMPLE)
}

fn never_used(spot: &Spot) -> Finding {
    let finding = spot.warning("nothing listens for TLS, so nobody is shown this");
    finding
        .label("not used")
        .help("write `listen = [\"0.0.0.0:443\"]` in `[server.tls]`, or take this out")
}

fn never_shown(conflict: &Conflict, spots: &[&Spot]) -> Finding {
    const SHOWN: usize = 3;
    let names = conflict.names.iter().take(SHOWN).map(ToString::to_string);
    let names = names.collect::<Vec<_>>().join(", ");
    let more = match conflict.names.len().saturating_sub(SHOWN) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let first = &spots[conflict.first].key;
    let message = format!("{first} has the same kind of key and is shown for {names}{more}");
    let finding = spots[conflict.second].warning(message);
    finding
        .label("not shown for all of its names")
        .help("take one of them out, or put first what is to be shown")
}
