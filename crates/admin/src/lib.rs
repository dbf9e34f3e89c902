//! The desk: what operators and admins may order, as one list of commands with several readers.

pub mod commands;
pub mod console;
pub mod desk;
pub mod keys;
pub mod wire;

pub use commands::{Argument, Arguments, COMMANDS, Command, Input, Layout, Lines, Refused};
pub use desk::{AdHoc, Desk, Running, Stopped};
