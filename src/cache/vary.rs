//! `Vary`: which requests a stored response fits (RFC 9111 section 4.1), and
//! what section 9 says about `Origin`.

use std::borrow::Cow;

use hyper::HeaderMap;
use hyper::header::{self, HeaderName, HeaderValue};
use memchr::memchr;

use super::asked::Asked;
use crate::message::field::{entries, trim};
use crate::message::fields::Name;

static ORIGIN: HeaderName = header::ORIGIN;

/// Which requests a stored response fits, beside its key and variant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Form {
    /// The fields that `Vary` names and the variant does not stand for, and
    /// Accept-Encoding of an encoded response, with what the request that
    /// fetched it had there, normalised; `None`: not there. In the order of
    /// their names, none twice.
    pub fields: Box<[Selecting]>,
    /// The `Origin` that it was fetched with, if it fits no other.
    pub origin: OriginForm,
}

/// A field that `Vary` names, and its value in a request, if it was there.
pub type Selecting = (HeaderName, Option<Box<[u8]>>);

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

/// Fields that are the same for all requests of a key, as the origin gets to
/// see them: they are made of the key, or a fill does not carry them.
const SETTLED: [HeaderName; 9] = [
    header::HOST,
    HeaderName::from_static("x-forwarded-host"),
    HeaderName::from_static("x-forwarded-proto"),
    header::RANGE,
    header::IF_MATCH,
    header::IF_NONE_MATCH,
    header::IF_MODIFIED_SINCE,
    header::IF_UNMODIFIED_SINCE,
    header::IF_RANGE,
];

/// What the origin gets instead of the client's own, and differs by client:
/// no two requests are known to match.
const PER_CLIENT: HeaderName = HeaderName::from_static("x-forwarded-for");

/// How many fields a form holds. A response that varies by more is hardly
/// the answer to two requests.
const MOST_FIELDS: usize = 32;

impl Form {
    /// The form of a response to a request; `None` if it fits no other
    /// request: `Vary: *`, a name there that is none, or too many (RFC 9111
    /// section 4.1).
    pub fn of(asked: &Asked<'_>, response: &HeaderMap) -> Option<Self> {
        let (names, names_origin) = selecting(asked, response)?;
        let value = |name: HeaderName| {
            let value = value(asked, &name).map(|value| value.into_owned().into_boxed_slice());
            (name, value)
        };
        let any = allows_every_origin(response) && !names_origin;
        Some(Self {
            fields: names.into_iter().map(value).collect(),
            origin: match joined(asked.headers.lines(Name::ORIGIN)) {
                _ if any => OriginForm::Any,
                Some(origin) => OriginForm::Same(origin.into()),
                None => OriginForm::None,
            },
        })
    }

    /// Whether a stored response of this form fits a request.
    pub fn fits(&self, asked: &Asked<'_>) -> bool {
        let origin = match &self.origin {
            OriginForm::Any => true,
            OriginForm::None => !asked.headers.contains(Name::ORIGIN),
            OriginForm::Same(origin) => {
                joined(asked.headers.lines(Name::ORIGIN)).as_deref() == Some(&**origin)
            }
        };
        origin
            && self
                .fields
                .iter()
                .all(|(name, stored)| matches(asked, name, stored.as_deref()))
    }

    /// Whether both are the same form, so that one response replaces the
    /// other.
    pub fn is_of(&self, other: &Self) -> bool {
        self == other
    }

    /// Puts the fields on a request that make its response one of this form,
    /// and removes those that would make it another.
    pub fn apply(&self, headers: &mut HeaderMap) {
        let origin = match &self.origin {
            OriginForm::Any | OriginForm::None => None,
            OriginForm::Same(origin) => Some(&**origin),
        };
        let fields = self
            .fields
            .iter()
            .map(|(name, value)| (name, value.as_deref()));
        for (name, value) in fields.chain([(&ORIGIN, origin)]) {
            match value.and_then(|value| HeaderValue::from_bytes(value).ok()) {
                Some(value) => drop(headers.insert(name, value)),
                None => drop(headers.remove(name)),
            }
        }
    }
}

/// The names that a form holds, in order, and whether `Origin` is named too.
fn selecting(asked: &Asked<'_>, response: &HeaderMap) -> Option<(Vec<HeaderName>, bool)> {
    let mut names = Vec::new();
    let mut names_origin = false;
    for name in named(response) {
        let name = name?;
        names_origin |= name == ORIGIN;
        if !is_settled(&name, asked) && !names.contains(&name) {
            if names.len() == MOST_FIELDS {
                return None;
            }
            names.push(name);
        }
    }
    // Servers that compress do not always say so: what is encoded fits only
    // who accepts the same.
    let encoded = response.contains_key(header::CONTENT_ENCODING);
    if encoded && !names.contains(&header::ACCEPT_ENCODING) {
        names.push(header::ACCEPT_ENCODING);
    }
    names.sort_unstable_by(|a, b| a.as_str().cmp(b.as_str()));
    Some((names, names_origin))
}

/// The fields that `Vary` names; `None` for what is no field, such as `*`, and
/// for the one that no two requests are known to match by.
fn named(response: &HeaderMap) -> impl Iterator<Item = Option<HeaderName>> {
    let lines = response.get_all(header::VARY).iter();
    let names = lines.flat_map(|line| entries(line.as_bytes()));
    names.filter(|name| !name.is_empty()).map(|name| {
        let name = HeaderName::from_bytes(name).ok()?;
        (name.as_str() != "*" && name != PER_CLIENT).then_some(name)
    })
}

/// Whether the key, the variant or [`OriginForm`] stands for the field.
fn is_settled(name: &HeaderName, asked: &Asked<'_>) -> bool {
    asked.covered.accept && *name == header::ACCEPT
        || asked.covered.user_agent && *name == header::USER_AGENT
        || SETTLED.contains(name)
        || *name == ORIGIN
}

/// One line, and exactly `*`.
fn allows_every_origin(response: &HeaderMap) -> bool {
    let mut lines = response.get_all(header::ACCESS_CONTROL_ALLOW_ORIGIN).iter();
    let one = lines
        .next()
        .is_some_and(|line| trim(line.as_bytes()) == b"*");
    one && lines.next().is_none()
}

/// Whether a request has in a field what is stored; allocates nothing but for
/// quoted strings.
fn matches(asked: &Asked<'_>, name: &HeaderName, stored: Option<&[u8]>) -> bool {
    let lines = asked.headers.lines_of(name);
    let quoted = |line: &[u8]| memchr(b'"', line).is_some();
    if *name == header::ACCEPT_ENCODING || lines.clone().any(quoted) {
        return value(asked, name).as_deref() == stored;
    }
    let Some(stored) = stored else {
        return !asked.headers.contains_name(name);
    };
    let mut found = lines.flat_map(entries);
    let same = |entry: &[u8], found: &[u8]| match *name == header::ACCEPT_LANGUAGE {
        true => entry.eq_ignore_ascii_case(found),
        false => entry == found,
    };
    let mut stored = entries(stored);
    stored.all(|entry| found.next().is_some_and(|found| same(entry, found)))
        && found.next().is_none()
}

/// What a request has in a field, so normalised that equal bytes match (RFC
/// 9111 section 4.1).
fn value<'a>(asked: &Asked<'a>, name: &'a HeaderName) -> Option<Cow<'a, [u8]>> {
    if *name == header::ACCEPT_ENCODING {
        return Some(asked.encodings.bytes().into());
    }
    let lines = joined(asked.headers.lines_of(name))?;
    let mut value = without_blanks(lines);
    if *name == header::ACCEPT_LANGUAGE && value.iter().any(u8::is_ascii_uppercase) {
        // RFC 9110 section 8.5.1: tags have no case, nor has `q`.
        value.to_mut().make_ascii_lowercase();
    }
    Some(value)
}

/// All lines of a field as one (RFC 9110 section 5.3), without blanks around
/// any of them.
fn joined<'a>(lines: impl Iterator<Item = &'a [u8]>) -> Option<Cow<'a, [u8]>> {
    let mut lines = lines.map(trim);
    let first = lines.next()?;
    let mut joined = Cow::Borrowed(first);
    for line in lines {
        let joined = joined.to_mut();
        joined.push(b',');
        joined.extend_from_slice(line);
    }
    Some(joined)
}

/// Without the blanks around commas, which mean nothing in a list; a value
/// with a quoted string stays as it is.
fn without_blanks(value: Cow<'_, [u8]>) -> Cow<'_, [u8]> {
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let around_comma =
        |pair: &[u8]| pair[0] == b',' && blank(&pair[1]) || pair[1] == b',' && blank(&pair[0]);
    if value.contains(&b'"') || !value.windows(2).any(around_comma) {
        return value;
    }
    let entries: Vec<&[u8]> = entries(&value).collect();
    Cow::Owned(entries.join(&b","[..]))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::cache::fixture::{Fields, Request, headers};
    use crate::images::Variant;

    const ALL: (&str, &str) = ("access-control-allow-origin", "*");

    /// Whether the response to the one request fits the other.
    fn fits(response: Fields<'_>, fetched: Fields<'_>, asked: Fields<'_>) -> bool {
        let (fetched, asked) = (Request::get(fetched), Request::get(asked));
        let form = Form::of(&fetched.asked(), &headers(response)).unwrap();
        assert!(form.fits(&fetched.asked()), "{form:?}");
        let other = Form::of(&asked.asked(), &headers(response)).unwrap();
        assert_eq!(
            form.is_of(&other),
            form.fits(&asked.asked()),
            "{form:?} {other:?}"
        );
        form.fits(&asked.asked())
    }

    #[test]
    fn selecting_fields() {
        for (vary, fetched, asked, expected) in [
            ("Foo", &[("foo", "1")][..], &[("foo", "1")][..], true),
            ("Foo", &[("foo", "1")], &[("foo", "2")], false),
            (
                "Foo",
                &[("foo", "1")],
                &[("foo", "1"), ("other", "3")],
                true,
            ),
            ("Foo", &[], &[("foo", "1")], false),
            ("Foo", &[("foo", "1")], &[], false),
            ("Foo", &[("foo", "")], &[], false),
            ("Foo, Bar,, foo", &[("foo", "1")], &[("foo", "1")], true),
            (
                "Foo, Bar",
                &[("foo", "1")],
                &[("foo", "1"), ("bar", "2")],
                false,
            ),
            (
                "Foo",
                &[("foo", "1, 2")],
                &[("foo", "1"), ("foo", "2")],
                true,
            ),
            ("Foo", &[("foo", "1,2")], &[("foo", " 1 ,\t2 ")], true),
            ("Foo", &[("foo", "1,2")], &[("foo", "1,2,")], false),
            ("Foo", &[("foo", "1,2")], &[("foo", "1")], false),
            ("Foo", &[("foo", "a b")], &[("foo", "ab")], false),
            ("Foo", &[("foo", "\"1,2\"")], &[("foo", "\"1, 2\"")], false),
            ("Foo", &[("foo", "A")], &[("foo", "a")], false),
            (
                "Accept-Language",
                &[("accept-language", "en, de")],
                &[("accept-language", "eN,De")],
                true,
            ),
            (
                "Accept-Language",
                &[("accept-language", "en, de")],
                &[("accept-language", "de, en")],
                false,
            ),
            (
                "Accept-Encoding",
                &[("accept-encoding", "gzip, br")],
                &[("accept-encoding", "br;q=1, deflate, x-gzip")],
                true,
            ),
            (
                "Accept-Encoding",
                &[("accept-encoding", "gzip")],
                &[("accept-encoding", "br")],
                false,
            ),
            (
                "Accept-Encoding",
                &[],
                &[("accept-encoding", "identity")],
                true,
            ),
            ("Accept", &[("accept", "a/b")], &[("accept", "c/d")], false),
            (
                "Host, Range, X-Forwarded-Proto",
                &[("range", "bytes=0-")],
                &[("host", "a")],
                true,
            ),
            ("", &[("foo", "1")], &[("foo", "2")], true),
        ] {
            assert_eq!(
                fits(&[("vary", vary), ALL], fetched, asked),
                expected,
                "{vary} {asked:?}"
            );
        }
    }

    #[test]
    fn what_is_encoded_fits_only_who_accepts_the_same() {
        let encoded = [("content-encoding", "gzip"), ALL];
        let gzip = [("accept-encoding", "gzip")];
        assert!(fits(&encoded, &gzip, &gzip));
        assert!(!fits(&encoded, &gzip, &[]));
        assert!(fits(&[ALL], &[], &gzip));
    }

    #[test]
    fn what_fits_nothing() {
        let many: Vec<String> = (0..40).map(|n| format!("f{n}")).collect();
        let many = many.join(",");
        for lines in [
            &["*"][..],
            &["*, *"],
            &["*", "*"],
            &[", *"],
            &["", "*"],
            &["*, Foo"],
            &["Foo, *"],
            &["foo bar"],
            &["\u{fc}"],
            &["X-Forwarded-For"],
            &[&*many],
        ] {
            let fields: Vec<_> = lines.iter().map(|line| ("vary", *line)).collect();
            let request = Request::get(&[]);
            assert_eq!(
                Form::of(&request.asked(), &headers(&fields)),
                None,
                "{lines:?}"
            );
        }
    }

    #[test]
    fn origins() {
        let (a, b, none) = (
            &[("origin", "https://a")][..],
            &[("origin", "https://b")][..],
            &[][..],
        );
        for (response, fetched, asked, expected) in [
            (&[ALL][..], a, b, true),
            (&[ALL], a, none, true),
            (&[ALL], none, a, true),
            (&[("access-control-allow-origin", "https://a")], a, a, true),
            (&[("access-control-allow-origin", "https://a")], a, b, false),
            (
                &[("access-control-allow-origin", "https://a")],
                a,
                none,
                false,
            ),
            (&[], none, none, true),
            (&[], none, a, false),
            (&[], a, none, false),
            (&[], a, a, true),
            (&[], none, &[("origin", "")], false),
            (&[ALL, ALL], a, b, false),
            (&[ALL, ("vary", "Origin")], a, b, false),
            (&[ALL, ("vary", "Foo, ORIGIN")], a, a, true),
        ] {
            assert_eq!(
                fits(response, fetched, asked),
                expected,
                "{response:?} {fetched:?} {asked:?}"
            );
        }
    }

    #[test]
    fn the_variant_stands_for_accept_and_user_agent() {
        let mut one = Request::image(Variant::WebP, "jpg");
        let mut two = one.clone();
        one.headers = headers(&[("accept", "image/webp"), ("user-agent", "a")]).into();
        two.headers = headers(&[("accept", "image/webp,*/*"), ("user-agent", "b")]).into();
        let response = headers(&[("vary", "Accept, User-Agent"), ALL]);
        assert!(
            Form::of(&one.asked(), &response)
                .unwrap()
                .fits(&two.asked())
        );
        one.covered.user_agent = false;
        assert!(
            !Form::of(&one.asked(), &response)
                .unwrap()
                .fits(&two.asked())
        );
    }

    fn with(headers: &HeaderMap) -> Request {
        Request {
            headers: headers.into(),
            ..Request::get(&[])
        }
    }

    #[test]
    fn a_background_fetch_gets_the_same_form() {
        let fetched = Request::get(&[
            ("foo", "1"),
            ("foo", "2"),
            ("origin", "https://a"),
            ("accept-encoding", "gzip, deflate"),
        ]);
        let response = headers(&[("vary", "Foo, Bar, Accept-Encoding")]);
        let form = Form::of(&fetched.asked(), &response).unwrap();
        let mut sent = headers(&[("bar", "x"), ("foo", "9")]);
        form.apply(&mut sent);
        assert!(form.fits(&with(&sent).asked()));
        assert_eq!(sent["accept-encoding"], "gzip");
        assert!(!sent.contains_key("bar"));
    }

    proptest! {
        #[test]
        fn a_form_fits_what_it_is_of_and_nothing_panics(
            vary in "(Foo|accept-language|Origin|Accept-Encoding|[*, \u{80}-\u{ff}]){0,6}",
            lines in proptest::collection::vec("[a-cA-C,\" \t\u{80}-\u{ff}]{0,8}", 0..3),
        ) {
            let names = ["foo", "accept-language", "origin", "accept-encoding"];
            let fields: Vec<_> = lines
                .iter()
                .flat_map(|line| names.map(|name| (name, line.as_str())))
                .collect();
            let request = Request::get(&fields);
            if let Some(form) = Form::of(&request.asked(), &headers(&[("vary", &vary)])) {
                prop_assert!(form.fits(&request.asked()));
                let mut sent = HeaderMap::new();
                form.apply(&mut sent);
                prop_assert!(form.fits(&with(&sent).asked()));
            }
        }
    }
}
