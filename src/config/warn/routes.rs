//! How routes and their rules go together.

mod table;

use self::table::Table;
use super::{Findings, PageList, in_force};
use crate::config::error::{Spot, quoted};
use crate::config::file::{ConfigFile, List, Policy, Route as RawRoute};
use crate::config::{Route, Snapshot};
use crate::route::HostPattern;

pub(super) fn warn(file: &ConfigFile, snapshot: &Snapshot, findings: &Findings) {
    let top = snapshot.route(None);
    for (raw, route) in file.routes.iter().zip(&snapshot.routes) {
        own_hosts(raw.hosts.as_ref(), &raw.policy, file, findings);
        rules_of_the_last(raw, route, top, file, findings);
    }
    own_hosts(file.server.hosts.as_ref(), &file.policy, file, findings);
    never_reached(file, findings);
}

/// The first route that fits is the one, so none comes after one that always
/// fits.
fn never_reached(file: &ConfigFile, findings: &Findings) {
    let takes_all = |route: &&RawRoute| route.hosts.is_none() && route.paths.is_none();
    let mut routes = file.routes.iter();
    let Some(first) = routes.find(takes_all) else {
        return;
    };
    let name = first.name.as_ref().map_or("", |name| &name.value);
    for route in routes {
        let message = format!("no request gets here: {} takes every one", quoted(name));
        let note = format!(
            "it has no hosts and no paths, and stands first, in line {}",
            first.spot.line()
        );
        let finding = route.spot.warning(message).label("without effect");
        let help = format!("move {} behind it, or give it hosts or paths", quoted(name));
        findings.add(finding.note(note).help(help));
    }
}

/// Pages on a route's own hosts embed its images too.
fn own_hosts(hosts: Option<&List>, policy: &Policy, file: &ConfigFile, findings: &Findings) {
    let top = &file.policy;
    let effective = Policy {
        upload: in_force(policy, top, |policy| &policy.upload).cloned(),
        delivery: in_force(policy, top, |policy| &policy.delivery).cloned(),
        referrer: in_force(policy, top, |policy| &policy.referrer).cloned(),
        ..Policy::default()
    };
    let lists: Vec<PageList<'_>> = PageList::all(&effective).collect();
    for entry in hosts.into_iter().flat_map(List::iter) {
        let Ok(HostPattern::Exact(host)) = HostPattern::parse(entry.text) else {
            continue;
        };
        let admits = |list: &&PageList<'_>| list.admits(&host, 443) || list.admits(&host, 80);
        for list in lists.iter().filter(|list| !admits(list)) {
            let Spot { key, .. } = &list.list.spot;
            let finding = entry.warning(format!("{key} does not list {host}"));
            findings.add(
                finding
                    .label("pages on this host are denied")
                    .note("a page on the host itself names this host when it shows its own images")
                    .help(format!("add {host} to {key}, if it has pages")),
            );
        }
    }
}

/// Whoever asks for another host gets the catch-all's rules.
fn rules_of_the_last(
    raw: &RawRoute,
    route: &Route,
    top: &Route,
    file: &ConfigFile,
    findings: &Findings,
) {
    let Some(hosts) = raw.hosts.as_ref() else {
        return;
    };
    let lacking: Vec<&str> = Table::ALL
        .into_iter()
        .filter(|table| table.is_enforced(route))
        .filter(|table| table.is_own(&raw.policy, &file.policy))
        .map(Table::name)
        .collect();
    if lacking.is_empty() || route.origin.url != top.origin.url || only_host(raw, file) {
        return;
    }
    let rules = lacking.join(", ");
    let message = format!("the top level has the same origin, but not these rules: {rules}");
    findings.add(
        hosts
            .spot
            .warning(message)
            .label("the rules hold for these hosts only")
            .note("a request that names another host goes to the same origin without them")
            .help("give the rules at the top level, or list these hosts in server.hosts"),
    );
}

/// Whether every host that is answered at all belongs to this route.
fn only_host(raw: &RawRoute, file: &ConfigFile) -> bool {
    let Some(answered) = file.server.hosts.as_ref().filter(|list| !list.is_empty()) else {
        return false;
    };
    let patterns = |list: &List| -> Vec<HostPattern> {
        let parsed = list.iter().map(|entry| HostPattern::parse(entry.text).ok());
        parsed.flatten().collect()
    };
    let own = raw.hosts.as_ref().map(patterns).unwrap_or_default();
    let covered = |host: &HostPattern| own.iter().any(|own| covers(own, host));
    raw.paths.is_none() && patterns(answered).iter().all(covered)
}

/// Whether `wide` matches every host that `host` matches.
fn covers(wide: &HostPattern, host: &HostPattern) -> bool {
    match host {
        HostPattern::Exact(host) => wide.matches(host),
        // What is below a host that is below another one is below that, too.
        HostPattern::Below(host) => {
            wide == &HostPattern::Below(host.clone())
                || matches!(wide, HostPattern::Below(_)) && wide.matches(host)
        }
    }
}
