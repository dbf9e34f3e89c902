//! The conversations: XMPP streams as machines that are fed with bytes and time. They open no
//! sockets and read no clocks; whoever holds one moves the bytes and answers its questions.

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod c2s;
pub mod client;
mod framing;
pub mod limits;
pub mod sasl;
mod seed;
mod tls;

pub use c2s::{Answer, C2s, C2sSettings, CloseReason, Enabled, Event, Resumption, TransportFacts, Wait};
pub use c2s::{Enable, Entered, Entry, InlineBind, TokenUse, UserAgent};
pub use limits::Deadlines;
pub use sasl::ht::KnownToken;
pub use sasl::scram::{ScramCredentials, ScramHash, ScramKeys};
pub use sasl::{Identity, Mechanism, SaslCondition};
pub use tls::{ClientCertificate, TlsFacts};
