//! A response of the origin's.

use hyper::Response;

use super::Download;
use crate::message::fields::Fields;

/// A response of the origin's.
#[derive(Debug)]
pub struct OriginResponse {
    /// All of it, but the fields that are below.
    pub response: Response<Download>,
    /// Its fields as they were received, where they are not in a map already.
    pub fields: Option<Fields>,
}

impl OriginResponse {
    /// With its fields in a map.
    pub fn into_response(self) -> Response<Download> {
        let mut response = self.response;
        if let Some(fields) = self.fields {
            *response.headers_mut() = fields.to_map(MORE, |_| true);
        }
        response
    }
}

/// So many fields are added to most responses: room for them is made at once.
const MORE: usize = 4;
