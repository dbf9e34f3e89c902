//! The rehearsal: conversations and whole nodes, from one seed on a virtual clock.

pub mod chance;
pub mod checkers;
pub mod clockwork;
pub mod conversation;
pub mod deeds;
pub mod device;
pub mod disk;
pub mod event;
pub mod house;
mod line;
pub mod link;
pub mod managed;
pub mod misfortune;
pub mod play;
mod publishing;
mod records;
pub mod rehearsed;
mod served;
