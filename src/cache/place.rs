//! Under which variant a response is stored (section 7).

use hyper::HeaderMap;
use hyper::header::CONTENT_TYPE;

use super::asked::Asked;
use super::entry::Variants;
use crate::images::Variant;
use crate::message::field::trim;

/// Where a response goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// The variant that it is stored under.
    pub(super) variant: Variant,
    /// Whose requests it answers: that variant's, and those of the one that
    /// was asked.
    pub(super) serves: Variants,
}

/// Where the response to a request goes; `None`: nowhere, it is a WebP or
/// AVIF that the origin sent to a client that may not show it.
pub(super) fn place(asked: &Asked<'_>, response: &HeaderMap) -> Option<Place> {
    let stored_under = |variant: Variant| Place {
        variant,
        serves: Variants::default().with(variant).with(asked.variant),
    };
    if !asked.covered.accept {
        return Some(stored_under(Variant::Original));
    }
    let named = named(response)?;
    if asked.variant == Variant::Original {
        let expected = named == Variant::Original
            || asked
                .extension
                .is_some_and(|extension| extension.eq_ignore_ascii_case(named.as_str()));
        return expected.then(|| stored_under(Variant::Original));
    }
    Some(stored_under(named))
}

/// The variant that a response's type names; `None` if it has several types,
/// of which every reader picks its own.
fn named(response: &HeaderMap) -> Option<Variant> {
    let mut lines = response.get_all(CONTENT_TYPE).iter();
    let Some(line) = lines.next() else {
        return Some(Variant::Original);
    };
    if lines.next().is_some() {
        return None;
    }
    let line = line.as_bytes();
    let end = line.iter().position(|byte| matches!(byte, b';' | b','));
    let essence = trim(&line[..end.unwrap_or(line.len())]);
    Some(if essence.eq_ignore_ascii_case(b"image/webp") {
        Variant::WebP
    } else if essence.eq_ignore_ascii_case(b"image/avif") {
        Variant::Avif
    } else {
        Variant::Original
    })
}
