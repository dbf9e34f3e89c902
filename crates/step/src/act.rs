//! What a step wants done when it ends, and who gets what comes back.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use store::{
    ArchivePage, ArchiveQuery, ArchivedMessage, Credentials, ItemSize, ItemsFound, ItemsWanted, NodeItem,
    OfflineMessage,
};
use xmpp::error::{StanzaError, StreamError};
use xmpp::jid::{BareJid, FullJid, Jid};
use xmpp::stanza::Stanza;
use xmpp::xml::Element;

use crate::sessions::SessionId;
use crate::wishes::{Shown, Told, Wish};

/// A wish that a step leaves behind; carried out when the step has ended, in the order they were left.
#[derive(Debug)]
pub enum Act {
    /// Send the stanza to whomever its `to` names.
    Route(Stanza),
    /// Send the stanza, which the store is to keep under this key until whoever it is for has read it: a crash between
    /// the two loses nothing.
    RouteRegistered(String, Stanza),
    /// Tell an account of something that was published in this node (XEP-0163 §4.3): it knows which of its sessions
    /// want it.
    Notify(Arc<str>, Stanza),
    /// Tell an account that a session wants its last news.
    Wish(BareJid, Wish),
    /// Have all accounts know at once what clients have shown that tell this hash, by its function and itself.
    Learnt((String, String), Shown),
    /// Write the stanza to one of the account's own sessions.
    Deliver(SessionId, Stanza),
    /// Write the stanza to one of several sessions that all have it, in one form or another. If one leaves before it
    /// has been given it, the others are enough.
    DeliverShared(SessionId, Stanza, Arc<[SessionId]>),
    /// Write held messages to a session and tell once they have left, so that they can be dropped.
    DeliverThen(SessionId, Vec<Stanza>, Return),
    /// Let what is held back from a session go at once (XEP-0352).
    Flush(SessionId),
    /// Tell a connection that its resource is bound.
    Bound(SessionId, FullJid),
    /// Tell a connection that it gets no resource.
    BindRefused(SessionId, StanzaError),
    /// Tell a session that its stream is managed (XEP-0198 §3).
    Managed(SessionId, Managed),
    /// The consequence of a session's client's stanza of this number was lost with a failed commit. It has been dealt
    /// with once this step is committed; the client hears the error, if it has not heard it yet, whatever becomes of
    /// the store.
    Refused(SessionId, u64, Option<Stanza>),
    /// What a session is owed is put down by the numbers that it has now, when so many stanzas have given way to newer
    /// ones while they were held back (XEP-0352).
    PutDown(SessionId, u64),
    /// Tell a connection that it is in, and what came of all that its client wanted along with its login (XEP-0388).
    Entered(SessionId, Entered),
    /// The same, once what the step has written is durable.
    EnteredDurably(SessionId, Entered),
    /// Close a session's stream.
    Close(SessionId, StreamError),
    /// Hand back after this time.
    After(Duration, Return),
    /// Have a question answered beside the entity: one at a time, in the order they were asked, each once the answer
    /// to the one before has been read. So whoever reads, decides and writes sees what was decided before.
    Ask(Question, Return),
}

/// How a stream can be resumed (XEP-0198 §5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resumable {
    /// Its id, which nobody can guess.
    pub key: String,
    /// For how many seconds after its connection has gone.
    pub max: u32,
}

/// How a stream is managed (XEP-0198 §3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Managed {
    /// How it can be resumed, if it can.
    pub resumable: Option<Resumable>,
}

/// What a client has as it comes in.
#[derive(Debug, Clone, Default)]
pub struct Entered {
    /// The address of its session, if it wanted one.
    pub jid: Option<FullJid>,
    /// How the stream of that is managed, if it is.
    pub managed: Option<Managed>,
    /// How far the archive goes, for a session that it wanted (XEP-0386 §3.2).
    pub archive: Option<Element>,
    /// What a token for it is derived from, and when the token's time is over.
    pub token: Option<(String, SystemTime)>,
}

/// What takes a while and is answered beside the entity.
#[derive(Debug)]
pub enum Question {
    /// A query of the store, which shows all that this entity has written.
    Read(Read),
    /// Something costly to compute, or for another entity to do.
    Work(Work),
}

/// A query of the store.
#[derive(Debug)]
pub enum Read {
    /// Messages held for the account, after this id, at most so many.
    Offline {
        /// Whose.
        owner: BareJid,
        /// Only messages with a greater id.
        after: u64,
        /// At most so many.
        limit: usize,
    },
    /// All notes of one topic.
    Notes {
        /// Whose.
        owner: BareJid,
        /// Which.
        topic: &'static str,
    },
    /// The ids and bytes of a node's items, in the order of their publication.
    ItemSizes {
        /// Whose.
        owner: BareJid,
        /// The node's name.
        node: String,
    },
    /// Items of a node.
    Items {
        /// Whose.
        owner: BareJid,
        /// The node's name.
        node: String,
        /// Which.
        wanted: ItemsWanted,
        /// Not much more than so many bytes.
        bytes_max: u64,
    },
    /// The items that were published last in some nodes.
    LastItems {
        /// Whose.
        owner: BareJid,
        /// The nodes' names.
        nodes: Vec<String>,
    },
    /// What clients want that tell this hash.
    Capabilities {
        /// The name of the hash function.
        hash: String,
        /// The hash.
        ver: String,
    },
    /// A page of an archive.
    Archive {
        /// Whose.
        owner: BareJid,
        /// Which part of it.
        query: Box<ArchiveQuery>,
    },
    /// Where an archive begins and ends.
    ArchiveEnds {
        /// Whose.
        owner: BareJid,
    },
    /// The latest message in an archive with this id of its sender's.
    Archived {
        /// Whose.
        owner: BareJid,
        /// With whom the conversation is.
        with: BareJid,
        /// Whether the owner has sent it.
        sent: bool,
        /// The id.
        id: String,
    },
}

/// Something that is computed, or decided elsewhere, beside the step.
#[derive(Debug)]
pub enum Work {
    /// Derive SCRAM keys from a password (PBKDF2).
    Keys(xmpp::secret::Password),
    /// Run a command of the desk (XEP-0133) with these form values.
    Command {
        /// The command's name in the desk's list.
        name: String,
        /// Its arguments by name.
        arguments: Vec<(String, String)>,
    },
}

/// Who gets what comes back; a closed list, read by `server/returns.rs`.
#[derive(Debug, Clone)]
pub enum Return {
    /// Messages held while the account was away, for this session.
    Offline(SessionId),
    /// The time to ask for them again, since they could not be read.
    OfflineAgain(SessionId),
    /// Held messages up to this id have left the house for a session.
    OfflineLeft(u64),
    /// The time at which a session that has lost its connection is waited for no longer, unless its door has had
    /// another turn since this one.
    Resumption(SessionId, u64),
    /// The time to look again whether devices must be woken (XEP-0357).
    Push,
    /// The vCard somebody asked for (XEP-0054).
    VCard(Asked),
    /// The private XML that the account asked for (XEP-0049).
    Private(Asked),
    /// The new keys of an account that changes its password (XEP-0077 §3.3).
    PasswordChange(Asked),
    /// The outcome of a desk command (XEP-0050).
    Command(Asked),
    /// What this session asked of the archive (XEP-0313).
    Archive(SessionId, Asked),
    /// How far the archive goes, since its oldest messages have been cleared away.
    ArchiveEnds {
        /// The highest number when that was asked.
        last: u64,
    },
    /// The archived message that its sender retracts (XEP-0424).
    Retraction(Box<Retraction>),
    /// What somebody asked of the account's nodes (XEP-0060).
    Nodes(Asked),
    /// The last items of these nodes, which this address wants.
    News(Box<Jid>, Vec<String>),
    /// The time to ask for them again, since they could not be read.
    NewsAgain(Box<Jid>, Vec<String>),
    /// What this session wants, by the capabilities that it tells.
    Capabilities(SessionId, Box<Told>),
}

/// A message that takes back another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retraction {
    /// The id of the message that does so.
    pub id: String,
    /// Who does.
    pub from: Jid,
    /// When.
    pub at: SystemTime,
}

/// The iq that waits for its answer.
pub type Asked = Box<Stanza>;

impl Return {
    /// What it is, for the log.
    pub fn name(&self) -> &'static str {
        match self {
            Return::Offline(_) => "Offline",
            Return::OfflineAgain(_) => "OfflineAgain",
            Return::OfflineLeft(_) => "OfflineLeft",
            Return::Resumption(..) => "Resumption",
            Return::Push => "Push",
            Return::VCard(_) => "VCard",
            Return::Private(_) => "Private",
            Return::PasswordChange(_) => "PasswordChange",
            Return::Command(_) => "Command",
            Return::Archive(..) => "Archive",
            Return::ArchiveEnds { .. } => "ArchiveEnds",
            Return::Retraction(_) => "Retraction",
            Return::Nodes(_) => "Nodes",
            Return::News(..) => "News",
            Return::NewsAgain(..) => "NewsAgain",
            Return::Capabilities(..) => "Capabilities",
        }
    }

    /// The iq that waits for it, if one does.
    pub fn asked(&self) -> Option<&Stanza> {
        match self {
            Return::VCard(asked)
            | Return::Private(asked)
            | Return::PasswordChange(asked)
            | Return::Command(asked)
            | Return::Nodes(asked)
            | Return::Archive(_, asked) => Some(asked),
            Return::Offline(_)
            | Return::OfflineAgain(_)
            | Return::OfflineLeft(_)
            | Return::Resumption(..)
            | Return::ArchiveEnds { .. }
            | Return::Retraction(_)
            | Return::News(..)
            | Return::NewsAgain(..)
            | Return::Capabilities(..) => None,
            Return::Push => None,
        }
    }
}

/// What comes back.
#[derive(Debug)]
pub enum Returned {
    /// The time has come.
    Time,
    /// It has left the house.
    Left,
    /// Rows of held messages.
    Offline(Vec<OfflineMessage>),
    /// Rows of notes: key and value.
    Notes(Vec<(String, Vec<u8>)>),
    /// A page of an archive; `None`: an id that was named is not in it.
    Archive(Option<ArchivePage>),
    /// The numbers and times of the first and the last message of an archive, if there are any.
    ArchiveEnds(Option<[(u64, SystemTime); 2]>),
    /// An archived message, if it was found.
    Archived(Option<ArchivedMessage>),
    /// Ids and bytes of items.
    ItemSizes(Vec<ItemSize>),
    /// Items of a node; `None`: the one that was named as the end of a page is not there.
    Items(Option<ItemsFound>),
    /// The last items of nodes, with the nodes' names.
    LastItems(Vec<(String, NodeItem)>),
    /// What clients have shown that tell a hash; `None`: it is not known.
    Capabilities(Option<Shown>),
    /// Derived keys.
    Keys(Credentials),
    /// What a desk command answered: lines to show, or why it was refused.
    Command(Result<Vec<(String, String)>, String>),
    /// It could not be done; the asker hears this.
    Refused(StanzaError),
}
