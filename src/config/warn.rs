//! What a configuration may say and probably should not: each warning says
//! what is risky, and what to write instead.

mod cache;
mod certificates;
mod downstream;
mod images;
mod lists;
mod missing;
mod pages;
mod routes;

use ipnet::IpNet;

use self::pages::PageList;
use super::Snapshot;
use super::error::{Finding, Place, quoted};
use super::file::{ConfigFile, Entry, List, Policy};
use super::reader::Findings;
use crate::network::parse_network;

/// Looks through `file`, which compiles to `snapshot`.
pub(super) fn warn(file: &ConfigFile, snapshot: &Snapshot, findings: &Findings) {
    let routes = file.routes.iter().map(|route| &route.policy);
    for policy in std::iter::once(&file.policy).chain(routes) {
        lists::warn(policy, file, findings);
        for list in PageList::all(policy) {
            list.warn(findings);
        }
        missing::warn(policy, file, snapshot, findings);
        if let Some(raw) = &policy.cache {
            cache::warn(raw, snapshot.cache_memory, findings);
        }
        if let Some(raw) = &policy.images {
            images::warn(raw, findings);
        }
    }
    trusted_everyone(file, findings);
    header_of_nobody(file, findings);
    certificates::warn(file, snapshot, findings);
    downstream::warn(file, snapshot, findings);
    routes::warn(file, snapshot, findings);
    if file.tests.is_empty() {
        let place = Place::whole(&file.spot.source);
        let finding = Finding::error(place, "test", "this policy has no tests").warning();
        findings.add(finding.note("a slip in a rule would go unnoticed").help(
            "write `[[test]]` for who must get through and who must not; `check` and every \
             start and reload run them",
        ));
    }
}

fn trusted_everyone(file: &ConfigFile, findings: &Findings) {
    for (entry, network) in networks(file.client.trusted_proxies.as_ref()) {
        if network.prefix_len() == 0 {
            let finding = entry.warning(format!("{} trusts everyone", quoted(entry.text)));
            findings.add(
                finding
                    .label("every address")
                    .note("whoever connects can name any client address, and pass for it")
                    .help("list the addresses of your own proxies only"),
            );
        }
    }
}

fn header_of_nobody(file: &ConfigFile, findings: &Findings) {
    let written = file.client.proxy_protocol.as_ref();
    let trusted = networks(file.client.trusted_proxies.as_ref()).next();
    if let Some(written) = written.filter(|written| written.value && trusted.is_none()) {
        let finding = written
            .spot
            .warning("there are no client.trusted_proxies, so no PROXY header is read");
        findings.add(
            finding
                .label("does nothing")
                .note("from a peer that is not trusted, a header is a malformed request: 400")
                .help("list the proxies that send it: `trusted_proxies = [\"10.0.0.1\"]`"),
        );
    }
}

/// The entries of a list of addresses, with what they stand for.
fn networks(list: Option<&List>) -> impl Iterator<Item = (Entry<'_>, IpNet)> {
    let entries = list.into_iter().flat_map(List::iter);
    entries.filter_map(|entry| Some((entry, parse_network(entry.text).ok()?.network)))
}

/// Whether it is one address, not a network.
fn is_single(network: IpNet) -> bool {
    network.prefix_len() == network.max_prefix_len()
}

/// The policy's own unit, else the top level's.
fn in_force<'p, T>(
    own: &'p Policy,
    top: &'p Policy,
    unit: fn(&Policy) -> &Option<T>,
) -> Option<&'p T> {
    unit(own).as_ref().or(unit(top).as_ref())
}
