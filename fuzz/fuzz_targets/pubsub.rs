//! Requests about an account's nodes.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz_checks::pubsub::check(data));
