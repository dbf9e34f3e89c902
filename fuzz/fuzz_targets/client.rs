//! Streams of clients, seen from the client.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz_checks::client::check(data));
