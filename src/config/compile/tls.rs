//! `origin.ca_file`, or the platform's root certificates.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use super::Compiler;
use crate::config::error::{Finding, quoted};
use crate::config::file::{Origin, Written};
use crate::config::source::why_unreadable;
use crate::message::Scheme;
use crate::origin::{OriginUrl, Tls, Trust, TrustError};

const FILES: &str = "a PEM file with the certificates of those who issue the origin's";

/// By path, the platform's without one; `None`: wrong, and reported.
pub(super) type Trusts = BTreeMap<Option<PathBuf>, Option<Arc<Trust>>>;

/// What is wrong is among the findings.
#[derive(Debug)]
pub(super) struct Reported;

impl Compiler<'_> {
    /// How the origin at `url` is spoken to; `None`: in the clear.
    pub(super) fn tls(
        &mut self,
        raw: &Origin,
        url: Option<&OriginUrl>,
    ) -> Result<Option<Tls>, Reported> {
        let ca_file = raw.ca_file.as_ref().filter(|file| !file.value.is_empty());
        let own = ca_file.map(|file| self.ca_file(file));
        let (Some(url), Some(written)) = (url, &raw.url) else {
            return Err(Reported);
        };
        if url.scheme == Scheme::Http {
            if let Some(file) = ca_file {
                self.findings.add(without_effect(file));
            }
            return Ok(None);
        }
        let trust = own
            .unwrap_or_else(|| self.platform(written))
            .ok_or(Reported)?;
        let tls = Tls::new(trust, url);
        if tls.is_none() {
            let message = format!("no certificate can be for {}", quoted(&url.host));
            let finding = written.spot.error(message).label("not a DNS name");
            self.findings
                .add(finding.help("give the origin a name of letters, digits and `-`"));
        }
        tls.map(Some).ok_or(Reported)
    }

    fn ca_file(&mut self, written: &Written<String>) -> Option<Arc<Trust>> {
        let (path, pem) = self.read_source(&written.value);
        if let Some(known) = self.trusts.get(&Some(path.clone())) {
            return known.clone();
        }
        let trust = read(pem).map_err(|(why, help)| {
            let message = format!("{}: {why}", path.display());
            let finding = written.spot.error(message).label("this file");
            self.findings.add(finding.allowed(FILES).help(help));
        });
        let trust = trust.ok();
        self.trusts.insert(Some(path), trust.clone());
        trust
    }

    /// The platform's roots, for the origin that is `written`.
    fn platform(&mut self, written: &Written<String>) -> Option<Arc<Trust>> {
        if let Some(known) = self.trusts.get(&None) {
            return known.clone();
        }
        let trust = Trust::platform().map_err(|error| {
            let finding = written
                .spot
                .error(format!("no certificate can be checked: {error}"));
            self.findings
                .add(finding.label("needs root certificates").help(
                    "set `origin.ca_file`, install the system's `ca-certificates`, \
                 or set SSL_CERT_FILE to a PEM file of roots",
                ));
        });
        let trust = trust.ok();
        self.trusts.insert(None, trust.clone());
        trust
    }
}

/// Why it cannot be used, and the likely fix.
fn read(pem: io::Result<Vec<u8>>) -> Result<Arc<Trust>, (String, &'static str)> {
    let pem = pem.map_err(|error| {
        let help = "a relative path starts at the folder of the configuration file";
        (why_unreadable(&error).to_owned(), help)
    })?;
    Trust::from_pem(&pem).map_err(|error| {
        let has_key = pem.windows(12).any(|part| part == b"PRIVATE KEY-");
        let help = match &error {
            TrustError::NoCertificate if has_key => {
                "this is a private key: name the certificate, and keep the key where it is needed"
            }
            TrustError::NoCertificate => {
                "a certificate in DER becomes PEM by `openssl x509 -inform der -in FILE`"
            }
            TrustError::CutShort | TrustError::Damaged | TrustError::Certificate { .. } => {
                "copy it again, whole"
            }
            TrustError::Empty | TrustError::NoRoots => "",
        };
        (error.to_string(), help)
    })
}

fn without_effect(file: &Written<String>) -> Finding {
    let finding = file
        .spot
        .warning("this has no effect: the origin is reached by http");
    finding
        .label("not used")
        .help("write https:// in `url`, or leave `ca_file` out")
}
