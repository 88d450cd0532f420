//! What a rule found out, and how that is told.

use std::fmt;

use super::RuleId;
use super::country::CountryCode;

/// What one rule found in one request: enough to decide and to explain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finding<'a> {
    /// The rule says nothing about requests of this method.
    OtherMethod,
    /// The client's address is in `block`.
    AddressListed,
    /// It is not.
    AddressNotListed,
    /// No User-Agent line contains an entry.
    AgentNotListed,
    /// A User-Agent line contains this entry.
    AgentListed(&'a str),
    /// The country decides; `None` is unknown.
    Country {
        /// Whether this country is denied.
        denied: bool,
        /// The country, looked up only to explain.
        country: Option<CountryCode>,
    },
    /// A host that the list has.
    HostListed(Source),
    /// A host that the list does not have.
    HostNotListed(Source),
    /// The field was sent but is not understood.
    NotUnderstood(Source, ListKind),
    /// The field is missing and `missing` decides.
    Missing {
        /// Whether `missing = "block"`.
        denied: bool,
    },
    /// The field is missing and the Sec-Fetch fields decide.
    Inferred {
        /// Whether a browser reported embedding from elsewhere.
        denied: bool,
    },
    /// A blocklist has the host.
    HostBlocked(Source),
    /// A blocklist does not have the host.
    HostNotBlocked(Source),
}

/// Where a host was read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The `Origin` field.
    Origin,
    /// The Referer field.
    Referer,
    /// The request's own host, for `Origin: null` from the same origin.
    OwnHost,
}

/// What a list does to those who are on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListKind {
    /// Only listed ones pass.
    Allow,
    /// Listed ones are denied.
    Block,
}

impl Finding<'_> {
    /// Whether the rule denies.
    pub const fn denies(self) -> bool {
        match self {
            Self::AddressListed
            | Self::AgentListed(_)
            | Self::HostNotListed(_)
            | Self::HostBlocked(_)
            | Self::NotUnderstood(_, ListKind::Allow) => true,
            Self::OtherMethod
            | Self::AddressNotListed
            | Self::AgentNotListed
            | Self::HostListed(_)
            | Self::HostNotBlocked(_)
            | Self::NotUnderstood(_, ListKind::Block) => false,
            Self::Country { denied, .. } | Self::Missing { denied } | Self::Inferred { denied } => {
                denied
            }
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Origin => "the host of the Origin field",
            Self::Referer => "the host of the Referer",
            Self::OwnHost => "the request's own host (Origin: null from the same origin)",
        })
    }
}

impl fmt::Display for Finding<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OtherMethod => f.write_str("the rule is not about this method"),
            Self::AddressListed => f.write_str("the client's address is in the block list"),
            Self::AddressNotListed => f.write_str("the client's address is not in the block list"),
            Self::AgentNotListed => f.write_str("no User-Agent line contains an entry"),
            Self::AgentListed(entry) => write!(f, "the User-Agent contains \"{entry}\""),
            Self::Country { denied, country } => write_country(f, *denied, *country),
            Self::HostListed(source) => write!(f, "{source} is in the list"),
            Self::HostNotListed(source) => write!(f, "{source} is not in the allowlist"),
            Self::HostBlocked(source) => write!(f, "{source} is in the block list"),
            Self::HostNotBlocked(source) => write!(f, "{source} is not in the block list"),
            Self::NotUnderstood(source, kind) => write!(
                f,
                "{source} cannot be read, which {}",
                if *kind == ListKind::Allow {
                    "no allowlist lets pass"
                } else {
                    "no blocklist names"
                }
            ),
            Self::Missing { denied: true } => {
                f.write_str("the field is missing, and missing is \"block\"")
            }
            Self::Missing { denied: false } => {
                f.write_str("the field is missing, and missing is \"allow\"")
            }
            Self::Inferred { denied: true } => f.write_str(
                "the field is missing, and the Sec-Fetch fields say that another site embeds this",
            ),
            Self::Inferred { denied: false } => f.write_str(
                "the field is missing, and no Sec-Fetch field says that another site embeds this",
            ),
        }
    }
}

fn write_country(
    f: &mut fmt::Formatter<'_>,
    denied: bool,
    country: Option<CountryCode>,
) -> fmt::Result {
    match country {
        Some(code) => write!(f, "the client is in {code}")?,
        None => f.write_str("the client's country is unknown")?,
    }
    f.write_str(if denied {
        ", which is denied"
    } else {
        ", which may pass"
    })
}

/// What became of one rule (`outcome` of `explain`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It lets the request through.
    Pass,
    /// It denies.
    Deny,
    /// It would deny, but only watches (`shadow = true`).
    WouldDeny,
    /// It is not configured, or the other mode is.
    Off,
    /// The client or the path is exempt.
    Exempt,
}

impl Outcome {
    /// The word that `explain` uses.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Deny => "deny",
            Self::WouldDeny => "would_deny",
            Self::Off => "off",
            Self::Exempt => "exempt",
        }
    }
}

/// One rule's outcome and the reason in prose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleReport {
    /// The rule.
    pub rule: RuleId,
    /// What became of it.
    pub outcome: Outcome,
    /// Why.
    pub why: String,
}
