//! A request as the cache sees it, for those that have to wait.

use hyper::Method;

use crate::cache::asked::{Asked, Covered};
use crate::cache::directives::RequestDirectives;
use crate::cache::encoding::Encodings;
use crate::images::Variant;
use crate::message::fields::{Fields, Name};

/// A request as the cache sees it.
#[derive(Clone, Debug)]
pub(in crate::proxy) struct Asker {
    method: Method,
    headers: Fields,
    encodings: Encodings,
    has_query: bool,
    variant: Variant,
    covered: Covered,
    extension: Option<Box<str>>,
    pub(in crate::proxy) directives: RequestDirectives,
}

impl Asker {
    /// A copy of `asked`, with those fields.
    pub(super) fn new(asked: &Asked<'_>, headers: Fields, directives: RequestDirectives) -> Self {
        Self {
            method: asked.method.clone(),
            headers,
            encodings: asked.encodings,
            has_query: asked.has_query,
            variant: asked.variant,
            covered: asked.covered,
            extension: asked.extension.map(Into::into),
            directives,
        }
    }

    /// Whether what it is answered says little about what others would be.
    pub(super) fn is_private(&self) -> bool {
        self.directives.no_store || self.headers.contains(Name::AUTHORIZATION)
    }

    /// As the cache sees it.
    pub(super) fn asked(&self) -> Asked<'_> {
        Asked {
            method: &self.method,
            headers: &self.headers,
            encodings: self.encodings,
            has_query: self.has_query,
            variant: self.variant,
            covered: self.covered,
            extension: self.extension.as_deref(),
        }
    }
}
