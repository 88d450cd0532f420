//! `Vary`: which requests a stored response fits (RFC 9111 section 4.1), and
//! what section 9 says about `Origin`.

use hyper::header::HeaderName;

/// Which requests a stored response fits, beside its key and variant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Form {
    /// The fields that `Vary` names and the variant does not stand for, with
    /// what the request that fetched it had there, normalised; `None`: not
    /// there.
    pub fields: Box<[(HeaderName, Option<Box<[u8]>>)]>,
    /// The `Origin` that it was fetched with, if it fits no other.
    pub origin: OriginForm,
}

/// Which `Origin` fields a stored response fits (section 9).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum OriginForm {
    /// Every one: `Access-Control-Allow-Origin: *`.
    Any,
    /// Requests without the field.
    #[default]
    None,
    /// Only this one.
    Same(Box<[u8]>),
}
