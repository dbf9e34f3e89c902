//! What entities on this node send one another: one kind of envelope, a closed list of contents.

use std::fmt;
use std::sync::Arc;

use futures_channel::oneshot;
use step::{Return, Returned, SessionId, Wish};
use store::{Credentials, Lsn, ScramHash};
use stream::{Enable, Entry};
use xmpp::error::StanzaError;
use xmpp::jid::Jid;
use xmpp::stanza::Stanza;

use crate::directory::Unfinished;
use crate::door::Door;
use crate::memory::Room;
use crate::seat::Seat;
use crate::sent::TooMany;
use crate::ticket::Ticket;

/// A letter with what it rests on and whose stanza it comes from.
pub struct Envelope {
    /// What it says.
    pub letter: Letter,
    /// The sender's number in the log when it was written.
    pub lsn: Lsn,
    /// A share in the consequence of a client's stanza.
    pub ticket: Option<Ticket>,
    /// The key of a letter which the store keeps until this one has been read.
    pub kept: Option<Unfinished>,
}

impl Envelope {
    /// A letter that rests on nothing and comes from no client's stanza.
    pub fn new(letter: Letter) -> Self {
        Envelope { letter, lsn: Lsn::default(), ticket: None, kept: None }
    }
}

/// What became of something that an entity was asked to do, and the number it rests on.
pub type Outcome = (Lsn, Result<(), StanzaError>);

/// What a connection hears that wants to go on with a former stream.
pub enum Resuming {
    /// It goes on from this seat.
    Seat(Seat),
    /// There is no such stream, or none any more; so many of the client's stanzas had been handled, if that is known.
    NotFound(Option<u32>),
    /// The client says that it has handled more than it was sent.
    TooMany(TooMany),
}

/// What a letter can say.
pub enum Letter {
    /// A stanza arrives from somewhere else.
    Arriving(Stanza),
    /// A stanza arrives that the store keeps under this key until it has been read.
    Registered(String, Stanza),
    /// A stanza comes from one of the account's own sessions.
    Leaving(SessionId, Stanza),
    /// A stanza came from one of the account's own sessions before a crash, was counted, and waited for something; the
    /// store keeps it under this key.
    Unfinished(String, Stanza),
    /// A connection has authenticated as this account and wants a resource.
    Bind {
        /// Its door.
        door: Arc<Door>,
        /// The resource it would like.
        resource: Option<String>,
        /// The id of its client's user agent, if it has told one.
        client: Option<Arc<str>>,
        /// Whether the account is to exist only as long as the connection (XEP-0175).
        anonymous: bool,
        /// For whom there is memory.
        room: Room,
    },
    /// A connection has authenticated as this account, and its client wants more along with that (XEP-0388).
    Enter {
        /// Its door.
        door: Arc<Door>,
        /// All that it wants.
        entry: Box<Entry>,
        /// For whom there is memory.
        room: Room,
    },
    /// Somebody has published something in this node that the account may see. Nobody who sends a stanza can write it.
    News(Arc<str>, Stanza),
    /// A session of somebody wants the account's last news.
    Wish(Wish),
    /// The stream of one of the account's own sessions has dealt with a stanza itself, and has this to answer.
    Settled(SessionId, Option<Stanza>),
    /// A stream has something to say to its client that nobody needs to remember.
    Say(SessionId, Stanza),
    /// The consequences of stanzas of a session's client are lost, and it has not heard so.
    Lost(SessionId),
    /// Stanzas that were held back from a session's client have given way to newer ones: those behind them have other
    /// numbers, and wait until these are in the store.
    Superseded(SessionId),
    /// The client of a session wants its stream to be managed (XEP-0198 §3), and resumable if it says how long it would
    /// like to be waited for.
    Manage(SessionId, Enable),
    /// A connection has authenticated as this account and wants to go on with a former stream (XEP-0198 §5).
    Resume {
        /// The stream's id.
        previd: String,
        /// How many stanzas its client has handled.
        handled: u32,
        /// Who hears of it.
        asker: oneshot::Sender<(Lsn, Resuming)>,
    },
    /// The client of a session has acknowledged stanzas a while ago, and nothing has come for it since.
    Acked(SessionId),
    /// A connection is gone, and this is the turn of its door.
    Closed(SessionId, u64),
    /// A session without a connection is to wait no longer.
    Overdue(SessionId),
    /// Something that the entity wished for comes back: a time has come, something has left.
    Returned(Return, Returned),
    /// The answer to the entity's question.
    Answered(Return, Returned),
    /// The oldest messages of the account's archive have been cleared away.
    ArchiveCleared,
    /// Sessions are there again after a restart or a crash, without connections.
    Restored,
    /// The entity has been loaded anew, since the store has refused what it rested on. Its sessions go on; what it
    /// meant to tell others has not left.
    CarriedOver,
    /// The registered letters that the store has kept have been read again; what their writers sent behind them may be
    /// lost.
    ReadAgain,
    /// Make the account (registration, or the desk).
    Create(Credentials, oneshot::Sender<Outcome>),
    /// Change the account's password (the desk).
    SetCredentials(Credentials, oneshot::Sender<Outcome>),
    /// Keep more keys of the password that a login has proven.
    AddKeys {
        /// The keys.
        credentials: Credentials,
        /// The StoredKey that proves it, and its hash.
        proven: (ScramHash, Vec<u8>),
        /// Who waits for it.
        asker: oneshot::Sender<Outcome>,
    },
    /// The operator has given the account another password: whoever is connected logs in anew.
    NewPassword(Credentials, oneshot::Sender<Outcome>),
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
        matches!(self, Letter::Registered(own, _) | Letter::Unfinished(own, _) if own == key)
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
            Letter::Unfinished(_, leaving) => stanza(formatter, "Unfinished", leaving),
            Letter::Leaving(session, leaving) => {
                stanza(formatter, &format!("Leaving session {}:", session.0), leaving)
            }
            Letter::News(_, event) => stanza(formatter, "News", event),
            Letter::Wish(wish) => write!(formatter, "Wish of {}", wish.from),
            Letter::Bind { door, .. } => write!(formatter, "Bind session {}", door.id.0),
            Letter::Enter { door, .. } => write!(formatter, "Enter session {}", door.id.0),
            Letter::Settled(session, _) => write!(formatter, "Settled session {}", session.0),
            Letter::Say(session, _) => write!(formatter, "Say session {}", session.0),
            Letter::Lost(session) => write!(formatter, "Lost session {}", session.0),
            Letter::Superseded(session) => write!(formatter, "Superseded session {}", session.0),
            Letter::Manage(session, _) => write!(formatter, "Manage session {}", session.0),
            Letter::Resume { .. } => formatter.write_str("Resume"),
            Letter::Acked(session) => write!(formatter, "Acked session {}", session.0),
            Letter::Closed(session, turn) => write!(formatter, "Closed session {} turn {turn}", session.0),
            Letter::Overdue(session) => write!(formatter, "Overdue session {}", session.0),
            Letter::Returned(back, _) => write!(formatter, "Returned {}", back.name()),
            Letter::Answered(back, _) => write!(formatter, "Answered {}", back.name()),
            Letter::ArchiveCleared => formatter.write_str("ArchiveCleared"),
            Letter::Restored => formatter.write_str("Restored"),
            Letter::CarriedOver => formatter.write_str("CarriedOver"),
            Letter::ReadAgain => formatter.write_str("ReadAgain"),
            Letter::Create(..) => formatter.write_str("Create"),
            Letter::SetCredentials(..) => formatter.write_str("SetCredentials"),
            Letter::AddKeys { .. } => formatter.write_str("AddKeys"),
            Letter::NewPassword(..) => formatter.write_str("NewPassword"),
            Letter::Remove(_) => formatter.write_str("Remove"),
            Letter::EndSessions(..) => formatter.write_str("EndSessions"),
        }
    }
}
