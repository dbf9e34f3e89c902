//! The doors: sockets, TLS, the real clock. Here bytes come in and go out; what they mean is decided below.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)] // The real world is here, and only here.

mod admission;
mod allowance;
mod channel;
pub mod control;
pub mod listen;
mod memory;
pub mod notify;
mod session;
pub mod tls;
mod world;

pub use control::Control;
pub use listen::{BindError, Doors, Open};
pub use tls::{Entrance, Sources, Tls, TlsError};
pub use world::world;
