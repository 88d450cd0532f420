//! `Cache-Control` of requests and responses (RFC 9111 section 5.2).

use std::borrow::Cow;

use hyper::HeaderMap;
use hyper::header::{self, HeaderName, HeaderValue};
use smallvec::SmallVec;

use super::targeted::{self, Item};
use crate::message::cache_control::directives;
use crate::message::field::{entries, trim};
use crate::message::fields::{Fields, Name};

static CACHE_CONTROL: HeaderName = header::CACHE_CONTROL;

/// The longest span there is, in seconds: what more than that counts as (RFC
/// 9111 section 1.2.2).
pub(super) const LONGEST: u64 = 1 << 31;

/// What a request asks of caches. Spans are in seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RequestDirectives {
    /// `no-cache`, or `Pragma: no-cache` without Cache-Control (RFC 9111
    /// sections 5.2.1.4 and 5.4).
    pub no_cache: bool,
    /// `no-store` (section 5.2.1.5): its response is not stored.
    pub no_store: bool,
    /// `only-if-cached` (section 5.2.1.7): 504 rather than asking the origin.
    pub only_if_cached: bool,
    /// `max-age` (section 5.2.1.1).
    pub max_age: Option<u64>,
    /// `min-fresh` (section 5.2.1.3).
    pub min_fresh: Option<u64>,
    /// `max-stale` (section 5.2.1.2).
    pub max_stale: Option<MaxStale>,
}

/// How stale a client takes a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MaxStale {
    /// However stale.
    Any,
    /// By so many seconds at most.
    Seconds(u64),
}

/// What a response says to shared caches, in the one field that counts. Spans
/// are in seconds; one that cannot be read is 0 (RFC 9111 section 4.2.1).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ResponseDirectives {
    /// It comes from CDN-Cache-Control, so that Expires does not count.
    pub(super) targeted: bool,
    /// The field cannot be read: a quoted string in it does not end.
    pub(super) unreadable: bool,
    pub(super) no_store: bool,
    /// `no-cache` for the whole response.
    pub(super) no_cache: bool,
    /// `private` for the whole response.
    pub(super) private: bool,
    /// The fields of `no-cache="..."` and `private="..."`: they are not
    /// stored (sections 5.2.2.4 and 5.2.2.7).
    pub(super) withheld: SmallVec<[HeaderName; 2]>,
    pub(super) public: bool,
    pub(super) must_revalidate: bool,
    pub(super) proxy_revalidate: bool,
    pub(super) must_understand: bool,
    pub(super) max_age: Option<u64>,
    pub(super) s_maxage: Option<u64>,
    /// RFC 5861 section 3.
    pub(super) stale_while_revalidate: Option<u64>,
    /// RFC 5861 section 4.
    pub(super) stale_if_error: Option<u64>,
}

/// What stands behind the `=` of a directive.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Argument<'a> {
    None,
    /// Blanks around the `=`, or more after a quoted string.
    Malformed,
    /// A token, or the text of a quoted string: recipients ought to take
    /// either for any directive (RFC 9111 section 5.2).
    Text(Cow<'a, [u8]>),
}

impl RequestDirectives {
    /// Reads a request's fields. What cannot be read is as if it were not
    /// there, but a quoted string without an end, which may hide `no-store`.
    pub fn of(headers: &Fields) -> Self {
        let mut found = Self::default();
        if !headers.contains(Name::CACHE_CONTROL) {
            found.no_cache = pragma_is_no_cache(headers);
            return found;
        }
        for line in headers.lines(Name::CACHE_CONTROL) {
            match directives(line) {
                Some(list) => list.into_iter().for_each(|one| found.read(one)),
                None => found.no_store = true,
            }
        }
        found
    }

    fn read(&mut self, directive: &[u8]) {
        let (name, argument) = split(directive);
        let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
        if is("no-cache") {
            self.no_cache = true;
        } else if is("no-store") {
            self.no_store = true;
        } else if is("only-if-cached") {
            self.only_if_cached = true;
        } else if is("max-age") {
            self.max_age = self.max_age.or(argument.seconds());
        } else if is("min-fresh") {
            self.min_fresh = self.min_fresh.or(argument.seconds());
        } else if is("max-stale") && self.max_stale.is_none() {
            self.max_stale = match argument {
                Argument::None => Some(MaxStale::Any),
                argument => argument.seconds().map(MaxStale::Seconds),
            };
        }
    }
}

/// RFC 9111 section 5.4: where there is no Cache-Control.
fn pragma_is_no_cache(headers: &Fields) -> bool {
    let lines = headers.lines(Name::PRAGMA);
    lines
        .flat_map(entries)
        .any(|entry| entry.eq_ignore_ascii_case(b"no-cache"))
}

impl ResponseDirectives {
    /// Reads CDN-Cache-Control if it is there and well-formed, then nothing
    /// else counts (RFC 9213 section 2.2); else Cache-Control.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let members = targeted::members(headers);
        if let Some(found) = members.and_then(|members| Self::targeted(&members)) {
            return found;
        }
        let lines = headers.get_all(&CACHE_CONTROL).iter();
        Self::of_lines(lines.map(HeaderValue::as_bytes))
    }

    /// The same of fields as they were received; `None`: CDN-Cache-Control is
    /// among them.
    pub(super) fn received(fields: &Fields) -> Option<Self> {
        let targeted = fields.contains_name(&targeted::FIELD);
        (!targeted).then(|| Self::of_lines(fields.lines(Name::CACHE_CONTROL)))
    }

    fn of_lines<'a>(lines: impl Iterator<Item = &'a [u8]>) -> Self {
        let mut found = Self::default();
        for line in lines {
            match directives(line) {
                Some(list) => list.into_iter().for_each(|one| found.read(one)),
                None => found.unreadable = true,
            }
        }
        found
    }

    /// `None` if a directive has a value of a type that is not its own: such
    /// a field is not consumed (RFC 9213 section 2.1).
    fn targeted(members: &[targeted::Member]) -> Option<Self> {
        let mut found = Self {
            targeted: true,
            ..Self::default()
        };
        for (name, item) in members {
            let argument = match item {
                Item::Boolean(false) => continue,
                Item::Boolean(true) => Argument::None,
                Item::Integer(number) => Argument::Text(number.to_string().into_bytes().into()),
                Item::String(_) if is_span(name) => return None,
                Item::String(text) => Argument::Text(text.as_slice().into()),
                Item::Other => Argument::Malformed,
            };
            if is_span(name) && argument.seconds().is_none() {
                return None;
            }
            found.set(name, &argument);
        }
        Some(found)
    }

    fn read(&mut self, directive: &[u8]) {
        let (name, argument) = split(directive);
        self.set(name, &argument);
    }

    /// Of several values for one span the first counts (RFC 9111 section
    /// 4.2.1); of what forbids, all.
    fn set(&mut self, name: &[u8], argument: &Argument<'_>) {
        let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
        if let Some(span) = self.span(name) {
            span.get_or_insert(argument.seconds().unwrap_or(0));
        } else if is("no-store") {
            self.no_store = true;
        } else if is("no-cache") {
            self.no_cache |= !self.withhold(argument);
        } else if is("private") {
            self.private |= !self.withhold(argument);
        } else if is("public") {
            self.public = true;
        } else if is("must-revalidate") {
            self.must_revalidate = true;
        } else if is("proxy-revalidate") {
            self.proxy_revalidate = true;
        } else if is("must-understand") {
            self.must_understand = true;
        }
    }

    fn span(&mut self, name: &[u8]) -> Option<&mut Option<u64>> {
        let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
        if is("max-age") {
            Some(&mut self.max_age)
        } else if is("s-maxage") {
            Some(&mut self.s_maxage)
        } else if is("stale-while-revalidate") {
            Some(&mut self.stale_while_revalidate)
        } else if is("stale-if-error") {
            Some(&mut self.stale_if_error)
        } else {
            None
        }
    }

    /// Takes the field names of an argument; false if it names none, or one
    /// that the stored response could not be read right without.
    fn withhold(&mut self, argument: &Argument<'_>) -> bool {
        let Argument::Text(text) = argument else {
            return false;
        };
        let before = self.withheld.len();
        for name in entries(text).filter(|name| !name.is_empty()) {
            match HeaderName::from_bytes(name) {
                Ok(name) if !is_needed(&name) => self.withheld.push(name),
                _ => return false,
            }
        }
        self.withheld.len() > before
    }
}

fn is_span(name: &[u8]) -> bool {
    ResponseDirectives::default().span(name).is_some()
}

/// Fields that say what a stored response is, for whom and for how long.
fn is_needed(name: &HeaderName) -> bool {
    [
        header::ACCESS_CONTROL_ALLOW_ORIGIN,
        header::CACHE_CONTROL,
        header::CONTENT_ENCODING,
        header::CONTENT_LENGTH,
        header::CONTENT_RANGE,
        header::CONTENT_TYPE,
        header::DATE,
        header::EXPIRES,
        header::VARY,
    ]
    .contains(name)
        || *name == targeted::FIELD
}

impl Argument<'_> {
    /// delta-seconds (RFC 9111 section 1.2.2); `None` if it is not.
    fn seconds(&self) -> Option<u64> {
        match self {
            Self::Text(text) => seconds(text),
            Self::None | Self::Malformed => None,
        }
    }
}

/// delta-seconds (RFC 9111 section 1.2.2): digits, and [`LONGEST`] at most.
pub(super) fn seconds(text: &[u8]) -> Option<u64> {
    if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let add = |sum: u64, digit: &u8| {
        sum.saturating_mul(10)
            .saturating_add(u64::from(digit - b'0'))
    };
    Some(text.iter().fold(0, add).min(LONGEST))
}

/// The first entry of the first line of a field; `None` without the field.
pub(super) fn first<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a [u8]> {
    let line: &HeaderValue = headers.get(name)?;
    entries(line.as_bytes()).next()
}

/// A directive's name, and what stands behind its `=`.
fn split(directive: &[u8]) -> (&[u8], Argument<'_>) {
    let Some(equals) = directive.iter().position(|byte| *byte == b'=') else {
        return (directive, Argument::None);
    };
    let (name, text) = (&directive[..equals], &directive[equals + 1..]);
    if trim(name).len() != name.len() || trim(text).len() != text.len() {
        return (trim(name), Argument::Malformed);
    }
    let argument = match text {
        [b'"', inner @ .., b'"'] => unquote(inner).map_or(Argument::Malformed, Argument::Text),
        _ => Argument::Text(text.into()),
    };
    (name, argument)
}

/// The text of a quoted string (RFC 9110 section 5.6.4); `None` if it ends
/// before its end.
fn unquote(inner: &[u8]) -> Option<Cow<'_, [u8]>> {
    if !inner.iter().any(|byte| matches!(byte, b'"' | b'\\')) {
        return Some(inner.into());
    }
    let mut text = Vec::with_capacity(inner.len());
    let mut bytes = inner.iter();
    while let Some(&byte) = bytes.next() {
        match byte {
            b'"' => return None,
            b'\\' => text.push(*bytes.next()?),
            byte => text.push(byte),
        }
    }
    Some(text.into())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::cache::fixture::{Fields, headers};

    fn asked(fields: Fields<'_>) -> RequestDirectives {
        RequestDirectives::of(&headers(fields).into())
    }

    #[test]
    fn of_a_request() {
        let none = RequestDirectives::default();
        let all = RequestDirectives {
            no_cache: true,
            no_store: true,
            only_if_cached: true,
            max_age: Some(1),
            min_fresh: Some(2),
            max_stale: Some(MaxStale::Seconds(3)),
        };
        let control = |value| asked(&[("cache-control", value)]);
        assert_eq!(asked(&[]), none);
        assert_eq!(control("nothing-to-see-here"), none);
        assert_eq!(control("max-age=x, min-fresh, max-stale=-1"), none);
        let text = "No-Cache,NO-STORE, only-if-cached,max-age=1,min-fresh=\"2\",max-stale=3";
        assert_eq!(control(text), all);
        let lines: Vec<_> = text.split(',').map(|one| ("cache-control", one)).collect();
        assert_eq!(asked(&lines), all);
        assert_eq!(control("max-stale").max_stale, Some(MaxStale::Any));
        assert_eq!(control("max-age=1, max-age=2").max_age, Some(1));
        assert_eq!(control("max-age=99999999999").max_age, Some(LONGEST));
        assert!(control("x=\"no-store").no_store);
        assert!(!control("x=\"no-store\"").no_store);
    }

    #[test]
    fn pragma_counts_where_there_is_no_cache_control() {
        assert!(asked(&[("pragma", "foo, No-Cache")]).no_cache);
        assert!(!asked(&[("pragma", "foo")]).no_cache);
        assert!(!asked(&[("pragma", "no-cache"), ("cache-control", "a")]).no_cache);
    }

    #[test]
    fn what_of_a_response_is_withheld() {
        for (value, names, no_cache) in [
            ("no-cache=\"a, b\"", &["a", "b"][..], false),
            ("no-cache=a", &["a"], false),
            ("no-cache=\"a\", no-cache", &["a"], true),
            ("no-cache=\"a\", private=\"b\"", &["a", "b"], false),
            ("no-cache", &[], true),
            ("no-cache=\"\"", &[], true),
            ("no-cache=\" , \"", &[], true),
            ("no-cache=\"a b\"", &[], true),
            ("no-cache= a", &[], true),
            ("no-cache=\"Content-Type\"", &[], true),
            ("no-cache=\"cdn-cache-control\"", &[], true),
        ] {
            let found = ResponseDirectives::of(&headers(&[("cache-control", value)]));
            assert_eq!(found.withheld.as_slice(), names, "{value}");
            assert_eq!(found.no_cache, no_cache, "{value}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(
            line in "(no-cache|max-age|max-stale|[=\",\\\\ \t0-9a\u{80}-\u{ff}]){0,20}",
        ) {
            let headers = headers(&[("cache-control", &line), ("pragma", &line)]);
            let asked = RequestDirectives::of(&headers.clone().into());
            prop_assert!(asked.max_age.is_none_or(|seconds| seconds <= LONGEST));
            let said = ResponseDirectives::of(&headers);
            prop_assert!(said.max_age.is_none_or(|seconds| seconds <= LONGEST));
        }
    }
}
