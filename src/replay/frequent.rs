//! The most frequent of any number of texts, in bounded memory.

use std::collections::HashMap;
use std::net::IpAddr;

use foldhash::fast::RandomState;

/// How many texts are counted at a time.
const MOST: usize = 4096;

/// Longer texts are cut, so that one line cannot take much.
const LONGEST: usize = 256;

/// Counts texts. Whatever came often enough is among them: a count is never
/// more than the truth, and less by at most [`error`](Self::error).
///
/// When there is no more room, all counts are lowered by their median and what
/// is at nothing leaves (J. Misra and D. Gries, "Finding repeated elements",
/// 1982; so in blocks, a text costs about the same however many there are). Of
/// N texts the error is below N / 2048.
#[derive(Debug, Default)]
pub(super) struct Frequent {
    counts: HashMap<Box<str>, u64, RandomState>,
    lowered: u64,
}

impl Frequent {
    /// Counts `text`.
    pub(super) fn add(&mut self, text: &str) {
        let text = shortened(text);
        if let Some(count) = self.counts.get_mut(text) {
            *count += 1;
            return;
        }
        if self.counts.len() == MOST {
            self.make_room();
        }
        self.counts.insert(text.into(), 1);
    }

    /// How much a count may be too low; 0: they are exact.
    pub(super) fn error(&self) -> u64 {
        self.lowered
    }

    /// The most frequent, at most `most` of them, in order.
    pub(super) fn top(&self, most: usize) -> Vec<(&str, u64)> {
        let counts = self.counts.iter();
        let mut all: Vec<(&str, u64)> = counts.map(|(text, count)| (&**text, *count)).collect();
        all.sort_unstable_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
        all.truncate(most);
        all
    }

    fn make_room(&mut self) {
        let mut counts: Vec<u64> = self.counts.values().copied().collect();
        let (_, median, _) = counts.select_nth_unstable(MOST / 2);
        let median = *median;
        self.counts.retain(|_, count| {
            *count = count.saturating_sub(median);
            *count > 0
        });
        self.lowered += median;
    }
}

/// The network that stands for an address in a total: /24, or /48.
pub(super) fn neighbourhood(address: IpAddr) -> String {
    let length = if address.is_ipv4() { 24 } else { 48 };
    let network = ipnet::IpNet::new(address, length);
    network.map_or_else(|_| address.to_string(), |net| net.trunc().to_string())
}

/// The part of a text that is kept.
pub(super) fn shortened(text: &str) -> &str {
    &text[..text.floor_char_boundary(LONGEST)]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_few_are_counted_exactly() {
        let mut frequent = Frequent::default();
        for text in ["b", "a", "b", "c", "a", "b"] {
            frequent.add(text);
        }
        assert_eq!(frequent.top(2), [("b", 3), ("a", 2)]);
        assert_eq!(frequent.error(), 0);
        frequent.add(&"ü".repeat(1000));
        assert!(
            frequent
                .top(9)
                .iter()
                .all(|(text, _)| text.len() <= LONGEST)
        );
    }

    #[test]
    fn what_is_frequent_is_found_among_a_million_others() {
        let mut frequent = Frequent::default();
        for number in 0..400_000_u32 {
            frequent.add(&number.to_string());
            if number % 20 == 0 && number > 200_000 {
                frequent.add("often");
            }
        }
        let (text, count) = frequent.top(1)[0];
        assert_eq!(text, "often");
        assert!(count <= 9_999 && count + frequent.error() >= 9_999);
        assert!(frequent.error() <= 410_000 / 2048);
        assert!(frequent.counts.len() <= MOST);
    }

    proptest! {
        #[test]
        fn a_count_is_off_by_the_error_at_most(seed in any::<u64>(), spread in 1_u64..20_000) {
            let (mut frequent, mut exact) = (Frequent::default(), HashMap::new());
            let mut state = seed;
            for _ in 0..20_000 {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let text = ((state >> 33) % spread).to_string();
                frequent.add(&text);
                *exact.entry(text).or_insert(0_u64) += 1;
            }
            for (text, truth) in exact {
                let count = frequent.counts.get(&*text).copied().unwrap_or(0);
                prop_assert!(count <= truth && truth <= count + frequent.error());
            }
        }
    }
}
