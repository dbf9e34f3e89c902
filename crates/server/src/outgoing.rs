//! What leaves by a session's door, and what of it has not.

use std::sync::Arc;
use std::time::SystemTime;

use step::{Return, SessionId};
use store::Lsn;
use stream::{Enabled, Entered};
use xmpp::error::{StanzaError, StreamError};
use xmpp::jid::FullJid;
use xmpp::stanza::Stanza;

use crate::entering::NotEntered;

/// Something for the connection.
#[derive(Debug)]
pub enum Outgoing {
    /// A stanza for the client.
    Stanza(Stanza),
    /// A stanza that these sessions of the account all have, in one form or another.
    Shared(Stanza, Arc<[SessionId]>),
    /// A stanza that the store has, until whoever wrote it hears that it has left.
    Held(Stanza),
    /// The stream is managed; what leaves from here on counts.
    Managed(Enabled),
    /// A former stream goes on at this address; so many of the client's stanzas have been handled.
    Resumed(FullJid, u32),
    /// A client that wants to know hears how many of its stanzas have been handled.
    Ack(u32),
    /// Not for the client: what was held back for it goes.
    Flush,
    /// Not for the client: whoever wrote the stanzas before it hears when they have left the house.
    Left(Return),
    /// The resource is bound.
    Bound(FullJid),
    /// There is no resource to be had.
    BindRefused(StanzaError),
    /// The client is in, with all that it wanted along with its login.
    Entered(Box<Entered>),
    /// It is not.
    NotEntered(NotEntered),
    /// The stream is to be closed.
    Close(StreamError),
}

impl Outgoing {
    /// About how many bytes it is when written.
    pub fn byte_len(&self) -> usize {
        self.stanza().map_or(0, Stanza::byte_len)
    }

    /// Whether the client hears by it that its stream is managed.
    pub fn begins_management(&self) -> bool {
        match self {
            Outgoing::Managed(_) => true,
            Outgoing::Entered(entered) => entered.enabled.is_some(),
            _ => false,
        }
    }

    /// What of it is a stanza for the client.
    pub fn stanza(&self) -> Option<&Stanza> {
        match self {
            Outgoing::Stanza(stanza) | Outgoing::Shared(stanza, _) | Outgoing::Held(stanza) => Some(stanza),
            _ => None,
        }
    }
}

/// A stanza that a session was meant to have and was not given.
#[derive(Debug, Clone)]
pub struct Undelivered {
    /// The stanza.
    pub stanza: Stanza,
    /// When it was put behind the door.
    pub at: SystemTime,
    /// Who all were meant to have it; one is enough.
    pub shared: Option<Arc<[SessionId]>>,
    /// What it rests on: if that is lost, its sender is told so, and it goes nowhere.
    pub lsn: Lsn,
}

/// What a session is owed, in order: sent and not acknowledged, or not sent.
#[derive(Debug, Default)]
pub struct Owed {
    /// Each stanza by its number.
    pub stanzas: Vec<(u64, Undelivered)>,
    /// The number after which what follows is numbered.
    pub last: u64,
    /// So many stanzas had given way to newer ones while they were held back.
    pub superseded: u64,
}
