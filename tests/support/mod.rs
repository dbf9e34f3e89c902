//! What the tests of the whole server share: it on real sockets, people who use it, an authority for certificates.
#![allow(dead_code)] // not every test uses everything

pub mod authority;
pub mod chatter;
pub mod person;
pub mod sockets;
pub mod waxwing;
