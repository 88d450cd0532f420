//! `access.origins`: which sites may upload and embed (section 6.5).

mod field;
mod glob;
mod matcher;

pub use glob::{OriginPattern, PatternError, PatternReason};
pub use matcher::OriginPatterns;

use hyper::Method;

use self::field::OriginField;
use super::fetch::is_same_origin;
use super::findings::{ListKind, Source};
use super::referrer::{Referer, page_host, referer};
use super::{Finding, Missing, RequestHead};
use crate::message::field::Single;
use crate::message::fields::{Fields, Name};

/// What a request does to assets, as the two `origins` rules see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// GET, HEAD, and OPTIONS for them.
    Delivery,
    /// Every other method, and OPTIONS for it.
    Upload,
}

impl Purpose {
    /// The purpose of a request: a preflight counts as the one method it
    /// asks for, as an upload if it asks for several, as GET if for none.
    pub fn of(method: &Method, headers: &Fields) -> Self {
        match method.as_str() {
            "GET" | "HEAD" => Self::Delivery,
            "OPTIONS" => match headers.single(Name::ACCESS_CONTROL_REQUEST_METHOD) {
                Single::Missing | Single::One(b"GET" | b"HEAD") => Self::Delivery,
                Single::One(_) | Single::Several => Self::Upload,
            },
            _ => Self::Upload,
        }
    }
}

/// Whether a request is a GET, a HEAD, or a preflight for one of them: the
/// requests that exempt paths hold for.
pub(super) fn is_fetch(method: &Method, headers: &Fields) -> bool {
    match method.as_str() {
        "GET" | "HEAD" => true,
        "OPTIONS" => {
            matches!(
                headers.single(Name::ACCESS_CONTROL_REQUEST_METHOD),
                Single::One(b"GET" | b"HEAD")
            )
        }
        _ => false,
    }
}

/// One of the two `access.origins` tables, compiled; absent without patterns.
#[derive(Clone, Debug)]
pub struct OriginsRule {
    /// `patterns`.
    pub patterns: OriginPatterns,
    /// `missing`.
    pub missing: Missing,
    /// `shadow`.
    pub shadow: bool,
}

impl OriginsRule {
    /// What the rule finds in a request that `rule_purpose` is the purpose of.
    pub fn judge(&self, head: &RequestHead<'_>, purpose: Purpose) -> Finding<'static> {
        let field = field::read(head.headers);
        // Browsers spell a host as the list does, and that needs no parser.
        if let OriginField::Https(host) = field
            && self.patterns.has_host(host)
        {
            return verdict(true, Source::Origin);
        }
        match field.parsed() {
            OriginField::NotUnderstood | OriginField::Https(_) => not_understood(Source::Origin),
            OriginField::App(origin) => verdict(self.patterns.matches_app(origin), Source::Origin),
            OriginField::Web { host, port } => {
                verdict(self.patterns.matches(&host, port), Source::Origin)
            }
            OriginField::Null if is_same_origin(head.headers) => {
                let port = head.authority.effective_port(head.scheme);
                verdict(
                    self.patterns.matches(&head.authority.host, port),
                    Source::OwnHost,
                )
            }
            OriginField::Null => match (purpose, referer(head.headers)) {
                (Purpose::Upload, _) | (_, Referer::Missing) => {
                    verdict(self.patterns.has_null(), Source::Origin)
                }
                (Purpose::Delivery, referer) => self.judge_referer(head.headers, referer),
            },
            OriginField::Missing => match purpose {
                Purpose::Upload => self.missing.judge(head.headers),
                Purpose::Delivery => self.judge_referer(head.headers, referer(head.headers)),
            },
        }
    }

    /// For delivery the Referer stands in for an absent `Origin`.
    fn judge_referer(&self, headers: &Fields, referer: Referer<'_>) -> Finding<'static> {
        let url = match referer {
            Referer::Missing => return self.missing.judge(headers),
            Referer::NotUnderstood => return not_understood(Source::Referer),
            Referer::Url(url) => url,
        };
        match std::str::from_utf8(url).ok().and_then(page_host) {
            None => not_understood(Source::Referer),
            Some(page) => {
                let port = page.port.unwrap_or(if page.https { 443 } else { 80 });
                verdict(self.patterns.matches(&page.host, port), Source::Referer)
            }
        }
    }
}

fn verdict(listed: bool, source: Source) -> Finding<'static> {
    if listed {
        Finding::HostListed(source)
    } else {
        Finding::HostNotListed(source)
    }
}

fn not_understood(source: Source) -> Finding<'static> {
    Finding::NotUnderstood(source, ListKind::Allow)
}
