//! See `portcullis_fuzz::glob`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| portcullis_fuzz::glob::check(data));
