//! How many different texts there were, in bounded memory.

use std::collections::HashSet;
use std::hash::BuildHasher as _;

use foldhash::quality::FixedState;

/// Up to this many are counted one by one, by their hashes (a MiB or two).
const EXACT: usize = 1 << 16;

/// A power of two of registers: 64 KiB.
const BITS: u32 = 16;

/// The standard error of the estimate, in percent: 104 / sqrt(2^16).
pub(super) const ERROR_PERCENT: f64 = 0.41;

/// Counts different texts: exactly while they are few, by a HyperLogLog
/// (P. Flajolet and others, 2007) after that.
#[derive(Debug, Default)]
pub(super) struct Distinct {
    few: HashSet<u64, foldhash::fast::RandomState>,
    /// The longest run of zeros of the hashes that fell there, plus one.
    registers: Option<Box<[u8]>>,
}

impl Distinct {
    /// How many different ones there were, about or exactly.
    pub(super) fn count(&self) -> u64 {
        match &self.registers {
            None => self.few.len() as u64,
            Some(registers) => estimate(registers),
        }
    }

    /// Whether that is exact.
    pub(super) fn is_exact(&self) -> bool {
        self.registers.is_none()
    }

    /// Counts what [`hashed`] says of a text.
    pub(super) fn add(&mut self, hash: u64) {
        if let Some(registers) = &mut self.registers {
            return note(registers, hash);
        }
        self.few.insert(hash);
        if self.few.len() > EXACT {
            let mut registers = vec![0; 1 << BITS].into_boxed_slice();
            for hash in std::mem::take(&mut self.few) {
                note(&mut registers, hash);
            }
            self.registers = Some(registers);
        }
    }
}

/// What a text is counted by; the same for all who count.
pub(super) fn hashed(parts: (&str, &str)) -> u64 {
    FixedState::default().hash_one(parts)
}

fn note(registers: &mut [u8], hash: u64) {
    let register = &mut registers[(hash >> (64 - BITS)) as usize];
    // The bit put in ends the run.
    let run = (hash << BITS | 1 << (BITS - 1)).leading_zeros() as u8 + 1;
    *register = run.max(*register);
}

/// The harmonic mean of what each register says; or, while some are empty,
/// how many balls leave so many urns empty.
fn estimate(registers: &[u8]) -> u64 {
    let urns = registers.len() as f64;
    let sum: f64 = registers
        .iter()
        .map(|run| 0.5_f64.powi(i32::from(*run)))
        .sum();
    let raw = 0.7213 / (1.0 + 1.079 / urns) * urns * urns / sum;
    let empty = registers.iter().filter(|run| **run == 0).count();
    if raw <= 2.5 * urns && empty > 0 {
        return (urns * (urns / empty as f64).ln()).round() as u64;
    }
    raw.round() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exact_and_then_within_two_percent() {
        let mut distinct = Distinct::default();
        for number in 0..2_000_000_u64 {
            let text = number.to_string();
            distinct.add(hashed((&text, "webp")));
            if number % 3 == 0 {
                distinct.add(hashed((&text, "webp")));
            }
            if [65_535, 65_536, 100_000, 200_000, 1_999_999].contains(&number) {
                let (count, truth) = (distinct.count(), number + 1);
                assert_eq!(distinct.is_exact(), truth <= EXACT as u64);
                let off = count.abs_diff(truth) as f64 / truth as f64;
                assert!(
                    off < if distinct.is_exact() {
                        f64::EPSILON
                    } else {
                        0.02
                    },
                    "{count} of {truth}"
                );
            }
        }
    }
}
