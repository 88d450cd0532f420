//! What is counted in a replay. It takes some megabytes at most.

mod about;
mod groups;
mod rules;

use std::collections::BTreeMap;

use hyper::Method;

pub(super) use self::about::first;
use self::about::{country, sample};
use self::groups::GroupTally;
use self::rules::RuleTally;
pub(super) use self::rules::{what, who_of_line};
use super::decide::{Decided, Verdict};
use super::distinct::{Distinct, ERROR_PERCENT, hashed};
use super::frequent::shortened;
use super::report::{Decisions, Distincts, Keys, Report, Sample, Variants};
use super::request::Request;
use super::{Before, Skip, Undecided};
use crate::access::RuleId;
use crate::images::Variant;

/// Samples of a kind and rule.
const SAMPLES: usize = 3;

/// What is counted.
#[derive(Debug, Default)]
pub(super) struct Tally {
    lines: u64,
    skipped: BTreeMap<Skip, u64>,
    undecided: BTreeMap<Undecided, u64>,
    changed: u64,
    old_differs_from_log: u64,
    decisions: Decisions,
    keys: KeyTally,
    variants: Variants,
    rules: [RuleTally; RuleId::ALL.len()],
    groups: BTreeMap<&'static str, GroupTally>,
    /// By change and rule: how many are among the samples.
    sampled: BTreeMap<(&'static str, Option<RuleId>), usize>,
    samples: Vec<Sample>,
}

#[derive(Debug, Default)]
struct KeyTally {
    compared: u64,
    changed: u64,
    undecided: u64,
    before: Distinct,
    after: Distinct,
}

impl Tally {
    /// A line is none of a request.
    pub(super) fn skip(&mut self, why: Skip) {
        self.lines += 1;
        *self.skipped.entry(why).or_default() += 1;
    }

    /// A line does not tell what becomes of its request.
    pub(super) fn undecided(&mut self, why: Undecided) {
        self.lines += 1;
        *self.undecided.entry(why).or_default() += 1;
    }

    /// A request is malformed, whatever the configuration.
    pub(super) fn malformed(&mut self) {
        self.lines += 1;
        self.decisions.unchanged += 1;
    }

    /// What an old configuration says, beside what the log says.
    pub(super) fn compare_with_log(&mut self, logged: &Before<'_>, old: &Decided<'_>) {
        if !is_same(logged.verdict, old.verdict) {
            self.old_differs_from_log += 1;
        }
    }

    /// A request is decided.
    pub(super) fn decided(
        &mut self,
        request: &Request<'_>,
        before: &Before<'_>,
        after: &Decided<'_>,
    ) {
        self.lines += 1;
        self.count_rules(request, before, after);
        let mut changed = false;
        if let Some(change) = change(before.verdict, after.verdict) {
            changed = true;
            self.decisions.changed += 1;
            *self.decisions.of(change) += 1;
            let told = (told(before.verdict), told(after.verdict));
            self.changed_otherwise(change, request, after, denied_by(before, after), told);
        } else {
            self.decisions.unchanged += 1;
        }
        if (before.verdict, after.verdict) == (Verdict::Forward, Verdict::Forward) {
            changed |= self.count_variant(request, before, after);
            changed |= self.count_key(request, before, after);
        }
        self.changed += u64::from(changed);
    }

    /// What came of it all.
    pub(super) fn report(&self, against_file: bool) -> Report {
        let skipped: u64 = self.skipped.values().sum();
        let decided = self.decisions.unchanged + self.decisions.changed;
        let rules = RuleId::ALL.into_iter().zip(&self.rules);
        Report {
            against: if against_file { "file" } else { "log" },
            lines: self.lines,
            skipped: self
                .skipped
                .iter()
                .map(|(why, count)| (why.name(), *count))
                .collect(),
            requests: self.lines - skipped,
            undecided: self
                .undecided
                .iter()
                .map(|(why, count)| (why.as_str(), *count))
                .collect(),
            changed: self.changed,
            old_differs_from_log: against_file.then_some(self.old_differs_from_log),
            decisions: self.decisions,
            keys: self.keys.report(),
            variants: self.variants,
            rules: rules.map(|(id, rule)| rule.report(id, decided)).collect(),
            groups: self
                .groups
                .iter()
                .map(|(change, groups)| (*change, groups.report()))
                .collect(),
            samples: self.samples.clone(),
        }
    }

    fn count_rules(&mut self, request: &Request<'_>, before: &Before<'_>, after: &Decided<'_>) {
        if let Verdict::Deny(rule) = before.verdict {
            self.rules[rule as usize].denied_before += 1;
        }
        for rule in before.may_deny.iter() {
            let tally = &mut self.rules[rule as usize];
            match before.would_deny.contains(rule) {
                true => tally.would_deny_before += 1,
                false => tally.would_deny_undecided_before += 1,
            }
        }
        if let Verdict::Deny(rule) = after.verdict {
            let tally = &mut self.rules[rule as usize];
            tally.denied_after += 1;
            tally.newly_denied += u64::from(before.verdict == Verdict::Forward);
            tally.note(rule, request, after);
        }
        for rule in after.may_deny.iter() {
            let tally = &mut self.rules[rule as usize];
            if after.would_deny.contains(rule) {
                tally.would_deny_after += 1;
                tally.note(rule, request, after);
            } else {
                tally.would_deny_undecided_after += 1;
            }
        }
    }

    fn count_key(
        &mut self,
        request: &Request<'_>,
        before: &Before<'_>,
        after: &Decided<'_>,
    ) -> bool {
        let (Some(old), Some(new)) = (&before.key, &after.key) else {
            self.keys.undecided += 1;
            return false;
        };
        self.keys.compared += 1;
        if request.method == Method::GET || request.method == Method::HEAD {
            let logged = request.line.variant.text().unwrap_or_default();
            let variant = |known: Option<Variant>| known.map_or(logged, |v| v.as_str());
            let was = (&**old, variant(before.variant));
            let is = (&**new, variant(after.variant));
            let hash = hashed(was);
            self.keys.before.add(hash);
            self.keys
                .after
                .add(if was == is { hash } else { hashed(is) });
        }
        if old == new {
            return false;
        }
        self.keys.changed += 1;
        let told = (shortened(old).to_owned(), shortened(new).to_owned());
        self.changed_otherwise("key", request, after, None, told);
        true
    }

    fn count_variant(
        &mut self,
        request: &Request<'_>,
        before: &Before<'_>,
        after: &Decided<'_>,
    ) -> bool {
        let (Some(old), Some(new)) = (before.variant, after.variant) else {
            self.variants.undecided += 1;
            return false;
        };
        self.variants.compared += 1;
        if old == new {
            return false;
        }
        self.variants.changed += 1;
        let told = (old.to_string(), new.to_string());
        self.changed_otherwise("variant", request, after, None, told);
        true
    }

    fn changed_otherwise(
        &mut self,
        change: &'static str,
        request: &Request<'_>,
        after: &Decided<'_>,
        rule: Option<RuleId>,
        told: (String, String),
    ) {
        let country = country(request, after);
        let groups = self.groups.entry(change).or_default();
        groups.add(request, after, rule, country.as_deref());
        let country = country.unwrap_or_default();
        let sampled = self.sampled.entry((change, rule)).or_default();
        if *sampled < SAMPLES {
            *sampled += 1;
            self.samples
                .push(sample(change, request, after, &country, told));
        }
    }
}

impl Decisions {
    fn of(&mut self, change: &str) -> &mut u64 {
        match change {
            "newly_denied" => &mut self.newly_denied,
            "newly_forwarded" => &mut self.newly_forwarded,
            "denied_otherwise" => &mut self.denied_otherwise,
            "newly_rejected" => &mut self.newly_rejected,
            "no_longer_rejected" => &mut self.no_longer_rejected,
            _ => &mut self.rejected_otherwise,
        }
    }
}

impl KeyTally {
    fn report(&self) -> Keys {
        let exact = self.before.is_exact() && self.after.is_exact();
        Keys {
            compared: self.compared,
            changed: self.changed,
            undecided: self.undecided,
            distinct: Distincts {
                before: self.before.count(),
                after: self.after.count(),
                error_percent: if exact { 0.0 } else { ERROR_PERCENT },
            },
        }
    }
}

/// How a decision changes, if it does.
fn change(before: Verdict, after: Verdict) -> Option<&'static str> {
    if is_same(before, after) {
        return None;
    }
    Some(match (before, after) {
        (Verdict::Forward, Verdict::Deny(_)) => "newly_denied",
        (Verdict::Deny(_), Verdict::Forward) => "newly_forwarded",
        (Verdict::Deny(_), Verdict::Deny(_)) => "denied_otherwise",
        (Verdict::Reject(_), Verdict::Reject(_)) => "rejected_otherwise",
        (_, Verdict::Reject(_)) => "newly_rejected",
        (Verdict::Reject(_), _) => "no_longer_rejected",
        (Verdict::Forward, Verdict::Forward) => return None,
    })
}

/// Whether that is the same; a status that was never sent is any.
fn is_same(before: Verdict, after: Verdict) -> bool {
    match (before, after) {
        (Verdict::Reject(None), Verdict::Reject(_)) => true,
        (before, after) => before == after,
    }
}

/// The rule that denies now, else the one that did.
fn denied_by(before: &Before<'_>, after: &Decided<'_>) -> Option<RuleId> {
    match (before.verdict, after.verdict) {
        (_, Verdict::Deny(rule)) | (Verdict::Deny(rule), _) => Some(rule),
        _ => None,
    }
}

fn told(verdict: Verdict) -> String {
    match verdict {
        Verdict::Forward => "forward".to_owned(),
        Verdict::Deny(rule) => format!("deny:{rule}"),
        Verdict::Reject(Some(status)) => format!("reject:{status}"),
        Verdict::Reject(None) => "reject".to_owned(),
    }
}
