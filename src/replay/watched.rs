//! What rules in shadow would have denied, by lines of single requests.

use std::collections::VecDeque;

use serde::Serialize;

use super::frequent::{Frequent, shortened};
use super::line::Line;
use super::report::Share;
use super::tally;
use crate::access::RuleId;

/// Samples of a rule.
const SAMPLES: usize = 3;

/// What one rule of one route would have denied, of the lines that are kept.
#[derive(Debug)]
pub struct Watched {
    rule: RuleId,
    route: String,
    /// Lines from before this time are of no interest.
    since: String,
    requests: u64,
    who: Frequent,
    /// The newest, newest first.
    samples: VecDeque<WatchedSample>,
}

impl Watched {
    /// By `rule`, on the route of that name, since then (RFC 3339, UTC).
    pub fn new(rule: RuleId, route: &str, since: String) -> Self {
        Self {
            rule,
            route: route.to_owned(),
            since,
            requests: 0,
            who: Frequent::default(),
            samples: VecDeque::new(),
        }
    }

    /// How many lines there were.
    pub fn requests(&self) -> u64 {
        self.requests
    }

    /// Who makes up most of those of whom that is known.
    pub fn mostly(&self) -> Option<Share> {
        let (value, requests) = self.who.top(1).into_iter().next()?;
        Some(Share {
            what: tally::what(self.rule),
            value: (!value.is_empty()).then(|| value.to_owned()),
            requests,
        })
    }

    /// A few of them, the newest first.
    pub fn samples(&self) -> impl Iterator<Item = &WatchedSample> {
        self.samples.iter()
    }
}

/// A request that a rule in shadow would have denied.
#[derive(Clone, Debug, Serialize)]
pub struct WatchedSample {
    /// The `ref` of its line.
    #[serde(rename = "ref")]
    pub reference: String,
    /// When it came.
    pub time: String,
    /// Its URL.
    pub url: String,
    /// What the rule goes by. `None`: not sent, or not known.
    pub value: Option<String>,
}

/// Counts a line for those that it is one of. Lines come oldest first.
pub fn watch(all: &mut [Watched], text: &[u8]) {
    let Ok(line) = Line::read(text) else {
        return;
    };
    let (time, route) = (line.time.text(), line.route.text());
    for watched in all.iter_mut() {
        let mut would_deny = line.would_deny.lines().iter();
        let is_one = would_deny.any(|rule| rule == watched.rule.as_str())
            && route == Some(&watched.route)
            && time.is_some_and(|time| *time >= *watched.since);
        if is_one {
            watched.take(&line);
        }
    }
}

impl Watched {
    fn take(&mut self, line: &Line<'_>) {
        self.requests += 1;
        let who = tally::who_of_line(self.rule, line);
        if let Some(who) = &who {
            self.who.add(who);
        }
        let text = |logged| tally::first(logged).to_owned();
        self.samples.truncate(SAMPLES - 1);
        self.samples.push_front(WatchedSample {
            reference: text(&line.reference),
            time: text(&line.time),
            url: text(&line.url),
            value: who
                .filter(|who| !who.is_empty())
                .map(|who| shortened(&who).to_owned()),
        });
    }
}
