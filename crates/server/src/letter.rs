//! What entities on this node send one another: one kind of envelope, a closed list of contents.

use std::fmt;
use std::sync::Arc;

use futures_channel::oneshot;
use step::{Return, Returned, SessionId};
use store::{Credentials, Lsn};
use xmpp::error::StanzaError;
use xmpp::jid::Jid;
use xmpp::stanza::Stanza;

use crate::door::{Door, Ticket};

/// A letter with what it rests on and whose stanza it comes from.
pub struct Envelope {
    /// What it says.
    pub letter: Letter,
    /// The sender's number in the log when it was written.
    pub lsn: Lsn,
    /// A share in the consequence of a client's stanza.
    pub ticket: Option<Ticket>,
}

impl Envelope {
    /// A letter that rests on nothing and comes from no client's stanza.
    pub fn new(letter: Letter) -> Self {
        Envelope { letter, lsn: Lsn::default(), ticket: None }
    }
}

/// What became of something that an entity was asked to do, and the number it rests on.
pub type Outcome = (Lsn, Result<(), StanzaError>);

/// What a letter can say.
pub enum Letter {
    /// A stanza arrives from somewhere else.
    Arriving(Stanza),
    /// A stanza arrives that the store keeps under this key until it has been read.
    Registered(String, Stanza),
    /// A stanza comes from one of the account's own sessions.
    Leaving(SessionId, Stanza),
    /// A connection has authenticated as this account and wants a resource.
    Bind {
        /// Its door.
        door: Arc<Door>,
        /// The resource it would like.
        resource: Option<String>,
        /// Whether the account is to exist only as long as the connection (XEP-0175).
        anonymous: bool,
    },
    /// A connection is gone.
    Closed(SessionId),
    /// Something that the entity wished for comes back: a time has come, something has left.
    Returned(Return, Returned),
    /// The answer to the entity's question.
    Answered(Return, Returned),
    /// The entity has been loaded anew, since the store has refused what it rested on. Its sessions go on; what it
    /// meant to tell others has not left.
    CarriedOver,
    /// The registered letters that the store has kept have been read again; what their writers sent behind them may be
    /// lost.
    ReadAgain,
    /// Make the account (registration, or the desk).
    Create(Credentials, oneshot::Sender<Outcome>),
    /// Change the account's keys (the desk, or an upgrade on login).
    SetCredentials(Credentials, oneshot::Sender<Outcome>),
    /// Remove the account with all it has (the desk).
    Remove(oneshot::Sender<Outcome>),
    /// End the account's sessions (the desk); one resource, or all.
    EndSessions(Option<String>, oneshot::Sender<Outcome>),
}

impl Letter {
    /// Whether it answers a question of the entity, which may now ask the next.
    pub fn is_answer(&self) -> bool {
        matches!(self, Letter::Answered(..))
    }

    /// Whether it is the one that the store keeps under this key.
    pub fn is_registered(&self, key: &str) -> bool {
        matches!(self, Letter::Registered(own, _) if own == key)
    }
}

/// What is needed to follow a letter in the log; no content.
impl fmt::Debug for Letter {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stanza = |formatter: &mut fmt::Formatter<'_>, how: &str, stanza: &Stanza| {
            let (from, to) = (stanza.from.as_ref().map(Jid::as_str), stanza.to.as_ref().map(Jid::as_str));
            let (kind, id) = (stanza.kind.name(), stanza.id.as_deref());
            write!(formatter, "{how} {kind} {id:?} from {from:?} to {to:?}")
        };
        match self {
            Letter::Arriving(arriving) => stanza(formatter, "Arriving", arriving),
            Letter::Registered(_, arriving) => stanza(formatter, "Registered", arriving),
            Letter::Leaving(session, leaving) => {
                stanza(formatter, &format!("Leaving session {}:", session.0), leaving)
            }
            Letter::Bind { door, .. } => write!(formatter, "Bind session {}", door.id.0),
            Letter::Closed(session) => write!(formatter, "Closed session {}", session.0),
            Letter::Returned(back, _) => write!(formatter, "Returned {}", back.name()),
            Letter::Answered(back, _) => write!(formatter, "Answered {}", back.name()),
            Letter::CarriedOver => formatter.write_str("CarriedOver"),
            Letter::ReadAgain => formatter.write_str("ReadAgain"),
            Letter::Create(..) => formatter.write_str("Create"),
            Letter::SetCredentials(..) => formatter.write_str("SetCredentials"),
            Letter::Remove(_) => formatter.write_str("Remove"),
            Letter::EndSessions(..) => formatter.write_str("EndSessions"),
        }
    }
}
