//! The `Accept` field, as far as the two image formats go (RFC 9110 section
//! 12.5.1).

use memchr::memchr;
use smallvec::SmallVec;

/// What a field says of the formats we know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Named {
    /// `image/webp`
    pub(super) webp: Wish,
    /// `image/avif`
    pub(super) avif: Wish,
}

/// What a field says of one format.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Wish {
    /// It does not name it; ranges such as `image/*` do not count.
    #[default]
    Unnamed,
    /// It names it with a q above 0.
    Wanted,
    /// It names it with q=0.
    Refused,
}

impl Wish {
    pub(super) fn is_wanted(self) -> bool {
        self == Self::Wanted
    }
}

impl Named {
    /// Reads one entry.
    fn read(&mut self, entry: &[u8]) {
        let entry = entry.trim_ascii_start();
        // One byte tells most entries to be neither.
        let (known, wish) = match entry.get(b"image/".len()).map(u8::to_ascii_lowercase) {
            Some(b'w') => (b"image/webp", &mut self.webp),
            Some(b'a') => (b"image/avif", &mut self.avif),
            _ => return,
        };
        let Some((format, parameters)) = entry.split_at_checked(known.len()) else {
            return;
        };
        if !format.eq_ignore_ascii_case(known) {
            return;
        }
        if *wish != Wish::Unnamed {
            return;
        }
        *wish = match weight_is_positive(parameters.trim_ascii()) {
            Some(true) => Wish::Wanted,
            Some(false) => Wish::Refused,
            None => Wish::Unnamed,
        };
    }

    /// Whether a format that `other` names has q=0 here.
    pub(super) fn refuses_one_of(self, other: Self) -> bool {
        let refuses = |here: Wish, there| here == Wish::Refused && there != Wish::Unnamed;
        refuses(self.webp, other.webp) || refuses(self.avif, other.avif)
    }
}

/// Reads all lines of a field; the first entry for a type decides, and one
/// with a malformed q is as if it were not there.
pub(super) fn named<'a>(lines: impl Iterator<Item = &'a [u8]>) -> Named {
    let mut named = Named::default();
    let lines: SmallVec<[&[u8]; 4]> = lines.collect();
    if lines.iter().any(|line| memchr(b'"', line).is_some()) {
        // A string may be opened on one line and closed on the next.
        let joined = lines.join(&b", "[..]);
        let entries = Pieces {
            rest: Some(&joined),
            separator: b',',
        };
        entries.for_each(|entry| named.read(entry));
        return named;
    }
    for line in lines {
        // Without strings every comma separates, and few entries are ours.
        let mut rest = line;
        while let Some(comma) = memchr(b',', rest) {
            named.read(&rest[..comma]);
            rest = &rest[comma + 1..];
        }
        named.read(rest);
    }
    named
}

/// Whether the q among `parameters`, each with a `;` before it, is above 0; 1
/// without one; `None` if it is malformed or this is another type.
fn weight_is_positive(parameters: &[u8]) -> Option<bool> {
    let parameters = match parameters {
        [] => return Some(true),
        [b';', rest @ ..] => Pieces {
            rest: Some(rest),
            separator: b';',
        },
        _ => return None,
    };
    for parameter in parameters {
        if let [b'q' | b'Q', b'=', weight @ ..] = parameter {
            return parse_weight(weight);
        }
        if matches!(parameter, [b'q' | b'Q'])
            || matches!(parameter, [b'q' | b'Q', b' ' | b'\t', ..])
        {
            return None;
        }
    }
    Some(true)
}

/// `0`, `0.123`, `1`, `1.000` (RFC 9110 section 12.4.2); whether it is above 0.
fn parse_weight(weight: &[u8]) -> Option<bool> {
    let (whole, decimals) = match weight {
        [whole] => (*whole, &b""[..]),
        [whole, b'.', decimals @ ..] if decimals.len() <= 3 => (*whole, decimals),
        _ => return None,
    };
    match whole {
        b'0' if decimals.iter().all(u8::is_ascii_digit) => {
            Some(decimals.iter().any(|digit| *digit != b'0'))
        }
        b'1' if decimals.iter().all(|digit| *digit == b'0') => Some(true),
        _ => None,
    }
}

/// The pieces of a text between separators outside quoted strings, trimmed.
struct Pieces<'a> {
    rest: Option<&'a [u8]>,
    separator: u8,
}

impl<'a> Iterator for Pieces<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let text = self.rest?;
        let (mut quoted, mut escaped) = (false, false);
        for (at, &byte) in text.iter().enumerate() {
            match byte {
                _ if escaped => escaped = false,
                b'\\' if quoted => escaped = true,
                b'"' => quoted = !quoted,
                _ if byte == self.separator && !quoted => {
                    self.rest = Some(&text[at + 1..]);
                    return Some(text[..at].trim_ascii());
                }
                _ => {}
            }
        }
        self.rest = None;
        Some(text.trim_ascii())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn webp(lines: &[&str]) -> Wish {
        named(lines.iter().map(|line| line.as_bytes())).webp
    }

    #[test]
    fn the_first_well_formed_entry_decides() {
        use Wish::{Refused, Unnamed, Wanted};
        for (lines, expected) in [
            (&["image/webp"][..], Wanted),
            (&["IMAGE/WebP;q=0.001"], Wanted),
            (&["text/html", "image/webp"], Wanted),
            (&["image/webp;level=1;q=1.000"], Wanted),
            (&["image/webp ; Q=0.5"], Wanted),
            (&["image/webp;x=\"a,b;q=0\""], Wanted),
            (&["image/webp;q=0"], Refused),
            (&["image/webp;q=0.000"], Refused),
            (&["image/webp;q=0, image/webp"], Refused),
            (&["image/webp, image/webp;q=0"], Wanted),
            (&["image/webp;q=2"], Unnamed),
            (&["image/webp;q="], Unnamed),
            (&["image/webp;q"], Unnamed),
            (&["image/webp;q =1"], Unnamed),
            (&["image/webp;q=0.1234"], Unnamed),
            (&["image/webp;q=1.001"], Unnamed),
            (&["image/webp;q=\"1\""], Unnamed),
            (&["image/webp;q=x, image/webp;q=0"], Refused),
            (&["text/html;x=\"", "image/webp"], Unnamed),
            (&["text/html;x=\"", "a\", image/webp"], Wanted),
            (&["image/*, */*"], Unnamed),
            (&["image/webpx"], Unnamed),
            (&[""], Unnamed),
            (&[], Unnamed),
        ] {
            assert_eq!(webp(lines), expected, "{lines:?}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(line in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _ = named([line.as_slice()].into_iter());
        }
    }
}
