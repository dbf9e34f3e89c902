//! What commands work on: a running server, or the store of one that is stopped.

use std::fmt;
use std::time::{Duration, SystemTime};

use futures_util::future::BoxFuture;
use store::Store;
use xmpp::jid::{BareJid, FullJid, Jid};
use xmpp::secret::Password;

mod running;
mod stopped;

pub use running::Running;
pub use stopped::Stopped;

/// An answer, as names and values in the order in which they are shown.
pub type Lines = Vec<(String, String)>;

/// Why a command was not carried out, in words for the one who gave it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused(pub String);

impl fmt::Display for Refused {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for Refused {}

/// The outcome of an order.
pub type Outcome<'a, T> = BoxFuture<'a, Result<T, Refused>>;

/// What can be ordered. Every refusal is in words for the one who ordered it.
pub trait Desk: Send + Sync {
    /// The domains served.
    fn domains(&self) -> Vec<String>;
    /// Makes an account.
    fn add_user(&self, account: BareJid, password: Password) -> Outcome<'_, ()>;
    /// Changes a password.
    fn set_password(&self, account: BareJid, password: Password) -> Outcome<'_, ()>;
    /// Removes an account with everything that is kept of it.
    fn remove_user(&self, account: BareJid) -> Outcome<'_, ()>;
    /// Clears the archive of an account away, as far as it is older than this; how many messages there were.
    fn clear_archive(&self, account: BareJid, older_than: Duration) -> Outcome<'_, usize>;
    /// All accounts of a domain, in order.
    fn users(&self, domain: String) -> Outcome<'_, Vec<BareJid>>;
    /// When the owner of an account was last there: now, if connected; `None`: never.
    fn last_seen(&self, account: BareJid) -> Outcome<'_, Option<SystemTime>>;
    /// All devices that are connected, in order.
    fn online(&self) -> Outcome<'_, Vec<FullJid>>;
    /// Ends the sessions of an account, or one of them.
    fn end_sessions(&self, jid: Jid) -> Outcome<'_, ()>;
    /// Where everything is kept.
    fn store(&self) -> &Store;
    /// How it is.
    fn status(&self) -> Lines;
}

/// Answered in the same words by either desk.
fn exists(account: &BareJid) -> Refused {
    Refused(format!("{account} exists already; `waxwing user password {account}` changes its password"))
}

pub(crate) fn is_missing(account: &BareJid) -> Refused {
    Refused(format!("there is no account {account}; `waxwing user list` shows those that there are"))
}

pub(crate) fn unreadable(error: &store::StoreError) -> Refused {
    Refused(format!("the store could not be used: {error}"))
}
