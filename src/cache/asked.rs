//! What the cache looks at of a request.

use hyper::Method;

use super::encoding::Encodings;
use crate::images::Variant;
use crate::message::fields::Fields;

/// A GET or HEAD without a body, as the cache sees it.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// GET or HEAD.
    pub method: &'a Method,
    /// The client's fields, without those that Connection names; Accept and
    /// Accept-Encoding as they were received.
    pub headers: &'a Fields,
    /// What Accept-Encoding is reduced to.
    pub encodings: Encodings,
    /// Whether the key has a query.
    pub has_query: bool,
    /// What section 7 chose.
    pub variant: Variant,
    /// Which fields of a `Vary` the variant satisfies.
    pub covered: Covered,
    /// The extension of the path, which may name an image type.
    pub extension: Option<&'a str>,
}

/// The fields that the variant stands for, towards our own cache (section 7).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Covered {
    /// Accept: section 7 applies to the path.
    pub accept: bool,
    /// User-Agent: and there are client entries.
    pub user_agent: bool,
}

impl Asked<'_> {
    /// Whether it is HEAD.
    pub fn is_head(&self) -> bool {
        *self.method == Method::HEAD
    }
}
