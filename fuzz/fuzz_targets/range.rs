//! See `portcullis_fuzz::range`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| portcullis_fuzz::range::check(data));
