//! The ledger of an account's sessions: who is connected, with which presence, interested in what.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use xmpp::jid::{FullJid, Jid};
use xmpp::stanza::{Stanza, Type};

use crate::rules;
use crate::wishes::Wishes;

/// A connection's number on this node; never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub u64);

/// When the account was last available, and the status it left with.
#[derive(Debug, Clone, Default)]
pub struct LastSeen {
    /// When.
    pub at: Option<SystemTime>,
    /// The text of its last unavailable presence.
    pub status: Option<String>,
}

/// One connected resource of an account (RFC 6120 §7: a bound stream).
#[derive(Debug, Clone)]
pub struct Session {
    /// The connection.
    pub id: SessionId,
    /// Its address.
    pub jid: FullJid,
    /// The id of its client's user agent (XEP-0388 §2.3), if it has told one.
    pub client: Option<Arc<str>>,
    /// The last available presence it broadcast; `None` until its initial presence and after unavailable.
    pub presence: Option<Stanza>,
    /// The priority of that presence (RFC 6121 §4.7.2.3).
    pub priority: i8,
    /// When that presence came, for stamps on later copies (XEP-0203).
    pub presence_at: Option<SystemTime>,
    /// What news it wants, as that presence says.
    pub wishes: Wishes,
    /// Whether it asked for the roster and so hears pushes (RFC 6121 §2.1.6).
    pub interested: bool,
    /// Whether it asked for the blocklist and so hears its pushes (XEP-0191 §3.4).
    pub watches_blocklist: bool,
    /// Whether its stream can be resumed: what it is given is owed to it from then on, over any crash (XEP-0198 §5).
    pub resumable: bool,
    /// Whether it wants copies of what other devices receive and send (XEP-0280 §4).
    pub carbons: bool,
    /// Whether it is being handed what was held (XEP-0160), so that what comes must wait behind that.
    pub draining: bool,
    /// It has been given what was held up to this number: that may still be held, as it could not be forgotten.
    pub handed: u64,
    /// What it takes out of the archive itself (XEP-0313 §6.1.1).
    pub archive_read: ArchiveRead,
    /// Whom it has sent directed presence, and who must hear that it leaves (RFC 6121 §4.6.3).
    pub directed: BTreeSet<Jid>,
    /// When it was last heard, for last activity (XEP-0012).
    pub heard: Instant,
}

/// What a session takes out of the archive itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArchiveRead {
    /// The numbers of it; the first is 1.
    pub numbers: RangeInclusive<u64>,
    /// Of these, what has come from then on.
    pub since: Option<SystemTime>,
}

impl Default for ArchiveRead {
    /// Nothing.
    fn default() -> Self {
        ArchiveRead { numbers: 0..=0, since: None }
    }
}

impl ArchiveRead {
    /// Whether what has this number and came then is among it.
    pub fn has(&self, number: u64, at: SystemTime) -> bool {
        self.numbers.contains(&number) && self.since.is_none_or(|since| at >= since)
    }
}

impl Session {
    /// A session that has just been bound.
    pub fn new(id: SessionId, jid: FullJid, now: Instant) -> Self {
        Session {
            id,
            jid,
            client: None,
            presence: None,
            priority: 0,
            presence_at: None,
            wishes: Wishes::None,
            interested: false,
            watches_blocklist: false,
            resumable: false,
            carbons: false,
            draining: false,
            handed: 0,
            archive_read: ArchiveRead::default(),
            directed: BTreeSet::new(),
            heard: now,
        }
    }

    /// Whether what is said in a room names the one who reads it here, or points at them: as it told the room when it
    /// joined.
    pub fn is_named_by(&self, message: &Stanza) -> bool {
        let Some(from) = &message.from else { return false };
        let mut here = self.directed.iter().filter(|nick| nick.bare() == from.bare());
        let me = |jid: &Jid| {
            jid.bare() == self.jid.bare() || (jid.bare() == from.bare() && self.directed.contains(jid))
        };
        here.any(|nick| nick.resource().is_some_and(|nick| rules::names(message, nick)))
            || rules::points_at(message, &me)
    }

    /// Whether it has said itself in a room what comes back from there, or another device under the same name.
    pub fn has_said(&self, message: &Stanza) -> bool {
        message.type_ == Type::Groupchat
            && message.from.as_ref().is_some_and(|from| !from.is_bare() && self.directed.contains(from))
    }

    /// Whether it has sent initial presence.
    pub fn is_available(&self) -> bool {
        self.presence.is_some()
    }
}

/// All sessions of one account, in the order in which they were bound.
#[derive(Debug, Clone, Default)]
pub struct Sessions {
    list: Vec<Session>,
}

impl Sessions {
    /// Adds a session that was bound.
    pub fn add(&mut self, session: Session) {
        // Most accounts have one or two, and room for a third would stay empty.
        self.list.reserve_exact(1);
        self.list.push(session);
    }

    /// Takes a session out.
    pub fn remove(&mut self, id: SessionId) -> Option<Session> {
        let at = self.list.iter().position(|session| session.id == id)?;
        let session = self.list.remove(at);
        if self.list.is_empty() {
            self.list = Vec::new();
        }
        Some(session)
    }

    /// The session of a connection.
    pub fn find(&self, id: SessionId) -> Option<&Session> {
        self.list.iter().find(|session| session.id == id)
    }

    /// The session of a connection, to be changed.
    pub fn find_mut(&mut self, id: SessionId) -> Option<&mut Session> {
        self.list.iter_mut().find(|session| session.id == id)
    }

    /// The session with this resource.
    pub fn by_resource(&self, resource: &str) -> Option<&Session> {
        self.list.iter().find(|session| session.jid.resource() == resource)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Session> {
        self.list.iter()
    }

    /// Those that have sent initial presence.
    pub fn available(&self) -> impl Iterator<Item = &Session> {
        self.list.iter().filter(|session| session.is_available())
    }

    /// Those that asked for the roster.
    pub fn interested(&self) -> impl Iterator<Item = &Session> {
        self.list.iter().filter(|session| session.interested)
    }

    /// Available with a priority of zero or more: what a bare address reaches (RFC 6121 §8.5.2.1.1).
    pub fn reachable(&self) -> impl Iterator<Item = &Session> {
        self.available().filter(|session| session.priority >= 0)
    }

    /// The "most available" ones: all that share the highest non-negative priority (RFC 6121 §8.5.2.1.1).
    pub fn most_available(&self) -> impl Iterator<Item = &Session> {
        let highest = self.reachable().map(|session| session.priority).max();
        self.reachable().filter(move |session| Some(session.priority) == highest)
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether nobody is connected.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }
}
