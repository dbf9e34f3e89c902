//! Features: one file each, plain functions that decide and leave writes and wishes with the step.

pub mod ad_hoc;
pub mod archive;
pub mod blocking;
pub mod caps;
pub mod carbons;
pub mod client_state;
pub mod clients;
pub mod delivery;
pub mod disco;
pub mod last_activity;
pub mod offline;
pub mod ping;
pub mod presence;
pub mod private;
pub mod push;
pub mod registration;
pub mod reports;
pub mod roster;
pub mod strangers;
pub mod subscription;
pub mod time;
pub mod vcard;
pub mod version;

#[cfg(test)]
mod check;
