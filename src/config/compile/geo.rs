//! `access.geo`.

use std::sync::Arc;

use super::rule::{is_on, mode_must_be_written, must_be_written, nothing_listed};
use super::{Compiler, written_or};
use crate::access::country::{CountryCode, CountryDatabase, DatabaseError};
use crate::access::geo::{GeoPolicy, GeoRule};
use crate::config::Held;
use crate::config::error::{Finding, Spot};
use crate::config::file::{Entry, Geo, Mode, Unknown, Written};
use crate::config::source::why_unreadable;

const DATABASE: &str = "country.mmdb";

impl Compiler<'_> {
    /// `access.geo`; `None` when its mode is off.
    pub(super) fn geo(&mut self, raw: &Geo) -> Option<GeoRule> {
        // A list that waits for its mode is checked, too.
        let countries = raw.countries.iter().flat_map(|list| list.iter());
        let countries = countries.filter_map(|entry| self.country(entry)).collect();
        let listed = raw.countries.as_ref().filter(|list| !list.is_empty());
        if let Some(list) = listed.filter(|_| raw.mode.is_none()) {
            self.findings
                .add_first(mode_must_be_written(list, &raw.spot));
        }
        let mode = raw.mode.as_ref().filter(|mode| mode.value != Mode::Off)?;
        let allow = mode.value == Mode::Allow;
        if allow && raw.unknown.is_none() {
            let finding = must_be_written(&mode.spot, &raw.spot, "unknown", "mode = \"allow\"");
            self.findings
                .add_first(finding.allowed("\"allow\" or \"block\"").help(
                    "`unknown = \"block\"` also denies private addresses, and those that the \
                 database does not know",
                ));
        }
        if listed.is_none() {
            let finding = nothing_listed(mode, &raw.spot, "countries");
            self.findings
                .add_first(finding.help("write `countries = [\"DE\", \"FR\"]`"));
        }
        let policy = GeoPolicy {
            allow,
            countries,
            deny_unknown: written_or(&raw.unknown, Unknown::Allow) == Unknown::Block,
            shadow: is_on(raw.shadow.as_ref()),
        };
        Some(GeoRule::new(&policy, self.geo_database(raw, mode)?))
    }

    fn geo_database(&mut self, raw: &Geo, mode: &Written<Mode>) -> Option<Arc<CountryDatabase>> {
        match &raw.database {
            Some(written) => self.database(&written.value, &written.spot),
            None => {
                let spot = Spot {
                    span: mode.spot.span.clone(),
                    ..raw.spot.lacking("database")
                };
                self.database(DATABASE, &spot)
            }
        }
    }

    fn country(&self, entry: Entry<'_>) -> Option<CountryCode> {
        match CountryCode::parse(entry.text) {
            Ok(code) => Some(code),
            Err(error) => {
                let finding = entry.error(error.to_string());
                let finding = finding.label("not a country code");
                self.findings
                    .add(finding.allowed("ISO 3166-1 alpha-2 codes, in any case: \"DE\""));
                None
            }
        }
    }

    /// The database at `written`, which stands at `spot` or is the default.
    fn database(&mut self, written: &str, spot: &Spot) -> Option<Arc<CountryDatabase>> {
        let path = self.base.join(written);
        if let Some(known) = self.databases.get(&path) {
            return known.clone();
        }
        let (path, bytes) = self.read_source(written);
        let opened = bytes.map_err(|error| DatabaseError::unread(&path, error));
        let opened = opened.and_then(|bytes| CountryDatabase::from_bytes(bytes, &path));
        let database = match opened {
            Ok(database) => {
                let nodes = database.nodes();
                self.holds(&path, Held::Database { nodes });
                Some(Arc::new(database))
            }
            Err(error) => {
                self.findings.add(unusable(spot, &error));
                None
            }
        };
        self.databases.insert(path, database.clone());
        database
    }
}

fn unusable(spot: &Spot, error: &DatabaseError) -> Finding {
    let (message, help) = match error {
        DatabaseError::Read { source, .. } => (
            format!("{error}: {}", why_unreadable(source)),
            "a relative path starts at the folder of the configuration file",
        ),
        _ => (error.to_string(), ""),
    };
    let finding = spot.error(message).label("this database");
    let finding = finding.allowed("a MaxMind DB with countries, such as GeoLite2-Country.mmdb");
    finding.help(help)
}
