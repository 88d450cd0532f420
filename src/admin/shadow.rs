//! What rules in shadow would have denied, since they are in shadow.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use serde_json::{Value, json};

use super::{Subject, denials};
use crate::access::RuleId;
use crate::config::Snapshot;
use crate::log::counters::{Counters, MOST_NAMES, RouteSlot, StatusClass, Verdict};
use crate::log::rfc3339;
use crate::replay::{Share, Watched, watch};

/// A rule of a route, by its name.
pub type Shadow = (String, RuleId);

/// Since when each rule is in shadow, and what the counters were then. A
/// reload that leaves it there does not begin anew.
#[derive(Debug)]
pub struct Shadows {
    counters: Counters,
    since: Mutex<BTreeMap<Shadow, Base>>,
}

/// Where the count of a rule begins.
#[derive(Clone, Copy, Debug)]
struct Base {
    at: SystemTime,
    count: Count,
}

/// Requests of a route.
#[derive(Clone, Copy, Debug, Default)]
struct Count {
    would_deny: u64,
    requests: u64,
}

impl Count {
    fn percent(self) -> f64 {
        100.0 * self.would_deny as f64 / self.requests.max(1) as f64
    }
}

impl Shadows {
    /// Of a process that starts with `snapshot`.
    pub fn new(counters: Counters, snapshot: &Snapshot) -> Self {
        let since = Mutex::default();
        let shadows = Self { counters, since };
        shadows.follow(Self::of(snapshot));
        shadows
    }

    /// The rules that are in shadow.
    pub fn of(snapshot: &Snapshot) -> Vec<Shadow> {
        let rules = snapshot.routes.iter().flat_map(|route| {
            let watching = route.rules.rules().filter(|(_, shadow)| *shadow);
            watching.map(|(rule, _)| (route.name.clone(), rule))
        });
        rules.collect()
    }

    /// These are in shadow from now on, and no others.
    pub fn follow(&self, rules: Vec<Shadow>) {
        let mut since = self.since();
        let mut old = std::mem::take(&mut *since);
        *since = rules
            .into_iter()
            .map(|rule| {
                let base = old.remove(&rule).unwrap_or_else(|| Base {
                    at: SystemTime::now(),
                    count: self.count(&rule).unwrap_or_default(),
                });
                (rule, base)
            })
            .collect();
    }

    /// `None`: those of that route are counted together with others.
    fn count(&self, (route, rule): &Shadow) -> Option<Count> {
        let slot = self.counters.names().slot(route);
        if slot == RouteSlot::OTHER {
            return None;
        }
        let sum = |read: &dyn Fn(&crate::log::counters::RouteCounters) -> u64| {
            self.counters
                .sum(|worker| worker.requests.route(slot).map_or(0, read))
        };
        Some(Count {
            would_deny: sum(&|route| route.would_deny(*rule as usize)),
            requests: sum(&|route| {
                let all = Verdict::all().filter(|verdict| *verdict != Verdict::Reject);
                let each = all.flat_map(|verdict| StatusClass::ALL.map(|class| (verdict, class)));
                each.map(|(verdict, class)| route.ended(verdict, class))
                    .sum()
            }),
        })
    }

    fn since(&self) -> MutexGuard<'_, BTreeMap<Shadow, Base>> {
        // Every writer leaves it whole.
        self.since.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What every rule in shadow would have denied, for `/-/policy`.
pub(super) fn told(subject: &Subject, snapshot: &Snapshot) -> BTreeMap<Shadow, Value> {
    let shadows = &subject.shadows;
    let since = shadows.since().clone();
    if since.is_empty() {
        return BTreeMap::new();
    }
    let mut watched: Vec<Watched> = since
        .iter()
        .map(|((route, rule), base)| Watched::new(*rule, route, rfc3339(base.at)))
        .collect();
    let blocks = subject.kept(true);
    for entry in denials::newest_first(&blocks, true).iter().rev() {
        watch(&mut watched, &denials::line(entry, snapshot, false));
    }
    let pairs = since.into_iter().zip(&watched);
    pairs
        .map(|((shadow, base), watched)| {
            let now = shadows.count(&shadow);
            let count = now.map(|now| Count {
                would_deny: now.would_deny.saturating_sub(base.count.would_deny),
                requests: now.requests.saturating_sub(base.count.requests),
            });
            let value = one(shadow.1, base, count, watched);
            (shadow, value)
        })
        .collect()
}

fn one(rule: RuleId, base: Base, count: Option<Count>, watched: &Watched) -> Value {
    let mostly = watched.mostly();
    let percent = count.map(Count::percent);
    json!({
        "since": rfc3339(base.at),
        "would_deny": count.map(|count| count.would_deny),
        "requests": count.map(|count| count.requests),
        "percent": percent.map(|percent| (percent * 1000.0).round() / 1000.0),
        "mostly": mostly.as_ref().map(|share| json!({
            "what": share.what,
            "value": share.value,
            "requests": share.requests,
            "of": watched.requests(),
        })),
        "samples": watched.samples().collect::<Vec<_>>(),
        "says": says(rule, count, mostly.as_ref(), watched.requests()),
    })
}

/// The same in a sentence.
fn says(rule: RuleId, count: Option<Count>, mostly: Option<&Share>, kept: u64) -> String {
    let start = match count {
        Some(Count {
            would_deny: 0,
            requests,
        }) => {
            return format!("{rule} would have denied 0 of {requests}");
        }
        Some(count) => {
            let (would_deny, requests) = (count.would_deny, count.requests);
            let percent = count.percent();
            format!("{rule} would have denied {would_deny} of {requests} ({percent:.1} %)")
        }
        // Nothing counted is not nobody denied.
        None => format!(
            "{rule} would have denied {kept} or more of a number that is not known, as over {MOST_NAMES} \
             routes were there to count"
        ),
    };
    let Some(share) = mostly else {
        return start;
    };
    let how = match 2 * share.requests > kept {
        true => "mostly",
        false => "most often",
    };
    let what = share.what.replace('_', " ");
    let who = match &share.value {
        Some(value) => format!("{what} {value}"),
        None => format!("without a {what}"),
    };
    let of = match count {
        Some(count) if kept < count.would_deny => format!(" of the last {kept}"),
        _ => String::new(),
    };
    format!("{start}, {how} {who} ({}{of})", share.requests)
}
