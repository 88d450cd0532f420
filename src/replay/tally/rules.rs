//! What each rule does.

use std::borrow::Cow;

use super::about::{country, first, host, referrer};
use crate::access::RuleId;
use crate::replay::decide::Decided;
use crate::replay::frequent::{Frequent, neighbourhood};
use crate::replay::line::{Line, Logged};
use crate::replay::report::{RuleReport, Share};
use crate::replay::request::Request;

#[derive(Debug, Default)]
pub(super) struct RuleTally {
    pub(super) denied_before: u64,
    pub(super) denied_after: u64,
    pub(super) newly_denied: u64,
    pub(super) would_deny_before: u64,
    pub(super) would_deny_after: u64,
    pub(super) would_deny_undecided_before: u64,
    pub(super) would_deny_undecided_after: u64,
    who: Frequent,
}

impl RuleTally {
    /// It denies a request, or would in shadow.
    pub(super) fn note(&mut self, rule: RuleId, request: &Request<'_>, after: &Decided<'_>) {
        if let Some(who) = who(rule, request, after) {
            self.who.add(&who);
        }
    }

    pub(super) fn report(&self, id: RuleId, decided: u64) -> RuleReport {
        let denials = self.denied_after + self.would_deny_after;
        let percent = 100.0 * denials as f64 / decided.max(1) as f64;
        let top = self.who.top(1).into_iter().next();
        RuleReport {
            rule: id.as_str(),
            denied_before: self.denied_before,
            denied_after: self.denied_after,
            newly_denied: self.newly_denied,
            would_deny_before: self.would_deny_before,
            would_deny_after: self.would_deny_after,
            would_deny_undecided_before: self.would_deny_undecided_before,
            would_deny_undecided_after: self.would_deny_undecided_after,
            percent: (percent * 1000.0).round() / 1000.0,
            mostly: top.map(|(value, requests)| Share {
                what: what(id),
                value: (!value.is_empty()).then(|| value.to_owned()),
                requests,
            }),
        }
    }
}

/// What a rule goes by.
pub(in crate::replay) fn what(rule: RuleId) -> &'static str {
    match rule {
        RuleId::IpBlock => "client",
        RuleId::UserAgentBlock => "user_agent",
        RuleId::GeoBlock | RuleId::GeoAllow => "country",
        RuleId::OriginsUpload | RuleId::OriginsDelivery => "page",
        RuleId::ReferrerBlock | RuleId::ReferrerAllow => "referrer",
    }
}

/// What of a request a rule goes by; empty: it has none. `None`: nobody knows.
fn who<'r>(rule: RuleId, request: &'r Request<'_>, after: &Decided<'_>) -> Option<Cow<'r, str>> {
    Some(match what(rule) {
        "client" => after.client.map(neighbourhood)?.into(),
        "user_agent" => first(&request.line.user_agent).into(),
        "country" => country(request, after)?,
        "page" => match first(&request.line.origin_field) {
            "" | "null" => referrer(request),
            origin => host(origin),
        },
        _ => referrer(request),
    })
}

/// The same of a line, as it was logged.
pub(in crate::replay) fn who_of_line<'l>(rule: RuleId, line: &'l Line<'_>) -> Option<Cow<'l, str>> {
    let referrer = || host(first(&line.referer));
    Some(match what(rule) {
        "client" => {
            let client = line.client.text()?;
            client
                .parse()
                .map_or(client.into(), |address| neighbourhood(address).into())
        }
        "user_agent" => first(&line.user_agent).into(),
        "country" => match &line.country {
            Logged::Unknown => return None,
            country => first(country).into(),
        },
        "page" => match first(&line.origin_field) {
            "" | "null" => referrer(),
            origin => host(origin),
        },
        _ => referrer(),
    })
}
