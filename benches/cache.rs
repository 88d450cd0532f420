//! What the store costs: lookup, insert, eviction and purge among 1,000,
//! 100,000 and 1,000,000 entries, beside `quick_cache` with byte weights; and
//! how often a Zipf trace with objects of mixed sizes finds what it asks for,
//! beside `quick_cache` and an exact LRU of the same memory.
//!
//! Bodies are reserved but not allocated, so that what is measured is the
//! store. Keys are asked for in an order without pattern: what is not in the
//! processor's caches is fetched from memory, as it would be.
#![allow(
    missing_docs,
    reason = "criterion's macros make public items without docs"
)]

#[path = "cache/lru.rs"]
mod lru;
#[path = "random/mod.rs"]
mod random;
#[path = "cache/trace.rs"]
mod trace;

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::{BatchSize, BenchmarkId, Criterion, criterion_group, criterion_main};
use foldhash::quality::RandomState;
use hyper::header::{HeaderName, HeaderValue};
use hyper::{HeaderMap, StatusCode};
use portcullis::cache::entry::{Entry, Head, Key, StoredBody, Variants, room};
use portcullis::cache::policy::Policy;
use portcullis::cache::purge::Purge;
use portcullis::cache::store::Store;
use portcullis::cache::vary::Form;
use portcullis::images::Variant;
use portcullis::route::NormalPath;
use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{Equivalent, Weighter};
use smallvec::SmallVec;

const ORIGIN: &str = "http://origin.internal:8080/assets";

/// More than an entry with a body of [`BODY`] bytes takes, in bytes.
const ENTRY: u64 = 4096;

/// A body of the lookup and insert cases, in bytes.
const BODY: u64 = 1000;

fn sizes() -> &'static [usize] {
    match is_smoke_test() {
        true => &[1000],
        false => &[1000, 100_000, 1_000_000],
    }
}

/// `cargo bench -- --test`, and `cargo test` where it is told to run benches,
/// run everything once, to see that it works.
pub(crate) fn is_smoke_test() -> bool {
    let has = |wanted: &str| std::env::args().any(|argument| argument == wanted);
    has("--test") || !has("--bench")
}

fn url(number: usize) -> String {
    format!(
        "https://img.example.com/gallery/{}/photo-{number}.jpg?width=640",
        number % 100
    )
}

fn key(url: &str) -> Key<'_> {
    Key {
        url,
        origin: ORIGIN,
    }
}

fn head(fields: &[(&'static str, &'static str)]) -> Head {
    let fields = fields.iter().map(|(name, value)| {
        let name = HeaderName::from_static(name);
        (name, HeaderValue::from_static(value))
    });
    Head {
        status: StatusCode::OK,
        headers: fields.collect::<HeaderMap>(),
        lines: bytes::Bytes::new(),
        policy: Policy::default(),
        form: Form::default(),
        variant: Variant::Original,
        serves: Variants::default().with(Variant::Original),
    }
}

/// An entry, if the store has room for one.
pub(crate) fn entry(store: &Store, url: &str, body: u64, head: &Head) -> Option<Entry> {
    let body = StoredBody::new(SmallVec::new(), store.reserve(body)?);
    Some(Entry {
        url: url.into(),
        origin: ORIGIN.into(),
        head: head.clone(),
        body: Arc::new(body),
        reservation: store.reserve(room(url, ORIGIN, head))?,
    })
}

pub(crate) fn put(store: &Store, url: &str, body: u64, head: &Head) {
    if let Some(entry) = entry(store, url, body, head) {
        store.insert(store.hash(key(url)), entry);
    }
}

pub(crate) fn is_hit(store: &Store, url: &str) -> bool {
    find(store, url).is_some()
}

fn find(store: &Store, url: &str) -> Option<Arc<Entry>> {
    let serves = |head: &Head| head.serves.contains(Variant::Original);
    store.find(store.hash(key(url)), key(url), serves).entry
}

/// The key of the other cache, which owns its text.
#[derive(PartialEq, Eq, Hash)]
pub(crate) struct OwnKey(Box<str>, Box<str>);

#[derive(Hash)]
struct BorrowedKey<'a>(&'a str, &'a str);

impl Equivalent<OwnKey> for BorrowedKey<'_> {
    fn equivalent(&self, key: &OwnKey) -> bool {
        *self.0 == *key.0 && *self.1 == *key.1
    }
}

/// What an entry weighs: its bytes.
#[derive(Clone)]
pub(crate) struct Bytes;

impl Weighter<OwnKey, Arc<Entry>> for Bytes {
    fn weight(&self, _: &OwnKey, entry: &Arc<Entry>) -> u64 {
        entry.room()
    }
}

/// With the same hash function as the store.
pub(crate) type Other = Cache<OwnKey, Arc<Entry>, Bytes, RandomState>;

pub(crate) fn other(entries: usize, bytes: u64) -> Other {
    let (hash, lifecycle) = (RandomState::default(), DefaultLifecycle::default());
    Cache::with(entries, bytes, Bytes, hash, lifecycle)
}

pub(crate) fn put_other(other: &Other, entry: Entry) {
    let key = OwnKey(entry.url.clone(), entry.origin.clone());
    other.insert(key, Arc::new(entry));
}

pub(crate) fn find_other(other: &Other, url: &str) -> Option<Arc<Entry>> {
    other.get(&BorrowedKey(url, ORIGIN))
}

/// A store of so many entries, and the other cache with the same.
struct Case {
    urls: Vec<String>,
    store: Store,
    /// What the entries of the other one are reserved in.
    other_room: Store,
    other: Other,
}

impl Case {
    fn new(size: usize) -> Self {
        let bytes = size as u64 * ENTRY;
        let case = Self {
            urls: (0..size).map(url).collect(),
            store: Store::new(bytes),
            other_room: Store::new(bytes),
            other: other(size, bytes),
        };
        let head = head(&[]);
        for url in &case.urls {
            put(&case.store, url, BODY, &head);
            let entry = entry(&case.other_room, url, BODY, &head);
            put_other(&case.other, entry.expect("there is room for all"));
        }
        assert_eq!(case.store.stats().entries, size as u64);
        case
    }

    /// The n-th key in an order without pattern.
    fn url(&self, n: u64) -> &str {
        let mixed = n.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 20;
        &self.urls[mixed as usize % self.urls.len()]
    }
}

/// The time of `count` lookups on each of `threads` threads at once.
fn on_threads(threads: u64, count: u64, look_up: impl Fn(u64) + Sync) -> Duration {
    let start = Instant::now();
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let look_up = &look_up;
            scope.spawn(move || (0..count).for_each(|n| look_up(n + thread * 0x5555_5555)));
        }
    });
    start.elapsed()
}

fn lookups(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("lookup");
    for size in sizes() {
        let case = Case::new(*size);
        for threads in [1, 2] {
            let id = |what| BenchmarkId::new(format!("{what}, {threads} threads"), size);
            group.bench_function(id("store"), |bench| {
                let find = |n| drop(black_box(find(&case.store, case.url(n))));
                bench.iter_custom(|count| on_threads(threads, count, find));
            });
            group.bench_function(id("quick_cache"), |bench| {
                let find = |n| drop(black_box(find_other(&case.other, case.url(n))));
                bench.iter_custom(|count| on_threads(threads, count, find));
            });
        }
        group.bench_function(
            BenchmarkId::new("the same key, 2 threads: store", size),
            |bench| {
                let find = |_| drop(black_box(find(&case.store, case.url(1))));
                bench.iter_custom(|count| on_threads(2, count, find));
            },
        );
        group.bench_function(
            BenchmarkId::new("the same key, 2 threads: quick_cache", size),
            |bench| {
                let find = |_| drop(black_box(find_other(&case.other, case.url(1))));
                bench.iter_custom(|count| on_threads(2, count, find));
            },
        );
        group.bench_function(BenchmarkId::new("hash alone", size), |bench| {
            let hash = |n| {
                black_box(case.store.hash(key(case.url(n))));
            };
            bench.iter_custom(|count| on_threads(1, count, hash));
        });
        group.bench_function(BenchmarkId::new("miss", size), |bench| {
            let find = |_| drop(black_box(find(&case.store, "https://img.example.com/no")));
            bench.iter_custom(|count| on_threads(1, count, find));
        });
    }
    group.finish();
}

/// Inserts beyond what there is room for: each evicts one.
fn inserts(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("insert with eviction");
    let head = head(&[]);
    for size in sizes() {
        let store = Store::new(*size as u64 * 2048);
        let mut next = 0;
        let mut one = || {
            next += 1;
            put(&store, &url(next), BODY, &head);
        };
        (0..size * 2).for_each(|_| one());
        group.bench_function(BenchmarkId::new("store", size), |bench| {
            bench.iter(&mut one)
        });
        assert!(store.stats().evicted > 0 && store.stats().taken <= store.stats().limit);

        let room = Store::new(u64::MAX >> 1);
        let other = other(*size, *size as u64 * 2048);
        let mut next = 0;
        let mut one = || {
            next += 1;
            let entry = entry(&room, &url(next), BODY, &head);
            put_other(&other, entry.expect("there is room for all"));
        };
        (0..size * 2).for_each(|_| one());
        group.bench_function(BenchmarkId::new("quick_cache", size), |bench| {
            bench.iter(&mut one)
        });
    }
    group.finish();
    let mut group = criterion.benchmark_group("reserve 256 KiB of 1 KB entries");
    for size in sizes() {
        let store = Store::new(*size as u64 * 2048);
        let mut next = 0;
        let mut fill = || {
            while store.stats().taken + 4096 < store.stats().limit {
                next += 1;
                put(&store, &url(next), BODY, &head);
            }
        };
        group.bench_function(BenchmarkId::new("store", size), |bench| {
            bench.iter_batched(
                &mut fill,
                |()| drop(store.reserve(256 << 10)),
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();
}

fn purges(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("purge");
    group.sample_size(10);
    let head = head(&[("cache-tag", "gallery, summer, photo")]);
    for size in sizes() {
        let store = Store::new(*size as u64 * ENTRY);
        for number in 0..*size {
            put(&store, &url(number), BODY, &head);
        }
        let mut prefix = Purge::default();
        let path = NormalPath::new("/nothing/", true).expect("a good path");
        prefix.add_prefix("img.example.com", &path);
        let mut tag = Purge::default();
        tag.add_tag("winter");
        for (name, purge) in [
            ("by prefix, nothing found", prefix),
            ("by tag, nothing found", tag),
        ] {
            group.bench_function(BenchmarkId::new(name, size), |bench| {
                bench.iter(|| assert_eq!(store.purge(&purge), 0));
            });
        }
        let fill = || {
            let store = Store::new(*size as u64 * ENTRY);
            (0..*size).for_each(|number| put(&store, &url(number), BODY, &head));
            store
        };
        drop(store);
        group.bench_function(BenchmarkId::new("all", size), |bench| {
            bench.iter_batched(
                fill,
                |store| assert_eq!(store.purge(&Purge::all()), *size),
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();
}

fn hit_ratios(_: &mut Criterion) {
    trace::print(&head(&[]));
}

criterion_group!(benches, lookups, inserts, purges, hit_ratios);
criterion_main!(benches);
