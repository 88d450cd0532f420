//! Whether a response may be stored (RFC 9111 section 3, and where section 9
//! is stricter), and what of it.

use bytes::Bytes;
use hyper::header::{self, HeaderName, HeaderValue};
use hyper::{HeaderMap, StatusCode};

use super::asked::Asked;
use super::clock::{Moment, Now};
use super::directives::{RequestDirectives, ResponseDirectives};
use super::entry::Head;
use super::freshness::{Subject, date, date_text, has_set_cookie};
use super::place::place;
use super::policy::Policy;
use super::settings::{CacheSettings, SetCookie};
use super::validation::has_validator;
use super::vary::Form;
use crate::message::connection;
use crate::message::fields::{Fields, Name};

static SET_COOKIE: HeaderName = header::SET_COOKIE;
static SET_COOKIE2: HeaderName = HeaderName::from_static("set-cookie2");

/// Why a response is not stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unstorable {
    /// It answers another method than GET.
    Method,
    /// The request has `no-store`.
    RequestNoStore,
    /// A status that is never stored, or that `must-understand` is about and
    /// we do not know.
    Status,
    /// Its Cache-Control cannot be read.
    Unreadable,
    /// `no-store`.
    NoStore,
    /// `private`.
    Private,
    /// The request has Authorization, and nothing allows it.
    Authorization,
    /// It sets a cookie, and `cache.set_cookie` is `bypass`.
    SetCookie,
    /// `Vary: *`, or a `Vary` that no two requests are known to match by.
    Vary,
    /// An image format that the request did not ask for.
    Variant,
    /// Nothing says or suggests that it may be stored.
    Silent,
    /// It is stale already, and there is nothing to validate it with.
    Stale,
}

impl Unstorable {
    /// Whether the request alone is why: the response to another one may be
    /// stored.
    pub fn is_of_request(self) -> bool {
        matches!(
            self,
            Self::Method | Self::RequestNoStore | Self::Authorization
        )
    }

    /// A short token, for logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Method => "method",
            Self::RequestNoStore => "request-no-store",
            Self::Status => "status",
            Self::Unreadable => "unreadable",
            Self::NoStore => "no-store",
            Self::Private => "private",
            Self::Authorization => "authorization",
            Self::SetCookie => "set-cookie",
            Self::Vary => "vary",
            Self::Variant => "variant",
            Self::Silent => "silent",
            Self::Stale => "stale",
        }
    }
}

/// Judges the head of a response to a GET without conditional or Range
/// fields. `headers` are the origin's, with our own Vary; `requested` is when
/// the request was sent, `now` when the head came.
///
/// # Errors
///
/// Why it is not stored.
pub fn assess(
    asked: &Asked<'_>,
    status: StatusCode,
    headers: &HeaderMap,
    settings: &CacheSettings,
    requested: Moment,
    now: Now,
) -> Result<Head, Unstorable> {
    may_fill(asked)?;
    judge(asked, status, headers.clone(), settings, requested, now)
}

/// Why a response is not stored, where that shows without a map of its fields,
/// of which Connection names none: then [`assess`] would say the same. `None`:
/// it has to be assessed.
pub fn forbids(asked: &Asked<'_>, status: StatusCode, fields: &Fields) -> Option<Unstorable> {
    let directives = ResponseDirectives::received(fields)?;
    may_fill(asked)
        .and_then(|()| may_be_stored(asked, status, &directives))
        .err()
}

/// What the request says.
fn may_fill(asked: &Asked<'_>) -> Result<(), Unstorable> {
    // RFC 9111 section 3: the method. Section 9: a HEAD never stores.
    if asked.is_head() {
        return Err(Unstorable::Method);
    }
    // Section 5.2.1.5.
    if RequestDirectives::of(asked.headers).no_store {
        return Err(Unstorable::RequestNoStore);
    }
    Ok(())
}

/// The same for a head that was merged from a stored one and a newer one.
pub(super) fn judge(
    asked: &Asked<'_>,
    status: StatusCode,
    mut headers: HeaderMap,
    settings: &CacheSettings,
    requested: Moment,
    now: Now,
) -> Result<Head, Unstorable> {
    connection::remove_named_in_response(&mut headers);
    let directives = ResponseDirectives::of(&headers);
    may_be_stored(asked, status, &directives)?;
    if settings.set_cookie == SetCookie::Bypass && has_set_cookie(&headers) {
        return Err(Unstorable::SetCookie);
    }
    let form = Form::of(asked, &headers).ok_or(Unstorable::Vary)?;
    let place = place(asked, &headers).ok_or(Unstorable::Variant)?;
    let subject = Subject {
        asked,
        status,
        headers: &headers,
        directives: &directives,
        settings,
        requested,
        now,
    };
    let policy = subject.policy().ok_or(Unstorable::Silent)?;
    if !is_of_use(&policy, status, &headers, now.moment) {
        return Err(match policy.no_cache || subject.says_how_long() {
            true => Unstorable::Stale,
            false => Unstorable::Silent,
        });
    }
    reduce(&mut headers, &directives.withheld, settings, now);
    Ok(Head {
        status,
        headers,
        lines: Bytes::new(),
        policy,
        form,
        variant: place.variant,
        serves: place.serves,
    })
}

/// The conditions of RFC 9111 section 3 but the last, which is freshness's;
/// of the response, those that its Cache-Control and status tell.
fn may_be_stored(
    asked: &Asked<'_>,
    status: StatusCode,
    directives: &ResponseDirectives,
) -> Result<(), Unstorable> {
    let understood = is_understood(status);
    if is_never_stored(status) || directives.must_understand && !understood {
        return Err(Unstorable::Status);
    }
    if directives.unreadable {
        return Err(Unstorable::Unreadable);
    }
    // Section 5.2.2.3: who understands the status ignores `no-store` beside
    // `must-understand`.
    if directives.no_store && !directives.must_understand {
        return Err(Unstorable::NoStore);
    }
    // Section 5.2.2.7; a qualified one withholds fields instead.
    if directives.private {
        return Err(Unstorable::Private);
    }
    if asked.headers.contains(Name::AUTHORIZATION) && !allows_authorized(directives) {
        return Err(Unstorable::Authorization);
    }
    Ok(())
}

/// RFC 9111 section 3.5.
fn allows_authorized(directives: &ResponseDirectives) -> bool {
    directives.public || directives.must_revalidate || directives.s_maxage.is_some()
}

/// Statuses that are not final, that are about a part or about another
/// response (206, 304), and those that RFC 6585 says are not stored.
fn is_never_stored(status: StatusCode) -> bool {
    matches!(status.as_u16(), 0..=199 | 206 | 304 | 428 | 429 | 431 | 511)
}

/// The statuses whose caching rules we know (RFC 9110 section 15).
fn is_understood(status: StatusCode) -> bool {
    matches!(
        status.as_u16(),
        200..=205 | 300..=303 | 305 | 307 | 308 | 400..=417 | 421 | 422 | 426 | 451 | 500..=505
    )
}

/// Whether it will ever be answered with: it is fresh for a while, may be
/// served stale, or can be validated.
fn is_of_use(policy: &Policy, status: StatusCode, headers: &HeaderMap, now: Moment) -> bool {
    let window = policy.stale_while_revalidate.max(policy.stale_if_error);
    let usable = match policy.stale_for(now) {
        None => true,
        Some(stale) => stale < window,
    };
    usable && !policy.no_cache || status.is_success() && has_validator(headers)
}

/// Removes what sets a cookie.
pub fn remove_cookies(headers: &mut HeaderMap) {
    headers.remove(&SET_COOKIE);
    headers.remove(&SET_COOKIE2);
}

/// Whether such a field sets a cookie.
pub fn is_cookie(name: &HeaderName) -> bool {
    *name == SET_COOKIE || *name == SET_COOKIE2
}

/// Leaves what is stored (RFC 9111 section 3.1).
fn reduce(headers: &mut HeaderMap, withheld: &[HeaderName], settings: &CacheSettings, now: Now) {
    // Section 5.2.2.4: fields of `no-cache="..."` are not used again
    // unvalidated; section 5.2.2.7: those of `private="..."` are not stored.
    for name in withheld {
        headers.remove(name);
    }
    connection::remove_hop_by_hop(headers);
    headers.remove("proxy-authentication-info");
    headers.remove(header::ALT_SVC);
    // Worked out anew for every answer (section 5.1).
    headers.remove(header::AGE);
    if settings.set_cookie != SetCookie::Keep {
        remove_cookies(headers);
    }
    // RFC 9110 section 6.6.1: one that is missing or invalid.
    if date(headers, &header::DATE).is_none() {
        let text = HeaderValue::from_str(&date_text(now.date));
        headers.insert(header::DATE, text.expect("an HTTP-date is ASCII"));
    }
}

#[cfg(test)]
mod tests;
