//! What people on their devices do and see, as it happens; the checkers judge by nothing else.

use std::collections::BTreeMap;

use xmpp::jid::{BareJid, FullJid, Jid};
use xmpp::stanza::Stanza;

/// The number of a stream, in the order in which they were bound; never used twice.
pub type StreamNo = u32;
/// The number of a message, in the order in which they were sent.
pub type MessageNo = u32;

/// Something that happened.
#[derive(Debug)]
pub enum Event<'a> {
    /// A device has bound its resource on a new stream.
    Bound {
        /// The stream.
        stream: StreamNo,
        /// Its address.
        jid: &'a FullJid,
    },
    /// A stream is over.
    Ended {
        /// Which.
        stream: StreamNo,
    },
    /// A message was sent.
    Sent {
        /// By whom.
        stream: StreamNo,
        /// Its number.
        number: MessageNo,
        /// To whom.
        to: &'a Jid,
    },
    /// A message came.
    Received {
        /// To whom.
        stream: StreamNo,
        /// Its number.
        number: MessageNo,
        /// How it came.
        how: How,
    },
    /// A device saw what another one of the same person has said (XEP-0280).
    Overheard {
        /// Who saw it.
        stream: StreamNo,
        /// Its number.
        number: MessageNo,
    },
    /// A message came back with an error.
    Bounced {
        /// To its sender.
        stream: StreamNo,
        /// Its number.
        number: MessageNo,
        /// The condition.
        condition: &'a str,
    },
    /// The server has acknowledged messages (XEP-0198).
    Acked {
        /// Of whom.
        stream: StreamNo,
        /// Their numbers.
        numbers: &'a [MessageNo],
    },
    /// A request was sent to the server itself.
    Asked {
        /// By whom.
        stream: StreamNo,
        /// Its id.
        id: &'a str,
        /// What it wants.
        wish: Wish<'a>,
    },
    /// A request was answered.
    Answered {
        /// To whom.
        stream: StreamNo,
        /// Its id.
        id: &'a str,
        /// What came of it.
        outcome: Outcome<'a>,
    },
    /// A device told everybody how it is; `None`: unavailable.
    Told {
        /// Who.
        stream: StreamNo,
        /// Its status.
        status: Option<&'a str>,
        /// Its priority.
        priority: i8,
    },
    /// A device heard how another one is; `None`: unavailable.
    Heard {
        /// Who.
        stream: StreamNo,
        /// Of whom.
        from: &'a Jid,
        /// Its status.
        status: Option<&'a str>,
    },
    /// A device heard that something was published, or taken back (XEP-0163).
    News {
        /// Who.
        stream: StreamNo,
        /// Of whom.
        from: &'a Jid,
        /// The id of the item.
        id: &'a str,
        /// The number in it; `None`: it was taken back.
        number: Option<u32>,
    },
    /// The node was killed while these waited behind doors.
    Killed {
        /// The stanzas.
        undelivered: &'a [Stanza],
    },
    /// Nothing goes wrong any more: everybody is connected, everything has come to rest.
    AtRest {
        /// What the store has.
        kept: &'a [Kept],
        /// Bytes that the node wrote to clients on connections that have ended.
        written: &'a [Vec<u8>],
    },
}

impl Event<'_> {
    /// What it is counted as.
    pub fn name(&self) -> &'static str {
        match self {
            Event::Bound { .. } => "logins",
            Event::Ended { .. } => "streams ended",
            Event::Sent { .. } => "messages",
            Event::Received { how: How::Copied, .. } => "copies received",
            Event::Received { .. } => "messages received",
            Event::Acked { .. } => "acknowledgements of messages",
            Event::Overheard { .. } => "copies of messages sent",
            Event::Bounced { .. } => "messages bounced",
            Event::Asked { .. } => "requests",
            Event::Answered { outcome: Outcome::Refused(_), .. } => "requests refused",
            Event::Answered { .. } => "requests answered",
            Event::Told { .. } => "presences",
            Event::Heard { .. } => "presences heard",
            Event::News { .. } => "news heard",
            Event::Killed { .. } => "lives",
            Event::AtRest { .. } => "rests",
        }
    }
}

/// How a message came, as its stamp (XEP-0203) or its wrapping says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// Without delay.
    Direct,
    /// It was held before.
    Held,
    /// Another device was meant to have it.
    TakenBack,
    /// Another device has it; this is a copy (XEP-0280).
    Copied,
}

/// What a request wants, as far as a checker cares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish<'a> {
    /// Nothing that changes anything.
    Nothing,
    /// To keep this number for this device (XEP-0049).
    Keep(u32),
    /// To know what is kept for this device.
    Recall,
    /// To publish this number for this device (XEP-0163).
    Publish(u32),
    /// To take back what was published for this device; the number is that of the deed.
    Retract(u32),
    /// To know what is published for this device.
    Published,
    /// To block an address.
    Block(&'a BareJid),
    /// To let it speak again.
    Unblock(&'a BareJid),
    /// To see the roster.
    Roster,
}

/// How a request was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome<'a> {
    /// With a result.
    Done,
    /// With the number that is kept.
    Recalled(u32),
    /// With the number that is published, if one is.
    Published(Option<u32>),
    /// With the roster: items as text, in order, and the version.
    Roster(Vec<String>, String),
    /// With an error of this condition.
    Refused(&'a str),
}

/// What the store has of one account.
#[derive(Debug)]
pub struct Kept {
    /// Whose.
    pub account: BareJid,
    /// Its contacts.
    pub contacts: Vec<store::RosterItem>,
    /// Whose requests wait for an answer.
    pub requests: Vec<BareJid>,
    /// Whom it blocks.
    pub blocked: Vec<BareJid>,
    /// The numbers of messages that are held for it.
    pub held: Vec<MessageNo>,
    /// The numbers of messages in its archive, in order.
    pub archived: Vec<MessageNo>,
    /// The numbers that it has published, by the ids of their items.
    pub published: BTreeMap<String, u32>,
}

/// The number in an id of a message.
pub fn message_number(id: &str) -> Option<MessageNo> {
    id.strip_prefix('m')?.parse().ok()
}
