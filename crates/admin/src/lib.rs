//! The desk: what operators and admins may order, as one list of commands with several readers.

pub mod ad_hoc;
pub mod commands;
pub mod console;
pub mod desk;
pub mod keys;
pub mod wire;

pub use ad_hoc::AdHoc;
pub use commands::{Argument, Arguments, COMMANDS, Command, Input, Layout};
pub use desk::{Desk, Lines, Refused, Running, Stopped};
