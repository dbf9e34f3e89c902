//! Streams of clients, seen from the server.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz_checks::c2s::check(data));
