//! The id of a request.

use std::cell::RefCell;

use bytes::Bytes;

/// The length of an id.
const LENGTH: usize = 20;

/// 32 of the 36 letters, so that five random bits are one; without those
/// that are misread over the telephone.
const LETTERS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// Random bytes of an id: two words, of which 100 bits are used.
const RANDOM: usize = 16;

/// The id of a request: in the log, and in every answer of our own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reference([u8; LENGTH]);

/// Ids, from bytes of the system's random source fetched many at a time.
#[derive(Debug)]
pub(super) struct References(RefCell<Pool>);

#[derive(Debug)]
struct Pool {
    bytes: [u8; RANDOM * 128],
    used: usize,
}

impl Default for References {
    fn default() -> Self {
        let bytes = [0; RANDOM * 128];
        Self(RefCell::new(Pool {
            used: bytes.len(),
            bytes,
        }))
    }
}

impl References {
    /// The next id.
    pub(super) fn next(&self) -> Reference {
        let mut pool = self.0.borrow_mut();
        if pool.used == pool.bytes.len() {
            getrandom::fill(&mut pool.bytes).expect("the system has a random source");
            pool.used = 0;
        }
        let used = pool.used;
        pool.used += RANDOM;
        let (high, low) = pool.bytes[used..used + RANDOM].split_at(RANDOM / 2);
        Reference::from_words(word(high), word(low))
    }
}

impl Reference {
    fn from_words(high: u64, low: u64) -> Self {
        let letter = |index: usize| {
            let (word, shift) = if index < 12 {
                (high, index * 5)
            } else {
                (low, (index - 12) * 5)
            };
            LETTERS[(word >> shift & 31) as usize]
        };
        Self(std::array::from_fn(letter))
    }

    pub(super) fn as_bytes(&self) -> &[u8; LENGTH] {
        &self.0
    }

    /// `<first line>\nReference: <id>\n`.
    pub(super) fn body(&self, first_line: &str) -> Bytes {
        const LABEL: &[u8] = b"\nReference: ";
        let mut text = Vec::with_capacity(first_line.len() + LABEL.len() + LENGTH + 1);
        text.extend_from_slice(first_line.as_bytes());
        text.extend_from_slice(LABEL);
        text.extend_from_slice(&self.0);
        text.push(b'\n');
        text.into()
    }
}

fn word(bytes: &[u8]) -> u64 {
    u64::from_le_bytes(bytes.try_into().expect("half of 16 bytes"))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn ids_are_twenty_letters_and_differ() {
        let references = References::default();
        let ids: HashSet<[u8; LENGTH]> = (0..1000).map(|_| references.next().0).collect();
        assert_eq!(ids.len(), 1000);
        assert!(
            ids.iter()
                .flatten()
                .all(|b| b.is_ascii_digit() || b.is_ascii_lowercase())
        );
        let letters: HashSet<u8> = ids.iter().flatten().copied().collect();
        assert_eq!(letters.len(), 32);
        for place in 0..LENGTH {
            let at: HashSet<u8> = ids.iter().map(|id| id[place]).collect();
            assert!(at.len() > 24, "place {place} is random");
        }
    }

    #[test]
    fn the_body() {
        let body = Reference([b'a'; LENGTH]).body("Forbidden");
        assert_eq!(body, "Forbidden\nReference: aaaaaaaaaaaaaaaaaaaa\n");
    }
}
