//! `access.geo`: countries (section 6.3).
//!
//! The decision is compiled: the database is walked once and every denied
//! address put into one [`NetworkSet`], which answers some twenty times
//! faster than the database does. Only an explanation or a log line looks a
//! country up.

use std::sync::Arc;

use ipnet::IpNet;

use super::country::{CountryCode, CountryDatabase};
use super::{Finding, RuleId};
use crate::client::ClientAddr;
use crate::network::NetworkSet;

/// The `access.geo` table, compiled; absent when its mode is off.
#[derive(Clone, Debug)]
pub struct GeoRule {
    rule: RuleId,
    denied: NetworkSet,
    database: Arc<CountryDatabase>,
    /// `shadow`.
    pub shadow: bool,
}

/// What `access.geo` says, beside its database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GeoPolicy {
    /// Whether listed countries are the only ones that pass.
    pub allow: bool,
    /// `countries`.
    pub countries: Vec<CountryCode>,
    /// Whether `unknown = "block"`.
    pub deny_unknown: bool,
    /// `shadow`.
    pub shadow: bool,
}

impl GeoRule {
    /// Compiles `policy` against `database`.
    pub fn new(policy: &GeoPolicy, database: Arc<CountryDatabase>) -> Self {
        let denied = database.networks(|country| match country {
            Some(code) => policy.countries.contains(&code) != policy.allow,
            None => policy.deny_unknown,
        });
        Self {
            rule: if policy.allow {
                RuleId::GeoAllow
            } else {
                RuleId::GeoBlock
            },
            denied,
            database,
            shadow: policy.shadow,
        }
    }

    /// Which of the two geo rules is on.
    pub fn id(&self) -> RuleId {
        self.rule
    }

    /// Whether the rule denies `client`.
    pub fn denies(&self, client: ClientAddr) -> bool {
        self.denied.contains(client.ip())
    }

    /// The same, with the country for an explanation.
    pub fn judge(&self, client: ClientAddr) -> Finding<'static> {
        Finding::Country {
            denied: self.denies(client),
            country: self.country(client),
        }
    }

    /// Whether all addresses of `network` are alike to it.
    pub(super) fn judges_alike(&self, network: IpNet) -> bool {
        self.denied.is_alike_within(network)
    }

    /// The client's country, if it is known.
    pub fn country(&self, client: ClientAddr) -> Option<CountryCode> {
        self.database.lookup(client.ip())
    }

    /// The database, for its date.
    pub fn database(&self) -> &Arc<CountryDatabase> {
        &self.database
    }
}
