//! What strangers may try: hostile cases, pressure and mutated sessions, played against a real server on sockets, while
//! somebody else uses it and its memory is watched. `hostile/README.md` says how cases are written.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)] // a real process, on a real clock

pub mod bystander;
pub mod caller;
pub mod cut;
pub mod eyes;
pub mod pressure;
pub mod sessions;
pub mod siege;
pub mod suite;
pub mod theme;

#[path = "../../tests/support/mod.rs"]
#[allow(missing_docs)] // what it shares with the tests is explained there
pub mod support;
