//! The boundaries of a set of IPv4 addresses, laid out for searching.

/// Up to this many boundaries an index of 256 places is as quick as the one of
/// 65,536, which would take 256 KiB.
const MAX_SMALL: usize = 1024;

/// Up to this many boundaries in a /16, counting all of them (without a branch,
/// several at a time) is quicker than a binary search.
const MAX_COUNTED: usize = 64;

/// An address is in the set if an odd number of boundaries stand at or below it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum SearchV4 {
    /// One sorted list, and where the boundaries of each /8 begin in it.
    Small {
        index: Box<[u16; 257]>,
        sorted: Box<[u32]>,
    },
    /// Sorted lists of low halves, one a /16: a million single addresses take
    /// 4 MB, and a lookup touches one place of the index and one of the lists.
    Indexed {
        /// Where the list of each /16 begins; one more for where the last ends.
        index: Box<[u32]>,
        /// Within a /16 the count starts anew: one that is full is `[0]`.
        low_halves: Box<[u16]>,
        /// How many boundaries there were.
        boundaries: usize,
    },
}

impl SearchV4 {
    /// `boundaries` must be sorted, each once.
    pub(super) fn new(boundaries: Vec<u32>) -> Self {
        if boundaries.len() <= MAX_SMALL {
            let before = |top: usize| boundaries.partition_point(|b| (b >> 24) < top as u32) as u16;
            return Self::Small {
                index: Box::new(std::array::from_fn(before)),
                sorted: boundaries.into(),
            };
        }
        let (index, low_halves) = split(&boundaries);
        Self::Indexed {
            index: index.into(),
            low_halves: low_halves.into(),
            boundaries: boundaries.len(),
        }
    }

    #[inline]
    pub(super) fn contains(&self, address: u32) -> bool {
        let passed = match self {
            Self::Small { index, sorted } => {
                let top = (address >> 24) as usize;
                let (start, end) = (usize::from(index[top]), usize::from(index[top + 1]));
                start + sorted[start..end].partition_point(|boundary| *boundary <= address)
            }
            Self::Indexed {
                index, low_halves, ..
            } => {
                let bucket = (address >> 16) as usize;
                let list = &low_halves[index[bucket] as usize..index[bucket + 1] as usize];
                count_to(list, address as u16)
            }
        };
        passed % 2 == 1
    }

    /// Whether no boundary stands between two addresses, the last included. Of
    /// two in different /16s that is only known if the list is a short one.
    pub(super) fn is_alike_from(&self, first: u32, last: u32) -> bool {
        match self {
            Self::Small { sorted, .. } => {
                let passed = |address| sorted.partition_point(|boundary| *boundary <= address);
                passed(first) == passed(last)
            }
            Self::Indexed {
                index, low_halves, ..
            } => {
                let bucket = (first >> 16) as usize;
                let list = &low_halves[index[bucket] as usize..index[bucket + 1] as usize];
                let passed = |address| count_to(list, address as u16);
                first >> 16 == last >> 16 && passed(first) == passed(last)
            }
        }
    }

    pub(super) fn boundaries(&self) -> usize {
        match self {
            Self::Small { sorted, .. } => sorted.len(),
            Self::Indexed { boundaries, .. } => *boundaries,
        }
    }
}

impl Default for SearchV4 {
    fn default() -> Self {
        Self::new(Vec::new())
    }
}

/// How many of `sorted` stand at or below `low`.
#[inline]
fn count_to(sorted: &[u16], low: u16) -> usize {
    if sorted.len() > MAX_COUNTED {
        return sorted.partition_point(|boundary| *boundary <= low);
    }
    let count: u16 = sorted.iter().map(|b| u16::from(*b <= low)).sum();
    usize::from(count)
}

/// The index and the low halves.
fn split(boundaries: &[u32]) -> (Vec<u32>, Vec<u16>) {
    let mut index = Vec::with_capacity(0x1_0001);
    let mut low_halves = Vec::with_capacity(boundaries.len());
    let mut passed = 0;
    for bucket in 0..=0xffff_u32 {
        let start = low_halves.len() as u32; // at most 65,536 in each of 65,536
        index.push(start);
        let inside = passed % 2 == 1;
        let first = boundaries.get(passed).copied();
        if inside && first != Some(bucket << 16) {
            low_halves.push(0);
        }
        while let Some(boundary) = boundaries.get(passed).filter(|b| **b >> 16 == bucket) {
            let ends_before = inside && *boundary == bucket << 16;
            if !ends_before {
                low_halves.push(*boundary as u16);
            }
            passed += 1;
        }
    }
    index.push(low_halves.len() as u32);
    (index, low_halves)
}
