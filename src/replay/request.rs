//! The request that a line tells of, as far as it does.

use std::borrow::Cow;
use std::net::IpAddr;

use hyper::http::uri::PathAndQuery;
use hyper::{Method, Uri};
use ipnet::IpNet;
use memchr::memchr3;

use super::line::{Line, Logged, is_cut, raw_bytes, without_mark};
use super::{Skip, Undecided};
use crate::client::AmbiguousClient;
use crate::message::Scheme;
use crate::message::fields::{Fields, Name};
use crate::plan::{Received, Reject};
use crate::proxy::AMBIGUOUS_FRAMING;
use crate::route::{PathError, TargetError};

/// What a line says was decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LoggedVerdict {
    /// It was judged, so it has a variant, an `Accept` and a key.
    Judged,
    /// It was answered before any rule saw it, for a reason that depends on
    /// the configuration.
    Rejected,
    /// The same, whatever the configuration.
    Malformed,
}

/// Who connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sender {
    /// This address.
    At(IpAddr),
    /// One of these (`log.client_address = "prefix"`).
    Within(IpNet),
    /// Nobody knows.
    Anyone,
}

/// A line that tells of a request.
#[derive(Debug)]
pub(super) struct Request<'l> {
    pub(super) line: &'l Line<'l>,
    pub(super) verdict: LoggedVerdict,
    pub(super) method: Method,
    pub(super) sender: Sender,
    /// The scheme that the line has.
    pub(super) scheme: Scheme,
    /// Whether all of the query is there.
    pub(super) has_query: bool,
    authority: &'l str,
    uri: Uri,
}

/// What a field may have been, where a line does not tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    /// As it stands there.
    AsLogged,
    /// Not to be understood: too long, or not UTF-8.
    NotUnderstood,
}

/// What Sec-Fetch fields may have said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fetch {
    AsLogged,
    Missing,
    SameOrigin,
    CrossSite,
}

/// What a preflight may have asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    AsLogged,
    Nothing,
    Get,
    Put,
}

/// One of the requests that a line may tell of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Guess {
    pub(super) referer: Reading,
    pub(super) origin: Reading,
    /// Whether each `\xNN` of its User-Agent was a byte.
    pub(super) agent_raw: bool,
    pub(super) fetch: Fetch,
    pub(super) asked: Asked,
}

impl Guess {
    /// What the line says.
    pub(super) const AS_LOGGED: Self = Self {
        referer: Reading::AsLogged,
        origin: Reading::AsLogged,
        agent_raw: false,
        fetch: Fetch::AsLogged,
        asked: Asked::AsLogged,
    };
}

impl<'l> Request<'l> {
    /// The request of `line`; `None`: it never became one.
    pub(super) fn of(line: &'l Line<'l>) -> Result<Result<Self, Undecided>, Skip> {
        let verdict = match line.verdict.text() {
            Some("forward" | "deny") => LoggedVerdict::Judged,
            Some("reject") => match line.method {
                Logged::Absent => return Ok(Err(Undecided::NoRequest)),
                _ => match rejected(line.error.text()) {
                    Some(verdict) => verdict,
                    None => return Ok(Err(Undecided::Reject)),
                },
            },
            _ => return Err(Skip::Lacks("verdict")),
        };
        let method = line.method.text().ok_or(Skip::Lacks("method"))?;
        if is_cut(method) {
            return Ok(Err(Undecided::Method));
        }
        let method = Method::from_bytes(method.as_bytes()).map_err(|_| Skip::Lacks("method"))?;
        let url = line.url.text().ok_or(Skip::Lacks("url"))?;
        Ok(Self::read(line, verdict, method, url))
    }

    fn read(
        line: &'l Line<'l>,
        verdict: LoggedVerdict,
        method: Method,
        url: &'l str,
    ) -> Result<Self, Undecided> {
        let shown = without_mark(url);
        let (scheme, rest) = match shown.strip_prefix("https://") {
            Some(rest) => (Scheme::Https, rest),
            None => (
                Scheme::Http,
                shown.strip_prefix("http://").ok_or(Undecided::Url)?,
            ),
        };
        let end = memchr3(b'/', b'?', b'#', rest.as_bytes()).unwrap_or(rest.len());
        let (mut authority, mut target) = rest.split_at(end);
        if target.is_empty()
            && let Some(host) = authority.strip_suffix('*')
        {
            (authority, target) = (host, "*");
        }
        let has_query = !is_cut(url);
        if !has_query && !target.contains('?') {
            return Err(Undecided::Url);
        }
        let uri = match target.starts_with(['/', '*']) {
            true => PathAndQuery::try_from(target),
            false => PathAndQuery::try_from(format!("/{target}")),
        };
        // What is malformed is not looked at again.
        let uri = match verdict {
            LoggedVerdict::Malformed => Uri::default(),
            _ => uri.map(Uri::from).map_err(|_| Undecided::Url)?,
        };
        Ok(Self {
            sender: sender(&line.peer),
            line,
            verdict,
            method,
            scheme,
            has_query,
            authority,
            uri,
        })
    }

    /// The head by that guess, with these lines of the field `forwarded`.
    pub(super) fn received(
        &self,
        guess: &Guess,
        forwarded: Option<(&str, &[Cow<'_, str>])>,
    ) -> Received {
        let line = self.line;
        let mut fields = Building::default();
        fields.push("host", self.authority.as_bytes());
        self.push_agent(&mut fields, guess.agent_raw);
        push_page(&mut fields, "referer", &line.referer, guess.referer);
        push_page(&mut fields, "origin", &line.origin_field, guess.origin);
        self.push_fetch(&mut fields, guess.fetch);
        self.push_asked(&mut fields, guess.asked);
        if let Some((name, lines)) = forwarded
            && !LOGGED_BY_NAME.contains(&name)
        {
            for line in lines {
                fields.push(name, line.as_bytes());
            }
        }
        Received {
            method: self.method.clone(),
            uri: self.uri.clone(),
            headers: fields.done(),
        }
    }

    /// The fields that a variant depends on, with that `Accept`.
    pub(super) fn variant_fields(&self, accept: Option<&str>) -> Fields {
        let mut fields = Building::default();
        self.push_agent(&mut fields, false);
        if let Some(accept) = accept {
            fields.push(Name::ACCEPT.name().as_str(), accept.as_bytes());
        }
        fields.done()
    }

    fn push_agent(&self, fields: &mut Building, raw: bool) {
        for line in self.line.user_agent.lines() {
            let line = without_mark(line);
            match raw {
                true => fields.push("user-agent", &raw_bytes(line)),
                false => fields.push("user-agent", line.as_bytes()),
            }
        }
    }

    fn push_fetch(&self, fields: &mut Building, fetch: Fetch) {
        let mut push = |name: &str, value: &str| {
            if !value.is_empty() {
                fields.push(name, value.as_bytes());
            }
        };
        match fetch {
            Fetch::Missing => {}
            Fetch::SameOrigin => push("sec-fetch-site", "same-origin"),
            Fetch::CrossSite => push("sec-fetch-site", "cross-site"),
            Fetch::AsLogged => {
                let text = self.line.sec_fetch.text().unwrap_or_default();
                let mut parts = text.split('/');
                for name in ["sec-fetch-site", "sec-fetch-mode", "sec-fetch-dest"] {
                    push(name, parts.next().unwrap_or_default());
                }
            }
        }
    }

    fn push_asked(&self, fields: &mut Building, asked: Asked) {
        if self.method != Method::OPTIONS {
            return;
        }
        let name = "access-control-request-method";
        match asked {
            Asked::Nothing => {}
            Asked::Get => fields.push(name, b"GET"),
            Asked::Put => fields.push(name, b"PUT"),
            Asked::AsLogged => {
                for line in self.line.request_method.lines() {
                    fields.push(name, line.as_bytes());
                }
            }
        }
    }
}

/// Fields that the log has under names of their own.
const LOGGED_BY_NAME: [&str; 4] = ["host", "user-agent", "referer", "origin"];

/// Fields in the making.
#[derive(Default)]
struct Building {
    text: Vec<u8>,
    places: smallvec::SmallVec<[(usize, usize, usize); 16]>,
}

impl Building {
    fn push(&mut self, name: &str, value: &[u8]) {
        if self.text.capacity() == 0 {
            self.text.reserve(1024);
        }
        self.places.push((self.text.len(), name.len(), value.len()));
        self.text.extend_from_slice(name.as_bytes());
        self.text.extend_from_slice(value);
    }

    fn done(self) -> Fields {
        let mut fields = Fields::within(self.text.into(), self.places.len());
        for (start, name, value) in self.places {
            // A line of 1 MiB has no room for more than fit.
            let _ = fields.push((start, name), (start + name, value));
        }
        fields
    }
}

fn push_page(fields: &mut Building, name: &str, logged: &Logged<'_>, reading: Reading) {
    for line in logged.lines() {
        fields.push(name, without_mark(line).as_bytes());
    }
    if reading == Reading::NotUnderstood {
        // Several lines are not understood either.
        fields.push(name, b"a");
        fields.push(name, b"b");
    }
}

fn sender(peer: &Logged<'_>) -> Sender {
    let Some(text) = peer.text() else {
        return Sender::Anyone;
    };
    if let Ok(address) = text.parse() {
        return Sender::At(address);
    }
    text.parse().map_or(Sender::Anyone, Sender::Within)
}

/// What a rejection means for another configuration; `None`: it is not known
/// what it was for.
fn rejected(error: Option<&str>) -> Option<LoggedVerdict> {
    let error = error?;
    let targets = [
        TargetError::NoHost,
        TargetError::SeveralHosts,
        TargetError::BadHost,
        TargetError::HostsDiffer,
        TargetError::NotAPath,
        TargetError::Path(PathError::BadEscape),
        TargetError::Path(PathError::Control),
        TargetError::Path(PathError::ClimbsAboveRoot),
        TargetError::Path(PathError::Ambiguous),
    ];
    let others = [
        Reject::Client(AmbiguousClient),
        Reject::Method,
        Reject::Misdirected,
        Reject::NoPath,
        Reject::Asterisk,
    ];
    let mut all = others.into_iter().chain(targets.map(Reject::Target));
    match all.find(|reject| reject.to_string() == error) {
        Some(reject) if depends_on_policy(reject) => Some(LoggedVerdict::Rejected),
        Some(_) => Some(LoggedVerdict::Malformed),
        None => (error == AMBIGUOUS_FRAMING).then_some(LoggedVerdict::Malformed),
    }
}

/// Whether another configuration may not reject the same request.
pub(super) const fn depends_on_policy(reject: Reject) -> bool {
    match reject {
        Reject::Target(TargetError::Path(PathError::ClimbsAboveRoot | PathError::Ambiguous))
        | Reject::Client(_)
        | Reject::Method
        | Reject::Misdirected
        | Reject::NoPath
        | Reject::Asterisk => true,
        Reject::Target(_) => false,
    }
}
