//! Addresses, passwords, escaped localparts.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz_checks::jid::check(data));
