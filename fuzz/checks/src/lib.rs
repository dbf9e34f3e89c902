//! What fuzzing checks, in one place: the fuzzer (`fuzz/fuzz_targets`) and plain `cargo test` call the same functions,
//! so that every input that was ever of interest is checked again in each run of the tests.
#![allow(clippy::panic)] // a check speaks by panicking

mod accounts;
pub mod c2s;
pub mod client;
mod draw;
pub mod element;
pub mod forms;
pub mod jid;
pub mod oracle;
pub mod pubsub;
pub mod sasl;
pub mod scanner;
mod sketch;
pub mod stanza;
pub mod tree;

/// One thing that is fuzzed.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// The name of its file in `fuzz/fuzz_targets` and of its corpus in `fuzz/corpus`.
    pub name: &'static str,
    /// Checks one input; panics when a promise is broken.
    pub check: fn(&[u8]),
}

/// Everything that is fuzzed.
pub const TARGETS: [Target; 9] = [
    Target { name: "scanner", check: scanner::check },
    Target { name: "stanza", check: stanza::check },
    Target { name: "element", check: element::check },
    Target { name: "jid", check: jid::check },
    Target { name: "form_rsm", check: forms::check },
    Target { name: "sasl", check: sasl::check },
    Target { name: "c2s", check: c2s::check },
    Target { name: "client", check: client::check },
    Target { name: "pubsub", check: pubsub::check },
];
