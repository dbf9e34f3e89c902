//! Streams of bytes, against the oracles and however they are cut.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz_checks::scanner::check(data));
