//! Trees that are written and read again.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz_checks::element::check(data));
