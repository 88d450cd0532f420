//! What an origin may take a path for, once it has it (section 5).
//!
//! An origin may decode what is still encoded, once more or twice, take `\`
//! for `/`, cut the parameters behind a `;`, end at a NUL, at a `?` or `#` that
//! came out of an escape, take longer forms of a character for it, forget dots
//! and blanks at the end of a name, merge slashes and remove dot segments: all
//! of it, some of it, and in whatever order. Tomcat cuts parameters before it
//! decodes, so that `/premium;%2F..%2Fx/a` is its `/premium/a`; who decodes
//! first has `/x/a`. Each of these readings has to meet the same rules as the
//! path itself.

use super::PathError;
use super::folding::{folded, unicode_decoded, windows_names};
use super::path::{decode_all, remove_dot_segments};

/// A path has a few readings at most. One that has more was made for it.
const MOST: usize = 64;

/// And no more bytes in all, so that a path as long as a head may be costs
/// about a millisecond at most.
const MOST_BYTES: usize = 256 * 1024;

/// How often an origin decodes.
const DECODED: u8 = 2;

/// One way to read a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    /// How often it was decoded.
    decoded: u8,
    /// The path, as it is read.
    pub(super) path: Vec<u8>,
}

impl Reading {
    /// Whether escapes were decoded, so that it is to be compared with decoded
    /// patterns.
    pub(super) fn is_decoded(&self) -> bool {
        self.decoded > 0
    }

    /// The readings that are one step on.
    fn next(&self) -> Result<impl Iterator<Item = Self> + use<>, PathError> {
        let path = &*self.path;
        let has = |byte| memchr::memchr(byte, path).is_some();
        let decoded = self.decoded;
        let same = move |path| Self { decoded, path };
        let decoded = (self.decoded < DECODED && has(b'%')).then(|| Self {
            decoded: self.decoded + 1,
            path: decode_all(path),
        });
        let decoded = decoded.filter(|decoded| decoded.path != path);
        let slashes = has(b'\\').then(|| same(with_slashes(path)));
        let cut = has(b';').then(|| same(without_parameters(path)));
        let ended = has(0).then(|| same(up_to(path, |byte| byte == 0)));
        let is_end = |byte| matches!(byte, b'?' | b'#');
        let without_query = (has(b'?') || has(b'#')).then(|| same(up_to(path, is_end)));
        let tidy = self.tidied()?.map(same);
        let others = [unicode_decoded(path), windows_names(path)];
        let others = others.into_iter().chain(folded(path)).flatten().map(same);
        let steps = [decoded, slashes, cut, ended, without_query, tidy];
        Ok(steps.into_iter().flatten().chain(others))
    }

    /// Without empty and dot segments; `None`: it has none.
    fn tidied(&self) -> Result<Option<Vec<u8>>, PathError> {
        let path = &*self.path;
        let find = |needle: &[u8]| memchr::memmem::find(path, needle).is_some();
        if !find(b"//") && !find(b"/.") {
            return Ok(None);
        }
        let tidy = remove_dot_segments(path, true)?;
        Ok(Some(tidy).filter(|tidy| *tidy != path))
    }
}

/// All readings of a path in its normal form, but that itself.
///
/// # Errors
///
/// One of them climbs above the root, or there are too many.
pub(super) fn readings(path: &[u8]) -> Result<Vec<Reading>, PathError> {
    let mut all = vec![Reading {
        decoded: 0,
        path: path.to_vec(),
    }];
    let (mut at, mut bytes) = (0, path.len());
    while let Some(reading) = all.get(at) {
        for next in reading.next()? {
            if all.contains(&next) {
                continue;
            }
            bytes += next.path.len();
            if all.len() == MOST || bytes > MOST_BYTES {
                return Err(PathError::Ambiguous);
            }
            all.push(next);
        }
        at += 1;
    }
    all.remove(0);
    // Who leaves dot segments in the path has a file system that does not.
    all.retain(|reading| reading.tidied() == Ok(None));
    Ok(all)
}

/// The plain reading: decoded twice, `\` as `/`, parameters cut from each
/// segment, slashes merged, dot segments removed.
///
/// # Errors
///
/// It climbs above the root.
pub(super) fn plain_reading(path: &[u8]) -> Result<Vec<u8>, PathError> {
    let decoded = with_slashes(&decode_all(&decode_all(path)));
    remove_dot_segments(&without_parameters(&decoded), true)
}

fn with_slashes(path: &[u8]) -> Vec<u8> {
    let slash = |byte: &u8| if *byte == b'\\' { b'/' } else { *byte };
    path.iter().map(slash).collect()
}

/// Up to a NUL it is what a program in C has of it; up to a `?` or `#`, what a
/// program that decodes a whole target has.
fn up_to(path: &[u8], is_end: impl Fn(u8) -> bool) -> Vec<u8> {
    let end = path.iter().position(|byte| is_end(*byte));
    path[..end.unwrap_or(path.len())].to_vec()
}

fn without_parameters(path: &[u8]) -> Vec<u8> {
    let mut cut = Vec::with_capacity(path.len());
    for segment in path.split(|byte| *byte == b'/').skip(1) {
        let end = memchr::memchr(b';', segment);
        cut.push(b'/');
        cut.extend(&segment[..end.unwrap_or(segment.len())]);
    }
    cut
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::route::NormalPath;

    fn has(raw: &str, reading: &str) -> bool {
        let path = NormalPath::new(raw, true).unwrap();
        let mut readings = path.readings().iter();
        readings.any(|r| r.path == reading.as_bytes())
    }

    #[rstest]
    #[case::cut_before_decoding("/premium;%2F..%2Fx/a", "/premium/a")]
    #[case::decoded_before_cutting("/premium;%2F..%2Fx/a", "/x/a")]
    #[case::decoded_once("/x%2F..%2Fpremium%2F..%252Fx%252Fa", "/premium/..%2Fx%2Fa")]
    #[case::decoded_twice("/x%2F..%2Fpremium%2F..%252Fx%252Fa", "/x/a")]
    #[case::decoded_and_cut("/x%2F..%2Fpremium%2Fa%3B%252F..%252F..%252Fx", "/premium/a")]
    #[case::backslashes("/x%5C..%5Cpremium", "/premium")]
    #[case::backslashes_once_decoded("/x%5C..%5Cpremium%5C..%255Cx", "/premium/..%5Cx")]
    #[case::tidied_between("/x/a%252Fb%2F..%2F..%2Fpremium", "/premium")]
    #[case::tidied_at_the_end("/x/a%252Fb%2F..%2F..%2Fpremium", "/x/premium")]
    #[case::overlong_alone(
        "/x/%c0%ae%c0%ae/premium/f/%ef%bc%8e%ef%bc%8e/%ef%bc%8e%ef%bc%8e/x/f",
        "/premium/f/\u{ff0e}\u{ff0e}/\u{ff0e}\u{ff0e}/x/f"
    )]
    #[case::ended("/premium%2500/x", "/premium")]
    #[case::without_query("/own/a.jpg%3Fx", "/own/a.jpg")]
    #[case::without_fragment("/own/a.jpg%2523x", "/own/a.jpg")]
    #[case::overlong("/%c1%b0remium%c0%afa", "/premium/a")]
    #[case::of_full_width("/\u{ff50}remium/x%ef%bc%8f..", "/premium/")]
    #[case::unicode_escapes("/%25u0070remium%25u002Fa", "/premium/a")]
    #[case::windows_names("/premium./a%20", "/premium/a")]
    #[case::of_a_stream("/premium::$INDEX_ALLOCATION/a", "/premium/a")]
    fn an_origin_may_have(#[case] raw: &str, #[case] reading: &str) {
        assert!(has(raw, reading), "{:?}", NormalPath::new(raw, true));
    }

    #[test]
    fn what_none_has() {
        // Never the path itself, nor what still has dot segments.
        assert!(!has("/a;b", "/a;b"));
        assert!(!has("/a/b%2F..%2Fc", "/a/b/../c"));
        assert!(!has("/a%252520b", "/a b"), "decoded three times");
    }

    #[test]
    fn usual_paths_have_one_at_most() {
        for (raw, count) in [
            ("/a/b.jpg", 0),
            ("/m\u{fc}nchen/a", 1),
            ("/my%20files/a", 1),
            ("/a/b;v=1", 1),
            ("/.well-known/a", 0),
            ("/v1.2/a.b.c.jpg", 0),
            ("/tr:w-300,h-300/a.jpg", 0),
            ("/\u{43a}\u{43e}\u{442}/\u{732b}.jpg", 1),
            ("/a,b@c:d", 0),
            ("/100%25/a", 1),
        ] {
            let path = NormalPath::new(raw, true).unwrap();
            assert_eq!(path.readings().len(), count, "{raw} {path:?}");
        }
    }

    #[test]
    fn long_paths_have_fewer() {
        let path = |count: usize| format!("/{}", "a%2520b%3Fc%23d%5Ce;f".repeat(count));
        let readings = |count| NormalPath::new(&path(count), true).map(|p| p.readings().len());
        assert!(readings(1).unwrap() > 8);
        assert!(readings(300).is_ok(), "of 7 KiB");
        assert_eq!(readings(6000), Err(PathError::Ambiguous));
        let long = format!("/{}", "%2FQ%2B%3D".repeat(3200));
        assert_eq!(NormalPath::new(&long, true).unwrap().readings().len(), 1);
    }

    #[test]
    fn there_is_an_end() {
        let steps = "a;%253B%3B%255C%5C%252F%2F.%252E%2500";
        for count in 1..40 {
            let raw = format!("/{}", steps.repeat(count));
            match NormalPath::new(&raw, true) {
                Ok(path) => assert!(path.readings().len() < MOST),
                Err(error) => assert!(matches!(
                    error,
                    PathError::Ambiguous | PathError::ClimbsAboveRoot
                )),
            }
        }
    }
}
