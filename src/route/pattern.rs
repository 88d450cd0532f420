//! Path patterns: `*` within a segment, `**` as the last one.

use super::path::{decode_all, decode_delimiters, decode_unreserved};
use super::{NormalPath, Reading};

/// A compiled path pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathPattern {
    /// For [`super::NormalPath::matched`].
    normal: Glob,
    /// For readings of a path that are decoded.
    decoded: Glob,
    text: String,
}

/// Why a path pattern is a configuration error.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathPatternError {
    /// It does not start with a slash.
    #[error("a path pattern starts with `/`")]
    NoSlash,
    /// `**` somewhere but as the last segment.
    #[error("`**` stands only as the last segment, as in `/premium/**`")]
    DoubleStar,
    /// One of `? [ ] { } \`.
    #[error("`{0}` has no meaning in a path pattern; only `*` and a last `/**` have")]
    Character(char),
    /// A bad escape, a control character, or dot segments.
    #[error("no path matches it: {0}")]
    NeverMatches(&'static str),
}

impl PathPattern {
    /// Reads a pattern such as `/premium/**` or `/img/*.jpg`.
    ///
    /// # Errors
    ///
    /// [`PathPatternError`] with what is wrong.
    pub fn parse(text: &str) -> Result<Self, PathPatternError> {
        if !text.starts_with('/') {
            return Err(PathPatternError::NoSlash);
        }
        if let Some(bad) = text.chars().find(|c| "?[]{}\\".contains(*c)) {
            return Err(PathPatternError::Character(bad));
        }
        let (head, tail) = match text.strip_suffix("/**") {
            Some(head) => (head, true),
            None => (text, false),
        };
        if head.contains("**") {
            return Err(PathPatternError::DoubleStar);
        }
        check_head(text, head)?;
        let glob = |decode: fn(&[u8]) -> Vec<u8>| -> Result<Glob, PathPatternError> {
            let mut parts = head.split('*').map(|part| {
                let part = decode_unreserved(part.as_bytes()).map_err(|_| {
                    PathPatternError::NeverMatches("it has a bad escape or a control character")
                })?;
                Ok(decode(&part))
            });
            Ok(Glob {
                literal: parts.next().unwrap_or_else(|| Ok(Vec::new()))?,
                rest: Rest {
                    parts: parts.collect::<Result<_, _>>()?,
                    tail,
                },
            })
        };
        let pattern = Self {
            normal: glob(decode_delimiters)?,
            decoded: glob(decode_all)?,
            text: text.to_owned(),
        };
        if !pattern.has_paths(head) {
            return Err(PathPatternError::NeverMatches(
                "origins may read it as another path, so such a path is answered 400",
            ));
        }
        Ok(pattern)
    }

    /// Whether a path that fits is not refused because a reading of it does
    /// not.
    fn has_paths(&self, head: &str) -> bool {
        let sample = match head.replace('*', "x") {
            root if root.is_empty() => "/".to_owned(),
            sample => sample,
        };
        NormalPath::new(&sample, true).is_ok_and(|path| {
            let mut readings = path.readings().iter();
            self.matches(path.matched()) && readings.all(|reading| self.matches_reading(reading))
        })
    }

    /// The pattern as written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// What [`Self::matches`] compares.
    pub(super) fn normal(&self) -> &Glob {
        &self.normal
    }

    /// What decoded readings are compared with.
    pub(super) fn decoded(&self) -> &Glob {
        &self.decoded
    }

    /// Whether a path's [`super::NormalPath::matched`] bytes fit.
    pub fn matches(&self, path: &[u8]) -> bool {
        self.normal.matches(path)
    }

    /// Whether one of a path's [`super::NormalPath::readings`] fits.
    pub fn matches_reading(&self, reading: &Reading) -> bool {
        match reading.is_decoded() {
            true => self.decoded.matches(&reading.path),
            false => self.normal.matches(&decode_delimiters(&reading.path)),
        }
    }
}

/// Refuses what no normalised path matches, and what is always answered 400
/// because a reading of it is another path.
fn check_head(text: &str, head: &str) -> Result<(), PathPatternError> {
    let never = |why| Err(PathPatternError::NeverMatches(why));
    let Ok(decoded) = decode_unreserved(head.as_bytes()) else {
        return never("it has a bad escape or a control character");
    };
    let mut segments = decoded.split(|byte| *byte == b'/');
    if segments.any(|segment| matches!(segment, b"." | b"..")) {
        return never("paths have no dot segments");
    }
    if text.contains("//") {
        return never("paths have no empty segments");
    }
    if head.contains(';') {
        return never("origins cut what follows a `;`, so such a path is answered 400");
    }
    if decoded
        .windows(3)
        .any(|escape| matches!(escape, b"%2F" | b"%5C"))
    {
        return never("origins may take the escape for a `/`, so such a path is answered 400");
    }
    let once = decode_all(&decoded);
    if decode_all(&once) != once {
        return never("origins may decode it twice, so such a path is answered 400");
    }
    Ok(())
}

/// A literal text, and what follows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Glob {
    /// All up to the first `*`.
    pub(super) literal: Vec<u8>,
    pub(super) rest: Rest,
}

/// What follows the first literal of a pattern.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Rest {
    /// The literal after each `*`.
    parts: Box<[Vec<u8>]>,
    /// Whether `/**` follows.
    tail: bool,
}

impl Glob {
    fn matches(&self, path: &[u8]) -> bool {
        path.strip_prefix(self.literal.as_slice())
            .is_some_and(|behind| self.rest.matches(behind))
    }
}

impl Rest {
    /// What follows a `*` that ends its segment: it takes all up to the next
    /// slash, whatever that is.
    pub(super) fn below_segment(&self) -> Option<Glob> {
        let (first, others) = self.parts.split_first()?;
        first.starts_with(b"/").then(|| Glob {
            literal: first.clone(),
            rest: Self {
                parts: others.into(),
                tail: self.tail,
            },
        })
    }

    /// Whether what a path has behind the first literal fits.
    pub(super) fn matches(&self, behind: &[u8]) -> bool {
        if !self.tail {
            return matches_parts(&self.parts, behind);
        }
        // The parts have to fit up to as many slashes as they have; what is
        // below belongs to `/**`.
        let slashes: usize = self.parts.iter().map(|part| count_slashes(part)).sum();
        let below = memchr::memchr_iter(b'/', behind).nth(slashes);
        let end = below.unwrap_or(behind.len());
        matches_parts(&self.parts, &behind[..end])
    }
}

fn count_slashes(part: &[u8]) -> usize {
    part.iter().filter(|byte| **byte == b'/').count()
}

/// Whether `text` is the parts in order, a run without `/` before each.
/// Taking the earliest place for each inner part is enough: a later one
/// leaves less room, and no run may cross a slash.
fn matches_parts(parts: &[Vec<u8>], text: &[u8]) -> bool {
    let [inner @ .., last] = parts else {
        return text.is_empty();
    };
    let mut rest = text;
    for part in inner {
        let Some(at) = find_before_slash(rest, part) else {
            return false;
        };
        rest = &rest[at + part.len()..];
    }
    rest.strip_suffix(last.as_slice())
        .is_some_and(|run| !run.contains(&b'/'))
}

/// The first place of `part` in `text` that no slash stands before.
fn find_before_slash(text: &[u8], part: &[u8]) -> Option<usize> {
    let reach = memchr::memchr(b'/', text).unwrap_or(text.len());
    let end = text.len().min(reach + part.len());
    memchr::memmem::find(&text[..end], part)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::route::NormalPath;

    #[test]
    fn examples() {
        for (pattern, path, expected) in [
            ("/premium/**", "/premium", true),
            ("/premium/**", "/premium/", true),
            ("/premium/**", "/premium/a/b.jpg", true),
            ("/premium/**", "/premiumx", false),
            ("/premium/**", "/", false),
            ("/**", "/", true),
            ("/**", "/a/b", true),
            ("/", "/", true),
            ("/", "/a", false),
            ("/a", "/A", false),
            ("/img/*.jpg", "/img/a.jpg", true),
            ("/img/*.jpg", "/img/.jpg", true),
            ("/img/*.jpg", "/img/x/a.jpg", false),
            ("/*/a*b*c", "/x/abc", true),
            ("/*/a*b*c", "/x/a-b-b-c", true),
            ("/*/a*b*c", "/x/a-b/c", false),
            ("/*-7/a*b/x", "/5-7/acb/x", true),
            ("/*-7/a*b/x", "/5/-7/acb/x", false),
            ("/a*/b/**", "/axy/b/c", true),
            ("/a*/b/**", "/axy/c", false),
            ("/u*/**", "/user", true),
            ("/a%20b/**", "/a%20b/c", true),
            ("/a%2Cb", "/a,b", true),
            ("/m\u{fc}/*", "/m%C3%BC/x", true),
        ] {
            let parsed = PathPattern::parse(pattern).unwrap();
            assert_eq!(
                parsed.matches(path.as_bytes()),
                expected,
                "{pattern} {path}"
            );
        }
    }

    #[test]
    fn decoded_readings_meet_decoded_patterns() {
        let pattern = PathPattern::parse("/my%20files/**").unwrap();
        for (raw, expected) in [("/my%20files/a", true), ("/my%2520files/a", true)] {
            let path = NormalPath::new(raw, true).unwrap();
            let last = path.readings().last().unwrap();
            assert_eq!(pattern.matches_reading(last), expected, "{raw}");
        }
    }

    #[test]
    fn refused() {
        for (pattern, error) in [
            ("premium", PathPatternError::NoSlash),
            ("", PathPatternError::NoSlash),
            ("/a/**/b", PathPatternError::DoubleStar),
            ("/a**", PathPatternError::DoubleStar),
            ("/***", PathPatternError::DoubleStar),
            ("/a?", PathPatternError::Character('?')),
            ("/[a]", PathPatternError::Character('[')),
            ("/{a,b}", PathPatternError::Character('{')),
            ("/a\\b", PathPatternError::Character('\\')),
            (
                "/a/../b",
                PathPatternError::NeverMatches("paths have no dot segments"),
            ),
            (
                "/%zz",
                PathPatternError::NeverMatches("it has a bad escape or a control character"),
            ),
        ] {
            assert_eq!(PathPattern::parse(pattern), Err(error), "{pattern}");
        }
        for pattern in [
            "/a;b",
            "/a%2fb",
            "/a%2520b",
            "/a%5Cb/**",
            "/a/%2E%2e/b",
            "//a",
            "/a//**",
            "/a//b",
        ] {
            let refused = PathPattern::parse(pattern);
            assert!(
                matches!(refused, Err(PathPatternError::NeverMatches(_))),
                "{pattern}"
            );
        }
    }

    /// A matcher that tries everything.
    fn naive(pattern: &[u8], path: &[u8]) -> bool {
        match (pattern, path) {
            (b"/**", []) => true,
            (b"/**", [b'/', ..]) => true,
            ([], []) => true,
            ([b'*', rest @ ..], _) => (0..=path.len())
                .take_while(|taken| !path[..*taken].contains(&b'/'))
                .any(|taken| naive(rest, &path[taken..])),
            ([a, pattern @ ..], [b, path @ ..]) => a == b && naive(pattern, path),
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn equals_a_naive_matcher(
            head in "/[ab/*]{0,8}", tail: bool, path in "/[ab/]{0,10}"
        ) {
            let pattern = if tail { format!("{head}/**") } else { head };
            if let Ok(parsed) = PathPattern::parse(&pattern) {
                prop_assert_eq!(
                    parsed.matches(path.as_bytes()),
                    naive(pattern.as_bytes(), path.as_bytes()),
                    "{} {}", pattern, path
                );
            }
        }

        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,20}", path in "\\PC{0,20}") {
            if let Ok(pattern) = PathPattern::parse(&text) {
                let _ = pattern.matches(path.as_bytes());
                if let Ok(path) = NormalPath::new(&path, true) {
                    let _ = path.readings().iter().any(|r| pattern.matches_reading(r));
                }
            }
        }
    }
}
