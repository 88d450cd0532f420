//! One key for all requests that may share a stored response (section 8).

use std::borrow::Cow;
use std::fmt::Write as _;

use percent_encoding::percent_decode;

use crate::images::Variant;
use crate::route::Target;

/// `cache_key.query`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum QueryMode {
    /// As it stands.
    #[default]
    Keep,
    /// In the order of its names.
    Sort,
    /// Without it.
    Drop,
}

/// A parameter name, or the start of one with `*` after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParameterPattern {
    name: String,
    prefix: bool,
}

impl ParameterPattern {
    /// Reads `fbclid` or `utm_*`; `None` for a `*` elsewhere.
    pub fn parse(text: &str) -> Option<Self> {
        let (name, prefix) = match text.strip_suffix('*') {
            Some(name) => (name, true),
            None => (text, false),
        };
        (!name.contains('*')).then(|| Self {
            name: name.to_owned(),
            prefix,
        })
    }

    /// Whether a decoded parameter name fits.
    pub fn matches(&self, name: &[u8]) -> bool {
        match self.prefix {
            true => name.starts_with(self.name.as_bytes()),
            false => name == self.name.as_bytes(),
        }
    }
}

/// The `[cache_key]` table, compiled.
#[derive(Clone, Debug, Default)]
pub struct KeyRules {
    /// `query`.
    pub mode: QueryMode,
    /// `drop`.
    pub drop: Vec<ParameterPattern>,
    /// `only`; empty: every parameter.
    pub only: Vec<ParameterPattern>,
    /// `field`: the request field that carries the key to the origin.
    pub field: Option<hyper::header::HeaderName>,
}

impl KeyRules {
    /// The query as it is keyed and sent; `None`: no query and no `?`.
    pub fn query<'a>(&self, query: Option<&'a str>) -> Option<Cow<'a, str>> {
        let query = query.filter(|query| !query.is_empty())?;
        if self.mode == QueryMode::Drop {
            return None;
        }
        if self.mode == QueryMode::Keep && self.drop.is_empty() && self.only.is_empty() {
            return Some(query.into());
        }
        let mut kept: Vec<&str> = query
            .split('&')
            .filter(|parameter| self.keeps(parameter))
            .collect();
        if self.mode == QueryMode::Sort {
            kept.sort_by_cached_key(|parameter| decoded_name(parameter));
        }
        Some(kept.join("&").into()).filter(|query: &Cow<'_, str>| !query.is_empty())
    }

    /// What the origin is asked for, behind its own path: path and query.
    pub fn target(&self, target: &Target<'_>) -> String {
        let mut text = String::with_capacity(128);
        text.push_str(target.path.as_str());
        self.push_query(&mut text, target);
        text
    }

    /// Whether [`target`](Self::target) is that text.
    pub fn keeps_target(&self, target: &Target<'_>, text: &str) -> bool {
        let Some(rest) = text.strip_prefix(target.path.as_str()) else {
            return false;
        };
        match self.query(target.query) {
            Some(query) => rest.strip_prefix('?') == Some(&*query),
            None => rest.is_empty(),
        }
    }

    /// The key: `<scheme>://<host>[:<port>]<path>[?<query>] <variant>`.
    pub fn key(&self, target: &Target<'_>, variant: Variant) -> String {
        let mut key = String::with_capacity(160);
        key.push_str(target.scheme.as_str());
        key.push_str("://");
        key.push_str(&target.authority.host);
        if let Some(port) = target.authority.port {
            // Writing to a String cannot fail.
            let _ = write!(key, ":{port}");
        }
        key.push_str(target.path.as_str());
        self.push_query(&mut key, target);
        key.push(' ');
        key.push_str(variant.as_str());
        key
    }

    fn push_query(&self, text: &mut String, target: &Target<'_>) {
        if let Some(query) = self.query(target.query) {
            text.push('?');
            text.push_str(&query);
        }
    }

    fn keeps(&self, parameter: &str) -> bool {
        if parameter.is_empty() {
            return false;
        }
        let name = decoded_name(parameter);
        let only = self.only.is_empty() || self.only.iter().any(|p| p.matches(&name));
        only && !self.drop.iter().any(|p| p.matches(&name))
    }
}

/// The name of `name=value`, percent-decoded.
fn decoded_name(parameter: &str) -> Cow<'_, [u8]> {
    let name = parameter.split('=').next().unwrap_or(parameter);
    percent_decode(name.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use hyper::header::{self, HeaderValue};
    use hyper::{HeaderMap, Uri};

    use super::*;
    use crate::message::Scheme;
    use crate::message::fields::Fields;

    fn rules(mode: QueryMode, only: &[&str], drop: &[&str]) -> KeyRules {
        let parse = |list: &[&str]| {
            list.iter()
                .map(|text| ParameterPattern::parse(text).unwrap())
                .collect()
        };
        KeyRules {
            mode,
            drop: parse(drop),
            only: parse(only),
            field: None,
        }
    }

    #[test]
    fn queries() {
        use QueryMode::{Drop, Keep, Sort};
        let none: &[&str] = &[];
        for (mode, only, drop, query, expected) in [
            (Keep, none, none, "b=1&&a", Some("b=1&&a")),
            (Keep, none, none, "", None),
            (Drop, none, none, "a=1", None),
            (
                Sort,
                none,
                none,
                "b=2&a=1&&b=1&%61=0",
                Some("a=1&%61=0&b=2&b=1"),
            ),
            (
                Keep,
                none,
                &["utm_*", "fbclid"],
                "utm_a=1&w=2&fbclid=x&utm%5Fb&UTM_c",
                Some("w=2&UTM_c"),
            ),
            (Keep, none, &["utm_*"], "utm_a", None),
            (Keep, &["w", "h"], none, "h=1&x=2&w=3", Some("h=1&w=3")),
            (
                Sort,
                &["w*"],
                &["wx"],
                "wz=1&wx=2&wa=3;q=1",
                Some("wa=3;q=1&wz=1"),
            ),
            (Keep, none, &["x"], "a&&b", Some("a&b")),
            (Keep, none, &["x"], "a=%zz&%zz=1", Some("a=%zz&%zz=1")),
        ] {
            let rules = rules(mode, only, drop);
            assert_eq!(rules.query(Some(query)).as_deref(), expected, "{query}");
        }
        assert_eq!(rules(Keep, none, none).query(None), None);
    }

    #[test]
    fn patterns() {
        assert_eq!(ParameterPattern::parse("a*b"), None);
        assert!(ParameterPattern::parse("*").unwrap().matches(b"anything"));
    }

    #[test]
    fn a_target_that_stays_as_it_is() {
        let host = HeaderMap::from_iter([(header::HOST, HeaderValue::from_static("a"))]);
        let stays = |text: &str, rules: &KeyRules| {
            let uri: Uri = text.parse().unwrap();
            let fields = Fields::from(&host);
            let target = Target::read(&uri, &fields, Scheme::Http, None, true).unwrap();
            let own = uri.path_and_query().unwrap().as_str();
            let stays = rules.keeps_target(&target, own);
            assert_eq!(stays, rules.target(&target) == own, "{text}");
            stays
        };
        let all = rules(QueryMode::Keep, &[], &[]);
        for same in ["/", "/a/b.jpg", "/a?b=1&c", "/a%20b?%41"] {
            assert!(stays(same, &all), "{same}");
        }
        for other in ["/a?", "/a/../b", "/%61", "//a", "/a//b?c"] {
            assert!(!stays(other, &all), "{other}");
        }
        let some = rules(QueryMode::Sort, &["w*"], &[]);
        assert!(stays("/a", &some) && stays("/a?w=1", &some));
        assert!(!stays("/a?wb=1&wa=1", &some) && !stays("/a?b", &some));
    }
}
