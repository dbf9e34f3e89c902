//! The rehearsal: conversations and whole nodes, from one seed on a virtual clock.

pub mod conversation;
