//! Features: one file each, plain functions that decide and leave writes and wishes with the step.

pub mod ad_hoc;
pub mod blocking;
pub mod caps;
pub mod disco;
pub mod last_activity;
pub mod ping;
pub mod private;
pub mod registration;
pub mod time;
pub mod vcard;
pub mod version;

#[cfg(test)]
mod check;
