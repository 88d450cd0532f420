//! `access.referrer`: whose pages may embed (section 6.4).

mod host;

pub(crate) use host::page_host;
pub(super) use host::written_host;
pub use host::{ReferrerUrlError, listed_host};

use std::collections::HashSet;

use foldhash::fast::RandomState;

use super::findings::{ListKind, Source};
use super::{Finding, Missing, RequestHead, RuleId};
use crate::message::field::Single;
use crate::message::fields::{Fields, Name};

/// The longest Referer that is read (section 6).
const MAX_FIELD: usize = 8 * 1024;

/// The `access.referrer` table, compiled; absent when its mode is off.
#[derive(Clone, Debug)]
pub struct ReferrerRule {
    allow: bool,
    hosts: HashSet<String, RandomState>,
    missing: Missing,
    /// `shadow`.
    pub shadow: bool,
}

impl ReferrerRule {
    /// A rule over `hosts`, each from [`listed_host`]; `allow`: only they
    /// pass, else they are denied.
    pub fn new(allow: bool, hosts: Vec<String>, missing: Missing, shadow: bool) -> Self {
        Self {
            allow,
            hosts: hosts.into_iter().collect(),
            missing,
            shadow,
        }
    }

    /// Which of the two referrer rules is on.
    pub fn id(&self) -> RuleId {
        if self.allow {
            RuleId::ReferrerAllow
        } else {
            RuleId::ReferrerBlock
        }
    }

    /// What the rule finds.
    pub fn judge(&self, head: &RequestHead<'_>) -> Finding<'static> {
        match referer(head.headers) {
            Referer::Missing => self.judge_missing(head.headers),
            Referer::NotUnderstood => self.not_understood(Source::Referer),
            Referer::Url(url) => self.judge_url(url, Source::Referer),
        }
    }

    /// No Referer: with `infer` a present `Origin` speaks for the page.
    fn judge_missing(&self, headers: &Fields) -> Finding<'static> {
        if self.missing == Missing::Infer {
            match headers.single(Name::ORIGIN) {
                Single::Missing => {}
                Single::One(b"null") | Single::Several => {
                    return self.not_understood(Source::Origin);
                }
                Single::One(origin) if origin.len() > MAX_FIELD => {
                    return self.not_understood(Source::Origin);
                }
                Single::One(origin) => return self.judge_url(origin, Source::Origin),
            }
        }
        self.missing.judge(headers)
    }

    fn judge_url(&self, url: &[u8], source: Source) -> Finding<'static> {
        let Ok(url) = std::str::from_utf8(url) else {
            return self.not_understood(source);
        };
        // Browsers spell a host as the list does; what equals a listed host is
        // that host, without a parser.
        let written = written_host(url);
        if self.hosts.contains(written) {
            return self.judge_host(written, source);
        }
        match page_host(url) {
            Some(page) => self.judge_host(&page.host, source),
            None => self.not_understood(source),
        }
    }

    fn judge_host(&self, host: &str, source: Source) -> Finding<'static> {
        match (self.allow, self.hosts.contains(host)) {
            (true, true) => Finding::HostListed(source),
            (true, false) => Finding::HostNotListed(source),
            (false, true) => Finding::HostBlocked(source),
            (false, false) => Finding::HostNotBlocked(source),
        }
    }

    fn not_understood(&self, source: Source) -> Finding<'static> {
        let kind = if self.allow {
            ListKind::Allow
        } else {
            ListKind::Block
        };
        Finding::NotUnderstood(source, kind)
    }
}

/// The Referer of a request, before its host is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Referer<'a> {
    /// Not sent, empty, or `about:blank` (RFC 9110 section 10.1.3).
    Missing,
    /// Several lines, or one too long to be read.
    NotUnderstood,
    /// One line.
    Url(&'a [u8]),
}

/// Reads the Referer field.
pub(super) fn referer(headers: &Fields) -> Referer<'_> {
    match headers.single(Name::REFERER) {
        Single::Missing | Single::One(b"about:blank") => Referer::Missing,
        Single::Several => Referer::NotUnderstood,
        Single::One(url) if url.len() > MAX_FIELD => Referer::NotUnderstood,
        Single::One(url) => Referer::Url(url),
    }
}
