//! Calls of the allocator, by who made them.

use super::profile::{CALLER, callers, nearest};

/// What Rust's global allocator calls of mimalloc.
pub(crate) const ENTRIES: [&str; 7] = [
    "mi_malloc",
    "mi_malloc_aligned",
    "mi_zalloc",
    "mi_zalloc_aligned",
    "mi_realloc",
    "mi_realloc_aligned",
    "mi_calloc",
];

/// Whether this is an entry of the allocator, with or without its callers.
pub(crate) fn is_entry(name: &str) -> bool {
    ENTRIES.contains(&nearest(name))
}

/// The callers of an entry, if `called` is one that another entry did not call.
pub(crate) fn chain(called: &str) -> Option<String> {
    let is_inner = || {
        let caller = called.split(CALLER).nth(1);
        caller.is_some_and(|caller| caller.starts_with("mi_"))
    };
    (is_entry(called) && !is_inner()).then(|| callers(called))
}
