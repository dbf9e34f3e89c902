//! Writing is a value: easy to collect, to group, to print in a test, to refuse in a rehearsal.

use std::time::SystemTime;

use xmpp::jid::BareJid;

use crate::db::Sink;
use crate::roster::BETWEEN_GROUPS;
use crate::{
    ArchiveMessage, Capabilities, Clearing, ClientRecord, Credentials, KeptLetter, KeptSession, NodeItem,
    OwedStanza, RosterItem, ScramHash,
};
use crate::{accounts, archive, capabilities, clients, letters, nodes, notes, offline, roster, sessions};

/// The longest key of a row, in bytes: its owner, topic and name together. PostgreSQL's indexes hold 2,704 bytes a row
/// with their own overhead, and what one engine refuses the other must not keep.
pub const KEY_BYTES_MAX: usize = 2_600;

/// What an append takes besides its texts and blobs, roughly.
const OVERHEAD_BYTES: usize = 256;

/// One thing to be written. Each group is carried out in the file of its concern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Write {
    /// An account comes to be. If it is there already, nothing changes: look before you create.
    AccountCreate {
        /// Its address.
        account: BareJid,
        /// Its keys.
        credentials: Credentials,
        /// When.
        at: SystemTime,
    },
    /// An account has another password: other keys, and no client that has shown it. Without such an account, nothing
    /// changes.
    AccountCredentials {
        /// Its address.
        account: BareJid,
        /// Its keys.
        credentials: Credentials,
    },
    /// An account has more keys of the same password, in the place of those of the same hashes. If the password has
    /// changed meanwhile, nothing changes.
    AccountKeys {
        /// Its address.
        account: BareJid,
        /// The new keys.
        credentials: Credentials,
        /// The StoredKey that proves the password, and its hash.
        proven: (ScramHash, Vec<u8>),
    },
    /// A client of an account is as it says here; without such an account, nothing changes.
    ClientPut {
        /// Whose.
        account: BareJid,
        /// Which.
        client: Box<ClientRecord>,
    },
    /// A client has access no more.
    ClientRemove {
        /// Whose.
        account: BareJid,
        /// The id of its user agent.
        client: String,
    },
    /// An account goes, with everything that is kept for it. Letters to its address stay until they are read: their
    /// senders wait for an answer, from whoever is there then.
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
    /// A message is held for an absent account in whose archive it is.
    OfflineKeepArchived {
        /// Whose.
        owner: BareJid,
        /// Its place in the owner's order.
        id: u64,
        /// When it came.
        at: SystemTime,
        /// Its number in the owner's archive.
        archived: u64,
        /// The stanza, where it is not as it was archived; else empty: it is kept once.
        xml: Vec<u8>,
    },
    /// A message goes into an archive.
    ArchiveKeep(Box<ArchiveMessage>),
    /// Another stanza stands in the place of one that was archived.
    ArchiveReplace {
        /// Whose archive.
        owner: BareJid,
        /// Its number.
        seq: u64,
        /// The new stanza.
        xml: Vec<u8>,
    },
    /// The oldest messages of an archive are cleared away.
    ArchiveClear(Clearing),
    /// A letter goes to another entity.
    LetterKeep(KeptLetter),
    /// A letter has been read.
    LetterDrop {
        /// By whom.
        to: BareJid,
        /// Which.
        key: String,
    },
    /// A session that can be resumed is as it says here.
    SessionPut {
        /// Whose.
        owner: BareJid,
        /// The session.
        session: KeptSession,
    },
    /// How far both sides of a session have counted; what its client has acknowledged is not owed any more.
    SessionCounted {
        /// Whose.
        owner: BareJid,
        /// The session's key.
        key: String,
        /// How many of the client's stanzas have been handled, in all.
        handled: u64,
        /// How many stanzas the client has acknowledged, in all.
        acked: u64,
    },
    /// A session is to have a stanza, and may not have it yet.
    Owe {
        /// Whose.
        owner: BareJid,
        /// The session's key.
        key: String,
        /// The stanza.
        owed: OwedStanza,
    },
    /// No session of an account can be resumed, or is remembered.
    SessionsForget {
        /// Whose.
        owner: BareJid,
    },
    /// A session is owed nothing.
    OweNothing {
        /// Whose.
        owner: BareJid,
        /// The session's key.
        key: String,
    },
    /// A session is not remembered any more.
    SessionForget {
        /// Whose.
        owner: BareJid,
        /// The session's key.
        key: String,
    },
    /// A node is as it says here.
    NodePut {
        /// Whose.
        owner: BareJid,
        /// Its name.
        node: String,
        /// When it was made.
        created: SystemTime,
        /// Its configuration and affiliations.
        state: Vec<u8>,
    },
    /// A node is gone, with its items.
    NodeRemove {
        /// Whose.
        owner: BareJid,
        /// Its name.
        node: String,
    },
    /// A node has no items.
    NodePurge {
        /// Whose.
        owner: BareJid,
        /// Its name.
        node: String,
    },
    /// An item is published, in the place of one with the same id.
    ItemPut {
        /// Whose.
        owner: BareJid,
        /// The node's name.
        node: String,
        /// The item.
        item: NodeItem,
    },
    /// An item is gone.
    ItemRemove {
        /// Whose.
        owner: BareJid,
        /// The node's name.
        node: String,
        /// Its id.
        id: String,
    },
    /// Clients that tell this hash can do what one has shown that tells it (XEP-0115 §5.4).
    CapabilitiesKeep {
        /// Whose client has shown it.
        by: BareJid,
        /// The name of the hash function.
        hash: String,
        /// The hash.
        ver: String,
        /// When it was learnt.
        at: SystemTime,
        /// What that is.
        shown: Capabilities,
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
    /// How many bytes it takes while it waits, roughly.
    ///
    /// # Errors
    /// Says why no database can keep it.
    pub(crate) fn weigh(&self) -> Result<usize, &'static str> {
        let (texts, key, blob): (usize, usize, usize) = match self {
            Write::AccountCreate { .. }
            | Write::AccountCredentials { .. }
            | Write::AccountKeys { .. }
            | Write::AccountRemove { .. } => (0, 0, 0),
            Write::ClientPut { account, client } => {
                let told = text(client.software.iter().chain(&client.device).chain([&client.handle]))?;
                (told, account.as_str().len() + text([&client.id])?, 0)
            }
            Write::ClientRemove { account, client } => (0, account.as_str().len() + text([client])?, 0),
            Write::AccountSeen { status, .. } => (text(status.iter())?, 0, 0),
            Write::RosterPut { item, .. }
                if item.groups.iter().any(|group| group.contains(BETWEEN_GROUPS)) =>
            {
                return Err("the name of a group holds what stands between groups");
            }
            Write::RosterPut { item, .. } => (text(item.name.iter().chain(&item.groups))?, 0, 0),
            Write::RosterRemove { .. }
            | Write::OfflineDrop { .. }
            | Write::SessionsForget { .. }
            | Write::ArchiveClear(_) => (0, 0, 0),
            Write::OfflineKeep { xml, .. }
            | Write::OfflineKeepArchived { xml, .. }
            | Write::ArchiveReplace { xml, .. } => (0, 0, xml.len()),
            Write::ArchiveKeep(message) => {
                let texts = text(message.id.iter().chain([&message.words]))?;
                (texts, 0, message.xml.len())
            }
            Write::LetterKeep(letter) => (0, text([&letter.key])?, letter.xml.len()),
            Write::LetterDrop { key, .. } => (0, text([key])?, 0),
            Write::SessionPut { session, .. } => (0, text([&session.key])?, session.state.len()),
            Write::SessionCounted { key, .. }
            | Write::OweNothing { key, .. }
            | Write::SessionForget { key, .. } => (0, text([key])?, 0),
            Write::Owe { key, owed, .. } => (text(&owed.shared)?, text([key])?, owed.xml.len()),
            Write::NodePut { owner, node, state, .. } => {
                (0, owner.as_str().len() + text([node])?, state.len())
            }
            Write::NodeRemove { node, .. } | Write::NodePurge { node, .. } => (0, text([node])?, 0),
            Write::ItemPut { owner, node, item } => {
                (0, owner.as_str().len() + text([node, &item.id])?, item.xml.len())
            }
            Write::ItemRemove { node, id, .. } => (0, text([node, id])?, 0),
            Write::CapabilitiesKeep { hash, ver, shown, .. } => {
                let identities = shown.identities.iter().flat_map(|(category, type_)| [category, type_]);
                (text(&shown.wants)? + text(identities)?, text([hash, ver])?, 0)
            }
            Write::Note { owner, topic, key, value } => {
                let key = owner.as_str().len() + topic.len() + text([key])?;
                (0, key, value.as_ref().map_or(0, Vec::len))
            }
        };
        if key > KEY_BYTES_MAX {
            return Err("a key is longer than KEY_BYTES_MAX");
        }
        Ok(OVERHEAD_BYTES + texts + key + blob)
    }

    /// Whether it may wait a little for its commit unless somebody waits for that: it changes nothing that anybody has
    /// been told, and what comes after does not rest on it.
    pub fn is_patient(&self) -> bool {
        matches!(self, Write::AccountSeen { .. })
    }

    /// Whose things change with it; nobody's in particular: perhaps everybody's.
    pub(crate) fn whose(&self) -> Option<&BareJid> {
        match self {
            Write::AccountCreate { account, .. }
            | Write::AccountCredentials { account, .. }
            | Write::AccountKeys { account, .. }
            | Write::ClientPut { account, .. }
            | Write::ClientRemove { account, .. }
            | Write::AccountRemove { account }
            | Write::AccountSeen { account, .. } => Some(account),
            Write::RosterPut { owner, .. }
            | Write::RosterRemove { owner, .. }
            | Write::OfflineKeep { owner, .. }
            | Write::OfflineDrop { owner, .. }
            | Write::OfflineKeepArchived { owner, .. }
            | Write::ArchiveReplace { owner, .. }
            | Write::SessionPut { owner, .. }
            | Write::SessionCounted { owner, .. }
            | Write::Owe { owner, .. }
            | Write::SessionsForget { owner }
            | Write::OweNothing { owner, .. }
            | Write::SessionForget { owner, .. }
            | Write::NodePut { owner, .. }
            | Write::NodeRemove { owner, .. }
            | Write::NodePurge { owner, .. }
            | Write::ItemPut { owner, .. }
            | Write::ItemRemove { owner, .. }
            | Write::CapabilitiesKeep { by: owner, .. }
            | Write::Note { owner, .. } => Some(owner),
            Write::ArchiveKeep(message) => Some(&message.owner),
            Write::ArchiveClear(clearing) => clearing.account(),
            Write::LetterKeep(letter) => Some(&letter.to),
            Write::LetterDrop { to, .. } => Some(to),
        }
    }

    /// Tells the database what it means.
    pub(crate) fn run(&self, sink: &mut dyn Sink) {
        match self {
            Write::AccountCreate { account, credentials, at } => {
                accounts::create(account, credentials, *at, sink);
            }
            Write::AccountCredentials { account, credentials } => {
                accounts::change_credentials(account, credentials, sink);
                clients::forget_proofs(account, sink);
            }
            Write::AccountKeys { account, credentials, proven } => {
                accounts::add_keys(account, credentials, proven, sink);
            }
            Write::ClientPut { account, client } => clients::put(account, client, sink),
            Write::ClientRemove { account, client } => clients::remove(account, client, sink),
            Write::AccountRemove { account } => {
                accounts::erase(account, sink);
                clients::erase(account, sink);
                roster::erase(account, sink);
                offline::erase(account, sink);
                archive::erase(account, sink);
                notes::erase(account, sink);
                nodes::erase(account, sink);
                sessions::erase(account, sink);
            }
            Write::AccountSeen { account, at, status } => {
                accounts::seen(account, *at, status.as_deref(), sink)
            }
            Write::RosterPut { owner, version, item } => roster::put(owner, *version, item, sink),
            Write::RosterRemove { owner, version, jid } => roster::remove(owner, *version, jid, sink),
            Write::OfflineKeep { owner, id, at, xml } => offline::keep(owner, *id, *at, xml, sink),
            Write::OfflineDrop { owner, up_to } => offline::drop_up_to(owner, *up_to, sink),
            Write::OfflineKeepArchived { owner, id, at, archived, xml } => {
                offline::keep_archived(owner, *id, *at, *archived, xml, sink);
            }
            Write::ArchiveKeep(message) => archive::keep(message, sink),
            Write::ArchiveReplace { owner, seq, xml } => archive::replace(owner, *seq, xml, sink),
            Write::ArchiveClear(clearing) => archive::clear(clearing, sink),
            Write::LetterKeep(letter) => letters::keep(letter, sink),
            Write::LetterDrop { key, .. } => letters::drop(key, sink),
            Write::SessionPut { owner, session } => sessions::put(owner, session, sink),
            Write::SessionCounted { owner, key, handled, acked } => {
                sessions::counted(owner, key, *handled, *acked, sink);
            }
            Write::Owe { owner, key, owed } => sessions::owe(owner, key, owed, sink),
            Write::SessionsForget { owner } => sessions::erase(owner, sink),
            Write::OweNothing { owner, key } => sessions::owe_nothing(owner, key, sink),
            Write::SessionForget { owner, key } => sessions::forget(owner, key, sink),
            Write::NodePut { owner, node, created, state } => nodes::put(owner, node, *created, state, sink),
            Write::NodeRemove { owner, node } => nodes::remove(owner, node, sink),
            Write::NodePurge { owner, node } => nodes::purge(owner, node, sink),
            Write::ItemPut { owner, node, item } => nodes::put_item(owner, node, item, sink),
            Write::ItemRemove { owner, node, id } => nodes::remove_item(owner, node, id, sink),
            Write::CapabilitiesKeep { hash, ver, at, shown, .. } => {
                capabilities::keep(hash, ver, *at, shown, sink)
            }
            Write::Note { owner, topic, key, value } => {
                notes::note(owner, topic, key, value.as_deref(), sink)
            }
        }
    }
}

/// The length of texts, none of which may hold the one character that PostgreSQL's cannot.
fn text<'a>(texts: impl IntoIterator<Item = &'a String>) -> Result<usize, &'static str> {
    let mut bytes = 0;
    for text in texts {
        if text.contains('\0') {
            return Err("a text holds a NUL");
        }
        bytes += text.len();
    }
    Ok(bytes)
}
