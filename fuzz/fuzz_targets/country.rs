//! See `portcullis_fuzz::country`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| portcullis_fuzz::country::check(data));
