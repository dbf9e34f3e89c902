//! The memory: what is kept of accounts, in SQLite or PostgreSQL, and the one log through which everything is written.

mod accounts;
mod archive;
mod capabilities;
mod clients;
mod db;
mod error;
#[cfg(feature = "fixture")]
pub mod fixture;
mod household;
mod letters;
mod log;
mod nodes;
mod notes;
mod offline;
mod roster;
mod secret;
mod sessions;
mod store;
mod url;
mod write;

pub use accounts::{AccountRecord, Credentials, ScramHash, StoredKeys};
pub use archive::{
    ArchiveMessage, ArchivePage, ArchiveQuery, ArchiveState, ArchivedMessage, Clearing, Due, Page,
    RETRACTABLE, WORD_BYTES_MAX, WORDS_MAX, words,
};
pub use capabilities::{CAPABILITIES_MAX, Capabilities};
pub use clients::{ClientRecord, TokenRecord};
pub use db::rehearsal::Rehearsal;
pub use error::StoreError;
pub use household::Household;
pub use letters::KeptLetter;
pub use log::{BEHIND_BYTES, Failed, Fate, Log, Lsn, WAITING_BYTES_MAX, Waiting};
pub use nodes::{ItemSize, ItemsFound, ItemsSaying, ItemsWanted, NodeItem, NodeRecord};
pub use notes::Notes;
pub use offline::{OfflineMessage, OfflineSize};
pub use roster::{RosterItem, Subscription};
pub use sessions::{KeptSession, OwedStanza};
pub use store::Store;
pub use url::StoreUrl;
pub use write::{KEY_BYTES_MAX, Write};
