//! Keys that are not in the schema, or do not work yet.

use toml::Spanned;
use toml::de::{DeString, DeValue};

use super::{Table, header, quoted};
use crate::config::error::{Finding, Spot};
use crate::config::schema::{self, SECTIONS, Section};
use crate::config::spelling;

/// How many tables are named where a key could belong.
const MOST_PLACES: usize = 3;

impl Table<'_> {
    pub(super) fn check_key(&self, name: &Spanned<DeString<'_>>, value: &Spanned<DeValue<'_>>) {
        let key = name.get_ref().as_ref();
        let spot = self.spot_of(self.full_key(&bare_or_quoted(key)), name.span());
        if !self.section.keys.contains(&key) {
            self.document.findings.add(self.unknown(key, &spot));
        } else if let Some(off) = schema::unsupported(self.section, key)
            && !off.accepts(value.get_ref())
        {
            let finding = spot.error("not supported yet").label("does not work yet");
            let help = match off.as_written() {
                Some(written) => format!("leave it out, or write `{key} = {written}`"),
                None => "leave it out".to_owned(),
            };
            self.document.findings.add(finding.help(help));
        }
    }

    fn unknown(&self, key: &str, spot: &Spot) -> Finding {
        let here = match self.key.as_str() {
            "" => "the top level".to_owned(),
            table => format!("`{}`", bracketed(self.section.name, &header(table))),
        };
        let finding = spot
            .error("unknown key")
            .label(format!("not a key of {here}"));
        let mut allowed = self.section.keys.to_vec();
        keep_if_any(&mut allowed, |key| {
            schema::unsupported(self.section, key).is_none()
        });
        let finding = finding.allowed(allowed.join(", "));
        if let Some(word) = spelling::closest(key, self.section.keys.iter().copied()) {
            let finding = finding.meant(self.full_key(word));
            return finding.help(format!("did you mean `{word}`?"));
        }
        finding.help(self.elsewhere(key).unwrap_or_default())
    }

    /// Which key that is not spelt alike was meant, or which table.
    fn elsewhere(&self, key: &str) -> Option<String> {
        if (self.section.name, key) == ("cache", "enabled") {
            let help = "write `memory = \"0\"` for no cache; a route may have `enabled`";
            return Some(help.to_owned());
        }
        let longer = |name: &&&str| name.split('_').any(|part| part == key);
        let longer: Vec<String> = self
            .section
            .keys
            .iter()
            .filter(longer)
            .map(|name| format!("`{name}`"))
            .collect();
        if !longer.is_empty() {
            return Some(format!("did you mean {}?", longer.join(" or ")));
        }
        if let Some(table) = SECTIONS
            .iter()
            .find(|table| table.name.ends_with(&format!(".{key}")))
        {
            let name = table.name;
            let route = if self.in_route() { "route." } else { "" };
            return Some(format!(
                "write `{}`",
                bracketed(name, &format!("{route}{name}"))
            ));
        }
        if let Some(tables) = self.tables_with(key) {
            return Some(format!("{} belongs in {tables}", quoted(key)));
        }
        let elsewhere = SECTIONS.iter().flat_map(|section| section.keys).copied();
        let word = spelling::closest(key, elsewhere)?;
        let tables = self.tables_with(word)?;
        Some(format!("did you mean `{word}`? It belongs in {tables}"))
    }

    fn in_route(&self) -> bool {
        self.key.starts_with("route[")
    }

    /// The tables that have `key`: those below this one, if there are any, and
    /// those where it works.
    fn tables_with(&self, key: &str) -> Option<String> {
        let in_test = |section: &Section| section.name.starts_with("test");
        let mut having: Vec<&Section> = SECTIONS
            .iter()
            .filter(|section| section.keys.contains(&key))
            .filter(|section| in_test(section) == in_test(self.section))
            .filter(|section| !section.name.starts_with("route."))
            .collect();
        let below = format!("{}.", self.section.name.trim_start_matches("route."));
        keep_if_any(&mut having, |section| section.name.starts_with(&below));
        keep_if_any(&mut having, |section| {
            schema::unsupported(section, key).is_none()
        });
        let names: Vec<String> = having
            .iter()
            .map(|section| self.place(section, key))
            .collect();
        match names.as_slice() {
            [] => None,
            names if names.len() > MOST_PLACES => None,
            [one] => Some(one.clone()),
            [rest @ .., last] => Some(format!("{} or {last}", rest.join(", "))),
        }
    }

    /// `section` as it is written where this table stands: in a route, or at
    /// the top level.
    fn place(&self, section: &Section, key: &str) -> String {
        let in_route = self.in_route();
        let inherited = match section.name.split_once('.') {
            None => schema::section("route").keys.contains(&section.name),
            Some((table, _)) => schema::section("route").keys.contains(&table),
        };
        let own = match section.name {
            name @ ("access" | "cache") => schema::section(&format!("route.{name}"))
                .keys
                .contains(&key),
            _ => inherited,
        };
        match section.name {
            "" if in_route => "the top level of the file, not in a route".to_owned(),
            "" => format!("the top level of the file: `[{key}]`"),
            name if in_route && own => format!("`{}`", bracketed(name, &format!("route.{name}"))),
            name if in_route => format!("`{}` at the top level of the file", bracketed(name, name)),
            name => format!("`{}`", bracketed(name, name)),
        }
    }
}

/// The header of the table `name`, which is one of `section`.
fn bracketed(section: &str, name: &str) -> String {
    match section {
        "route" | "test" | "images.clients" => format!("[[{name}]]"),
        _ => format!("[{name}]"),
    }
}

fn keep_if_any<T>(items: &mut Vec<T>, keep: impl Fn(&T) -> bool) {
    if items.iter().any(&keep) {
        items.retain(keep);
    }
}

/// A key as it must be written in TOML.
fn bare_or_quoted(key: &str) -> String {
    let bare = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    if !key.is_empty() && key.bytes().all(bare) {
        key.to_owned()
    } else {
        format!("\"{}\"", key.escape_debug())
    }
}
