//! All patterns of a list, compiled into one automaton.

use std::collections::HashSet;

use foldhash::fast::RandomState;
use regex_automata::dfa::{Automaton, StartKind, dense};
use regex_automata::meta;
use regex_automata::util::primitives::StateID;
use regex_automata::util::start;
use regex_automata::util::syntax;
use regex_automata::{Anchored, MatchKind};

use super::glob::{Kind, OriginPattern};

/// The longest text to match: a host, `|` and a port.
const MAX_TEXT: usize = crate::message::authority::MAX_HOST + 6;

/// An automaton larger than this is not worth its memory.
const MAX_AUTOMATON: usize = 4 << 20;

/// A compiled list of origin patterns.
#[derive(Clone, Debug)]
pub struct OriginPatterns {
    null: bool,
    apps: HashSet<String, RandomState>,
    /// Hosts that are listed as they are, with any port: no table step.
    hosts: HashSet<String, RandomState>,
    /// Hosts below which one label is listed, with any port.
    parents: HashSet<String, RandomState>,
    /// Hosts below which everything is listed, with any port.
    ancestors: HashSet<String, RandomState>,
    web: WebMatcher,
}

/// Hosts and ports, matched as `labels/with/slashes|port`.
#[derive(Clone, Debug)]
enum WebMatcher {
    /// No pattern.
    None,
    /// One table step a byte, no scratch space, nothing shared.
    Table {
        dfa: Box<dense::DFA<Vec<u32>>>,
        start: StateID,
    },
    /// For lists whose table would be too large.
    Large(meta::Regex),
}

impl OriginPatterns {
    /// Compiles `patterns`.
    ///
    /// # Errors
    ///
    /// If even the compact automaton would be too large, with its own words.
    pub fn new(patterns: &[OriginPattern]) -> Result<Self, Box<meta::BuildError>> {
        let mut list = Self {
            null: false,
            apps: HashSet::default(),
            hosts: HashSet::default(),
            parents: HashSet::default(),
            ancestors: HashSet::default(),
            web: WebMatcher::None,
        };
        let mut web = Vec::new();
        for pattern in patterns {
            match &pattern.kind {
                Kind::Null => list.null = true,
                Kind::App(origin) => drop(list.apps.insert(origin.clone())),
                Kind::Host(host) => drop(list.hosts.insert(host.clone())),
                Kind::Below {
                    parent,
                    deep: false,
                } => drop(list.parents.insert(parent.clone())),
                Kind::Below { parent, deep: true } => drop(list.ancestors.insert(parent.clone())),
                Kind::Web(regex) => web.push(regex.as_str()),
            }
        }
        list.web = WebMatcher::new(&web)?;
        Ok(list)
    }

    /// Whether `null` is listed.
    pub fn has_null(&self) -> bool {
        self.null
    }

    /// Whether an origin of another scheme than http and https is listed.
    pub fn matches_app(&self, origin: &str) -> bool {
        !self.apps.is_empty() && self.apps.contains(&origin.to_ascii_lowercase())
    }

    /// Whether a pattern is this host, with any port.
    pub fn has_host(&self, host: &str) -> bool {
        self.hosts.contains(host)
    }

    /// Whether a lower-case host and its port fit a pattern.
    pub fn matches(&self, host: &str, port: u16) -> bool {
        if self.has_host(host) || self.is_below(host) {
            return true;
        }
        if matches!(self.web, WebMatcher::None) {
            return false;
        }
        let mut buffer = [0; MAX_TEXT];
        text_of(&mut buffer, host, port).is_some_and(|text| self.web.is_match(text))
    }
}

impl OriginPatterns {
    /// Whether a listed host is above `host`.
    fn is_below(&self, host: &str) -> bool {
        if self.parents.is_empty() && self.ancestors.is_empty() {
            return false;
        }
        let Some((label, mut parent)) = host.split_once('.') else {
            return false;
        };
        // What has empty labels is no host.
        if label.is_empty() || host.contains("..") {
            return false;
        }
        if self.parents.contains(parent) {
            return true;
        }
        if self.ancestors.is_empty() {
            return false;
        }
        loop {
            if self.ancestors.contains(parent) {
                return true;
            }
            match parent.split_once('.') {
                Some((_, rest)) => parent = rest,
                None => return false,
            }
        }
    }
}

impl WebMatcher {
    fn is_match(&self, text: &[u8]) -> bool {
        match self {
            Self::None => false,
            Self::Table { dfa, start } => {
                let mut state = *start;
                for &byte in text {
                    state = dfa.next_state(state, byte);
                    if dfa.is_dead_state(state) {
                        return false;
                    }
                }
                dfa.is_match_state(dfa.next_eoi_state(state))
            }
            Self::Large(regex) => regex.is_match(text),
        }
    }

    fn new(patterns: &[&str]) -> Result<Self, Box<meta::BuildError>> {
        if patterns.is_empty() {
            return Ok(Self::None);
        }
        let syntax = syntax::Config::new().unicode(false).utf8(false);
        let config = dense::Config::new()
            .start_kind(StartKind::Anchored)
            .match_kind(MatchKind::All)
            .dfa_size_limit(Some(MAX_AUTOMATON))
            .determinize_size_limit(Some(4 * MAX_AUTOMATON));
        let table = dense::Builder::new()
            .configure(config)
            .syntax(syntax)
            .build_many(patterns);
        if let Ok(dfa) = table {
            let anchored = start::Config::new().anchored(Anchored::Yes);
            if let Ok(start) = dfa.start_state(&anchored) {
                return Ok(Self::Table {
                    dfa: Box::new(dfa),
                    start,
                });
            }
        }
        let anchored: Vec<String> = patterns.iter().map(|p| format!("^(?:{p})$")).collect();
        let regex = meta::Builder::new().syntax(syntax).build_many(&anchored);
        regex.map(Self::Large).map_err(Box::new)
    }
}

/// Writes `labels/with/slashes|port`; `None` for what is no host, so that no
/// glob is asked about an empty label.
fn text_of<'b>(buffer: &'b mut [u8; MAX_TEXT], host: &str, port: u16) -> Option<&'b [u8]> {
    let mut length = 0;
    let mut previous = b'/';
    if host.len() > crate::message::authority::MAX_HOST {
        return None;
    }
    for byte in host.bytes() {
        let byte = match byte {
            b'.' if previous == b'/' => return None,
            b'.' => b'/',
            b'/' | b'|' => return None,
            other => other,
        };
        buffer[length] = byte;
        length += 1;
        previous = byte;
    }
    if previous == b'/' {
        return None;
    }
    buffer[length] = b'|';
    length += 1;
    Some(write_port(buffer, length, port))
}

/// Writes the port's digits at `length`.
fn write_port(buffer: &mut [u8; MAX_TEXT], mut length: usize, port: u16) -> &[u8] {
    let mut divisor = 10_000;
    while divisor > 1 && port < divisor {
        divisor /= 10;
    }
    while divisor > 0 {
        buffer[length] = b'0' + u8::try_from(port / divisor % 10).unwrap_or(0);
        length += 1;
        divisor /= 10;
    }
    &buffer[..length]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn compile(patterns: &[&str]) -> OriginPatterns {
        let parsed: Vec<_> = patterns
            .iter()
            .map(|p| OriginPattern::parse(p).unwrap())
            .collect();
        OriginPatterns::new(&parsed).unwrap()
    }

    fn matches(pattern: &str, host: &str, port: u16) -> bool {
        compile(&[pattern]).matches(host, port)
    }

    #[test]
    fn examples() {
        for (pattern, host, port, expected) in [
            ("a.com", "a.com", 443, true),
            ("A.COM", "a.com", 8080, true),
            ("https://a.com/", "a.com", 80, true),
            ("a.com:8080", "a.com", 8080, true),
            ("a.com:8080", "a.com", 80, false),
            ("a.com:443", "a.com", 443, true),
            ("localhost:*", "localhost", 3000, true),
            ("localhost:30??", "localhost", 3000, true),
            ("localhost:30??", "localhost", 300, false),
            ("localhost:{80,[1-3]000}", "localhost", 2000, true),
            ("**.a.com", "x.a.com", 1, true),
            ("**.a.com", "x.y.a.com", 1, true),
            ("**.a.com", "a.com", 1, false),
            ("**.a.com", "xa.com", 1, false),
            ("**", "a.b", 1, true),
            ("*", "localhost", 1, true),
            ("*", "a.b", 1, false),
            ("*domain.com", "domain.com", 1, true),
            ("*.a.com", ".a.com", 1, false),
            ("?.a.com", "x.a.com", 1, true),
            ("?.a.com", "xy.a.com", 1, false),
            ("{,www.}a.com", "a.com", 1, true),
            ("{,www.}a.com", "www.a.com", 1, true),
            ("{,www}.a.com", "www.a.com", 1, true),
            ("{a,b{c,d}}.x", "bd.x", 1, true),
            ("[a-c]x.com", "bx.com", 1, true),
            ("[A-C]x.com", "bx.com", 1, true),
            ("[a-c]x.com", "dx.com", 1, false),
            ("[::1]:80", "[::1]", 80, true),
            ("[::1]", "[::1]", 8080, true),
            ("[::1]:80", "[::2]", 80, false),
            ("[::ffff:1.2.3.4]", "[::ffff:1.2.3.4]", 80, true),
            ("m\u{fc}nchen.de", "xn--mnchen-3ya.de", 1, true),
            ("a.com.", "a.com", 1, true),
            ("a+b.com", "x.com", 1, false),
        ] {
            if pattern == "a+b.com" {
                assert!(OriginPattern::parse(pattern).is_err());
                continue;
            }
            assert_eq!(
                matches(pattern, host, port),
                expected,
                "{pattern} {host}:{port}"
            );
        }
    }

    #[test]
    fn apps_and_null_match_only_as_written() {
        let patterns = compile(&["null", "capacitor://localhost", "*"]);
        assert!(patterns.has_null());
        assert!(patterns.matches_app("Capacitor://localhost"));
        assert!(!patterns.matches_app("ionic://localhost"));
        assert!(!compile(&["*"]).has_null());
        assert!(!compile(&["*"]).matches_app("capacitor://localhost"));
    }

    #[test]
    fn a_list_too_large_for_a_table_still_matches() {
        let many: Vec<String> = (0..60).map(|n| format!("*a{n}*b*c*.x{n}.com")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let patterns = compile(&many);
        assert!(matches!(patterns.web, WebMatcher::Large(_)));
        assert!(patterns.matches("a7bc.x7.com", 443));
        assert!(!patterns.matches("a7bc.x8.com", 443));
    }

    /// A matcher that tries everything, for one alternative.
    fn naive(pattern: &[u8], text: &[u8]) -> bool {
        match (pattern, text) {
            ([], []) => true,
            ([b'*', rest @ ..], _) => (0..=text.len())
                .take_while(|taken| !text[..*taken].contains(&b'.'))
                .any(|taken| naive(rest, &text[taken..])),
            ([b'?', pattern @ ..], [b, text @ ..]) => *b != b'.' && naive(pattern, text),
            ([b'[', pattern @ ..], [b, text @ ..]) => {
                let close = pattern.iter().position(|b| *b == b']').unwrap();
                (pattern[0]..=pattern[close - 1]).contains(b) && naive(&pattern[close + 1..], text)
            }
            ([a, pattern @ ..], [b, text @ ..]) => a == b && naive(pattern, text),
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn equals_a_naive_matcher(
            front in "([ab*?]|\\[a-b\\]){1,4}", back in "([ab*?]|\\[a-b\\]){1,3}",
            alternatives in proptest::collection::vec("[ab]{0,2}", 1..3),
            host in "[abc]{1,4}(\\.[abc]{1,4}){0,2}",
        ) {
            let pattern = format!("{front}{{{},x}}.{back}", alternatives.join(","));
            prop_assume!(!pattern.contains("**"));
            if let Ok(parsed) = OriginPattern::parse(&pattern) {
                let expected = alternatives.iter().map(String::as_str).chain(["x"]).any(|middle| {
                    naive(format!("{front}{middle}.{back}").as_bytes(), host.as_bytes())
                });
                let compiled = OriginPatterns::new(&[parsed]).unwrap();
                prop_assert_eq!(compiled.matches(&host, 443), expected, "{} {}", pattern, host);
            }
        }

        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,24}", globs in "[a*?.{},\\[\\]:-]{0,16}", host in "\\PC{0,24}") {
            for text in [&text, &globs] {
                if let Ok(pattern) = OriginPattern::parse(text) {
                    let _ = OriginPatterns::new(&[pattern]).unwrap().matches(&host, 80);
                }
            }
        }
    }
}
