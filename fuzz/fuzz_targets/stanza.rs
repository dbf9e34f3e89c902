//! Stanzas that were read, changed and written again.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz_checks::stanza::check(data));
