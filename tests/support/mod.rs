//! What the tests of the whole server share: it on real sockets, a private PostgreSQL, an authority for certificates.

pub mod authority;
pub mod postgres;
pub mod sockets;
pub mod waxwing;
