//! Forms, result sets, dates, errors.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz_checks::forms::check(data));
