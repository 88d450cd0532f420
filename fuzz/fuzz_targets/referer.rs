//! See `portcullis_fuzz::referer`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| portcullis_fuzz::referer::check(data));
