//! The rehearsal: conversations and whole nodes, from one seed on a virtual clock.

pub mod chance;
pub mod clockwork;
pub mod conversation;
pub mod disk;
pub mod house;
pub mod link;
pub mod rehearsed;
mod served;
