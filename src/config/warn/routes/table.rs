//! The tables of rules, and whether a route's is the top level's.

use crate::config::Route;
use crate::config::file::{List, Maybe, Policy};

/// A table that holds one kind of rule.
#[derive(Clone, Copy, Debug)]
pub(super) enum Table {
    Ip,
    UserAgent,
    Geo,
    Upload,
    Delivery,
    Referrer,
}

impl Table {
    pub(super) const ALL: [Self; 6] = [
        Self::Ip,
        Self::UserAgent,
        Self::Geo,
        Self::Upload,
        Self::Delivery,
        Self::Referrer,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Ip => "access.ip",
            Self::UserAgent => "access.user_agent",
            Self::Geo => "access.geo",
            Self::Upload => "access.origins.upload",
            Self::Delivery => "access.origins.delivery",
            Self::Referrer => "access.referrer",
        }
    }

    /// Whether `route` refuses anyone by it.
    pub(super) fn is_enforced(self, route: &Route) -> bool {
        let rules = &route.rules;
        match self {
            Self::Ip => rules.ip.block.is_some() && !rules.ip.shadow,
            Self::UserAgent => rules.user_agent.block.is_some() && !rules.user_agent.shadow,
            Self::Geo => rules.geo.as_ref().is_some_and(|rule| !rule.shadow),
            Self::Upload => rules.upload.as_ref().is_some_and(|rule| !rule.shadow),
            Self::Delivery => rules.delivery.as_ref().is_some_and(|rule| !rule.shadow),
            Self::Referrer => rules.referrer.as_ref().is_some_and(|rule| !rule.shadow),
        }
    }

    /// Whether `route` gives the table itself, and says another thing in it
    /// than `top` does.
    pub(super) fn is_own(self, route: &Policy, top: &Policy) -> bool {
        let own = self.said(route);
        own.is_some() && own != self.said(top)
    }

    /// What stands in the table, wherever and in which order; `None` without
    /// the table.
    fn said(self, policy: &Policy) -> Option<Said<'_>> {
        Some(match self {
            Self::Ip => {
                let raw = policy.ip.as_ref()?;
                let lists = [&raw.block, &raw.block_files, &raw.exempt];
                Said::new(lists, [flag(&raw.shadow)])
            }
            Self::UserAgent => {
                let raw = policy.user_agent.as_ref()?;
                Said::new([&raw.block], [flag(&raw.shadow)])
            }
            Self::Geo => {
                let raw = policy.geo.as_ref()?;
                let database = word(&raw.database);
                let words = [word(&raw.mode), database, word(&raw.unknown)];
                Said::new(
                    [&raw.countries],
                    words.into_iter().chain([flag(&raw.shadow)]),
                )
            }
            Self::Upload | Self::Delivery => {
                let raw = match self {
                    Self::Upload => policy.upload.as_ref()?,
                    _ => policy.delivery.as_ref()?,
                };
                Said::new([&raw.patterns], [word(&raw.missing), flag(&raw.shadow)])
            }
            Self::Referrer => {
                let raw = policy.referrer.as_ref()?;
                let words = [word(&raw.mode), word(&raw.missing), flag(&raw.shadow)];
                Said::new([&raw.urls], words)
            }
        })
    }
}

/// What a table says, without places.
#[derive(Debug, PartialEq, Eq)]
struct Said<'a> {
    lists: Vec<Vec<&'a str>>,
    words: Vec<String>,
}

impl<'a> Said<'a> {
    fn new(
        lists: impl IntoIterator<Item = &'a Option<List>>,
        words: impl IntoIterator<Item = String>,
    ) -> Self {
        let sorted = |list: &'a Option<List>| {
            let entries = list.iter().flat_map(List::iter).map(|entry| entry.text);
            let mut entries: Vec<&str> = entries.collect();
            entries.sort_unstable();
            entries.dedup();
            entries
        };
        Self {
            lists: lists.into_iter().map(sorted).collect(),
            words: words.into_iter().collect(),
        }
    }
}

fn word<T: std::fmt::Debug>(written: &Maybe<T>) -> String {
    let value = written.as_ref().map(|written| &written.value);
    format!("{value:?}")
}

/// A switch that is off by default.
fn flag(written: &Maybe<bool>) -> String {
    let on = written.as_ref().is_some_and(|written| written.value);
    on.to_string()
}
