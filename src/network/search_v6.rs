//! The boundaries of a set of IPv6 addresses, laid out for searching.

/// Keys of a block: 16 of them are four cache lines that lie side by side.
const BLOCK: usize = 16;

/// An address is in the set if an odd number of boundaries stand at or below it.
///
/// A binary search over two million boundaries would wait for memory a dozen
/// times. Here every level holds the first key of each block of the level
/// below, so that a search reads one block a level, six of them at two million,
/// and only the last is likely to be far away.
#[derive(Clone, Debug, Default)]
pub(super) struct SearchV6 {
    /// All boundaries, sorted.
    boundaries: Box<[u128]>,
    /// The levels above, the topmost (at most a block) first.
    levels: Box<[Box<[u128]>]>,
}

impl SearchV6 {
    /// `boundaries` must be sorted, each once.
    pub(super) fn new(boundaries: Vec<u128>) -> Self {
        let mut levels: Vec<Box<[u128]>> = Vec::new();
        let mut stride = BLOCK;
        while boundaries.len() > stride {
            levels.push(boundaries.iter().copied().step_by(stride).collect());
            stride *= BLOCK;
        }
        levels.reverse();
        Self {
            levels: levels.into(),
            boundaries: boundaries.into(),
        }
    }

    #[inline]
    pub(super) fn contains(&self, address: u128) -> bool {
        let mut block = 0;
        for level in &self.levels {
            match count_to(level, block, address) {
                0 => return false, // below all
                passed => block = passed - 1,
            }
        }
        count_to(&self.boundaries, block, address) % 2 == 1
    }

    pub(super) fn boundaries(&self) -> usize {
        self.boundaries.len()
    }
}

/// How many keys of `level` stand at or below `address`, if the last that does
/// is in `block`.
#[inline]
fn count_to(level: &[u128], block: usize, address: u128) -> usize {
    let start = block * BLOCK;
    let end = level.len().min(start + BLOCK);
    start + level[start..end].partition_point(|key| *key <= address)
}
