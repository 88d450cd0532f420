//! `[cache_key]`.

use hyper::header::HeaderName;

use super::{Compiler, fields};
use crate::cache::key::{KeyRules, ParameterPattern, QueryMode};
use crate::config::error::quoted;
use crate::config::file::{CacheKey, Entry, List, Written};

impl Compiler<'_> {
    /// `[cache_key]`.
    pub(super) fn cache_key(&self, raw: &CacheKey) -> KeyRules {
        let mode = raw
            .query
            .as_ref()
            .map_or(QueryMode::Keep, |query| query.value);
        if mode == QueryMode::Drop {
            let filters = [&raw.drop, &raw.only];
            let given = filters
                .into_iter()
                .flatten()
                .filter(|list| !list.is_empty());
            given.for_each(|list| self.without_meaning(list));
        }
        KeyRules {
            mode,
            drop: self.parameters(raw.drop.as_ref()),
            only: self.parameters(raw.only.as_ref()),
            field: raw.field.as_ref().and_then(|field| self.key_field(field)),
        }
    }

    fn without_meaning(&self, list: &List) {
        let finding = list
            .spot
            .error("query = \"drop\" leaves no parameter to filter");
        self.findings.add(
            finding
                .label("a filter of nothing")
                .allowed("`drop` and `only` with query = \"keep\" or \"sort\"")
                .help("take this key out, or write `query = \"keep\"`"),
        );
    }

    fn parameters(&self, list: Option<&List>) -> Vec<ParameterPattern> {
        let entries = list.into_iter().flat_map(List::iter);
        entries.filter_map(|entry| self.parameter(entry)).collect()
    }

    fn parameter(&self, entry: Entry<'_>) -> Option<ParameterPattern> {
        let pattern = ParameterPattern::parse(entry.text);
        let pattern = pattern.filter(|_| !entry.text.contains(['=', '&', '?']));
        if pattern.is_none() {
            let message = format!("{} is not the name of a parameter", quoted(entry.text));
            let finding = entry.error(message).label("not a name");
            self.findings
                .add(finding.allowed("a name, or the start of one and `*`: \"utm_*\""));
        }
        pattern
    }

    fn key_field(&self, field: &Written<String>) -> Option<HeaderName> {
        let text = field.value.trim();
        if text.is_empty() {
            return None;
        }
        let lower = text.to_ascii_lowercase();
        let plain = text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        let taken = fields::is_taken(&lower);
        match HeaderName::from_bytes(lower.as_bytes()) {
            Ok(name) if plain && !taken => Some(name),
            _ => {
                let why = if plain {
                    "has a meaning of its own"
                } else {
                    "is not a field name"
                };
                let finding = field.spot.error(format!("{} {why}", quoted(text)));
                let finding = finding.label("not this field");
                let allowed = "letters, digits and `-`: \"x-cache-key\"; \"\" for none";
                self.findings.add(finding.allowed(allowed));
                None
            }
        }
    }
}
