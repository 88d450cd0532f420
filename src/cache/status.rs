//! `Cache-Status` (RFC 9211): what this cache did with a request.

use crate::message::decimal::Digits;
use hyper::HeaderMap;
use hyper::header::{CACHE_STATUS, HeaderValue};
use smallvec::SmallVec;

/// What the cache did with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheStatus {
    /// Answered from what was stored, or why not.
    pub handled: Handled,
    /// The status that the origin answered with; needed only where it is not
    /// the one that is sent on (RFC 9211 section 2.3).
    pub fwd_status: Option<u16>,
    /// For how much longer the response is fresh, in seconds; negative once
    /// it is stale (RFC 9211 section 2.4).
    pub ttl: Option<i64>,
    /// The response is stored now (RFC 9211 section 2.5).
    pub stored: bool,
    /// It shared the request of another one to the origin (RFC 9211 section
    /// 2.6).
    pub collapsed: bool,
    /// More, of our own (RFC 9211 section 2.8).
    pub detail: Option<&'static str>,
}

/// How a request was handled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handled {
    /// Answered without asking the origin (RFC 9211 section 2.1).
    Hit,
    /// The origin was asked, and why (RFC 9211 section 2.2).
    Forwarded(Reason),
    /// Neither: only what is stored was wanted, and it is not (RFC 9111 section
    /// 5.2.1.7).
    NotStored,
}

/// Why the origin was asked (RFC 9211 section 2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The cache is not to handle this request.
    Bypass,
    /// The method's semantics demand it.
    Method,
    /// Nothing is stored under this URI.
    UriMiss,
    /// What is stored under this URI fits other requests.
    VaryMiss,
    /// Nothing that fits is stored.
    Miss,
    /// The client's own fields demand it, `no-cache` for one.
    Request,
    /// What is stored is stale.
    Stale,
    /// What is stored has not all of it.
    Partial,
}

/// What no number of an RFC 8941 field passes (section 3.3.1), either way.
const LARGEST: u64 = 999_999_999_999_999;

type Text = SmallVec<[u8; 128]>;

impl CacheStatus {
    /// Answered from what was stored, and is fresh for `ttl` seconds more.
    pub const fn hit(ttl: i64) -> Self {
        Self {
            handled: Handled::Hit,
            ttl: Some(ttl),
            ..Self::forwarded(Reason::Miss)
        }
    }

    /// The origin was asked.
    pub const fn forwarded(reason: Reason) -> Self {
        Self {
            handled: Handled::Forwarded(reason),
            fwd_status: None,
            ttl: None,
            stored: false,
            collapsed: false,
            detail: None,
        }
    }

    /// Only what is stored was wanted, and it is not.
    pub const fn not_stored() -> Self {
        Self {
            handled: Handled::NotStored,
            detail: Some("only-if-cached"),
            ..Self::forwarded(Reason::Miss)
        }
    }

    /// Whether it was answered from what was stored.
    pub fn is_hit(&self) -> bool {
        self.handled == Handled::Hit
    }

    /// The member of the list that stands for this cache. Costs one allocation.
    pub fn value(&self) -> HeaderValue {
        HeaderValue::from_bytes(&self.text()).expect("printable ASCII")
    }

    /// The same as text, which is mostly short enough not to be allocated.
    pub(super) fn text(&self) -> Text {
        let mut text = Text::new();
        text.extend_from_slice(b"portcullis");
        match self.handled {
            Handled::Hit => text.extend_from_slice(b"; hit"),
            Handled::Forwarded(reason) => {
                text.extend_from_slice(b"; fwd=");
                text.extend_from_slice(reason.as_str().as_bytes());
            }
            Handled::NotStored => {}
        }
        if let Some(status) = self.fwd_status {
            text.extend_from_slice(b"; fwd-status=");
            text.extend_from_slice(Digits::of(status.into()).as_bytes());
        }
        if let Some(ttl) = self.ttl {
            push_ttl(&mut text, ttl);
        }
        if self.stored {
            text.extend_from_slice(b"; stored");
        }
        if self.collapsed {
            text.extend_from_slice(b"; collapsed");
        }
        if let Some(detail) = self.detail {
            push_detail(&mut text, detail);
        }
        text
    }

    /// Appends it to a response's list: the origin's own members, if it sent
    /// any, come first, since they are farther from the client (RFC 9211
    /// section 2).
    pub fn append_to(&self, headers: &mut HeaderMap) {
        headers.append(CACHE_STATUS, self.value());
    }
}

impl Reason {
    /// Its name in RFC 9211.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bypass => "bypass",
            Self::Method => "method",
            Self::UriMiss => "uri-miss",
            Self::VaryMiss => "vary-miss",
            Self::Miss => "miss",
            Self::Request => "request",
            Self::Stale => "stale",
            Self::Partial => "partial",
        }
    }
}

fn push_ttl(text: &mut Text, ttl: i64) {
    text.extend_from_slice(b"; ttl=");
    if ttl < 0 {
        text.push(b'-');
    }
    let size = ttl.unsigned_abs().min(LARGEST);
    text.extend_from_slice(Digits::of(size).as_bytes());
}

/// A token where it is one (RFC 8941 section 3.3.4), else a string (3.3.3);
/// what a string cannot hold is left out.
fn push_detail(text: &mut Text, detail: &str) {
    text.extend_from_slice(b"; detail=");
    if is_token(detail.as_bytes()) {
        text.extend_from_slice(detail.as_bytes());
        return;
    }
    text.push(b'"');
    for byte in detail.bytes().filter(|byte| matches!(byte, b' '..=b'~')) {
        if matches!(byte, b'"' | b'\\') {
            text.push(b'\\');
        }
        text.push(byte);
    }
    text.push(b'"');
}

fn is_token(text: &[u8]) -> bool {
    let starts = |byte: &u8| byte.is_ascii_alphabetic() || *byte == b'*';
    let goes_on = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~:/".contains(byte);
    text.first().is_some_and(starts) && text.iter().all(goes_on)
}

#[cfg(test)]
mod tests;
