//! Hosts that are served by TLS only, and that no certificate is for.

use super::Findings;
use crate::config::error::{Finding, quoted};
use crate::config::file::{ConfigFile, Entry, List};
use crate::config::{Snapshot, TlsSettings};
use crate::route::HostPattern;
use crate::tls::Name;

pub(super) fn warn(file: &ConfigFile, snapshot: &Snapshot, findings: &Findings) {
    // With a plain listener a host may be meant for that one.
    let tls = snapshot.server.tls.as_ref();
    let Some(tls) = tls.filter(|_| snapshot.server.listen.is_empty()) else {
        return;
    };
    let names = names(tls);
    let routes = file.routes.iter().map(|route| route.hosts.as_ref());
    let lists = std::iter::once(file.server.hosts.as_ref()).chain(routes);
    for entry in lists.flatten().flat_map(List::iter) {
        let pattern = HostPattern::parse(entry.text);
        if pattern.is_ok_and(|pattern| !has_certificate(&pattern, &names)) {
            findings.add(without_certificate(entry));
        }
    }
}

fn names(tls: &TlsSettings) -> Vec<Name> {
    let names = tls.certificates.iter().flat_map(|shown| &shown.names);
    names.filter_map(|name| Name::dns(name)).collect()
}

/// Whether a certificate is for the host, or for some of the hosts. Who asks
/// for an address names no host, and gets the first certificate.
fn has_certificate(pattern: &HostPattern, names: &[Name]) -> bool {
    match pattern {
        HostPattern::Exact(host) if Name::dns(host).is_none() => true,
        HostPattern::Exact(host) => names.iter().any(|name| name.covers(host)),
        HostPattern::Below(_) => names.iter().any(|name| match name {
            Name::Exact(host) => pattern.matches(host),
            Name::Wildcard(parent) => pattern.matches(&format!("x.{parent}")),
            Name::Address(_) => false,
        }),
    }
}

fn without_certificate(entry: Entry<'_>) -> Finding {
    let message = format!("no certificate is for {}", quoted(entry.text));
    let finding = entry.warning(message).label("not a name of one");
    finding
        .note("who asks for it is shown the first certificate, and turns away")
        .help("add one with this name to `[[server.tls.certificates]]`")
}
