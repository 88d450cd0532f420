//! `Vary`: which requests a stored response fits (RFC 9111 section 4.1), and
//! what section 9 says about `Origin`.

use std::borrow::Cow;

use hyper::HeaderMap;
use hyper::header::{self, HeaderName, HeaderValue};

use super::asked::Asked;
use crate::message::field::{entries, trim};

static ORIGIN: HeaderName = header::ORIGIN;

/// Which requests a stored response fits, beside its key and variant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Form {
    /// The fields that `Vary` names and the variant does not stand for, with
    /// what the request that fetched it had there, normalised; `None`: not
    /// there. In the order of their names, none twice.
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

impl Form {
    /// The form of a response to a request; `None` if it fits no other
    /// request: `Vary: *`, or a name there that is none (RFC 9111 section
    /// 4.1).
    pub fn of(asked: &Asked<'_>, response: &HeaderMap) -> Option<Self> {
        let mut fields: Vec<Selecting> = Vec::new();
        let mut names_origin = false;
        let lines = response.get_all(header::VARY).iter();
        for name in lines.flat_map(|line| entries(line.as_bytes())) {
            if name.is_empty() {
                continue;
            }
            let name = HeaderName::from_bytes(name).ok().filter(is_name)?;
            if name == ORIGIN {
                names_origin = true;
            } else if !is_settled(&name, asked) && !fields.iter().any(|(known, _)| *known == name) {
                let value = value(asked, &name).map(|value| value.into_owned().into_boxed_slice());
                fields.push((name, value));
            }
        }
        fields.sort_unstable_by(|a, b| a.0.as_str().cmp(b.0.as_str()));
        let any = allows_every_origin(response) && !names_origin;
        Some(Self {
            fields: fields.into(),
            origin: match lines_of(asked.headers, &ORIGIN) {
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
            OriginForm::None => !asked.headers.contains_key(&ORIGIN),
            OriginForm::Same(origin) => {
                lines_of(asked.headers, &ORIGIN).as_deref() == Some(&**origin)
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

/// `*` is a token, but no field.
fn is_name(name: &HeaderName) -> bool {
    name.as_str() != "*" && *name != PER_CLIENT
}

/// Whether the key and the variant stand for the field.
fn is_settled(name: &HeaderName, asked: &Asked<'_>) -> bool {
    asked.covered.accept && *name == header::ACCEPT
        || asked.covered.user_agent && *name == header::USER_AGENT
        || SETTLED.contains(name)
}

/// One line, and exactly `*`.
fn allows_every_origin(response: &HeaderMap) -> bool {
    let mut lines = response.get_all(header::ACCESS_CONTROL_ALLOW_ORIGIN).iter();
    let one = lines
        .next()
        .is_some_and(|line| trim(line.as_bytes()) == b"*");
    one && lines.next().is_none()
}

fn matches(asked: &Asked<'_>, name: &HeaderName, stored: Option<&[u8]>) -> bool {
    value(asked, name).as_deref() == stored
}

/// What a request has in a field, so normalised that equal bytes match (RFC
/// 9111 section 4.1).
fn value<'a>(asked: &Asked<'a>, name: &HeaderName) -> Option<Cow<'a, [u8]>> {
    if *name == header::ACCEPT_ENCODING {
        return Some(asked.encodings.bytes().into());
    }
    let lines = lines_of(asked.headers, name)?;
    let mut value = without_blanks(lines);
    if *name == header::ACCEPT_LANGUAGE && value.iter().any(u8::is_ascii_uppercase) {
        // RFC 9110 section 8.5.1: tags have no case, nor has `q`.
        value.to_mut().make_ascii_lowercase();
    }
    Some(value)
}

/// All lines of a field as one (RFC 9110 section 5.3), without blanks around.
fn lines_of<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<Cow<'a, [u8]>> {
    let mut lines = headers
        .get_all(name)
        .iter()
        .map(|line| trim(line.as_bytes()));
    let first = lines.next()?;
    let mut joined = Cow::Borrowed(first);
    for line in lines {
        let joined = joined.to_mut();
        joined.extend_from_slice(b", ");
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
