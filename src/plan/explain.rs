//! A plan, told: the fields of `explain --json` (section 12).

use std::fmt::Write as _;

use serde::Serialize;

use super::{Arrival, Plan, Received, Reject};
use crate::access::{Decision, Outcome, RuleReport};
use crate::client::{ClientFrom, PeerAddr};
use crate::config::Snapshot;
use crate::message::fields::Name;

/// What would become of a request, and why.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub enum Explanation {
    /// It would be answered 400, 405 or 421.
    Rejected {
        /// `reject`
        verdict: &'static str,
        /// The status.
        status: u16,
        /// Why.
        error: String,
    },
    /// It would be forwarded or denied.
    Decided(Box<Decided>),
}

/// The explanation of a decided request; field names are fixed.
#[derive(Clone, Debug, Serialize)]
pub struct Decided {
    /// `forward` or `deny`.
    pub verdict: &'static str,
    /// The first enforced rule that denies.
    pub rule: Option<&'static str>,
    /// All eight rules.
    pub rules: Vec<ToldRule>,
    /// The client's address.
    pub client: String,
    /// The peer's address.
    pub peer: String,
    /// How the client's address was found.
    pub client_from: String,
    /// The client's country.
    pub country: Option<String>,
    /// The route's name.
    pub route: String,
    /// The image variant.
    pub variant: &'static str,
    /// The `Accept` that the origin would get.
    pub accept: Option<String>,
    /// The cache key.
    pub cache_key: String,
}

/// One rule, told.
#[derive(Clone, Debug, Serialize)]
pub struct ToldRule {
    /// Its id.
    pub rule: &'static str,
    /// `pass`, `deny`, `would_deny`, `off` or `exempt`.
    pub outcome: &'static str,
    /// Prose.
    pub why: String,
}

impl Explanation {
    /// A request whose target no HTTP library reads.
    pub(super) fn unreadable() -> Self {
        Self::Rejected {
            verdict: "reject",
            status: 400,
            error: "the request line cannot be parsed".to_owned(),
        }
    }

    /// What `snapshot` makes of a request that came like that.
    pub fn of(snapshot: &Snapshot, received: &Received, arrival: &Arrival) -> Self {
        match Plan::new(snapshot, received, arrival) {
            Ok(plan) => Self::new(snapshot, &plan, arrival.peer),
            Err(reject) => Self::rejected(reject),
        }
    }

    fn rejected(reject: Reject) -> Self {
        Self::Rejected {
            verdict: "reject",
            status: reject.status().as_u16(),
            error: reject.to_string(),
        }
    }

    fn new(snapshot: &Snapshot, plan: &Plan<'_>, peer: PeerAddr) -> Self {
        let rules = &plan.route.rules;
        let choice = plan.choice();
        let reports = rules.explain(&plan.head(), plan.client.address);
        let (verdict, rule) = match plan.judgement.decision {
            Decision::Forward => ("forward", None),
            Decision::Deny(rule) => ("deny", Some(rule.as_str())),
        };
        debug_assert_eq!(
            first_denial(&reports),
            rule,
            "decide and explain are one code"
        );
        let country = rules.geo().and_then(|geo| geo.country(plan.client.address));
        Self::Decided(Box::new(Decided {
            verdict,
            rule,
            rules: reports.into_iter().map(ToldRule::from).collect(),
            client: plan.client.address.to_string(),
            peer: peer.ip().to_string(),
            client_from: client_from(snapshot, plan.client.from).to_owned(),
            country: country.map(|code| code.to_string()),
            route: plan.route.name.clone(),
            variant: choice.variant.as_str(),
            accept: choice
                .accept
                .map(|value| field_text(value.as_bytes()))
                .or_else(|| own_accept(plan)),
            cache_key: plan.cache_key(&choice),
        }))
    }
}

impl From<RuleReport> for ToldRule {
    fn from(report: RuleReport) -> Self {
        Self {
            rule: report.rule.as_str(),
            outcome: report.outcome.as_str(),
            why: report.why,
        }
    }
}

/// The value of `client_from`.
pub fn client_from(snapshot: &Snapshot, from: ClientFrom) -> &str {
    match from {
        ClientFrom::Peer => "peer",
        ClientFrom::ProxyProtocol => "proxy_protocol",
        ClientFrom::Field => snapshot.client.field.name().as_str(),
        ClientFrom::Given => "given",
    }
}

fn first_denial(reports: &[RuleReport]) -> Option<&'static str> {
    let denial = reports
        .iter()
        .find(|report| report.outcome == Outcome::Deny);
    denial.map(|report| report.rule.as_str())
}

/// The request's own `Accept` lines, where they stay.
fn own_accept(plan: &Plan<'_>) -> Option<String> {
    let lines = plan.head().headers.lines(Name::ACCEPT);
    let lines: Vec<String> = lines.map(field_text).collect();
    (!lines.is_empty()).then(|| lines.join(", "))
}

/// A field value as text; bytes outside UTF-8 as `\xNN`.
pub fn field_text(value: &[u8]) -> String {
    let mut text = String::with_capacity(value.len());
    for chunk in value.utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            // Writing to a String cannot fail.
            let _ = write!(text, "\\x{byte:02X}");
        }
    }
    text
}
