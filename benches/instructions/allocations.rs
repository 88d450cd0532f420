//! Calls of the allocator, by who made them.

use super::profile::plain;

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

/// Frames that say nothing about who wanted the memory.
const PASSING_ON: [&str; 8] = [
    "alloc::raw_vec",
    "alloc::alloc",
    "alloc::boxed",
    "__rust",
    "__rg_",
    "alloc::sync",
    "alloc::rc",
    "core::ops",
];

/// Whether this is an entry of the allocator, with or without its callers.
pub(crate) fn is_entry(name: &str) -> bool {
    ENTRIES.contains(&name.split('\'').next().unwrap_or(name))
}

/// The callers in `entry'caller'caller...`, nearest first, without those that only
/// pass on; `None` if the function called is not an entry, or one called by another.
pub(crate) fn chain(called: &str) -> Option<String> {
    let mut frames = called.split('\'');
    let entry = frames.next().filter(|name| ENTRIES.contains(name))?;
    let callers: Vec<&str> = frames.collect();
    if callers
        .first()
        .is_some_and(|caller| caller.starts_with("mi_"))
    {
        return None;
    }
    let telling = callers.iter().map(|frame| plain(frame)).filter(|frame| {
        !(PASSING_ON.iter()).any(|start| frame.trim_start_matches('<').starts_with(start))
    });
    let telling: Vec<String> = telling.take(4).collect();
    Some(format!("{entry}: {}", telling.join(" < ")))
}
