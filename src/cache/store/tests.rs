use std::collections::HashMap;

use bytes::Bytes;
use hyper::header::HeaderValue;
use hyper::{HeaderMap, StatusCode};
use proptest::prelude::*;
use smallvec::smallvec;

use super::*;
use crate::cache::entry::{StoredBody, Variants, room};
use crate::cache::policy::Policy;
use crate::cache::purge::Purge;
use crate::cache::vary::{Form, OriginForm};
use crate::images::Variant;

const ORIGIN: &str = "http://origin/";

fn key(url: &str) -> Key<'_> {
    Key {
        url,
        origin: ORIGIN,
    }
}

fn head(variant: Variant, form: &str) -> Head {
    let mut headers = HeaderMap::new();
    headers.insert("x-form", HeaderValue::from_str(form).unwrap());
    Head {
        status: StatusCode::OK,
        headers,
        lines: Bytes::new(),
        policy: Policy::default(),
        form: Form {
            fields: Box::default(),
            origin: OriginForm::Same(form.as_bytes().into()),
        },
        variant,
        serves: Variants::default().with(variant),
    }
}

fn body(store: &Store, length: usize) -> Option<Arc<StoredBody>> {
    let room = store.reserve(StoredBody::room_for(length as u64))?;
    let bytes = Bytes::from(vec![0; length]);
    Some(Arc::new(StoredBody::new(smallvec![bytes], room)))
}

fn entry(store: &Store, url: &str, head: Head, body: Arc<StoredBody>) -> Option<Entry> {
    Some(Entry {
        url: url.into(),
        origin: ORIGIN.into(),
        reservation: store.reserve(room(url, ORIGIN, &head))?,
        head,
        body,
    })
}

/// Stores a response, if there is room.
fn put(store: &Store, url: &str, form: &str, length: usize) -> Option<Arc<Entry>> {
    let body = body(store, length)?;
    let entry = entry(store, url, head(Variant::Original, form), body)?;
    Some(store.insert(store.hash(key(url)), entry))
}

fn found(store: &Store, url: &str, form: &str) -> Found {
    let wanted = |head: &Head| head.headers["x-form"] == *form;
    store.find(store.hash(key(url)), key(url), wanted)
}

#[test]
fn what_is_stored_is_found_until_it_is_removed() {
    let store = Store::new(1 << 20);
    let missing = found(&store, "http://a/", "x");
    assert!(missing.entry.is_none() && !missing.known);
    let first = put(&store, "http://a/", "x", 100).unwrap();
    put(&store, "http://a/", "y", 100).unwrap();
    assert!(Arc::ptr_eq(
        &found(&store, "http://a/", "x").entry.unwrap(),
        &first
    ));
    let other = found(&store, "http://a/", "z");
    assert!(other.entry.is_none() && other.known);
    let elsewhere = Key {
        url: "http://a/",
        origin: "http://other/",
    };
    assert!(!store.find(store.hash(elsewhere), elsewhere, |_| true).known);
    // Keys with the same hash are told apart by all of them.
    let hash = store.hash(key("http://a/"));
    for twin in [elsewhere, key("http://b/")] {
        assert!(!store.find(hash, twin, |_| true).known);
    }
    assert_eq!(store.stats().entries, 2);
    assert_eq!(store.remove(key("http://a/")), 2);
    assert_eq!(store.remove(key("http://a/")), 0);
    assert!(!found(&store, "http://a/", "x").known);
    let stats = store.stats();
    assert_eq!((stats.entries, stats.bytes, stats.evicted), (0, 0, 0));
}

#[test]
fn the_newest_that_fits_is_found_and_the_same_form_is_replaced() {
    let store = Store::new(1 << 20);
    put(&store, "http://a/", "x", 1).unwrap();
    let newer = put(&store, "http://a/", "y", 1).unwrap();
    let newest = |store: &Store| {
        let hash = store.hash(key("http://a/"));
        store.find(hash, key("http://a/"), |_| true).entry.unwrap()
    };
    assert!(Arc::ptr_eq(&newest(&store), &newer));
    let again = put(&store, "http://a/", "x", 2).unwrap();
    assert!(Arc::ptr_eq(&newest(&store), &again));
    assert_eq!(store.stats().entries, 2);
}

#[test]
fn a_key_keeps_sixteen_forms_of_a_variant() {
    let store = Store::new(1 << 20);
    for form in 0..20 {
        put(&store, "http://a/", &form.to_string(), 1).unwrap();
    }
    let webp = body(&store, 1).unwrap();
    let webp = entry(&store, "http://a/", head(Variant::WebP, "w"), webp).unwrap();
    store.insert(store.hash(key("http://a/")), webp);
    assert_eq!(store.stats().entries, 17);
    for form in 0..20 {
        let kept = found(&store, "http://a/", &form.to_string())
            .entry
            .is_some();
        assert_eq!(kept, form >= 4, "{form}");
    }
    assert!(found(&store, "http://a/", "w").entry.is_some());
}

#[test]
fn a_validated_entry_takes_the_place_of_the_one_it_was() {
    let store = Store::new(1 << 20);
    let old = put(&store, "http://a/", "x", 1000).unwrap();
    let hash = store.hash(key("http://a/"));
    let taken = store.budget().taken();
    let fresh = |old: &Arc<Entry>| {
        let body = Arc::clone(&old.body);
        entry(&store, "http://a/", old.head.clone(), body).unwrap()
    };
    let new = Arc::new(fresh(&old));
    assert!(store.replace(hash, &old, &new));
    assert!(!store.replace(hash, &old, &Arc::new(fresh(&old))));
    drop(old);
    assert_eq!(store.budget().taken(), taken);
    assert_eq!(store.stats().bytes, new.room());
    store.remove(key("http://a/"));
    assert!(!store.replace(hash, &new, &Arc::new(fresh(&new))));
    drop(new);
    assert_eq!(store.stats().bytes, 0);
}

#[test]
fn a_validated_entry_of_another_form_replaces_the_one_that_is_there() {
    let store = Store::new(1 << 20);
    let old = put(&store, "http://a/", "x", 10).unwrap();
    put(&store, "http://a/", "y", 10).unwrap();
    let form = head(Variant::Original, "y");
    let new = entry(&store, "http://a/", form, Arc::clone(&old.body)).unwrap();
    let new = Arc::new(new);
    assert!(store.replace(store.hash(key("http://a/")), &old, &new));
    assert_eq!(store.stats().entries, 1);
    let kept = found(&store, "http://a/", "y").entry.unwrap();
    assert!(Arc::ptr_eq(&kept, &new));
}

#[test]
fn what_is_asked_for_stays_and_the_rest_goes() {
    let store = Store::new(1 << 20);
    for number in 0..2000 {
        put(&store, &format!("http://a/{number}"), "x", 1000).unwrap();
        assert!(found(&store, "http://a/0", "x").entry.is_some(), "{number}");
    }
    assert!(found(&store, "http://a/1", "x").entry.is_none());
    let stats = store.stats();
    assert!(stats.entries > 400 && stats.evicted > 1000, "{stats:?}");
    assert_eq!(stats.entries + stats.evicted, 2000);
    assert!(stats.taken <= stats.limit, "{stats:?}");
}

#[test]
fn what_somebody_reads_stays_taken() {
    let store = Store::new(1 << 20);
    let read: Vec<_> = (0..9)
        .map(|number| put(&store, &format!("http://a/{number}"), "x", 88_000).unwrap())
        .collect();
    put(&store, "http://a/unread", "x", 88_000).unwrap();
    assert!(store.reserve(300_000).is_none());
    assert!(found(&store, "http://a/unread", "x").entry.is_none());
    assert!(store.reserve(100_000).is_some());
    assert!(store.reserve(2 << 20).is_none());
    assert_eq!(store.stats().entries, 9);
    // Out of the store is not out of memory.
    store.purge(&Purge::all());
    assert!(store.reserve(300_000).is_none());
    drop(read);
    assert!(store.reserve(1_000_000).is_some());
}

#[test]
fn a_hopeless_wish_costs_nothing_that_is_stored() {
    let store = Store::new(1 << 20);
    let _fill = store.reserve(600_000).unwrap();
    put(&store, "http://a/", "x", 100_000).unwrap();
    assert!(store.reserve(600_000).is_none());
    assert!(found(&store, "http://a/", "x").entry.is_some());
}

#[test]
fn one_entry_may_take_nearly_everything() {
    let store = Store::new(64 << 20);
    assert!(store.0.shards.len() > 1);
    for number in 0..3000 {
        put(&store, &format!("http://a/{number}"), "x", 10_000).unwrap();
    }
    put(&store, "http://a/large", "x", 60 << 20).unwrap();
    assert!(found(&store, "http://a/large", "x").entry.is_some());
    assert!(store.stats().taken <= 64 << 20);
}

#[test]
fn tables_give_their_memory_back() {
    let store = Store::new(32 << 20);
    let empty = store.budget().taken();
    for number in 0..20_000 {
        put(&store, &format!("http://a/{number}"), "x", 1).unwrap();
    }
    let full = store.stats();
    assert!(full.taken > full.bytes + 20_000 * 32, "{full:?}");
    assert_eq!(store.purge(&Purge::all()), 20_000);
    let shards = store.0.shards.len() as u64;
    assert!(store.budget().taken() <= empty + shards * 2 * CHUNK_ROOM);
}

#[test]
fn no_memory_at_all_is_no_cache() {
    for memory in [0, 100, 4000] {
        let store = Store::new(memory);
        assert!(put(&store, "http://a/", "x", 4000).is_none());
        assert_eq!(store.stats().entries, 0);
    }
}

#[test]
fn an_entry_without_a_node_is_not_stored() {
    let store = Store::new(4000);
    let entry = put(&store, "http://a/", "x", 1).unwrap();
    let rest = store.budget().limit() - store.budget().taken();
    let _rest = store.reserve(rest).unwrap();
    drop(entry);
    assert_eq!(store.stats().bytes == 0, store.stats().entries == 0);
}

#[test]
fn a_purge_finds_everything() {
    let store = Store::new(64 << 20);
    for number in 0..5000 {
        let url = format!("http://{}.com/{number}", number % 2);
        put(&store, &url, "x", 1).unwrap();
    }
    let mut purge = Purge::default();
    let path = crate::route::NormalPath::new("/", true).unwrap();
    purge.add_prefix("1.com", &path);
    assert_eq!(store.purge(&purge), 2500);
    assert_eq!(store.purge(&purge), 0);
    assert_eq!(store.stats().entries, 2500);
    assert!(found(&store, "http://0.com/0", "x").known);
}

#[test]
fn a_purge_misses_nothing_that_moves_meanwhile() {
    let path = crate::route::NormalPath::new("/", true).unwrap();
    let mut purge = Purge::default();
    purge.add_prefix("1.com", &path);
    let url = |number: usize| {
        format!(
            "http://{}.com/{number}",
            usize::from(number.is_multiple_of(8))
        )
    };
    for _ in 0..20 {
        let store = Store::with_shards(64 << 20, 1);
        for number in 0..4000 {
            put(&store, &url(number), "x", 1).unwrap();
        }
        std::thread::scope(|scope| {
            // The table shrinks, and what is left moves to free nodes.
            scope.spawn(|| {
                for number in (0..4000_usize).filter(|number| !number.is_multiple_of(8)) {
                    store.remove(key(&url(number)));
                }
            });
            scope.spawn(|| assert_eq!(store.purge(&purge), 500));
        });
        assert_eq!(store.stats().entries, 0);
    }
}

#[derive(Clone, Debug)]
enum Step {
    Put(u16, u8),
    Remove(u16),
    RemoveMany(u16),
    Find(u16, u8),
}

fn step() -> impl Strategy<Value = Step> {
    let url = 0..900_u16;
    prop_oneof![
        400 => (url.clone(), 0..3_u8).prop_map(|(url, form)| Step::Put(url, form)),
        60 => url.clone().prop_map(Step::Remove),
        1 => url.clone().prop_map(Step::RemoveMany),
        100 => (url, 0..3_u8).prop_map(|(url, form)| Step::Find(url, form)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// With room for all, the store is a map.
    #[test]
    fn equals_a_map(steps in proptest::collection::vec(step(), 0..3000)) {
        let store = Store::with_shards(8 << 20, 1);
        let mut map: HashMap<(u16, u8), Arc<Entry>> = HashMap::new();
        for step in steps {
            match step {
                Step::Put(url, form) => {
                    let stored = put(&store, &format!("http://{url}/"), &form.to_string(), 1);
                    map.insert((url, form), stored.unwrap());
                }
                Step::Remove(url) => {
                    let before = map.len();
                    map.retain(|(other, _), _| *other != url);
                    let removed = store.remove(key(&format!("http://{url}/")));
                    prop_assert_eq!(removed, before - map.len());
                }
                Step::RemoveMany(from) => {
                    for url in from..from + 400 {
                        store.remove(key(&format!("http://{url}/")));
                    }
                    map.retain(|(url, _), _| !(from..from + 400).contains(url));
                }
                Step::Find(url, form) => {
                    let found = found(&store, &format!("http://{url}/"), &form.to_string());
                    let expected = map.get(&(url, form));
                    prop_assert_eq!(found.entry.is_some(), expected.is_some());
                    if let (Some(one), Some(other)) = (&found.entry, expected) {
                        prop_assert!(Arc::ptr_eq(one, other));
                    }
                    prop_assert_eq!(found.known, map.keys().any(|(other, _)| *other == url));
                }
            }
            prop_assert_eq!(store.stats().entries, map.len() as u64);
        }
        let bytes: u64 = map.values().map(|entry| entry.room()).sum();
        prop_assert_eq!(store.stats().bytes, bytes);
        map.clear();
        store.purge(&Purge::all());
        prop_assert_eq!(store.stats().bytes, 0);
    }

    /// Without, it is never above its bound, and what is found is right.
    #[test]
    fn never_above_its_bound(steps in proptest::collection::vec((0..200_u16, 0..30_000_usize), 0..600)) {
        let store = Store::new(200_000);
        for (url, length) in steps {
            let text = format!("http://{url}/");
            if let Some(entry) = found(&store, &text, "x").entry {
                prop_assert_eq!(&*entry.url, &*text);
            }
            put(&store, &text, "x", length);
            prop_assert!(store.budget().taken() <= 200_000);
        }
        store.purge(&Purge::all());
        prop_assert_eq!(store.stats().bytes, 0);
        prop_assert!(store.budget().taken() < 20_000);
    }
}

#[test]
fn workers_share_it() {
    let store = Store::new(4 << 20);
    std::thread::scope(|scope| {
        for thread in 0..4_u64 {
            let store = store.clone();
            scope.spawn(move || {
                let mut random = thread * 77 + 1;
                for _ in 0..5000 {
                    random = random
                        .wrapping_mul(6_364_136_223_846_793_005)
                        .wrapping_add(1);
                    let url = format!("http://a/{}", (random >> 33) % 3000);
                    match random >> 60 {
                        0 => drop(store.remove(key(&url))),
                        1..8 => drop(put(&store, &url, "x", (random >> 40) as usize % 8000)),
                        _ => {
                            let found = found(&store, &url, "x").entry;
                            assert!(found.is_none_or(|entry| *entry.url == *url));
                        }
                    }
                }
            });
        }
        scope.spawn(|| {
            for _ in 0..20 {
                let mut purge = Purge::default();
                purge.add_prefix("a", &crate::route::NormalPath::new("/1", true).unwrap());
                store.purge(&purge);
            }
        });
    });
    store.purge(&Purge::all());
    let stats = store.stats();
    assert_eq!((stats.entries, stats.bytes), (0, 0), "{stats:?}");
}
