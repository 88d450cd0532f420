//! A request as the cache sees it, for those that have to wait.

use hyper::header::AUTHORIZATION;
use hyper::{HeaderMap, Method};

use crate::cache::asked::{Asked, Covered};
use crate::cache::directives::RequestDirectives;
use crate::cache::encoding::Encodings;
use crate::images::Variant;

/// A request as the cache sees it.
#[derive(Clone, Debug)]
pub(in crate::proxy) struct Asker {
    method: Method,
    headers: HeaderMap,
    encodings: Encodings,
    has_query: bool,
    variant: Variant,
    covered: Covered,
    extension: Option<Box<str>>,
    pub(in crate::proxy) directives: RequestDirectives,
}

impl Asker {
    /// A copy of `asked`, with those fields.
    pub(super) fn new(
        asked: &Asked<'_>,
        headers: HeaderMap,
        directives: RequestDirectives,
    ) -> Self {
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
        self.directives.no_store || self.headers.contains_key(AUTHORIZATION)
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
