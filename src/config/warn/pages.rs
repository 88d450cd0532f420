//! Lists of pages: the patterns of `access.origins`, the URLs of
//! `access.referrer`.

use std::collections::HashSet;

use crate::access::Missing;
use crate::access::origins::{OriginPattern, OriginPatterns};
use crate::access::referrer::listed_host;
use crate::config::error::quoted;
use crate::config::file::{Entry, List, Maybe, Mode, Policy, Written};
use crate::config::reader::Findings;

/// An allowlist of pages.
pub(super) struct PageList<'a> {
    pub(super) list: &'a List,
    pub(super) missing: Option<&'a Written<Missing>>,
    kind: Kind,
}

enum Kind {
    /// Globs.
    Patterns(OriginPatterns),
    /// The hosts of `access.referrer.urls`.
    Hosts(HashSet<String>),
}

impl<'a> PageList<'a> {
    /// The allowlists that stand in `policy`.
    pub(super) fn all(policy: &'a Policy) -> impl Iterator<Item = Self> {
        let origins = [&policy.upload, &policy.delivery].into_iter().flatten();
        let origins =
            origins.filter_map(|raw| Self::patterns(raw.patterns.as_ref()?, &raw.missing));
        let referrer = policy.referrer.iter().filter_map(|raw| {
            let mode = raw.mode.as_ref()?;
            (mode.value == Mode::Allow).then_some(())?;
            Some(Self::hosts(raw.urls.as_ref()?, &raw.missing))
        });
        origins.chain(referrer)
    }

    fn patterns(list: &'a List, missing: &'a Maybe<Missing>) -> Option<Self> {
        let parsed = list
            .iter()
            .filter_map(|entry| OriginPattern::parse(entry.text).ok());
        let patterns = OriginPatterns::new(&parsed.collect::<Vec<_>>()).ok()?;
        let missing = missing.as_ref();
        (!list.is_empty()).then_some(Self {
            list,
            missing,
            kind: Kind::Patterns(patterns),
        })
    }

    fn hosts(list: &'a List, missing: &'a Maybe<Missing>) -> Self {
        let hosts = list.iter().filter_map(|entry| listed_host(entry.text).ok());
        Self {
            list,
            missing: missing.as_ref(),
            kind: Kind::Hosts(hosts.collect()),
        }
    }

    /// Whether pages of `host` pass.
    pub(super) fn admits(&self, host: &str, port: u16) -> bool {
        match &self.kind {
            Kind::Patterns(patterns) => patterns.matches(host, port),
            Kind::Hosts(hosts) => hosts.contains(host),
        }
    }

    /// What may be risky in the list itself.
    pub(super) fn warn(&self, findings: &Findings) {
        for entry in self.list.iter() {
            match &self.kind {
                Kind::Patterns(_) if entry.text == "null" => null(entry, findings),
                Kind::Patterns(_) => {
                    let pattern = Pattern::new(entry.text);
                    self.bare_domain(entry, &pattern, findings);
                    open_label(entry, &pattern, findings);
                    if !pattern.host.contains(['*', '?', '{', '[']) {
                        self.twin(entry, pattern.host, pattern.port(), findings);
                    }
                }
                Kind::Hosts(_) => {
                    let host = listed_host(entry.text).unwrap_or_default();
                    self.twin(entry, &host, 443, findings);
                }
            }
        }
        if let Some(missing) = self
            .missing
            .filter(|missing| missing.value == Missing::Allow)
        {
            let message = "an allowlist lets in whoever sends no such field";
            findings.add(
                missing
                    .spot
                    .warning(message)
                    .label("a page can have it left out")
                    .note("`Referrer-Policy: no-referrer` on a foreign page is enough")
                    .help("write \"infer\", or \"block\" if no app or tool needs to get in"),
            );
        }
    }

    /// `*.example.com` does not match `example.com`.
    fn bare_domain(&self, entry: Entry<'_>, pattern: &Pattern<'_>, findings: &Findings) {
        let host = pattern.host;
        let Some(bare) = host.strip_prefix("**.").or_else(|| host.strip_prefix("*.")) else {
            return;
        };
        let listed = match bare.contains(['*', '?', '{', '[']) {
            true => self
                .list
                .iter()
                .any(|other| Pattern::new(other.text).host == bare),
            false => self.admits(bare, pattern.port()),
        };
        // `*.domain.*`: what it stands for is too open to have one bare domain.
        if listed || !bare.contains('.') || bare.contains("*") {
            return;
        }
        let finding = entry.warning(format!(
            "{} does not match {bare} itself",
            quoted(entry.text)
        ));
        findings.add(
            finding
                .label("only what is below it")
                .help(format!("add `\"{bare}\"`, if its pages count too")),
        );
    }

    /// `example.com` and `www.example.com` usually show the same pages.
    fn twin(&self, entry: Entry<'_>, host: &str, port: u16, findings: &Findings) {
        let twin = match host.strip_prefix("www.") {
            Some(bare) => bare.to_owned(),
            None if is_a_site(host) => format!("www.{host}"),
            None => return,
        };
        if self.admits(&twin, port) {
            return;
        }
        let finding = entry.warning(format!("{host} is listed, and {twin} is not"));
        let add = match &self.kind {
            Kind::Patterns(_) => twin,
            Kind::Hosts(_) => format!("https://{twin}"),
        };
        findings.add(
            finding
                .label("without its twin")
                .note("the exact host counts; many sites answer to both")
                .help(format!("add `\"{add}\"`, if it shows the same pages")),
        );
    }
}

/// A pattern cut into host and port, without a scheme.
struct Pattern<'a> {
    host: &'a str,
    port: Option<u16>,
}

impl<'a> Pattern<'a> {
    fn new(text: &'a str) -> Self {
        let host = text.split_once("://").map_or(text, |(_, host)| host);
        let host = host.trim_end_matches('/');
        match host.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => Self {
                host,
                port: port.parse().ok(),
            },
            _ => Self { host, port: None },
        }
    }

    /// A port that it matches.
    fn port(&self) -> u16 {
        self.port.unwrap_or(443)
    }
}

fn null(entry: Entry<'_>, findings: &Findings) {
    let finding = entry.warning("any page can send `Origin: null`");
    findings.add(
        finding
            .label("admits everyone who tries")
            .note("a sandboxed frame is enough")
            .help("take it out; give pages that need it an origin of their own"),
    );
}

/// `*domain.com` admits `evildomain.com`.
fn open_label(entry: Entry<'_>, pattern: &Pattern<'_>, findings: &Findings) {
    let mut labels = pattern.host.split('.');
    let open = |label: &&str| {
        let bare = label.trim_matches(['{', '}']);
        let edge = bare.starts_with('*') || bare.ends_with('*');
        edge && bare.contains(|letter: char| letter.is_alphanumeric())
    };
    let Some(label) = labels.find(open) else {
        return;
    };
    let admitted = pattern.host.replace("**", "evil").replace('*', "evil");
    let start = entry.text.find(label).unwrap_or_default();
    let spot = entry.spot_of(start..start + label.len());
    let finding = spot.warning(format!("{} also admits {admitted}", quoted(entry.text)));
    findings.add(
        finding
            .label("an open end beside letters")
            .note("anyone can register a name that fits")
            .help("write the whole label, or `*.` in front of it for what is below"),
    );
}

/// Whether `host` looks like a name that a site is known by: `example.com`,
/// `example.co.uk`.
fn is_a_site(host: &str) -> bool {
    let labels: Vec<&str> = host.split('.').collect();
    let is_name = labels
        .last()
        .is_some_and(|top| top.bytes().all(|b| b.is_ascii_alphabetic()));
    is_name
        && match labels.as_slice() {
            [_, _] => true,
            [_, second, top] => top.len() == 2 && second.len() <= 3,
            _ => false,
        }
}
