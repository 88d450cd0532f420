//! Finding any of a list of substrings in a field, ASCII case ignored.

use aho_corasick::{AhoCorasick, AhoCorasickKind, BuildError, MatchKind, packed};
use smallvec::SmallVec;

/// Field values up to this many bytes are lowered into a buffer on the stack
/// and searched with SIMD; browsers stay below 300.
const SHORT: usize = 512;

/// A compiled list of substrings.
///
/// A vectorised search over a lowered copy answers the common "none of them"
/// at several bytes a cycle; only a hit, or a value too long for the buffer,
/// walks the automaton.
#[derive(Clone, Debug)]
pub struct SubstringSet {
    entries: Vec<String>,
    fast: Option<packed::Searcher>,
    automaton: AhoCorasick,
}

impl SubstringSet {
    /// Compiles `entries`; their order is the order of [`Self::first`].
    ///
    /// # Errors
    ///
    /// If the list is too large for an automaton (billions of states).
    pub fn new<S: AsRef<str>>(entries: &[S]) -> Result<Self, BuildError> {
        let entries: Vec<String> = entries.iter().map(|e| e.as_ref().to_owned()).collect();
        let lowered: Vec<String> = entries.iter().map(|e| e.to_ascii_lowercase()).collect();
        Ok(Self {
            fast: packed::Searcher::new(&lowered),
            automaton: AhoCorasick::builder()
                .ascii_case_insensitive(true)
                .match_kind(MatchKind::Standard)
                .kind(Some(AhoCorasickKind::ContiguousNFA))
                .build(&lowered)?,
            entries,
        })
    }

    /// Whether the list is empty.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The entry at `index`, as written.
    pub fn entry(&self, index: usize) -> &str {
        &self.entries[index]
    }

    /// Whether `value` contains any entry.
    pub fn is_match(&self, value: &[u8]) -> bool {
        if self.is_empty() {
            return false;
        }
        match &self.fast {
            Some(fast) if value.len() <= SHORT => {
                let mut lowered: SmallVec<[u8; SHORT]> = SmallVec::from_slice(value);
                lowered.make_ascii_lowercase();
                fast.find(&*lowered).is_some()
            }
            _ => self.automaton.is_match(value),
        }
    }

    /// The index of the first entry of the list, not of the value, that
    /// `value` contains.
    pub fn first(&self, value: &[u8]) -> Option<usize> {
        if !self.is_match(value) {
            return None;
        }
        self.automaton
            .find_overlapping_iter(value)
            .map(|found| found.pattern().as_usize())
            .min()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_first_of_the_list_wins() {
        let set = SubstringSet::new(&["Android 11", "droid", "OkHttp"]).unwrap();
        assert_eq!(set.first(b"okhttp/4 (android 11)"), Some(0));
        assert_eq!(set.first(b"okhttp/4 (ANDROID 10)"), Some(1));
        assert_eq!(set.first(b"OKHTTP/4"), Some(2));
        assert_eq!(set.first(b"curl/8"), None);
        assert_eq!(set.entry(2), "OkHttp");
    }

    #[test]
    fn an_empty_list_matches_nothing() {
        let set = SubstringSet::new::<&str>(&[]).unwrap();
        assert!(!set.is_match(b"") && !set.is_match(b"x"));
    }

    proptest! {
        #[test]
        fn equals_a_naive_search(
            entries in proptest::collection::vec("[aAbB]{1,4}", 0..6),
            value in "[aAbBc]{0,40}",
            padding in 0_usize..600,
        ) {
            let set = SubstringSet::new(&entries).unwrap();
            let value = format!("{}{value}", "c".repeat(padding));
            let naive = entries.iter().position(|entry| {
                value.to_ascii_lowercase().contains(&entry.to_ascii_lowercase())
            });
            prop_assert_eq!(set.first(value.as_bytes()), naive);
            prop_assert_eq!(set.is_match(value.as_bytes()), naive.is_some());
        }
    }
}
