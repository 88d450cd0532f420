//! What a line leaves open: every request that it may tell of.

use std::borrow::Cow;
use std::cell::OnceCell;

use hyper::header::HeaderName;
use smallvec::{SmallVec, smallvec};

use super::Undecided;
use super::line::{Logged, is_cut, without_mark};
use super::request::{Asked, Fetch, Guess, Reading, Request};
use crate::access::{Judgement, RuleId, RuleIds};
use crate::config::Route;
use crate::plan::Received;

/// The requests that a line may tell of.
#[derive(Clone, Debug)]
pub(super) struct Doubts {
    /// Never empty; the first is what the line says.
    pub(super) guesses: SmallVec<[Guess; 1]>,
    /// Why there are several.
    pub(super) why: Option<Undecided>,
    /// Whether its User-Agent may hold more.
    pub(super) agent: bool,
    /// Whether its `Origin` or its Referer may be of any host.
    pub(super) page: bool,
    /// The head by the first of the guesses, once somebody asked for it, and
    /// the field that `forwarded` is in it.
    head: OnceCell<(Option<HeaderName>, Received)>,
}

impl Doubts {
    pub(super) fn of(request: &Request<'_>) -> Self {
        let line = request.line;
        let mut doubts = Self {
            guesses: smallvec![Guess::AS_LOGGED],
            why: None,
            agent: line.user_agent.is_partial(),
            page: !has_host(&line.referer) || !has_host(&line.origin_field),
            head: OnceCell::new(),
        };
        let pages = [&line.referer, &line.origin_field];
        let open = |field: &Logged<'_>| field.may_be_raw() || field.is_partial();
        let [referer, origin] = pages.map(open);
        doubts.vary(
            referer,
            Undecided::Page,
            &[Reading::NotUnderstood],
            |guess, to| {
                guess.referer = to;
            },
        );
        doubts.vary(
            origin,
            Undecided::Page,
            &[Reading::NotUnderstood],
            |guess, to| {
                guess.origin = to;
            },
        );
        let raw = line.user_agent.may_be_raw();
        doubts.vary(raw, Undecided::UserAgent, &[true], |guess, to| {
            guess.agent_raw = to
        });
        let fetch = [Fetch::Missing, Fetch::SameOrigin, Fetch::CrossSite];
        doubts.vary(
            !tells_fetch(&line.sec_fetch),
            Undecided::SecFetch,
            &fetch,
            |guess, to| {
                guess.fetch = to;
            },
        );
        let preflight = request.method == hyper::Method::OPTIONS;
        let asked = preflight && line.request_method.is_partial();
        let methods = [Asked::Nothing, Asked::Get, Asked::Put];
        doubts.vary(asked, Undecided::RequestMethod, &methods, |guess, to| {
            guess.asked = to
        });
        doubts
    }

    /// Whether the decision of a route by `rule` (none: that it may pass) may
    /// have been another one by what the line does not have.
    pub(super) fn of_decision(&self, route: &Route, denied: Option<RuleId>) -> Option<Undecided> {
        if !self.agent && !self.page {
            return None;
        }
        let earlier = |rule: RuleId| denied.is_none_or(|denied| rule <= denied);
        let mut rules = route.rules.rules().filter(|(_, shadow)| !shadow);
        let is_open = |rule| earlier(rule) && self.is_open(rule, denied == Some(rule));
        let (open, _) = rules.find(|(rule, _)| is_open(*rule))?;
        Some(match is_page(open) {
            true => Undecided::Page,
            false => Undecided::UserAgent,
        })
    }

    /// The head by the first of the guesses, as it was made for whoever asked
    /// first; `None`: `forwarded` is another for them.
    pub(super) fn head(
        &self,
        request: &Request<'_>,
        forwarded: Option<(&HeaderName, &[Cow<'_, str>])>,
    ) -> Option<&Received> {
        let make = || {
            let field = forwarded.map(|(name, _)| name.clone());
            let lines = forwarded.map(|(name, lines)| (name.as_str(), lines));
            (field, request.received(&self.guesses[0], lines))
        };
        let (field, head) = self.head.get_or_init(make);
        let same = match (field, forwarded) {
            (None, None) => true,
            (Some(field), Some((name, lines))) if field == name => {
                let lines = lines.iter().map(|line| line.as_bytes());
                head.headers.lines_of(name).eq(lines)
            }
            _ => false,
        };
        same.then_some(head)
    }

    /// The rules in shadow that would deny for sure, and all that may.
    pub(super) fn of_watched(&self, route: &Route, judgement: &Judgement) -> (RuleIds, RuleIds) {
        let denied = judgement.would_deny;
        if judgement.exempt || !self.agent && !self.page {
            return (denied, denied);
        }
        let (mut would, mut may) = (RuleIds::default(), denied);
        for (rule, _) in route.rules.rules().filter(|(_, shadow)| *shadow) {
            if self.is_open(rule, denied.contains(rule)) {
                may.insert(rule);
            } else if denied.contains(rule) {
                would.insert(rule);
            }
        }
        (would, may)
    }

    /// Whether a rule may find otherwise by what the line does not have;
    /// `denies`: what it finds by the rest.
    fn is_open(&self, rule: RuleId, denies: bool) -> bool {
        match rule {
            // A word that was found in a part of a User-Agent is in all of it.
            RuleId::UserAgentBlock => self.agent && !denies,
            rule => self.page && is_page(rule),
        }
    }

    fn vary<T: Copy>(
        &mut self,
        is_open: bool,
        why: Undecided,
        others: &[T],
        set: impl Fn(&mut Guess, T),
    ) {
        if !is_open {
            return;
        }
        self.why.get_or_insert(why);
        for index in 0..self.guesses.len() {
            for other in others {
                let mut guess = self.guesses[index];
                set(&mut guess, *other);
                self.guesses.push(guess);
            }
        }
    }
}

/// Whether a rule goes by the page that a request came from.
fn is_page(rule: RuleId) -> bool {
    rule >= RuleId::OriginsUpload
}

/// Whether what is left of a URL has its host for sure.
fn has_host(field: &Logged<'_>) -> bool {
    let ends = |url: &str| {
        let Some((_, rest)) = url.split_once("://") else {
            return false;
        };
        let rest = rest.trim_start_matches(['/', '\\', '\t']);
        rest.contains(['/', '\\', '?', '#'])
    };
    match field {
        Logged::Unknown => false,
        Logged::One(url) if is_cut(url) => ends(without_mark(url)),
        // Several lines are not understood, whatever they are.
        Logged::One(_) | Logged::Absent | Logged::Several(_) => true,
    }
}

/// Whether `site/mode/dest` can be told apart.
fn tells_fetch(field: &Logged<'_>) -> bool {
    match field {
        Logged::Absent => true,
        Logged::One(text) => {
            !is_cut(text) && text.bytes().filter(|byte| *byte == b'/').count() == 2
        }
        Logged::Unknown | Logged::Several(_) => false,
    }
}
