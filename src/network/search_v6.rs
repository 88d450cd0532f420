//! The boundaries of a set of IPv6 addresses, laid out for searching.

/// A part of a table with more boundaries than this gets a table of its own.
const MAX_WALKED: usize = 32;

/// How many boundaries a part holds on average, at most.
const AVERAGE: usize = 8;

/// Marks a part that has a table of its own; boundaries are far fewer.
const TABLE: u32 = 1 << 31;

/// An address is in the set if an odd number of boundaries stand at or below it.
///
/// A binary search over two million boundaries would wait for memory a dozen
/// times. A table guesses the place instead: it cuts what lies between its
/// first and last boundary into equal parts and knows where each part begins.
/// Addresses come in clusters, so a crowded part is cut again, which two or
/// three tables do for the lists that exist. What is left at a million entries
/// is the price of memory: 32 MB of boundaries are in no near cache.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct SearchV6 {
    /// All boundaries, sorted.
    boundaries: Box<[u128]>,
    root: Table,
    /// The tables of crowded parts.
    tables: Box<[Table]>,
    /// For each part of each table: the position of its first boundary, or
    /// `TABLE` and the number of its table.
    parts: Box<[u32]>,
}

/// The boundaries from `first` up to `end`, cut into parts of `1 << shift`
/// addresses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Table {
    least: u128,
    shift: u32,
    first: u32,
    end: u32,
    /// Where its parts begin, and how many there are.
    parts: u32,
    len: u32,
}

impl SearchV6 {
    /// `boundaries` must be sorted, each once.
    pub(super) fn new(boundaries: Vec<u128>) -> Self {
        if boundaries.is_empty() {
            return Self::default();
        }
        let (mut tables, mut parts) = (Vec::new(), Vec::new());
        let mut waiting = vec![Table::new(&boundaries, 0, boundaries.len())];
        while let Some(table) = waiting.get(tables.len()) {
            let table = Table {
                parts: parts.len() as u32,
                ..*table
            };
            tables.push(table);
            table.fill(&boundaries, &mut waiting, &mut parts);
        }
        Self {
            root: tables[0],
            tables: tables.into(),
            parts: parts.into(),
            boundaries: boundaries.into(),
        }
    }

    #[inline]
    pub(super) fn contains(&self, address: u128) -> bool {
        let mut passed = self.part_of(address);
        while self.boundaries.get(passed).is_some_and(|b| *b <= address) {
            passed += 1;
        }
        passed % 2 == 1
    }

    /// Whether no boundary stands between two addresses, the last included.
    pub(super) fn is_alike_from(&self, first: u128, last: u128) -> bool {
        let passed = |address| {
            self.boundaries
                .partition_point(|boundary| *boundary <= address)
        };
        passed(first) == passed(last)
    }

    pub(super) fn boundaries(&self) -> usize {
        self.boundaries.len()
    }

    /// A position shortly before that of the first boundary above `address`,
    /// or the very one.
    #[inline]
    fn part_of(&self, address: u128) -> usize {
        let mut table = &self.root;
        loop {
            if address < table.least {
                return table.first as usize;
            }
            let part = (address - table.least) >> table.shift;
            if part >= u128::from(table.len) {
                return table.end as usize;
            }
            let found = self.parts[table.parts as usize + part as usize];
            if found & TABLE == 0 {
                return found as usize;
            }
            table = &self.tables[(found & !TABLE) as usize];
        }
    }
}

impl Table {
    /// Over `boundaries[first..end]`, which are not empty. The first and the
    /// last of several are never in one part, so that cutting comes to an end.
    fn new(boundaries: &[u128], first: usize, end: usize) -> Self {
        let least = boundaries[first];
        let span = boundaries[end - 1] - least;
        let wanted = ((end - first) / AVERAGE).next_power_of_two().max(2);
        let bits = u128::BITS - span.leading_zeros();
        let shift = bits.saturating_sub(wanted.trailing_zeros());
        Self {
            least,
            shift,
            first: first as u32,
            end: end as u32,
            parts: 0,
            len: (span >> shift) as u32 + 1,
        }
    }

    /// Appends its parts; the tables that they need are added to `tables`.
    fn fill(&self, boundaries: &[u128], tables: &mut Vec<Self>, parts: &mut Vec<u32>) {
        let mut position = self.first as usize;
        for part in 0..u128::from(self.len) {
            let rest = &boundaries[position..self.end as usize];
            let count = rest
                .iter()
                .take_while(|b| (**b - self.least) >> self.shift == part)
                .count();
            if count > MAX_WALKED {
                parts.push(TABLE | tables.len() as u32);
                tables.push(Self::new(boundaries, position, position + count));
            } else {
                parts.push(position as u32);
            }
            position += count;
        }
    }
}
