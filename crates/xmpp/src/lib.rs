//! The language: addresses, XML as XMPP uses it, stanzas and their errors, forms, result sets, dates.

pub mod datetime;
pub mod error;
pub mod form;
pub mod jid;
pub mod map;
pub mod ns;
pub mod rsm;
pub mod secret;
pub mod stanza;
pub mod xml;
