//! Writing is a value: easy to collect, to group, to print in a test, to refuse in a rehearsal.

use std::time::SystemTime;

use xmpp::jid::BareJid;

use crate::db::Sink;
use crate::{Credentials, KeptLetter, RosterItem, accounts, letters, notes, offline, roster};

/// One thing to be written. Each group is carried out in the file of its concern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Write {
    /// An account comes to be.
    AccountCreate {
        /// Its address.
        account: BareJid,
        /// Its keys.
        credentials: Credentials,
        /// When.
        at: SystemTime,
    },
    /// An account has other keys.
    AccountCredentials {
        /// Its address.
        account: BareJid,
        /// Its keys.
        credentials: Credentials,
    },
    /// An account goes, with everything that is kept for it.
    AccountRemove {
        /// Its address.
        account: BareJid,
    },
    /// An account was last available.
    AccountSeen {
        /// Its address.
        account: BareJid,
        /// When.
        at: SystemTime,
        /// What it said as it left.
        status: Option<String>,
    },
    /// A contact is as it says here.
    RosterPut {
        /// Whose contact.
        owner: BareJid,
        /// The roster's version from here on.
        version: u64,
        /// The contact.
        item: RosterItem,
    },
    /// A contact is gone.
    RosterRemove {
        /// Whose contact.
        owner: BareJid,
        /// The roster's version from here on.
        version: u64,
        /// The contact.
        jid: BareJid,
    },
    /// A message is held for an absent account.
    OfflineKeep {
        /// Whose.
        owner: BareJid,
        /// Its place in the owner's order.
        id: u64,
        /// When it came.
        at: SystemTime,
        /// The stanza.
        xml: Vec<u8>,
    },
    /// Held messages are no longer needed.
    OfflineDrop {
        /// Whose.
        owner: BareJid,
        /// Up to this one.
        up_to: u64,
    },
    /// A letter goes to another entity.
    LetterKeep(KeptLetter),
    /// A letter has been read.
    LetterDrop {
        /// Which.
        key: String,
    },
    /// A small thing, by topic and key.
    Note {
        /// Whose.
        owner: BareJid,
        /// Which feature's.
        topic: &'static str,
        /// Which.
        key: String,
        /// What; `None`: it is gone.
        value: Option<Vec<u8>>,
    },
}

impl Write {
    /// Tells the database what it means.
    pub(crate) fn run(&self, sink: &mut dyn Sink) {
        match self {
            Write::AccountCreate { account, credentials, at } => {
                accounts::create(account, credentials, *at, sink);
            }
            Write::AccountCredentials { account, credentials } => {
                accounts::change_credentials(account, credentials, sink);
            }
            Write::AccountRemove { account } => {
                accounts::erase(account, sink);
                roster::erase(account, sink);
                offline::erase(account, sink);
                notes::erase(account, sink);
            }
            Write::AccountSeen { account, at, status } => {
                accounts::seen(account, *at, status.as_deref(), sink)
            }
            Write::RosterPut { owner, version, item } => roster::put(owner, *version, item, sink),
            Write::RosterRemove { owner, version, jid } => roster::remove(owner, *version, jid, sink),
            Write::OfflineKeep { owner, id, at, xml } => offline::keep(owner, *id, *at, xml, sink),
            Write::OfflineDrop { owner, up_to } => offline::drop_up_to(owner, *up_to, sink),
            Write::LetterKeep(letter) => letters::keep(letter, sink),
            Write::LetterDrop { key } => letters::drop(key, sink),
            Write::Note { owner, topic, key, value } => {
                notes::note(owner, topic, key, value.as_deref(), sink)
            }
        }
    }
}
