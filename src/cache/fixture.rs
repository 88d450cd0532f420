//! Requests and responses for the tests of the decisions.

use hyper::header::{HeaderName, HeaderValue};
use hyper::{HeaderMap, Method, StatusCode};

use super::asked::{Asked, Covered};
use super::clock::{Date, Moment, Now};
use super::encoding::Encodings;
use super::entry::Head;
use super::freshness::date_text;
use super::settings::CacheSettings;
use super::storable::{Unstorable, assess, forbids};
use crate::images::Variant;
use crate::message::connection::names_nothing;

/// When the tests' responses come: 2026-11-22, an hour after the start.
pub(super) const NOW: Now = Now {
    moment: Moment(3_600_000),
    date: Date(1_795_332_000),
};

/// Field lines, in order.
pub(super) type Fields<'a> = &'a [(&'a str, &'a str)];

pub(super) fn headers(fields: Fields<'_>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        headers.append(
            HeaderName::from_bytes(name.as_bytes()).unwrap(),
            HeaderValue::from_bytes(value.as_bytes()).unwrap(),
        );
    }
    headers
}

/// A date so many seconds from [`NOW`].
pub(super) fn at(seconds: i64) -> String {
    date_text(Date(NOW.date.0.checked_add_signed(seconds).unwrap()))
}

/// So many milliseconds after [`NOW`].
pub(super) fn later(millis: u64) -> Moment {
    Moment(NOW.moment.0 + millis)
}

/// A request.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) method: Method,
    pub(super) headers: crate::message::fields::Fields,
    pub(super) has_query: bool,
    pub(super) variant: Variant,
    pub(super) covered: Covered,
    pub(super) extension: Option<&'static str>,
}

impl Request {
    pub(super) fn get(fields: Fields<'_>) -> Self {
        Self {
            method: Method::GET,
            headers: headers(fields).into(),
            has_query: false,
            variant: Variant::Original,
            covered: Covered::default(),
            extension: None,
        }
    }

    /// For an image, whose format section 7 chose.
    pub(super) fn image(variant: Variant, extension: &'static str) -> Self {
        Self {
            variant,
            covered: Covered {
                accept: true,
                user_agent: true,
            },
            extension: Some(extension),
            ..Self::get(&[])
        }
    }

    pub(super) fn asked(&self) -> Asked<'_> {
        Asked {
            method: &self.method,
            headers: &self.headers,
            encodings: Encodings::of(&self.headers),
            has_query: self.has_query,
            variant: self.variant,
            covered: self.covered,
            extension: self.extension,
        }
    }

    /// What becomes of a response that came at once.
    pub(super) fn gets(
        &self,
        status: u16,
        fields: Fields<'_>,
        settings: &CacheSettings,
    ) -> Result<Head, Unstorable> {
        let status = StatusCode::from_u16(status).unwrap();
        let headers = headers(fields);
        let assessed = assess(&self.asked(), status, &headers, settings, NOW.moment, NOW);
        let received = crate::message::fields::Fields::from(&headers);
        if names_nothing(&received)
            && let Some(why) = forbids(&self.asked(), status, &received)
        {
            assert_eq!(assessed.as_ref().err(), Some(&why));
        }
        assessed
    }
}

/// What becomes of a 200 to a plain GET.
pub(super) fn stored(fields: Fields<'_>) -> Result<Head, Unstorable> {
    Request::get(&[]).gets(200, fields, &CacheSettings::default())
}

/// For how many seconds a 200 to a plain GET is fresh, if it is stored.
pub(super) fn fresh_for(fields: Fields<'_>) -> Result<i64, Unstorable> {
    stored(fields).map(|head| head.policy.ttl(NOW.moment) / 1000)
}
