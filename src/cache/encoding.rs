//! `Accept-Encoding`, reduced to the codings that matter (section 9).

use hyper::header::HeaderValue;

use crate::message::field::{entries, trim};
use crate::message::fields::{Fields, Name};

/// The codings of `br`, `gzip` and `zstd` that a client accepts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Encodings {
    /// `br`.
    pub br: bool,
    /// `gzip`.
    pub gzip: bool,
    /// `zstd`.
    pub zstd: bool,
}

/// Every value that an origin gets to see, by [`Encodings::index`].
static FIELDS: [HeaderValue; 8] = [
    HeaderValue::from_static("identity"),
    HeaderValue::from_static("br"),
    HeaderValue::from_static("gzip"),
    HeaderValue::from_static("br, gzip"),
    HeaderValue::from_static("zstd"),
    HeaderValue::from_static("br, zstd"),
    HeaderValue::from_static("gzip, zstd"),
    HeaderValue::from_static("br, gzip, zstd"),
];

/// What nearly every request sends, and what that says: comparing is cheaper
/// than reading.
static USUAL: [(&[u8], Encodings); 4] = [
    (b"gzip, deflate, br, zstd", Encodings::new(true, true, true)),
    (b"gzip, deflate, br", Encodings::new(true, true, false)),
    (b"gzip, deflate", Encodings::new(false, true, false)),
    (b"gzip", Encodings::new(false, true, false)),
];

impl Encodings {
    const fn new(br: bool, gzip: bool, zstd: bool) -> Self {
        Self { br, gzip, zstd }
    }

    /// What a request accepts (RFC 9110 section 12.5.3): q=0 refuses, `*` is
    /// every coding that is not named, the first entry for a coding decides,
    /// one with a malformed q names nothing. Without the field: none.
    pub fn of(headers: &Fields) -> Self {
        let mut lines = headers.lines(Name::ACCEPT_ENCODING);
        match (lines.next(), lines.next()) {
            (None, _) => Self::default(),
            (Some(line), None) => {
                let usual = USUAL.iter().find(|(text, _)| *text == line);
                usual.map_or_else(|| Self::read([line]), |(_, found)| *found)
            }
            (Some(_), Some(_)) => Self::read(headers.lines(Name::ACCEPT_ENCODING)),
        }
    }

    fn read<'a>(lines: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut named = Named::default();
        for line in lines {
            entries(line).for_each(|entry| named.read(entry));
        }
        let accepts = |wish: Option<bool>| wish.or(named.rest).unwrap_or(false);
        Self {
            br: accepts(named.br),
            gzip: accepts(named.gzip),
            zstd: accepts(named.zstd),
        }
    }

    /// The field for the origin, and what forms are compared by; `identity`
    /// for none.
    pub fn field(self) -> HeaderValue {
        FIELDS[self.index()].clone()
    }

    /// The same as bytes.
    pub fn bytes(self) -> &'static [u8] {
        FIELDS[self.index()].as_bytes()
    }

    fn index(self) -> usize {
        usize::from(self.br) | usize::from(self.gzip) << 1 | usize::from(self.zstd) << 2
    }
}

/// Whether a field accepts a coding; `None`: it does not name it.
#[derive(Clone, Copy, Debug, Default)]
struct Named {
    br: Option<bool>,
    gzip: Option<bool>,
    zstd: Option<bool>,
    /// `*`.
    rest: Option<bool>,
}

impl Named {
    fn read(&mut self, entry: &[u8]) {
        let mut parts = entry.split(|byte| *byte == b';').map(trim);
        let coding = parts.next().unwrap_or_default();
        let is = |name: &[u8]| coding.eq_ignore_ascii_case(name);
        let wish = if is(b"br") {
            &mut self.br
        } else if is(b"gzip") || is(b"x-gzip") {
            // RFC 9110 section 8.4.1.3: the same coding.
            &mut self.gzip
        } else if is(b"zstd") {
            &mut self.zstd
        } else if coding == b"*" {
            &mut self.rest
        } else {
            return;
        };
        if wish.is_none() {
            *wish = weight_is_positive(parts);
        }
    }
}

/// Whether the q among `parameters` is above 0; 1 without one; `None` if it
/// is malformed (RFC 9110 section 12.4.2).
fn weight_is_positive<'a>(parameters: impl Iterator<Item = &'a [u8]>) -> Option<bool> {
    for parameter in parameters {
        let [b'q' | b'Q', b'=', weight @ ..] = parameter else {
            continue;
        };
        let (whole, decimals) = match weight {
            [whole] | [whole, b'.'] => (*whole, &b""[..]),
            [whole, b'.', decimals @ ..] if decimals.len() <= 3 => (*whole, decimals),
            _ => return None,
        };
        return match whole {
            b'0' if decimals.iter().all(u8::is_ascii_digit) => {
                Some(decimals.iter().any(|digit| *digit != b'0'))
            }
            b'1' if decimals.iter().all(|digit| *digit == b'0') => Some(true),
            _ => None,
        };
    }
    Some(true)
}

#[cfg(test)]
mod tests {
    use hyper::HeaderMap;
    use hyper::header::ACCEPT_ENCODING;
    use proptest::prelude::*;

    use super::*;

    fn reduced(lines: &[&[u8]]) -> String {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(ACCEPT_ENCODING, HeaderValue::from_bytes(line).unwrap());
        }
        let field = Encodings::of(&headers.into()).field();
        field.to_str().unwrap().to_owned()
    }

    #[test]
    fn the_usual_ones_are_read_alike() {
        for (text, found) in USUAL {
            assert_eq!(Encodings::read([text]), found, "{text:?}");
        }
    }

    #[test]
    fn only_what_is_accepted_of_three() {
        for (lines, expected) in [
            (&[][..], "identity"),
            (&[""], "identity"),
            (&["gzip, deflate, br, zstd"], "br, gzip, zstd"),
            (&["gzip, deflate, br"], "br, gzip"),
            (&["GZIP;q=0.5", "Br"], "br, gzip"),
            (&["x-gzip"], "gzip"),
            (&["deflate"], "identity"),
            (&["*"], "br, gzip, zstd"),
            (&["*;q=0"], "identity"),
            (&["*, br;q=0"], "gzip, zstd"),
            (&["*;q=0.1, gzip;q=0, zstd"], "br, zstd"),
            (&["gzip;q=0"], "identity"),
            (&["gzip;q=0.000"], "identity"),
            (&["gzip;q=0.001"], "gzip"),
            (&["gzip ; q=1.000 , br;q=0."], "gzip"),
            (&["gzip, gzip;q=0"], "gzip"),
            (&["gzip;q=0, gzip"], "identity"),
            (&["gzip;q=2, zstd;q=1.1, br;q=x"], "identity"),
            (&["identity;q=0"], "identity"),
            (&["zstd"], "zstd"),
            (&["br,zstd"], "br, zstd"),
        ] {
            let lines: Vec<&[u8]> = lines.iter().map(|line| line.as_bytes()).collect();
            assert_eq!(reduced(&lines), expected, "{lines:?}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic_and_reducing_is_idempotent(
            line in "[gzipbrstd*;q=01., \t\u{80}-\u{ff}-]{0,40}",
        ) {
            let once = reduced(&[line.as_bytes()]);
            prop_assert_eq!(reduced(&[once.as_bytes()]), once);
        }
    }
}
