//! What `config/portcullis.toml` says about each key: the comment behind it,
//! and the value in front of that.

use std::collections::BTreeMap;

use serde_json::Value;

const FILE: &str = include_str!("../../config/portcullis.toml");

/// What is told about a key.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Told {
    pub(super) description: &'static str,
    /// What stands there; tables have none.
    pub(super) value: Option<Value>,
    /// Whether that is the default, and not an example in a comment.
    pub(super) is_default: bool,
}

/// By the whole name of the key, such as `access.ip.block`.
#[derive(Debug)]
pub(super) struct Reference(BTreeMap<String, Told>);

impl Reference {
    pub(super) fn read() -> Self {
        let (mut all, mut table) = (BTreeMap::new(), "");
        for line in FILE.lines() {
            let (line, is_default) = match line.strip_prefix("# ") {
                Some(line) => (line, false),
                None => (line, true),
            };
            let (code, description) = split(line);
            let (name, value) = if code.starts_with('[') {
                table = code.trim_matches(['[', ']']);
                (table.to_owned(), None)
            } else if let Some((key, value)) = code.split_once(" = ") {
                (format!("{table}.{key}"), parsed(value))
            } else {
                continue;
            };
            let told = Told {
                description,
                value,
                is_default,
            };
            if !description.is_empty() {
                all.insert(name, told);
            }
        }
        let mut reference = Self(all);
        reference.follow();
        reference
    }

    /// About `key` of the table `section`; in a route it is what it is at the
    /// top level, unless it is told otherwise.
    pub(super) fn of(&self, section: &str, key: &str) -> Option<&Told> {
        let name = match section {
            "" => key.to_owned(),
            section => format!("{section}.{key}"),
        };
        let above = name.strip_prefix("route.").unwrap_or(&name);
        self.0.get(&name).or_else(|| self.0.get(above))
    }

    /// "as in access.ip" is enough for who has the file before them, and not
    /// for who sees this key alone.
    fn follow(&mut self) {
        let pointed = |name: &str, told: &Told| {
            let (_, key) = name.rsplit_once('.')?;
            let table = told.description.strip_prefix("as in ")?;
            let meant = self.0.get(&format!("{table}.{key}"))?;
            Some((name.to_owned(), meant.description))
        };
        let found = self.0.iter().filter_map(|(name, told)| pointed(name, told));
        for (name, description) in found.collect::<Vec<_>>() {
            self.0
                .entry(name)
                .and_modify(|told| told.description = description);
        }
    }
}

/// A line and the comment at its end.
fn split(line: &'static str) -> (&'static str, &'static str) {
    let mut quoted = false;
    let comment = line.char_indices().find(|(_, char)| {
        quoted ^= *char == '"';
        *char == '#' && !quoted
    });
    let at = comment.map_or(line.len(), |(at, _)| at);
    let description = line[at..].trim_start_matches('#');
    (line[..at].trim(), description.trim())
}

fn parsed(value: &str) -> Option<Value> {
    let table: toml::Table = toml::from_str(&format!("value = {value}")).ok()?;
    serde_json::to_value(table.get("value")?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::schema::{SECTIONS, section};

    /// Also in what is commented out.
    #[test]
    fn only_keys_are_told_of_with_values_that_are_toml() {
        let Reference(all) = Reference::read();
        assert!(all.len() > 90, "only {} keys", all.len());
        for (name, told) in all {
            let (table, key) = name.rsplit_once('.').unwrap_or(("", &name));
            assert!(section(table).keys.contains(&key), "{name}");
            let is_table = SECTIONS.iter().any(|section| section.name == name);
            assert_eq!(told.value.is_none(), is_table, "{name}");
            assert!(!told.description.starts_with("as in "), "{name}");
        }
    }

    #[test]
    fn a_comment_begins_outside_quotes() {
        assert_eq!(split("a = \"b#c\"   # d # e"), ("a = \"b#c\"", "d # e"));
        assert_eq!(split("[a]"), ("[a]", ""));
    }
}
