//! Where a kind of change is most frequent.

use super::about::{first, referrer};
use crate::access::RuleId;
use crate::replay::decide::Decided;
use crate::replay::frequent::Frequent;
use crate::replay::report::{Group, Groups};
use crate::replay::request::Request;

/// Groups of a kind that are told.
const TOLD: usize = 10;

#[derive(Debug, Default)]
pub(super) struct GroupTally {
    rule: Frequent,
    country: Frequent,
    referrer: Frequent,
    user_agent: Frequent,
    route: Frequent,
}

impl GroupTally {
    /// Counts a request that changes so.
    pub(super) fn add(
        &mut self,
        request: &Request<'_>,
        after: &Decided<'_>,
        rule: Option<RuleId>,
        country: &str,
    ) {
        self.rule.add(rule.map_or("", RuleId::as_str));
        self.country.add(country);
        self.referrer.add(&referrer(request));
        self.user_agent.add(first(&request.line.user_agent));
        self.route.add(after.route.map_or("", |route| &route.name));
    }

    pub(super) fn report(&self) -> Groups {
        let told = |frequent: &Frequent| {
            let top = frequent.top(TOLD).into_iter();
            top.map(|(value, requests)| Group {
                value: (!value.is_empty()).then(|| value.to_owned()),
                requests,
                error: frequent.error(),
            })
            .collect()
        };
        Groups {
            rule: told(&self.rule),
            country: told(&self.country),
            referrer: told(&self.referrer),
            user_agent: told(&self.user_agent),
            route: told(&self.route),
        }
    }
}
