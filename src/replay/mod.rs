//! What another configuration would have done with the requests of an access
//! log (section 12).
//!
//! A line becomes the request that it tells of, and that is planned like one
//! that has just come. A line does not hold all of a request, though: values
//! are cut, addresses may be shortened, and some fields are not logged at all.
//! So it stands for every request that would have left it, and is decided only
//! where all of these are decided alike. The rest is counted as undecided.
//!
//! Two things are taken to be as they were: how connections come (listeners,
//! TLS, who sends PROXY headers), and, without the configuration that wrote
//! the log, that a peer which named no client and is not trusted now was not
//! trusted then.

mod decide;
mod distinct;
mod doubt;
mod frequent;
mod kept;
mod line;
mod lines;
mod memo;
mod quick;
mod report;
mod request;
mod sender;
mod tally;
mod wanted;
mod watched;

pub use kept::{Open, Retold, derived, retell};
pub use lines::{LineReader, MAX_LINE, ReadLine};
pub use report::{
    Decisions, Distincts, Group, Groups, Keys, Report, RuleReport, Sample, Share, Variants,
};
pub use wanted::{Wanted, host, reference};
pub use watched::{Watched, WatchedSample, watch};

use std::borrow::Cow;

use self::decide::{AcceptOf, Decided, Once, Verdict, decide, decide_once};
use self::doubt::Doubts;
use self::line::{Line, Logged, is_cut};
use self::memo::Memo;
use self::request::{LoggedVerdict, Request};
use self::sender::Writer;
use self::tally::Tally;

use crate::access::{RuleId, RuleIds};
use crate::config::Snapshot;
use crate::images::Variant;

/// Why a line tells of no request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Skip {
    /// It is longer than [`MAX_LINE`].
    TooLong,
    /// It is not JSON, or not a JSON object.
    NotJson,
    /// A value of it is not what the log writes there.
    NotALogLine,
    /// It lacks this.
    Lacks(&'static str),
}

/// Why a line does not tell what would become of its request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Undecided {
    /// It never became a request.
    NoRequest,
    /// It was rejected for a reason that is not known here.
    Reject,
    /// Its method was cut.
    Method,
    /// Its URL was cut, or is none.
    Url,
    /// Its client's address is not there, or not all of it.
    Client,
    /// What `client.header` named is not there.
    ClientField,
    /// Its scheme may have been the other.
    Scheme,
    /// Its User-Agent is not there, or not all of it.
    UserAgent,
    /// Its Referer or `Origin` is not there, or not all of it.
    Page,
    /// Its Sec-Fetch fields are not there, or not all of them.
    SecFetch,
    /// What a preflight asked for is not there.
    RequestMethod,
}

impl Skip {
    /// The name in reports.
    pub(crate) fn name(self) -> String {
        match self {
            Self::TooLong => "too_long".to_owned(),
            Self::NotJson => "not_json".to_owned(),
            Self::NotALogLine => "not_an_access_log_line".to_owned(),
            Self::Lacks(what) => format!("lacks_{what}"),
        }
    }
}

impl Undecided {
    /// The name in reports.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::NoRequest => "no_request",
            Self::Reject => "unknown_rejection",
            Self::Method => "method",
            Self::Url => "url",
            Self::Client => "client_address",
            Self::ClientField => "client_field",
            Self::Scheme => "scheme",
            Self::UserAgent => "user_agent",
            Self::Page => "referer_or_origin",
            Self::SecFetch => "sec_fetch",
            Self::RequestMethod => "request_method",
        }
    }
}

/// What became of a request before: by the log, or by the old configuration.
struct Before<'l> {
    verdict: Verdict,
    /// The rules in shadow that would have denied it for sure.
    would_deny: RuleIds,
    /// Those, and the ones of which nobody knows.
    may_deny: RuleIds,
    /// The key without its variant.
    key: Option<Cow<'l, str>>,
    variant: Option<Variant>,
}

/// A replay under way. Its memory is bounded, however long the log is.
#[derive(Debug)]
pub struct Replay<'s> {
    new: &'s Snapshot,
    old: Option<&'s Snapshot>,
    /// Whether both find out who a client is alike.
    same_client: bool,
    memo: Memo,
    tally: Tally,
}

impl<'s> Replay<'s> {
    /// A replay against what the log says, or against `old`, which is taken to
    /// have written it.
    pub fn new(new: &'s Snapshot, old: Option<&'s Snapshot>) -> Self {
        Self {
            new,
            old,
            same_client: old.is_some_and(|old| old.client == new.client),
            memo: Memo::default(),
            tally: Tally::default(),
        }
    }

    /// Takes a line, without its end.
    pub fn take(&mut self, text: &[u8]) {
        let line = match Line::read(text) {
            Ok(line) => line,
            Err(skip) => return self.tally.skip(skip),
        };
        match self.take_line(&line) {
            Ok(Ok(())) => {}
            Ok(Err(why)) => self.tally.undecided(why),
            Err(skip) => self.tally.skip(skip),
        }
    }

    /// Takes a line that is longer than [`MAX_LINE`].
    pub fn take_too_long(&mut self) {
        self.tally.skip(Skip::TooLong);
    }

    /// What came of it.
    pub fn report(self) -> Report {
        self.tally.report(self.old.is_some())
    }

    fn take_line(&mut self, line: &Line<'_>) -> Result<Result<(), Undecided>, Skip> {
        let request = match Request::of(line)? {
            Ok(request) => request,
            Err(why) => return Ok(Err(why)),
        };
        if request.verdict == LoggedVerdict::Malformed {
            self.tally.malformed();
            return Ok(Ok(()));
        }
        let logged = Before::logged(line)?;
        Ok(self.decide(&request, logged).map(|(before, after)| {
            self.tally.decided(&request, &before, &after);
        }))
    }

    /// What became of the request, and what would become of it.
    fn decide<'l>(
        &mut self,
        request: &Request<'l>,
        logged: Before<'l>,
    ) -> Result<(Before<'l>, Decided<'s>), Undecided> {
        let doubts = Doubts::of(request);
        if let Some(old) = self.old {
            return self.decide_against(old, request, &doubts, &logged);
        }
        let writer = Writer {
            field: client_field(request.line),
            ..Writer::default()
        };
        let accept = AcceptOf::Unknown;
        let after = decide(self.new, request, &doubts, &writer, accept, &self.memo)?;
        Ok((logged, after))
    }

    /// The same, by what the old configuration says.
    fn decide_against<'l>(
        &mut self,
        old: &'s Snapshot,
        request: &Request<'l>,
        doubts: &Doubts,
        logged: &Before<'l>,
    ) -> Result<(Before<'l>, Decided<'s>), Undecided> {
        let own = old.client.field.name().as_str();
        // One that reads another field found another client.
        let header = request.line.client_header.text();
        let wrote = header.is_none_or(|header| header == own);
        let writer = Writer {
            field: Some(client_field(request.line).unwrap_or(own)),
            snapshot: Some(old),
            same_client: wrote,
        };
        // Both read a request alike if they find out alike who sent it.
        let once = Once::default();
        let once = self.same_client.then_some(&once);
        let (own, memo) = (AcceptOf::Own, &self.memo);
        let before = decide_once(old, request, doubts, &writer, own, memo, once)?;
        self.tally.compare_with_log(logged, &before);
        let images = before.route.map(|route| &*route.images);
        let accept = images.map_or(AcceptOf::Unknown, AcceptOf::Images);
        let writer = Writer {
            same_client: wrote && self.same_client,
            ..writer
        };
        let after = decide_once(self.new, request, doubts, &writer, accept, memo, once)?;
        let before = Before {
            verdict: before.verdict,
            would_deny: before.would_deny,
            may_deny: before.may_deny,
            key: before.key.map(Into::into),
            variant: before.variant,
        };
        Ok((before, after))
    }
}

impl<'l> Before<'l> {
    /// What the line says.
    fn logged(line: &'l Line<'_>) -> Result<Self, Skip> {
        let verdict = match line.verdict.text() {
            Some("forward") => Verdict::Forward,
            Some("deny") => {
                let rule = line.rule.text().and_then(RuleId::parse);
                Verdict::Deny(rule.ok_or(Skip::Lacks("rule"))?)
            }
            _ => Verdict::Reject(
                Some(line.status.ok_or(Skip::Lacks("status"))?).filter(|s| *s != 499),
            ),
        };
        let would_deny = watched(line);
        let key = line.cache_key.text().filter(|key| !is_cut(key));
        Ok(Self {
            verdict,
            would_deny: would_deny.unwrap_or_default(),
            may_deny: match (would_deny, verdict) {
                (Some(would_deny), _) => would_deny,
                (None, Verdict::Reject(_)) => RuleIds::default(),
                (None, _) => of(RuleId::ALL),
            },
            key: key
                .and_then(|key| key.rsplit_once(' '))
                .map(|(url, _)| url.into()),
            variant: line.variant.text().and_then(Variant::parse),
        })
    }
}

/// The rules in shadow that the line names; `None`: it does not tell.
fn watched(line: &Line<'_>) -> Option<RuleIds> {
    let rules = line.would_deny.lines().iter();
    let is_told = !matches!(line.would_deny, Logged::Unknown);
    is_told.then(|| of(rules.filter_map(|rule| RuleId::parse(rule))))
}

fn of(rules: impl IntoIterator<Item = RuleId>) -> RuleIds {
    let mut all = RuleIds::default();
    rules.into_iter().for_each(|rule| all.insert(rule));
    all
}

/// The field that a line has in `forwarded`, if that is known. No other line
/// tells: a log may be of several processes, each with a configuration of its
/// own and generations that begin at 1.
fn client_field<'l>(line: &'l Line<'_>) -> Option<&'l str> {
    let is_field = |from: &&str| !matches!(*from, "peer" | "proxy_protocol" | "given");
    let from = || line.client_from.text().filter(is_field);
    line.client_header.text().or_else(from)
}
