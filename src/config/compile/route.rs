//! Names, hosts and paths of `[[route]]`, and `access.exempt_paths`.

use std::collections::HashMap;

use super::Compiler;
use crate::access::ExemptPaths;
use crate::config::error::{Finding, Spot, quoted};
use crate::config::file::{Entry, List, Route, Written};
use crate::route::host::HostPatternError;
use crate::route::{HostPattern, PathPattern};

/// The name of the last route, which the top level is.
pub(super) const DEFAULT: &str = "default";

impl Compiler<'_> {
    /// The routes' names, each its own.
    pub(super) fn names(&self, routes: &[Route]) -> Vec<String> {
        let mut known: HashMap<&str, &Spot> = HashMap::new();
        let mut names = Vec::with_capacity(routes.len());
        for route in routes {
            match &route.name {
                None => self.findings.add_first(without_name(route)),
                Some(name) => {
                    if let Some(finding) = wrong_name(name, known.get(name.value.as_str())) {
                        self.findings.add(finding.label("not this name"));
                    }
                    known.entry(&name.value).or_insert(&name.spot);
                }
            }
            names.push(
                route
                    .name
                    .as_ref()
                    .map(|name| name.value.clone())
                    .unwrap_or_default(),
            );
        }
        names
    }

    /// The hosts of a route; empty: every host.
    pub(super) fn route_hosts(&self, list: Option<&List>) -> Vec<HostPattern> {
        self.never_empty(list, "host");
        self.hosts(list)
    }

    /// A list of hosts.
    pub(super) fn hosts(&self, list: Option<&List>) -> Vec<HostPattern> {
        let entries = list.into_iter().flat_map(List::iter);
        entries.filter_map(|entry| self.host(entry)).collect()
    }

    fn host(&self, entry: Entry<'_>) -> Option<HostPattern> {
        let error = match HostPattern::parse(entry.text) {
            Ok(host) => return Some(host),
            Err(error) => error,
        };
        let finding = entry.error(format!("{}: {error}", quoted(entry.text)));
        let finding = finding.label("not a host").allowed(
            "a host, or `*.` and a host for all below it: \"img.example.com\", \"*.example.com\"",
        );
        self.findings.add(match error {
            HostPatternError::NotOnlyAHost => finding.help(bare_host(entry.text)),
            // Without its `hosts` the admin listener answers to fewer.
            HostPatternError::Star if entry.spot().key.starts_with("admin.") => {
                finding.help("list each name that it is asked by")
            }
            HostPatternError::Star if entry.text == "*" => {
                finding.help("leave `hosts` out for every host")
            }
            _ => finding,
        });
        None
    }

    /// The paths of a route; `None`: every path.
    pub(super) fn route_paths(&self, list: Option<&List>) -> Option<Vec<PathPattern>> {
        self.never_empty(list, "path");
        list.map(|list| self.paths(list))
    }

    /// `access.exempt_paths`.
    pub(super) fn exempt_paths(&self, list: &List) -> ExemptPaths {
        ExemptPaths(self.paths(list))
    }

    fn paths(&self, list: &List) -> Vec<PathPattern> {
        list.iter().filter_map(|entry| self.path(entry)).collect()
    }

    fn path(&self, entry: Entry<'_>) -> Option<PathPattern> {
        let error = match PathPattern::parse(entry.text) {
            Ok(pattern) => return Some(pattern),
            Err(error) => error,
        };
        let finding = entry.error(format!("{}: {error}", quoted(entry.text)));
        let finding = finding.label("not a path pattern");
        self.findings.add(finding.allowed(
            "a path from its first `/` on; `*` within a segment, `/**` at the end: \
             \"/premium/**\", \"/img/*.jpg\"",
        ));
        None
    }

    /// An empty list in a route would match nothing, or everything: whoever
    /// wrote it meant one of them.
    fn never_empty(&self, list: Option<&List>, what: &str) {
        let Some(list) = list.filter(|list| list.is_empty()) else {
            return;
        };
        let finding = list.spot.error(format!("no {what} is listed"));
        let help = format!("leave the key out for every {what}");
        self.findings.add_first(finding.label("empty").help(help));
    }
}

fn without_name(route: &Route) -> Finding {
    let finding = route.spot.lacking("name").error("every route needs a name");
    let finding = finding.label("this route has no `name`");
    finding.help("write `name = \"...\"`; logs, metrics and `explain` show it")
}

/// What is wrong with a route's name, if anything; `first` is where another
/// route has it.
fn wrong_name(name: &Written<String>, first: Option<&&Spot>) -> Option<Finding> {
    let Written { value, spot } = name;
    if value.trim().is_empty() || value.contains(char::is_control) {
        return Some(spot.error("this is not a name").allowed("a word or a few"));
    }
    if value == DEFAULT {
        let finding = spot.error("the name `default` is taken: it is the top level's");
        return Some(finding.allowed("any other name"));
    }
    let first = first?;
    let finding = spot.error(format!("another route is called {} already", quoted(value)));
    let finding = finding.note(format!(
        "the other is {}, in line {}",
        first.key,
        first.line()
    ));
    Some(finding.help("give each route a name of its own"))
}

/// `https://img.example.com/a` is pasted from an address bar.
fn bare_host(text: &str) -> String {
    let host = text.split_once("://").map_or(text, |(_, rest)| rest);
    let host = host.split(['/', '?', '#']).next().unwrap_or_default();
    match host.rsplit('@').next() {
        Some(host) if !host.is_empty() => format!("write `\"{host}\"`"),
        _ => String::new(),
    }
}
