//! A load that any XMPP server can bear: many sessions in one thread, what they say, and what it cost the server.
//!
//! `bench/run` starts servers and calls the programs of this crate; the method is in docs/build/against.md.
//! `tests/soak.rs` plays the soak (docs/build/soak.md).
#![allow(clippy::disallowed_methods)] // a load looks at the clock, and waits

pub mod crowd;
pub mod entry;
pub mod manner;
pub mod measured;
pub mod scenes;
pub mod scram;
pub mod session;
pub mod soak;
pub mod text;
