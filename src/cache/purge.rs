//! What is to be purged (section 9): all variants and forms at once.
//!
//! An entry is compared by its host and the plain reading of its path, so
//! that neither scheme nor port nor spelling lets it escape.

use std::collections::{BTreeSet, HashSet};
use std::hash::BuildHasher as _;
use std::ops::Bound;

use foldhash::quality::FixedState;
use hyper::HeaderMap;
use hyper::header::{HeaderName, HeaderValue};
use smallvec::SmallVec;

use super::key::KeyRules;
use crate::message::field;
use crate::route::{NormalPath, Target};

static CACHE_TAG: HeaderName = HeaderName::from_static("cache-tag");
static SURROGATE_KEY: HeaderName = HeaderName::from_static("surrogate-key");

/// What is to be purged.
#[derive(Clone, Debug, Default)]
pub struct Purge {
    all: bool,
    /// Host, plain path and query.
    urls: HashSet<Box<[u8]>>,
    /// The hashes of those.
    places: HashSet<u32>,
    /// Hosts and the starts of plain paths, none the start of another.
    prefixes: BTreeSet<Box<[u8]>>,
    tags: HashSet<Box<[u8]>>,
}

/// Room for most keys without an allocation.
type Text = SmallVec<[u8; 128]>;

impl Purge {
    /// Everything.
    pub fn all() -> Self {
        Self {
            all: true,
            ..Self::default()
        }
    }

    /// The stored responses of a URL too, whatever their scheme and port, and
    /// however their path is spelled, as long as its plain reading is the
    /// same. The query is compared as `rules` have it in the key.
    pub fn add_url(&mut self, target: &Target<'_>, rules: &KeyRules) {
        let mut text = Text::from_slice(target.authority.host.as_bytes());
        text.extend_from_slice(&target.path.plain_reading());
        push_query(&mut text, rules.query(target.query).as_deref());
        self.places.insert(place(&text));
        self.urls.insert(text.into_boxed_slice());
    }

    /// Those of a host whose path, in its plain reading, starts with the plain
    /// reading of `path`, within a segment too. Scheme, port and query do not
    /// count.
    pub fn add_prefix(&mut self, host: &str, path: &NormalPath<'_>) {
        let mut text = Text::from_slice(host.as_bytes());
        text.extend_from_slice(&path.plain_reading());
        if self.has_prefix_of(&text) {
            return;
        }
        let from = (Bound::Included(&*text), Bound::Unbounded);
        let longer = self.prefixes.range::<[u8], _>(from);
        let longer = longer.take_while(|other| other.starts_with(&text));
        for longer in longer.cloned().collect::<Vec<_>>() {
            self.prefixes.remove(&longer);
        }
        self.prefixes.insert(text.into_boxed_slice());
    }

    /// Those that carry `tag` in `Cache-Tag` or `Surrogate-Key`, exactly so.
    pub fn add_tag(&mut self, tag: &str) {
        self.tags.insert(tag.as_bytes().into());
    }

    /// Whether it names anything.
    pub fn is_empty(&self) -> bool {
        !self.all && self.urls.is_empty() && self.prefixes.is_empty() && self.tags.is_empty()
    }

    /// Whether what is stored for the URL of a key goes whatever its fields:
    /// `<scheme>://<host>[:<port>]<path>[?<query>]`.
    pub fn matches_key(&self, url: &str) -> bool {
        if self.all || (self.urls.is_empty() && self.prefixes.is_empty()) {
            return self.all;
        }
        let Some((mut text, query)) = place_text(url) else {
            return true;
        };
        if self.has_prefix_of(&text) {
            return true;
        }
        push_query(&mut text, query);
        self.urls.contains(&*text)
    }

    /// Whether it has nothing to do with what is stored at `place`, a
    /// [`place_of`]: so most entries need not be looked at for a few URLs.
    pub(super) fn is_elsewhere(&self, place: u32) -> bool {
        let only_urls = !self.all && self.prefixes.is_empty() && self.tags.is_empty();
        only_urls && place != UNKNOWN && !self.places.contains(&place)
    }

    /// Whether it needs the fields of a response.
    pub fn has_tags(&self) -> bool {
        !self.tags.is_empty()
    }

    /// Whether what is stored for the URL of a key, with these fields, goes.
    pub fn matches(&self, url: &str, headers: &HeaderMap) -> bool {
        self.matches_key(url) || (self.has_tags() && self.matches_tags(headers))
    }

    fn matches_tags(&self, headers: &HeaderMap) -> bool {
        let named = |tag: &[u8]| self.tags.contains(tag);
        let lines = |name| headers.get_all(name).iter().map(HeaderValue::as_bytes);
        let mut tags = lines(&CACHE_TAG).flat_map(|line| line.split(|byte| *byte == b','));
        let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t');
        let mut keys = lines(&SURROGATE_KEY).flat_map(|line| line.split(is_blank));
        tags.any(|tag| named(field::trim(tag))) || keys.any(named)
    }

    /// Whether one of the prefixes is the start of `text`. It can only be the
    /// last one that is not behind it in their order.
    fn has_prefix_of(&self, text: &[u8]) -> bool {
        let to = (Bound::Unbounded, Bound::Included(text));
        let before = self.prefixes.range::<[u8], _>(to).next_back();
        before.is_some_and(|prefix| text.starts_with(prefix))
    }
}

/// Where nobody knows what is stored.
const UNKNOWN: u32 = 0;

/// A number for host, plain path and query of a key's URL: URLs that are
/// purged together have the same.
pub(super) fn place_of(url: &str) -> u32 {
    place_text(url).map_or(UNKNOWN, |(mut text, query)| {
        push_query(&mut text, query);
        place(&text)
    })
}

fn place(text: &[u8]) -> u32 {
    let hash = FixedState::default().hash_one(text);
    ((hash >> 32) as u32).max(UNKNOWN + 1)
}

/// Host and plain path of a key's URL, and its query.
fn place_text(url: &str) -> Option<(Text, Option<&str>)> {
    let (host, path, query) = split(url)?;
    let path = NormalPath::new(path, true).ok()?;
    let mut text = Text::from_slice(host.as_bytes());
    text.extend_from_slice(&path.plain_reading());
    Some((text, query))
}

fn push_query(text: &mut Text, query: Option<&str>) {
    if let Some(query) = query {
        text.push(b'?');
        text.extend_from_slice(query.as_bytes());
    }
}

/// Host, path and query of a key's URL.
fn split(url: &str) -> Option<(&str, &str, Option<&str>)> {
    let (_, rest) = url.split_once("://")?;
    let (authority, rest) = rest.split_at(rest.find('/')?);
    // A port follows the brackets of an IPv6 address.
    let host = match authority
        .rfind(':')
        .filter(|at| !authority[*at..].contains(']'))
    {
        Some(colon) => &authority[..colon],
        None => authority,
    };
    match rest.split_once('?') {
        Some((path, query)) => Some((host, path, Some(query))),
        None => Some((host, rest, None)),
    }
}

#[cfg(test)]
mod tests {
    use hyper::Uri;

    use super::*;
    use crate::cache::key::{ParameterPattern, QueryMode};
    use crate::message::Scheme;

    fn url(url: &str, rules: &KeyRules) -> Purge {
        let uri: Uri = url.parse().unwrap();
        let none = crate::message::fields::Fields::default();
        let target = Target::read(&uri, &none, Scheme::Http, None, true).unwrap();
        let mut purge = Purge::default();
        purge.add_url(&target, rules);
        purge
    }

    #[test]
    fn a_url_is_purged_however_it_is_spelled() {
        let purge = url("http://IMG.example.com/a/%62.jpg?w=1", &KeyRules::default());
        for key in [
            "http://img.example.com/a/b.jpg?w=1",
            "https://img.example.com/a/b.jpg?w=1",
            "https://img.example.com:8443/a/b.jpg?w=1",
            "http://img.example.com/a%2Fb.jpg?w=1",
            "http://img.example.com/a//b.jpg?w=1",
            "http://img.example.com/a/b.jpg;v=2?w=1",
            "http://img.example.com/a/c/%252e%252e/b.jpg?w=1",
            "http://img.example.com/a%5Cb.jpg?w=1",
        ] {
            assert!(purge.matches_key(key), "{key}");
            assert!(!purge.is_elsewhere(place_of(key)), "{key}");
        }
        for key in [
            "http://img.example.com/a/b.jpg",
            "http://img.example.com/a/b.jpg?w=2",
            "http://img.example.com/a/b.jpg?w=1&h=2",
            "http://img.example.com/A/b.jpg?w=1",
            "http://img.example.com/a/b.jp?w=1",
            "http://example.com/a/b.jpg?w=1",
        ] {
            assert!(!purge.matches_key(key), "{key}");
            assert!(purge.is_elsewhere(place_of(key)), "{key}");
        }
        assert!(!purge.is_elsewhere(place_of("no url")));
        assert!(url("http://[::1]:81/a", &KeyRules::default()).matches_key("https://[::1]/a"));
        assert!(url("http://[::1]/a", &KeyRules::default()).matches_key("https://[::1]:82/a"));
    }

    #[test]
    fn a_query_is_compared_as_it_is_keyed() {
        let rules = KeyRules {
            mode: QueryMode::Sort,
            drop: vec![ParameterPattern::parse("utm_*").unwrap()],
            ..KeyRules::default()
        };
        let purge = url("http://a.com/x?w=1&utm_a=2&b=1", &rules);
        assert!(purge.matches_key("http://a.com/x?b=1&w=1"));
        assert!(!purge.matches_key("http://a.com/x?w=1&b=1"));
        let none = url("http://a.com/x?utm_a=2", &rules);
        assert!(none.matches_key("http://a.com/x"));
    }

    #[test]
    fn prefixes() {
        let mut purge = Purge::default();
        for (host, path) in [
            ("a.com", "/p/abc"),
            ("a.com", "/p/ab"),
            ("a.com", "/p/abd"),
            ("b.com", "/"),
            ("b.com", "/x"),
            ("a.com", "/%252571"),
        ] {
            purge.add_prefix(host, &NormalPath::new(path, true).unwrap());
        }
        assert_eq!(purge.prefixes.len(), 3);
        for (key, expected) in [
            ("http://a.com/p/ab", true),
            ("https://a.com:444/p/abz/c?d", true),
            ("http://a.com/p%2Fa%62", true),
            ("http://a.com/p/a", false),
            ("http://a.com/q/ab", false),
            ("http://a.com.b/p/ab", false),
            ("http://b.com/", true),
            ("http://b.com/anything?x", true),
            ("http://b.com.evil/", false),
            ("http://xb.com/", false),
        ] {
            assert_eq!(purge.matches_key(key), expected, "{key}");
        }
    }

    #[test]
    fn tags() {
        let mut purge = Purge::default();
        purge.add_tag("summer");
        let tagged = |name: &'static str, lines: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(name, HeaderValue::from_static(line));
            }
            purge.matches("http://a.com/", &headers)
        };
        assert!(tagged("cache-tag", &["a,b", "x ,\tsummer , y"]));
        assert!(tagged("surrogate-key", &["a b", "x  summer"]));
        assert!(!tagged("cache-tag", &["a summer", "summers", "Summer", ""]));
        assert!(!tagged(
            "surrogate-key",
            &["a,summer", "summers Summer", ""]
        ));
        assert!(!tagged("x-tag", &["summer"]));
        assert!(purge.has_tags() && !purge.matches_key("http://a.com/"));
    }

    #[test]
    fn all_and_nothing() {
        assert!(Purge::all().matches_key("http://a.com/x"));
        assert!(!Purge::all().is_empty());
        assert!(Purge::default().is_empty());
        assert!(!Purge::default().matches("http://a.com/", &HeaderMap::new()));
    }
}
