//! The newest denials, for whoever asks why (`/-/denials`).
//!
//! Each worker writes into a block of its own, behind a lock that only the
//! admin listener ever takes beside it, and hands full blocks over. So it does
//! not matter which worker has the denials: the newest of the process stay.

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use memchr::memmem;

use super::raw::{Facts, Raw, Sink};
use super::stamp::rfc3339;

/// How many are kept, of denials and of would-be denials each.
pub const MOST_KEPT: usize = 10_000;

/// How many bytes denials take at most.
const DENIALS: usize = 16 << 20;

/// The same of what rules in shadow would have denied.
const WOULD_BE_DENIALS: usize = 8 << 20;

/// A block this full is handed over.
const FULL: usize = 64 << 10;

/// Its memory: it is full once it is beyond the above.
const BLOCK: usize = FULL + (8 << 10);

/// What stands before an entry: its length, and what it is.
const HEAD: usize = 5;

/// What a worker keeps.
#[derive(Debug)]
pub struct Kept {
    /// Of requests that were denied.
    pub denials: Keeper,
    /// Of requests that a rule in shadow would have denied, and none did.
    pub would_be: Keeper,
}

/// What all workers have handed over.
#[derive(Clone, Debug)]
pub struct AllKept {
    denials: Arc<Store>,
    would_be: Arc<Store>,
}

/// A worker's way to keep what has happened last.
#[derive(Debug)]
pub struct Keeper {
    open: Mutex<Block>,
    store: Arc<Store>,
}

/// Entries, one after the other, oldest first.
#[derive(Clone, Debug, Default)]
pub struct Block {
    number: u64,
    bytes: Vec<u8>,
    entries: usize,
}

/// One request.
#[derive(Clone, Copy, Debug)]
pub enum Entry<'a> {
    /// Its line of the access log.
    Line(&'a [u8]),
    /// What such a line is made from.
    Raw(Raw<'a>),
}

/// Blocks that are full, within bounds.
#[derive(Debug)]
struct Store {
    most: usize,
    most_bytes: usize,
    full: Mutex<Full>,
}

#[derive(Debug, Default)]
struct Full {
    blocks: VecDeque<Arc<Block>>,
    entries: usize,
    bytes: usize,
    /// Blocks that were begun.
    begun: u64,
}

impl Default for AllKept {
    fn default() -> Self {
        let store = |most_bytes| Arc::new(Store::new(MOST_KEPT, most_bytes));
        Self {
            denials: store(DENIALS),
            would_be: store(WOULD_BE_DENIALS),
        }
    }
}

impl AllKept {
    /// What another worker keeps.
    pub fn worker(&self) -> Kept {
        Kept {
            denials: Keeper::new(&self.denials),
            would_be: Keeper::new(&self.would_be),
        }
    }
}

impl Default for Kept {
    fn default() -> Self {
        AllKept::default().worker()
    }
}

impl Keeper {
    fn new(store: &Arc<Store>) -> Self {
        Self {
            open: Mutex::default(),
            store: Arc::clone(store),
        }
    }

    /// Keeps a line of the access log, as it is.
    pub(super) fn line(&self, line: &[u8]) {
        self.keep(0, |bytes| bytes.extend_from_slice(line));
    }

    /// Keeps what a line could be made from.
    #[inline]
    pub fn facts(&self, facts: &Facts<'_>, texts: impl FnOnce(&mut Sink<'_>)) {
        self.keep(1, |bytes| facts.write(texts, bytes));
    }

    #[inline]
    fn keep(&self, kind: u8, write: impl FnOnce(&mut Vec<u8>)) {
        let mut open = locked(&self.open);
        let block = &mut *open;
        if block.bytes.capacity() == 0 {
            *block = self.store.begin();
        }
        let start = block.bytes.len();
        block.bytes.extend_from_slice(&[0, 0, 0, 0, kind]);
        write(&mut block.bytes);
        // No head is as long as 4 GiB.
        let length = (block.bytes.len() - start - HEAD) as u32;
        block.bytes[start..start + 4].copy_from_slice(&length.to_le_bytes());
        block.entries += 1;
        if block.bytes.len() >= FULL {
            self.store.take(std::mem::take(block));
        }
    }

    /// What is not handed over yet.
    fn read(&self) -> Block {
        locked(&self.open).clone()
    }
}

/// The newest of the same kind, of all these workers.
pub(in crate::log) fn read<'k>(keepers: impl Iterator<Item = &'k Keeper>) -> Vec<Arc<Block>> {
    let mut stores: Vec<&Arc<Store>> = Vec::new();
    let mut open: Vec<Block> = Vec::new();
    for keeper in keepers {
        open.push(keeper.read());
        if !stores.iter().any(|known| Arc::ptr_eq(known, &keeper.store)) {
            stores.push(&keeper.store);
        }
    }
    let mut blocks: Vec<Arc<Block>> = Vec::new();
    for store in stores {
        blocks.extend(locked(&store.full).blocks.iter().cloned());
    }
    // One that was open when it was read may be full by now.
    let full: HashSet<u64> = blocks.iter().map(|block| block.number).collect();
    let open = open.into_iter().filter(|block| block.entries > 0);
    let open = open.filter(|block| !full.contains(&block.number));
    blocks.extend(open.map(Arc::new));
    blocks
}

impl Store {
    fn new(most: usize, most_bytes: usize) -> Self {
        let full = Mutex::default();
        Self {
            most,
            most_bytes,
            full,
        }
    }

    /// An empty block, in the memory of one that is too old by now.
    #[cold]
    fn begin(&self) -> Block {
        let mut full = locked(&self.full);
        full.begun += 1;
        let number = full.begun;
        let old = full.drop_oldest(self.most, self.most_bytes);
        drop(full);
        let spare = old.filter(|bytes| bytes.capacity() <= BLOCK);
        Block {
            number,
            bytes: spare.map_or_else(
                || Vec::with_capacity(BLOCK),
                |mut bytes| {
                    bytes.clear();
                    bytes
                },
            ),
            entries: 0,
        }
    }

    #[cold]
    fn take(&self, block: Block) {
        let mut full = locked(&self.full);
        full.entries += block.entries;
        full.bytes += block.bytes.capacity();
        full.blocks.push_back(Arc::new(block));
        while full.bytes > self.most_bytes && full.blocks.len() > 1 {
            full.pop();
        }
    }
}

impl Full {
    /// Drops what is beyond the newest `most`; memory that is free now.
    fn drop_oldest(&mut self, most: usize, most_bytes: usize) -> Option<Vec<u8>> {
        let mut spare = None;
        while let Some(oldest) = self.blocks.front()
            && (self.entries - oldest.entries >= most || self.bytes + BLOCK > most_bytes)
        {
            spare = self.pop();
        }
        spare
    }

    fn pop(&mut self) -> Option<Vec<u8>> {
        let oldest = self.blocks.pop_front()?;
        self.entries -= oldest.entries;
        self.bytes -= oldest.bytes.capacity();
        // Somebody may be reading it.
        Arc::try_unwrap(oldest).ok().map(|block| block.bytes)
    }
}

impl Block {
    /// Its entries, oldest first.
    pub fn entries(&self) -> impl Iterator<Item = Entry<'_>> {
        let mut rest = &self.bytes[..];
        std::iter::from_fn(move || {
            let (head, after) = rest.split_first_chunk::<HEAD>()?;
            let [a, b, c, d, kind] = *head;
            let length = u32::from_le_bytes([a, b, c, d]) as usize;
            let (entry, after) = after.split_at_checked(length)?;
            rest = after;
            Some(match kind {
                0 => Entry::Line(entry),
                _ => Entry::Raw(Raw::of(entry)),
            })
        })
    }
}

impl<'a> Entry<'a> {
    /// When it came (RFC 3339, UTC, of a fixed length), or with the log off was
    /// decided.
    pub fn time(&self) -> String {
        const BEFORE: usize = r#"{"time":""#.len();
        const LENGTH: usize = "2026-11-22T01:02:03.004Z".len();
        match self {
            Self::Line(line) => {
                let time = line.get(BEFORE..BEFORE + LENGTH).unwrap_or_default();
                String::from_utf8_lossy(time).into_owned()
            }
            Self::Raw(raw) => rfc3339(SystemTime::UNIX_EPOCH + raw.time()),
        }
    }

    /// Whether a rule in shadow would have denied it.
    pub fn would_deny(&self) -> bool {
        match self {
            // Quotes within a value are escaped.
            Self::Line(line) => memmem::find(line, b"\"would_deny\":[]").is_none(),
            Self::Raw(raw) => raw.would_deny(),
        }
    }

    /// The request's `ref`.
    pub fn reference(&self) -> &'a [u8] {
        /// What every line begins with.
        const BEFORE: usize = r#"{"time":"2026-11-22T01:02:03.004Z","ref":""#.len();
        match self {
            Self::Line(line) => {
                let rest = line.get(BEFORE..).unwrap_or_default();
                rest.split(|byte| *byte == b'"').next().unwrap_or_default()
            }
            Self::Raw(raw) => raw.reference(),
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic within leaves at worst an entry without its end, the last one.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store(most: usize, most_bytes: usize) -> (Arc<Store>, Vec<Keeper>) {
        let store = Arc::new(Store::new(most, most_bytes));
        let keepers = (0..3).map(|_| Keeper::new(&store)).collect();
        (store, keepers)
    }

    fn texts(keepers: &[Keeper]) -> Vec<String> {
        let blocks = read(keepers.iter());
        let lines = blocks.iter().flat_map(|block| block.entries());
        lines
            .map(|entry| match entry {
                Entry::Line(line) => String::from_utf8(line.to_vec()).unwrap(),
                Entry::Raw(_) => panic!("only lines were kept"),
            })
            .collect()
    }

    fn line(number: usize) -> String {
        format!(
            "{{\"time\":\"2026-11-22T01:02:03.004Z\",\"ref\":\"{number:020}\",{:500}}}",
            ""
        )
    }

    #[test]
    fn the_newest_stay_whoever_had_them() {
        let (_, keepers) = store(1000, 64 << 20);
        keepers[0].line(line(7).as_bytes());
        (1000..6000).for_each(|number| keepers[1].line(line(number).as_bytes()));
        keepers[2].line(line(9).as_bytes());
        let kept = texts(&keepers);
        for number in (5000..6000).chain([7, 9]) {
            assert!(kept.contains(&line(number)), "{number}");
        }
        // A block at most more than was asked for.
        assert!(kept.len() < 1000 + 2 + 2 * FULL / 500, "{}", kept.len());
    }

    #[test]
    fn memory_is_bounded_and_taken_again() {
        let most = 1 << 20;
        let (store, keepers) = store(1_000_000, most);
        for number in 0..20_000 {
            keepers[number % 3].line(line(number).as_bytes());
            let full = locked(&store.full);
            let bytes: usize = full.blocks.iter().map(|block| block.bytes.capacity()).sum();
            assert!(bytes <= most && bytes == full.bytes, "{bytes}");
        }
        assert!(texts(&keepers).len() > most / 600 - 200);
    }

    #[test]
    fn one_that_is_huge_is_kept_too() {
        let (_, keepers) = store(10, 1 << 20);
        let huge = "x".repeat(500_000);
        (0..5).for_each(|_| keepers[0].line(huge.as_bytes()));
        keepers[0].line(b"small");
        let kept = texts(&keepers);
        assert_eq!(kept.last().map(String::as_str), Some("small"));
        assert!(kept.len() <= 4 && kept.contains(&huge));
    }

    #[test]
    fn nothing_is_read_twice_while_others_write() {
        let (_, keepers) = store(100_000, 64 << 20);
        let (keeper, done) = (&keepers[0], std::sync::atomic::AtomicBool::new(false));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                (0..20_000).for_each(|number| keeper.line(line(number).as_bytes()));
                done.store(true, std::sync::atomic::Ordering::Release);
            });
            loop {
                let over = done.load(std::sync::atomic::Ordering::Acquire);
                let mut kept = texts(&keepers);
                let before = kept.len();
                kept.sort_unstable();
                kept.dedup();
                assert_eq!(kept.len(), before);
                if over {
                    break assert_eq!(before, 20_000);
                }
            }
        });
    }

    #[test]
    fn references_are_found() {
        let (_, keepers) = store(10, 1 << 20);
        keepers[0].line(line(7).as_bytes());
        keepers[0].line(b"{}");
        let blocks = read(keepers.iter());
        let found: Vec<&[u8]> = blocks[0].entries().map(|entry| entry.reference()).collect();
        assert_eq!(found, [&b"00000000000000000007"[..], b""]);
    }
}
