//! The head of a response of the origin's that is passed on.

use hyper::body::Body as _;
use hyper::ext::ReasonPhrase;
use hyper::header::{ALT_SVC, CACHE_STATUS, HeaderName, HeaderValue, VARY, VIA};
use hyper::{StatusCode, Version};

use crate::cache::status::CacheStatus;
use crate::message::connection::{self, HOP_BY_HOP};
use crate::message::field::Single;
use crate::message::fields::{Fields, Name};
use crate::message::vary;
use crate::origin::OriginResponse;
use crate::proxy::instance::Instance;
use crate::proxy::respond::{Edit, has_body};

/// The head of a response of the origin's that has nothing odd about it, and of
/// which only what ends here is not passed on.
#[derive(Debug)]
pub(in crate::proxy) struct PassedHead {
    pub(super) status: StatusCode,
    /// By which the client is answered.
    pub(super) version: Version,
    pub(super) reason: Option<ReasonPhrase>,
    pub(super) fields: Fields,
    pub(super) via: HeaderValue,
    /// What the cache says of it.
    pub(super) cache: Option<CacheStatus>,
    pub(super) edit: Edit,
}

impl PassedHead {
    /// The head of `response`, which came by `via`. `None`: there is something
    /// about it that has to be looked at.
    pub(in crate::proxy) fn new(
        response: &mut OriginResponse,
        edit: &Edit,
        instance: &Instance,
        cache: Option<CacheStatus>,
    ) -> Option<Self> {
        let fields = response.fields.as_ref()?;
        let status = response.response.status();
        if status == StatusCode::NO_CONTENT || !edit.only_adds_vary() || !is_plain(fields) {
            return None;
        }
        let via = instance.via(response.response.version()).clone();
        let has_length = response.response.body().size_hint().exact().is_some();
        Some(Self {
            status,
            // Without a length, a body by HTTP/1.0 ends with the connection.
            version: match has_length || !has_body(edit.shape.head, status) {
                true => Version::HTTP_11,
                false => edit.shape.version,
            },
            reason: response.response.extensions_mut().remove(),
            fields: response.fields.take()?,
            via,
            cache,
            edit: edit.clone(),
        })
    }

    pub(in crate::proxy) fn status(&self) -> StatusCode {
        self.status
    }

    pub(super) fn each_field(&self, mut take: impl FnMut(&HeaderName, &[u8])) {
        let ours = self.edit.vary();
        for line in self.fields.iter() {
            match line.known {
                Some(name) if HOP_BY_HOP.contains(name) => {}
                Some(Name::VARY) if ours.is_some() => {}
                Some(name) => take(name.name(), line.value),
                None => match HeaderName::from_bytes(line.name) {
                    Ok(name) if name != ALT_SVC => take(&name, line.value),
                    _ => {}
                },
            }
        }
        take(&VIA, self.via.as_bytes());
        if let Some(status) = &self.cache {
            take(&CACHE_STATUS, status.value().as_bytes());
        }
        let Some(ours) = ours else { return };
        match vary::merged(|| self.fields.lines(Name::VARY), ours.as_bytes()) {
            Some(merged) => take(&VARY, &merged),
            None => self
                .fields
                .lines(Name::VARY)
                .for_each(|line| take(&VARY, line)),
        }
    }
}

/// Of a number that can be counted, whatever its digits are.
const MOST_DIGITS: usize = 19;

/// Whether the length of the body is told once and as a number, or not at all,
/// and Connection names no field that would pass on else.
pub(super) fn is_plain(fields: &Fields) -> bool {
    let length = match fields.single(Name::CONTENT_LENGTH) {
        Single::One(length) => length.len() <= MOST_DIGITS && length.iter().all(u8::is_ascii_digit),
        Single::Missing => !fields.contains(Name::CONTENT_LENGTH),
        Single::Several => false,
    };
    length && !fields.contains(Name::TRANSFER_ENCODING) && connection::names_only_hop_by_hop(fields)
}
