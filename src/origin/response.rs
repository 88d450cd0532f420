//! A response of the origin's.

use hyper::ext::ReasonPhrase;
use hyper::http::response::Parts;
use hyper::{Response, StatusCode, Version};

use super::Download;
use crate::message::fields::Fields;

/// A response of the origin's.
#[derive(Debug)]
pub struct OriginResponse {
    /// Its head.
    pub head: OriginHead,
    /// Its body.
    pub body: Download,
}

/// The head of a response. Boxed: it passes through many hands.
#[derive(Debug)]
pub enum OriginHead {
    /// As it was received.
    Received(Box<ReceivedHead>),
    /// As hyper read it.
    Parts(Box<Parts>),
}

/// A head as it was received.
#[derive(Debug)]
pub struct ReceivedHead {
    /// The status.
    pub status: StatusCode,
    /// By which the origin answered.
    pub version: Version,
    /// The reason, if it is not the one that the status always has.
    pub reason: Option<ReasonPhrase>,
    /// The fields.
    pub fields: Fields,
}

impl OriginResponse {
    /// With its fields in a map.
    pub fn into_response(self) -> Response<Download> {
        match self.head {
            OriginHead::Parts(parts) => Response::from_parts(*parts, self.body),
            OriginHead::Received(head) => head.into_response(self.body),
        }
    }
}

impl ReceivedHead {
    /// With its fields in a map, and that body.
    pub(super) fn into_response<B>(self, body: B) -> Response<B> {
        let mut response = Response::new(body);
        *response.status_mut() = self.status;
        *response.version_mut() = self.version;
        *response.headers_mut() = self.fields.to_map(MORE, |_| true);
        if let Some(reason) = self.reason {
            response.extensions_mut().insert(reason);
        }
        response
    }
}

/// So many fields are added to most responses: room for them is made at once.
const MORE: usize = 4;
