//! All rules of a route, in their order.

use std::sync::Arc;

use ipnet::IpNet;

use super::findings::{Finding, Outcome, RuleReport};
use super::geo::GeoRule;
use super::ip::IpRule;
use super::origins::{OriginsRule, Purpose, is_fetch};
use super::referrer::ReferrerRule;
use super::user_agent::UserAgentRule;
use super::{Decision, RequestHead, RuleId, RuleIds};
use crate::client::ClientAddr;
use crate::route::{NormalPath, PathError, PathPattern};

/// The access rules of one route. What routes inherit they share.
#[derive(Clone, Debug)]
pub struct Ruleset {
    /// `access.exempt_paths`.
    pub exempt_paths: Arc<ExemptPaths>,
    /// `access.ip`.
    pub ip: Arc<IpRule>,
    /// `access.user_agent`.
    pub user_agent: Arc<UserAgentRule>,
    /// `access.geo`; `None`: off.
    pub geo: Option<Arc<GeoRule>>,
    /// `access.origins.upload`; `None`: no patterns.
    pub upload: Option<Arc<OriginsRule>>,
    /// `access.origins.delivery`; `None`: no patterns.
    pub delivery: Option<Arc<OriginsRule>>,
    /// `access.referrer`; `None`: off.
    pub referrer: Option<Arc<ReferrerRule>>,
}

/// The paths that no rule applies to.
#[derive(Clone, Debug, Default)]
pub struct ExemptPaths(pub Vec<PathPattern>);

impl ExemptPaths {
    /// Whether `path` is exempt.
    ///
    /// # Errors
    ///
    /// [`PathError::Ambiguous`] if a reading of it says otherwise.
    pub fn has(&self, path: &NormalPath<'_>) -> Result<bool, PathError> {
        let exempt = self.0.iter().any(|pattern| pattern.matches(path.matched()));
        let differs = |reading| self.0.iter().any(|p| p.matches_reading(reading)) != exempt;
        match path.readings().iter().any(differs) {
            true => Err(PathError::Ambiguous),
            false => Ok(exempt),
        }
    }
}

/// What the rules say of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// Whether it goes on.
    pub decision: Decision,
    /// The rules with `shadow = true` that would have denied it.
    pub would_deny: RuleIds,
    /// Whether the client or the path is exempt.
    pub exempt: bool,
}

impl Ruleset {
    /// Decides. The first enforced rule that denies is the one named; rules
    /// in shadow are evaluated on every request, so that their counts do not
    /// depend on the rules before them.
    ///
    /// # Errors
    ///
    /// [`PathError::Ambiguous`], see [`ExemptPaths::has`].
    pub fn decide(
        &self,
        head: &RequestHead<'_>,
        client: ClientAddr,
    ) -> Result<Judgement, PathError> {
        let exempt_path = self.exempt_paths.has(head.path)?;
        let mut tally = Tally {
            denied: None,
            would_deny: RuleIds::default(),
        };
        let exempt = self.exemption(head, client, exempt_path).is_some();
        if !exempt {
            self.judge_all(head, client, &mut tally);
        }
        Ok(Judgement {
            decision: tally.denied.map_or(Decision::Forward, Decision::Deny),
            would_deny: tally.would_deny,
            exempt,
        })
    }

    /// The outcome of every rule and why, by the same rules as
    /// [`Self::decide`].
    pub fn explain(&self, head: &RequestHead<'_>, client: ClientAddr) -> Vec<RuleReport> {
        let exempt_path = self.exempt_paths.has(head.path).unwrap_or(false);
        let mut reports = Reports {
            exempt: self.exemption(head, client, exempt_path),
            list: Vec::with_capacity(RuleId::ALL.len()),
        };
        self.judge_all(head, client, &mut reports);
        reports.list.sort_by_key(|report| report.rule);
        reports.list
    }

    /// Whether a rule is on that is not in shadow, so that some client may be
    /// refused what another is given.
    pub fn may_deny(&self) -> bool {
        self.rules().any(|(_, shadow)| !shadow)
    }

    /// The rules that are on, in their order, and whether they only watch.
    pub fn rules(&self) -> impl Iterator<Item = (RuleId, bool)> {
        let ip = self.ip.block.is_some();
        let agent = self.user_agent.block.is_some();
        [
            ip.then_some((RuleId::IpBlock, self.ip.shadow)),
            agent.then_some((RuleId::UserAgentBlock, self.user_agent.shadow)),
            self.geo.as_ref().map(|rule| (rule.id(), rule.shadow)),
            (self.upload.as_ref()).map(|rule| (RuleId::OriginsUpload, rule.shadow)),
            (self.delivery.as_ref()).map(|rule| (RuleId::OriginsDelivery, rule.shadow)),
            self.referrer.as_ref().map(|rule| (rule.id(), rule.shadow)),
        ]
        .into_iter()
        .flatten()
    }

    /// Whether all clients of `network` are judged alike, if they send the
    /// same. `false` may be more than the truth where the lists are long.
    pub fn judges_alike(&self, network: IpNet) -> bool {
        let geo = self.geo.as_ref();
        self.ip.judges_alike(network) && geo.is_none_or(|geo| geo.judges_alike(network))
    }

    /// Whether the geo rule needs the client's country to be told.
    pub fn geo(&self) -> Option<&GeoRule> {
        self.geo.as_deref()
    }

    fn exemption(
        &self,
        head: &RequestHead<'_>,
        client: ClientAddr,
        exempt_path: bool,
    ) -> Option<&'static str> {
        if self.ip.is_exempt(client) {
            Some("the client's address is in access.ip.exempt")
        } else if exempt_path && is_fetch(head.method, head.headers) {
            Some("the path is in access.exempt_paths")
        } else {
            None
        }
    }

    /// Shows every rule, in the order of section 6, to `judge`.
    fn judge_all(&self, head: &RequestHead<'_>, client: ClientAddr, judge: &mut impl Judge) {
        let detailed = judge.wants_detail();
        judge.take(RuleId::IpBlock, self.ip.shadow, || self.ip.judge(client));
        judge.take(RuleId::UserAgentBlock, self.user_agent.shadow, || {
            self.user_agent.judge(head)
        });
        let geo = |rule: &GeoRule| match detailed {
            true => rule.judge(client),
            false => Finding::Country {
                denied: rule.denies(client),
                country: None,
            },
        };
        either(
            judge,
            self.geo.as_deref(),
            GeoRule::id,
            |rule| rule.shadow,
            geo,
            [RuleId::GeoBlock, RuleId::GeoAllow],
        );
        let purpose = match self.upload.is_some() || self.delivery.is_some() {
            true => Purpose::of(head.method, head.headers),
            false => Purpose::Delivery,
        };
        for (id, rule, own) in [
            (RuleId::OriginsUpload, &self.upload, Purpose::Upload),
            (RuleId::OriginsDelivery, &self.delivery, Purpose::Delivery),
        ] {
            let shadow = rule.as_ref().is_some_and(|rule| rule.shadow);
            judge.take(id, shadow, || {
                let rule = rule.as_ref()?;
                Some(if own == purpose {
                    rule.judge(head, purpose)
                } else {
                    Finding::OtherMethod
                })
            });
        }
        let referrer = |rule: &ReferrerRule| rule.judge(head);
        either(
            judge,
            self.referrer.as_deref(),
            ReferrerRule::id,
            |rule| rule.shadow,
            referrer,
            [RuleId::ReferrerBlock, RuleId::ReferrerAllow],
        );
    }
}

/// A table whose mode makes it one of two rules.
#[inline]
fn either<R>(
    judge: &mut impl Judge,
    rule: Option<&R>,
    id: fn(&R) -> RuleId,
    shadow: fn(&R) -> bool,
    find: impl Fn(&R) -> Finding<'static>,
    ids: [RuleId; 2],
) {
    for candidate in ids {
        let on = rule.filter(|rule| id(rule) == candidate);
        judge.take(candidate, on.is_some_and(shadow), || on.map(&find));
    }
}

/// Someone the rules are shown to, one after the other.
trait Judge {
    /// Whether findings should carry what only an explanation shows.
    fn wants_detail(&self) -> bool;
    /// The next rule; `find` says `None` if it is off.
    fn take<'a>(&mut self, rule: RuleId, shadow: bool, find: impl FnOnce() -> Option<Finding<'a>>);
}

/// Decides.
struct Tally {
    denied: Option<RuleId>,
    would_deny: RuleIds,
}

impl Judge for Tally {
    fn wants_detail(&self) -> bool {
        false
    }

    #[inline]
    fn take<'a>(&mut self, rule: RuleId, shadow: bool, find: impl FnOnce() -> Option<Finding<'a>>) {
        // After a denial only what watches is of interest.
        if self.denied.is_some() && !shadow {
            return;
        }
        if find().is_some_and(Finding::denies) {
            if shadow {
                self.would_deny.insert(rule);
            } else {
                self.denied = Some(rule);
            }
        }
    }
}

/// Explains.
struct Reports {
    exempt: Option<&'static str>,
    list: Vec<RuleReport>,
}

impl Judge for Reports {
    fn wants_detail(&self) -> bool {
        true
    }

    fn take<'a>(&mut self, rule: RuleId, shadow: bool, find: impl FnOnce() -> Option<Finding<'a>>) {
        let (outcome, why) = match (find(), self.exempt) {
            (None, _) => (Outcome::Off, "the rule is not configured".to_owned()),
            (Some(_), Some(why)) => (Outcome::Exempt, why.to_owned()),
            (Some(finding), None) if !finding.denies() => (Outcome::Pass, finding.to_string()),
            (Some(finding), None) if shadow => (
                Outcome::WouldDeny,
                format!("{finding}; shadow = true lets it pass"),
            ),
            (Some(finding), None) => (Outcome::Deny, finding.to_string()),
        };
        self.list.push(RuleReport { rule, outcome, why });
    }
}
