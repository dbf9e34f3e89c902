//! What a client's stream asks of whoever serves it, what it tells, and what it is told.

use xmpp::error::{StanzaError, StreamError};
use xmpp::jid::{BareJid, FullJid};
use xmpp::secret::Password;
use xmpp::stanza::Stanza;

use super::entering::{Entered, Entry};
use super::managing::Enable;
use crate::sasl::SaslCondition;
use crate::sasl::ht::KnownToken;
use crate::sasl::scram::{ScramCredentials, ScramHash, ScramKeys};
use crate::tls::TlsFacts;

/// What the machine asks or tells. Events marked *asks* stop the machine until they are answered:
/// it reads no further input (`wants_input` is false).
#[derive(Debug)]
pub enum Event {
    /// *Asks.* `<proceed/>` is in `poll_send`: send it, do the TLS handshake, answer `TlsReady`.
    StartTls,
    /// *Asks* for the keys of an account; answer `Credentials` (none if there is no such account)
    /// or `Refused`. Also asked to know whether the account of a certificate exists.
    Credentials {
        /// The account that wants to log in.
        account: BareJid,
    },
    /// *Asks* whether the password is right; answer `Authenticated` or `Refused`. Spend the same
    /// work on an account that does not exist (`ScramKeys::decoy`).
    CheckPassword {
        /// The account that wants to log in.
        account: BareJid,
        /// The password it sent.
        password: Password,
    },
    /// *Asks* for the tokens that were given to a client (XEP-0484); answer `Tokens` (none if there is no such account
    /// or client) or `Refused`.
    Tokens {
        /// The account that wants to log in.
        account: BareJid,
        /// The id of its user agent.
        client: String,
    },
    /// Whoever was asked about last could not prove who it is.
    LoginFailed,
    /// *Asks* to keep keys of one more hash (XEP-0480); answer `Upgraded` or `Refused`.
    Upgrade {
        /// Whose.
        account: BareJid,
        /// The hash and its keys.
        keys: Box<(ScramHash, ScramKeys)>,
        /// The keys that the client has proven to know the password of. If they are not the account's any more, the
        /// new ones must not be kept.
        proven: Box<(ScramHash, ScramKeys)>,
    },
    /// *Asks* to do all that a client wants along with its login (XEP-0388); answer `Entered` once what it rests on is
    /// durable, or `Refused` or `BindRefused`. The client is in with the first of these.
    Enter(Box<Entry>),
    /// *Asks.* A `jabber:iq:register` request before login (XEP-0077); answer `Reply`.
    Register {
        /// The iq, without a sender.
        stanza: Stanza,
    },
    /// *Asks* for a resource; answer `Bound` or `BindRefused`.
    Bind {
        /// Who logged in; see also `C2s::identity`.
        account: BareJid,
        /// The resource the client wishes, prepared; none: the server chooses a random one.
        resource: Option<String>,
    },
    /// A stanza of a bound client: `from` is its full JID, `to` as it was sent.
    Stanza(Stanza),
    /// *Asks* for a former stream (XEP-0198 §5); answer `Resumed` or `ResumeRefused`.
    Resume {
        /// Who logged in.
        account: BareJid,
        /// The former stream's id.
        previd: String,
        /// How many stanzas the client has handled on it, modulo 2^32.
        handled: u32,
    },
    /// The client wants the stream to be managed (XEP-0198 §3): what it sends counts from here on. `C2s::manage` when
    /// all that came before has been answered; what it is sent counts from there.
    Manage(Enable),
    /// A stanza of the client's was for the stream itself: it counts like any other, and is answered in its turn.
    Settled {
        /// To be delivered.
        answer: Option<Stanza>,
    },
    /// The stream itself has something to say: to be delivered.
    Say(Stanza),
    /// The client wants to know how many of its stanzas have been handled; `C2s::acknowledge`.
    AckAsked,
    /// The client has handled this many of ours.
    Acked {
        /// Since the stream is managed, modulo 2^32.
        handled: u32,
    },
    /// The client says that nobody looks at it (XEP-0352 §4.2).
    Inactive,
    /// The client says that somebody looks at it, as everybody does who says nothing.
    Active,
    /// *Asks* for the last of what the client's stanzas have begun: it has closed its half. Deliver it, then answer
    /// `End`.
    PeerEnded,
    /// The stream is over: send what `poll_send` still has, then close the connection.
    Closed(CloseReason),
}

/// What the machine is told.
#[derive(Debug)]
pub enum Answer {
    /// To `StartTls`: the handshake is done.
    TlsReady(TlsFacts),
    /// To `Credentials`; none: there is no such account.
    Credentials(Option<ScramCredentials>),
    /// To `CheckPassword`: it is right.
    Authenticated,
    /// To `Tokens`; none: there is no such client. At most `TOKENS_PER_CLIENT` are looked at.
    Tokens(Vec<KnownToken>),
    /// To `Upgrade`: they are kept.
    Upgraded,
    /// To `Enter`: this came of it.
    Entered(Box<Entered>),
    /// To `Credentials`, `CheckPassword`, `Tokens`, `Upgrade` or `Enter`: no login, for this reason.
    Refused(SaslCondition),
    /// To `Register`: the iq to send back.
    Reply(Stanza),
    /// To `Bind`: the address of this stream.
    Bound(FullJid),
    /// To `Bind`: not this resource. To `Enter`: no session.
    BindRefused(StanzaError),
    /// To `Resume`: the client goes on where it was.
    Resumed {
        /// The address of the former stream.
        jid: FullJid,
        /// How many of the client's stanzas have been handled, modulo 2^32.
        handled: u32,
    },
    /// To `Resume`: there is no such stream, or none any more.
    ResumeRefused {
        /// How many of the client's stanzas had been handled, if that is known.
        handled: Option<u32>,
    },
    /// At any time once bound: a stanza for the client.
    Deliver(Stanza),
    /// At any time: close with this error.
    Close(StreamError),
    /// At any time: close because the server stops (`system-shutdown`).
    Shutdown,
    /// At any time: close without an error, waiting a bounded time for the client to do so too. To `PeerEnded`: all has
    /// been delivered.
    End,
}

/// Why a stream is over.
#[derive(Debug, Clone)]
pub enum CloseReason {
    /// The client closed it, and we did too.
    PeerClosed,
    /// The client sent a stream error with this condition.
    PeerError(String),
    /// We sent this stream error.
    Failed(StreamError),
    /// We closed it (`Answer::End`), and the client did too or took too long.
    Ended,
    /// The TLS handshake took too long; nothing more can be said.
    HandshakeTimeout,
    /// The connection ended without a word (`C2s::transport_closed`).
    TransportClosed,
}

/// The channel a new machine speaks over.
#[derive(Debug, Clone)]
pub enum TransportFacts {
    /// Plain TCP; `starttls` says whether there is a certificate to do TLS with.
    Tcp {
        /// Whether STARTTLS can be offered.
        starttls: bool,
    },
    /// TLS from the first byte (XEP-0368).
    DirectTls(TlsFacts),
}
