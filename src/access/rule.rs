//! The rules' names and the decision.

use std::fmt;

/// A rule, by its stable id; in the order of section 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum RuleId {
    /// `ip.block`
    IpBlock,
    /// `user_agent.block`
    UserAgentBlock,
    /// `geo.block`
    GeoBlock,
    /// `geo.allow`
    GeoAllow,
    /// `origins.upload`
    OriginsUpload,
    /// `origins.delivery`
    OriginsDelivery,
    /// `referrer.block`
    ReferrerBlock,
    /// `referrer.allow`
    ReferrerAllow,
}

impl RuleId {
    /// All rules, in their order.
    pub const ALL: [Self; 8] = [
        Self::IpBlock,
        Self::UserAgentBlock,
        Self::GeoBlock,
        Self::GeoAllow,
        Self::OriginsUpload,
        Self::OriginsDelivery,
        Self::ReferrerBlock,
        Self::ReferrerAllow,
    ];

    /// The id that logs, metrics, fields and tests use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::IpBlock => "ip.block",
            Self::UserAgentBlock => "user_agent.block",
            Self::GeoBlock => "geo.block",
            Self::GeoAllow => "geo.allow",
            Self::OriginsUpload => "origins.upload",
            Self::OriginsDelivery => "origins.delivery",
            Self::ReferrerBlock => "referrer.block",
            Self::ReferrerAllow => "referrer.allow",
        }
    }

    /// The rule with that id.
    pub fn parse(id: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|rule| rule.as_str() == id)
    }
}

impl fmt::Display for RuleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A set of rules.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RuleIds(u8);

impl RuleIds {
    /// Adds `rule`.
    pub fn insert(&mut self, rule: RuleId) {
        self.0 |= 1 << rule as u8;
    }

    /// Whether `rule` is in it.
    pub fn contains(self, rule: RuleId) -> bool {
        self.0 & (1 << rule as u8) != 0
    }

    /// The rules that are in both.
    pub fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// The rules that are in one of them.
    pub fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// A bit a rule, that of the first the lowest.
    pub fn bits(self) -> u8 {
        self.0
    }

    /// Whether no rule is in it.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The rules in it, in their order.
    pub fn iter(self) -> impl Iterator<Item = RuleId> {
        RuleId::ALL
            .into_iter()
            .filter(move |rule| self.contains(*rule))
    }
}

/// Whether a request goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It goes on.
    Forward,
    /// 403, by this rule.
    Deny(RuleId),
}
