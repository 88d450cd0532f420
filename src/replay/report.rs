//! What came of a replay; the field names of `replay --json`.

use std::collections::BTreeMap;

use serde::Serialize;

/// What came of a replay. All numbers but shares count requests, or lines.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// `log`, or `file` for an old configuration.
    pub against: &'static str,
    /// Lines that were read.
    pub lines: u64,
    /// Lines that are none of a request, by reason.
    pub skipped: BTreeMap<String, u64>,
    /// Lines that are one: the others.
    pub requests: u64,
    /// Requests whose decision the line does not tell, by reason. None of
    /// them is in any number but `lines` and `requests`.
    pub undecided: BTreeMap<&'static str, u64>,
    /// Requests that are decided, keyed or varied otherwise.
    pub changed: u64,
    /// Requests that the old file decides otherwise than the log says: it is
    /// not what wrote the log. `None` against the log.
    pub old_differs_from_log: Option<u64>,
    /// What is decided otherwise.
    pub decisions: Decisions,
    /// What is keyed otherwise.
    pub keys: Keys,
    /// What gets another variant.
    pub variants: Variants,
    /// All eight rules, in their order.
    pub rules: Vec<RuleReport>,
    /// By what changes: where it changes most.
    pub groups: BTreeMap<&'static str, Groups>,
    /// A few of what changes, of each kind and rule.
    pub samples: Vec<Sample>,
}

/// Decisions of the decided requests.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Decisions {
    /// Decided as before.
    pub unchanged: u64,
    /// All of the following.
    pub changed: u64,
    /// Forwarded before, denied now.
    pub newly_denied: u64,
    /// Denied before, forwarded now.
    pub newly_forwarded: u64,
    /// Denied by another rule now.
    pub denied_otherwise: u64,
    /// Answered 400, 405 or 421 now, forwarded or denied before.
    pub newly_rejected: u64,
    /// The other way round.
    pub no_longer_rejected: u64,
    /// Rejected with another status now.
    pub rejected_otherwise: u64,
}

/// Cache keys of requests that are forwarded before and now.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Keys {
    /// Requests whose keys are known, apart from the variant.
    pub compared: u64,
    /// Those with another key now, apart from the variant.
    pub changed: u64,
    /// Requests whose keys the line does not tell.
    pub undecided: u64,
    /// How many different keys there are of what is fetched, variant included;
    /// where that is undecided it is taken as logged.
    pub distinct: Distincts,
}

/// How many different keys there were.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Distincts {
    /// Before.
    pub before: u64,
    /// Now.
    pub after: u64,
    /// The standard error of both, in percent; 0: they are exact.
    pub error_percent: f64,
}

/// Variants of requests that are forwarded before and now.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Variants {
    /// Requests whose variants are known.
    pub compared: u64,
    /// Those that get another one now.
    pub changed: u64,
    /// Requests whose variants the line does not tell: it has the `Accept`
    /// that the origin got, and not the client's.
    pub undecided: u64,
}

/// What a rule does to the decided requests.
#[derive(Clone, Debug, Serialize)]
pub struct RuleReport {
    /// Its id.
    pub rule: &'static str,
    /// Requests that it was the first to deny.
    pub denied_before: u64,
    /// Requests that it is the first to deny now.
    pub denied_after: u64,
    /// Those of them that were forwarded before.
    pub newly_denied: u64,
    /// Requests that it would have denied before, in shadow.
    pub would_deny_before: u64,
    /// Requests that it would deny now, in shadow.
    pub would_deny_after: u64,
    /// Requests of which nobody knows whether it would have denied them
    /// before, in shadow. They are in no other number of the rule.
    pub would_deny_undecided_before: u64,
    /// Requests of which the line does not tell whether it would deny them
    /// now, in shadow.
    pub would_deny_undecided_after: u64,
    /// `denied_after` and `would_deny_after` of all decided requests.
    pub percent: f64,
    /// Whom it denies or would deny most often now.
    pub mostly: Option<Share>,
}

/// Who makes up most of something.
#[derive(Clone, Debug, Serialize)]
pub struct Share {
    /// `client` (its network), `country`, `user_agent`, `page` (the host of
    /// the `Origin`, else of the Referer) or `referrer` (the Referer's host).
    pub what: &'static str,
    /// Which. `None`: not sent, or not known.
    pub value: Option<String>,
    /// At least so many requests.
    pub requests: u64,
}

/// Where a kind of change is most frequent, the largest group first.
#[derive(Clone, Debug, Serialize)]
pub struct Groups {
    /// The rule that denied before, or denies now.
    pub rule: Vec<Group>,
    /// The client's country.
    pub country: Vec<Group>,
    /// The host of the Referer.
    pub referrer: Vec<Group>,
    /// The User-Agent.
    pub user_agent: Vec<Group>,
    /// The route that it is on now.
    pub route: Vec<Group>,
}

/// Requests that have something in common.
#[derive(Clone, Debug, Serialize)]
pub struct Group {
    /// What. `None`: there is none, or `known` is false.
    pub value: Option<String>,
    /// False: the line does not tell, or nobody looked.
    pub known: bool,
    /// At least so many requests.
    pub requests: u64,
    /// At most so many more: above 0 only if there are thousands of groups.
    pub error: u64,
}

/// A request that changes.
#[derive(Clone, Debug, Serialize)]
pub struct Sample {
    /// How it changes: a name of [`Decisions`], `key` or `variant`.
    pub change: &'static str,
    /// The `ref` of its line.
    #[serde(rename = "ref")]
    pub reference: Option<String>,
    /// When it came.
    pub time: Option<String>,
    /// The method.
    pub method: String,
    /// The URL.
    pub url: String,
    /// The client, as the log shows it.
    pub client: Option<String>,
    /// The client's country.
    pub country: Option<String>,
    /// The Referer.
    pub referer: Option<String>,
    /// The `Origin` field.
    pub origin_field: Option<String>,
    /// The User-Agent.
    pub user_agent: Option<String>,
    /// The route that it is on now.
    pub route: Option<String>,
    /// `forward`, `deny:<rule>` or `reject:<status>`; of a key or a variant:
    /// that.
    pub before: String,
    /// The same now.
    pub after: String,
}

impl Report {
    /// Whether anything is decided, keyed or varied otherwise.
    pub fn has_changes(&self) -> bool {
        self.changed > 0
    }

    /// How many requests are decided.
    pub fn decided(&self) -> u64 {
        self.decisions.unchanged + self.decisions.changed
    }
}
