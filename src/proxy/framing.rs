//! A body's length that can be read in only one way (section 10).

use hyper::HeaderMap;
use hyper::header::TRANSFER_ENCODING;

use crate::message::field::{Single, single};

/// Why such a request is refused.
pub(super) const AMBIGUOUS: &str = "Transfer-Encoding is repeated or is not `chunked`";

/// A `Transfer-Encoding` that is not exactly `chunked`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ambiguous;

/// hyper takes any list of codings that ends in `chunked`; others may not.
/// (It has refused conflicting lengths and dropped a `Content-Length` beside
/// a `Transfer-Encoding` already.)
pub(super) fn check(headers: &HeaderMap) -> Result<(), Ambiguous> {
    match single(headers, &TRANSFER_ENCODING) {
        Single::Missing if !headers.contains_key(TRANSFER_ENCODING) => Ok(()),
        Single::One(coding) if coding.eq_ignore_ascii_case(b"chunked") => Ok(()),
        Single::Missing | Single::One(_) | Single::Several => Err(Ambiguous),
    }
}
