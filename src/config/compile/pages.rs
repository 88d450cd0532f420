//! Which pages may upload and embed: `access.origins` and `access.referrer`.

use super::rule::{is_on, mode_must_be_written, must_be_written, nothing_listed};
use super::{Compiler, written_or};
use crate::access::Missing;
use crate::access::origins::{OriginPattern, OriginPatterns, OriginsRule};
use crate::access::referrer::{ReferrerRule, ReferrerUrlError, listed_host};
use crate::config::error::{Finding, quoted};
use crate::config::file::{Entry, Mode, Origins, Referrer};

const MISSING: &str = r#""allow", "block" or "infer""#;

impl Compiler<'_> {
    /// One of the two `access.origins` tables; `None` without patterns.
    pub(super) fn origins(&self, raw: &Origins) -> Option<OriginsRule> {
        let list = raw.patterns.as_ref().filter(|list| !list.is_empty())?;
        self.limits.origin_patterns.check(list, self.findings);
        if raw.missing.is_none() {
            let finding = must_be_written(&list.spot, &raw.spot, "missing", "patterns are given");
            self.findings.add_first(finding.allowed(MISSING).help(
                "`missing = \"block\"` also denies apps and tools that send no such field; \
                 \"infer\" denies only what a browser reports as embedding from elsewhere",
            ));
        }
        let patterns: Vec<OriginPattern> = list
            .iter()
            .filter_map(|entry| self.pattern(entry))
            .collect();
        let patterns = match OriginPatterns::new(&patterns) {
            Ok(patterns) => patterns,
            Err(error) => {
                let message = format!("these patterns are too large together: {error}");
                self.findings.add(list.spot.error(message));
                return None;
            }
        };
        Some(OriginsRule {
            patterns,
            missing: written_or(&raw.missing, Missing::Allow),
            shadow: is_on(raw.shadow.as_ref()),
        })
    }

    fn pattern(&self, entry: Entry<'_>) -> Option<OriginPattern> {
        match OriginPattern::parse(entry.text) {
            Ok(pattern) => Some(pattern),
            Err(error) => {
                let spot = entry.spot_of(error.span.clone());
                let message = format!("{}: {}", quoted(entry.text), error.reason);
                self.findings.add(
                    spot.error(message)
                        .label("here")
                        .allowed(
                            "a host and, if it matters, a port, with `*`, `?`, `{a,b}`, `[a-d]`, \
                             and `**` as a whole label",
                        )
                        .help(without_path(entry.text)),
                );
                None
            }
        }
    }

    /// `access.referrer`; `None` when its mode is off.
    pub(super) fn referrer(&self, raw: &Referrer) -> Option<ReferrerRule> {
        // A list that waits for its mode is checked, too.
        let list = raw.urls.as_ref().filter(|list| !list.is_empty());
        list.into_iter()
            .for_each(|list| self.limits.referrers.check(list, self.findings));
        let urls = list.into_iter().flat_map(|list| list.iter());
        let hosts = urls.filter_map(|entry| self.listed_host(entry)).collect();
        if let Some(list) = list.filter(|_| raw.mode.is_none()) {
            self.findings
                .add_first(mode_must_be_written(list, &raw.spot));
        }
        let mode = raw.mode.as_ref().filter(|mode| mode.value != Mode::Off)?;
        let allow = mode.value == Mode::Allow;
        if allow && raw.missing.is_none() {
            let finding = must_be_written(&mode.spot, &raw.spot, "missing", "mode = \"allow\"");
            self.findings.add_first(finding.allowed(MISSING).help(
                "`missing = \"infer\"` lets in who strips the Referer, but not what a browser \
                 reports as embedding from elsewhere",
            ));
        }
        if list.is_none() {
            let finding = nothing_listed(mode, &raw.spot, "urls");
            self.findings
                .add_first(finding.help("write `urls = [\"https://www.example.com\"]`"));
        }
        let missing = written_or(&raw.missing, Missing::Allow);
        Some(ReferrerRule::new(
            allow,
            hosts,
            missing,
            is_on(raw.shadow.as_ref()),
        ))
    }

    fn listed_host(&self, entry: Entry<'_>) -> Option<String> {
        match listed_host(entry.text) {
            Ok(host) => Some(host),
            Err(error) => {
                self.findings.add(bad_url(entry, &error));
                None
            }
        }
    }
}

fn bad_url(entry: Entry<'_>, error: &ReferrerUrlError) -> Finding {
    let finding = entry.error(format!("{}: {error}", quoted(entry.text)));
    let label = match error {
        ReferrerUrlError::NoScheme(_) => "no scheme",
        ReferrerUrlError::Wildcard => "a wildcard in the host",
        ReferrerUrlError::NoHost => "no host",
        ReferrerUrlError::NotAUrl(_) => "not a URL",
    };
    let finding = finding.label(label);
    finding
        .allowed("a URL with scheme and host: \"https://www.example.com\"; the exact host counts")
}

/// A pattern is often pasted from the address bar.
fn without_path(text: &str) -> String {
    let start = text.find("://").map_or(0, |at| at + 3);
    match text[start..].find('/') {
        Some(at) if at > 0 && start + at + 1 < text.len() => {
            format!("write `\"{}\"`", &text[..start + at])
        }
        _ => String::new(),
    }
}
