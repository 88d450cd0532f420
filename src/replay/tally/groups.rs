//! Where a kind of change is most frequent.

use super::about::{first, referrer};
use crate::access::RuleId;
use crate::replay::decide::Decided;
use crate::replay::frequent::Frequent;
use crate::replay::line::Logged;
use crate::replay::report::{Group, Groups};
use crate::replay::request::Request;

/// Groups of a kind that are told.
const TOLD: usize = 10;

#[derive(Debug, Default)]
pub(super) struct GroupTally {
    rule: Values,
    country: Values,
    referrer: Values,
    user_agent: Values,
    route: Values,
}

/// What requests have of one kind.
#[derive(Debug, Default)]
struct Values {
    frequent: Frequent,
    /// Requests of which nobody knows it.
    unknown: u64,
}

impl GroupTally {
    /// Counts a request that changes so.
    pub(super) fn add(
        &mut self,
        request: &Request<'_>,
        after: &Decided<'_>,
        rule: Option<RuleId>,
        country: Option<&str>,
    ) {
        let line = request.line;
        let is_known = |logged: &Logged<'_>| !matches!(logged, Logged::Unknown);
        let referrer = is_known(&line.referer).then(|| referrer(request));
        let agent = is_known(&line.user_agent).then(|| first(&line.user_agent));
        self.rule.add(Some(rule.map_or("", RuleId::as_str)));
        self.country.add(country);
        self.referrer.add(referrer.as_deref());
        self.user_agent.add(agent);
        let route = after.route.map_or("", |route| &route.name);
        self.route.add(Some(route));
    }

    pub(super) fn report(&self) -> Groups {
        Groups {
            rule: self.rule.report(),
            country: self.country.report(),
            referrer: self.referrer.report(),
            user_agent: self.user_agent.report(),
            route: self.route.report(),
        }
    }
}

impl Values {
    /// Counts one; empty: there is none, `None`: nobody knows.
    fn add(&mut self, value: Option<&str>) {
        match value {
            Some(value) => self.frequent.add(value),
            None => self.unknown += 1,
        }
    }

    fn report(&self) -> Vec<Group> {
        let top = self.frequent.top(TOLD).into_iter();
        let groups = top.map(|(value, requests)| Group {
            value: (!value.is_empty()).then(|| value.to_owned()),
            known: true,
            requests,
            error: self.frequent.error(),
        });
        let unknown = (self.unknown > 0).then_some(Group {
            value: None,
            known: false,
            requests: self.unknown,
            error: 0,
        });
        let mut groups: Vec<Group> = groups.chain(unknown).collect();
        groups.sort_by_key(|group| std::cmp::Reverse(group.requests));
        groups.truncate(TOLD);
        groups
    }
}
