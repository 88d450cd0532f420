//! Lists of addresses and of query parameters.

use ipnet::{IpNet, Ipv6Net};

use super::{is_single, networks};
use crate::cache::key::ParameterPattern;
use crate::config::error::quoted;
use crate::config::file::{ConfigFile, Entry, List, Policy};
use crate::config::reader::Findings;

/// Names of parameters that decide whether a URL is honoured.
const SIGNS: [&str; 9] = [
    "signature",
    "sig",
    "token",
    "expires",
    "expiry",
    "exp",
    "hmac",
    "policy",
    "key-pair-id",
];

pub(super) fn warn(policy: &Policy, file: &ConfigFile, findings: &Findings) {
    if let Some(ip) = &policy.ip {
        lone_ipv6(ip.block.as_ref(), findings);
        exempt_proxies(ip.exempt.as_ref(), file, findings);
    }
    if let Some(key) = &policy.cache_key {
        let entries = key.drop.iter().flat_map(List::iter);
        entries
            .filter(signs)
            .for_each(|entry| dropped_signature(entry, findings));
    }
}

fn lone_ipv6(block: Option<&List>, findings: &Findings) {
    for (entry, network) in networks(block) {
        let IpNet::V6(v6) = network else { continue };
        if !is_single(network) {
            continue;
        }
        let line = Ipv6Net::new(v6.addr(), 64).map(|net| net.trunc().to_string());
        let line = line.unwrap_or_default();
        let finding = entry.warning(format!("{} is a single IPv6 address", quoted(entry.text)));
        findings.add(
            finding
                .label("one of many")
                .note("a line usually has the /64, and its next address is not blocked")
                .help(format!("write `\"{line}\"`")),
        );
    }
}

fn exempt_proxies(exempt: Option<&List>, file: &ConfigFile, findings: &Findings) {
    for (entry, network) in networks(exempt) {
        let mut trusted = networks(file.client.trusted_proxies.as_ref());
        let overlaps = |other: &IpNet| network.contains(other) || other.contains(&network);
        if let Some((proxy, _)) = trusted.find(|(_, other)| overlaps(other)) {
            let text = quoted(entry.text);
            let finding = entry.warning(format!("{text} overlaps client.trusted_proxies"));
            let note = format!(
                "an address in trusted_proxies ({}, line {}) is never exempt: a proxy speaks for strangers",
                quoted(proxy.text),
                proxy.spot().line(),
            );
            findings.add(
                finding
                    .label("partly without effect")
                    .note(note)
                    .help("take it out of one of the two"),
            );
        }
    }
}

fn signs(entry: &Entry<'_>) -> bool {
    let lower = entry.text.to_ascii_lowercase();
    let Some(pattern) = ParameterPattern::parse(&lower) else {
        return false;
    };
    let contains = |word: &str| word.len() > 3 && lower.contains(word);
    SIGNS
        .iter()
        .any(|name| pattern.matches(name.as_bytes()) || contains(name))
}

fn dropped_signature(entry: Entry<'_>, findings: &Findings) {
    let finding = entry.warning(format!(
        "{} may be part of a signed URL",
        quoted(entry.text)
    ));
    findings.add(
        finding
            .label("the origin will not see it")
            .note("without it, the origin cannot tell a signed URL from an expired or forged one")
            .help("take it out of `drop`, unless the origin does not read it"),
    );
}
