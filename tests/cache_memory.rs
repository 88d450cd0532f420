//! The cache takes no more memory than it may, whatever the mix of sizes, by
//! the word of the allocator (a counting allocator is the one place for
//! `unsafe`).
#![expect(unsafe_code, reason = "an allocator is an unsafe trait")]
#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use hyper::header::{HeaderName, HeaderValue, VARY};
use hyper::{HeaderMap, StatusCode};
use portcullis::cache::entry::{Entry, Head, Key, PIECE, StoredBody, Variants, room};
use portcullis::cache::policy::Policy;
use portcullis::cache::purge::Purge;
use portcullis::cache::store::Store;
use portcullis::cache::vary::{Form, OriginForm};
use portcullis::images::Variant;
use smallvec::SmallVec;

struct Counting;

static HELD: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

fn add(bytes: usize) {
    let held = HELD.fetch_add(bytes, Ordering::Relaxed) + bytes;
    MOST.fetch_max(held, Ordering::Relaxed);
}

// SAFETY: every call goes to the system's allocator as it is; counting
// allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        add(layout.size());
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // Both may exist for a moment.
        add(size);
        HELD.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const ORIGIN: &str = "http://origin.internal:8080/assets";

/// One response on its way into the cache, whose head is not yet reserved,
/// and what the test itself holds.
const ON_THE_WAY: usize = 64 << 10;

/// What the responses of a mix are like.
#[derive(Clone, Copy, Debug)]
struct Kind {
    body: usize,
    fields: usize,
    forms: usize,
}

const fn kind(body: usize, fields: usize, forms: usize) -> Kind {
    Kind {
        body,
        fields,
        forms,
    }
}

/// A head as it was received: its values are parts of what was read.
fn received(number: usize, fields: usize, form: usize) -> Head {
    let read = Bytes::from(vec![b'v'; 8 << 10]);
    let mut headers = HeaderMap::new();
    for n in 0..fields {
        // Every fourth is a second line of the one before.
        let name = format!("x-field-{}", n - usize::from(n % 4 == 3));
        let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
        let length = 10 + (number + n) % 50;
        let value = HeaderValue::from_maybe_shared(read.slice(..length)).unwrap();
        headers.append(name, value);
    }
    headers.insert(
        VARY,
        HeaderValue::from_maybe_shared(read.slice(..6)).unwrap(),
    );
    let asked = HeaderName::from_bytes(b"x-asked-by").unwrap();
    let value = Some(form.to_string().into_bytes().into());
    Head {
        status: StatusCode::OK,
        headers,
        lines: bytes::Bytes::new(),
        policy: Policy::default(),
        form: Form {
            fields: [(asked, value)].into(),
            origin: OriginForm::Same(b"https://www.example.com"[..].into()),
        },
        variant: Variant::Original,
        serves: Variants::default().with(Variant::Original),
    }
}

fn stored_body(store: &Store, length: usize) -> Option<Arc<StoredBody>> {
    let reservation = store.reserve(StoredBody::room_for(length as u64))?;
    let mut pieces = SmallVec::new();
    for start in (0..length).step_by(PIECE) {
        let piece = vec![1; PIECE.min(length - start)];
        pieces.push(Bytes::from(piece));
    }
    // A hit shares a piece, which then has a count of its own.
    pieces.iter().for_each(|piece: &Bytes| drop(piece.clone()));
    Some(Arc::new(StoredBody::new(pieces, reservation)))
}

/// Stores a response as a fill does; `None`: there is no room.
fn store_one(store: &Store, number: usize, kind: Kind) -> Option<Arc<Entry>> {
    let body = stored_body(store, kind.body)?;
    let mut head = received(number, kind.fields, number % kind.forms);
    head.compact();
    let url = format!("https://img.example.com/{}/photo.jpg", number / kind.forms);
    let entry = Entry {
        reservation: store.reserve(room(&url, ORIGIN, &head))?,
        url: url.as_str().into(),
        origin: ORIGIN.into(),
        head,
        body,
    };
    let key = Key {
        url: &url,
        origin: ORIGIN,
    };
    Some(store.insert(store.hash(key), entry))
}

/// Fills a store of `memory` bytes three times over with each kind in turn,
/// and says how much of it the allocator saw at most.
fn fill(memory: usize, kinds: &[Kind]) -> usize {
    let before = HELD.load(Ordering::Relaxed);
    MOST.store(before, Ordering::Relaxed);
    let store = Store::new(memory as u64);
    let mut number = 0;
    for kind in kinds {
        let (mut stored, mut refused) = (0, 0);
        while stored < 3 * memory {
            number += 1;
            match store_one(&store, number, *kind) {
                Some(_) => stored += kind.body + 1000,
                None => refused += 1,
            }
            assert!(refused < 10, "{kind:?} finds no room");
        }
        assert!(store.stats().evicted > 0, "{kind:?}");
    }
    let most = MOST.load(Ordering::Relaxed) - before;
    assert!(store.stats().entries > 0);
    store.purge(&Purge::all());
    drop(store);
    let left = HELD.load(Ordering::Relaxed).saturating_sub(before);
    assert!(left < 4 << 10, "{left} bytes are left behind");
    most
}

/// One test, so that nothing else allocates meanwhile.
#[test]
fn memory_is_bounded_whatever_the_mix() {
    let (tiny, small, usual) = (kind(1, 4, 1), kind(1 << 10, 12, 1), kind(100 << 10, 12, 1));
    let (large, fields, forms) = (kind(5 << 20, 12, 1), kind(500, 90, 1), kind(700, 8, 16));
    for (memory, kinds) in [
        (8 << 20, &[tiny][..]),
        (8 << 20, &[small]),
        (8 << 20, &[usual]),
        (8 << 20, &[large]),
        (8 << 20, &[fields]),
        (8 << 20, &[forms]),
        (
            8 << 20,
            &[tiny, large, tiny, usual, forms, large, fields, small],
        ),
        (256 << 10, &[tiny, usual, forms, fields, small]),
    ] {
        let most = fill(memory, kinds);
        assert!(most <= memory + ON_THE_WAY, "{most} of {memory}: {kinds:?}");
        // And it is put to use: what is reserved is not much more than is held.
        assert!(most > memory / 2, "only {most} of {memory}: {kinds:?}");
    }
}
