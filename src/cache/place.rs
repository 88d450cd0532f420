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
/// in one line or more, of which every reader picks its own.
fn named(response: &HeaderMap) -> Option<Variant> {
    let mut lines = response.get_all(CONTENT_TYPE).iter();
    let Some(line) = lines.next() else {
        return Some(Variant::Original);
    };
    if lines.next().is_some() {
        return None;
    }
    let line = line.as_bytes();
    if line.contains(&b',') {
        return None;
    }
    let end = line.iter().position(|byte| *byte == b';');
    let essence = trim(&line[..end.unwrap_or(line.len())]);
    Some(if essence.eq_ignore_ascii_case(b"image/webp") {
        Variant::WebP
    } else if essence.eq_ignore_ascii_case(b"image/avif") {
        Variant::Avif
    } else {
        Variant::Original
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::fixture::{Request, headers};

    #[test]
    fn by_what_was_asked_and_what_came() {
        use Variant::{Avif, Original, WebP};
        for (asked, extension, kind, expected) in [
            (WebP, "jpg", "image/webp", Some((WebP, &[WebP][..]))),
            (WebP, "jpg", "IMAGE/WebP ; q=1", Some((WebP, &[WebP]))),
            (WebP, "jpg", "image/avif", Some((Avif, &[WebP, Avif]))),
            (
                WebP,
                "jpg",
                "image/jpeg",
                Some((Original, &[Original, WebP])),
            ),
            (
                WebP,
                "jpg",
                "text/html",
                Some((Original, &[Original, WebP])),
            ),
            (WebP, "webp", "image/webp", Some((WebP, &[WebP]))),
            (Avif, "jpg", "image/avif", Some((Avif, &[Avif]))),
            (Avif, "jpg", "image/webp", Some((WebP, &[WebP, Avif]))),
            (
                Avif,
                "jpg",
                "image/png",
                Some((Original, &[Original, Avif])),
            ),
            (Original, "jpg", "image/jpeg", Some((Original, &[Original]))),
            (Original, "jpg", "image/webp", None),
            (Original, "jpg", "image/avif", None),
            (Original, "webp", "image/avif", None),
            (
                Original,
                "webp",
                "image/webp",
                Some((Original, &[Original])),
            ),
            (
                Original,
                "AVIF",
                "image/avif",
                Some((Original, &[Original])),
            ),
        ] {
            let request = Request::image(asked, extension);
            let place = place(&request.asked(), &headers(&[("content-type", kind)]));
            let expected = expected.map(|(variant, serves)| Place {
                variant,
                serves: serves
                    .iter()
                    .fold(Variants::default(), |all, one| all.with(*one)),
            });
            assert_eq!(place, expected, "{asked} {extension} {kind}");
        }
    }

    #[test]
    fn without_a_type_or_with_two() {
        let request = Request::image(Variant::WebP, "jpg");
        let untyped = place(&request.asked(), &headers(&[])).unwrap();
        assert_eq!(untyped.variant, Variant::Original);
        let two = [
            ("content-type", "image/png"),
            ("content-type", "image/webp"),
        ];
        assert_eq!(place(&request.asked(), &headers(&two)), None);
        for one in ["image/jpeg, image/webp", "image/webp,"] {
            let one = headers(&[("content-type", one)]);
            assert_eq!(place(&request.asked(), &one), None, "{one:?}");
        }
    }

    #[test]
    fn elsewhere_types_do_not_count() {
        let request = Request::get(&[]);
        let place = place(
            &request.asked(),
            &headers(&[("content-type", "image/webp")]),
        );
        assert_eq!(place.map(|place| place.variant), Some(Variant::Original));
    }
}
