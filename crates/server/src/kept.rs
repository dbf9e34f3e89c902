//! What the store has of a session whose stream can be resumed (XEP-0198 §5). It is written with the step in which it
//! comes to be: so nothing that a client could take as accepted, and nothing that it is owed, is only in memory.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use step::{Act, Session, SessionId, Yield};
use store::{KeptLetter, KeptSession, Lsn, OwedStanza, Write};
use xmpp::datetime;
use xmpp::jid::{BareJid, Jid};
use xmpp::stanza::{Kind, Stanza, Type};
use xmpp::xml::{self, Element};

use crate::account::Account;
use crate::directory::Unfinished;
use crate::entity::Entity;
use crate::letter::{Envelope, Letter};
use crate::node::Node;
use crate::outgoing::Undelivered;
use crate::router;
use crate::ticket::Ticket;

/// The namespace of a session's state in the store; it is seen nowhere else.
const STATE: &str = "urn:waxwing:session:0";

/// The largest state that is read: presence and addresses, escaped.
const STATE_LIMITS: xml::Limits = xml::Limits {
    stanza_bytes: 4 << 20,
    tag_bytes: 64 << 10,
    depth: 4,
    attributes: 16,
    elements: 10_000,
    namespaces: 16,
};

/// A session whose stream can be resumed.
#[derive(Debug)]
pub struct Kept {
    /// The stream's id.
    pub key: String,
    /// For how many seconds it waits for its client.
    pub max: u32,
    /// How many of the client's stanzas have been read.
    pub handled: u64,
    /// How many stanzas the client has acknowledged, by the store's word.
    pub acked: u64,
    /// The number of the last stanza for the client.
    pub numbered: u64,
    /// The number of the last one that the store has.
    pub owed: u64,
    /// The session as the store has it.
    pub stored: Option<Session>,
    /// How many have been handled, and acknowledged, by what has been written last.
    pub counted: (u64, u64),
}

impl Kept {
    /// A stream that is managed from now on.
    pub fn new(key: String, max: u32) -> Self {
        Kept { key, max, handled: 0, acked: 0, numbered: 0, owed: 0, stored: None, counted: (0, 0) }
    }

    /// A stanza for the client, as the store keeps it.
    pub fn owe(
        &mut self,
        owner: &BareJid,
        stanza: &Stanza,
        at: SystemTime,
        shared: Vec<String>,
        number: u64,
    ) -> Option<Write> {
        if !is_lasting(stanza) {
            return None;
        }
        self.owed = number;
        let owed = OwedStanza { number, at, shared, xml: stanza.to_xml().into_bytes() };
        Some(Write::Owe { owner: owner.clone(), key: self.key.clone(), owed })
    }

    /// The session as it is to be stored.
    fn put(&self, owner: &BareJid, session: &Session) -> Write {
        let session = KeptSession {
            key: self.key.clone(),
            state: state(session, self.max).to_xml().into_bytes(),
            handled: self.handled,
            acked: self.acked,
            over_at: None,
        };
        Write::SessionPut { owner: owner.clone(), session }
    }

    /// Whether the store has the session as it is.
    fn is_stored(&self, session: &Session) -> bool {
        self.stored.as_ref().is_some_and(|stored| {
            stored.presence_at == session.presence_at
                && stored.interested == session.interested
                && stored.watches_blocklist == session.watches_blocklist
                && stored.carbons == session.carbons
                && stored.draining == session.draining
                && stored.directed == session.directed
                && stored.presence == session.presence
        })
    }
}

/// The keys of other sessions that have a stanza, too, and are kept.
pub fn keys_of_others(
    kept: &BTreeMap<SessionId, Box<Kept>>,
    shared: Option<&[SessionId]>,
    own: SessionId,
) -> Vec<String> {
    let others = shared.unwrap_or_default().iter().filter(|id| **id != own);
    others.filter_map(|id| kept.get(id)).map(|kept| kept.key.clone()).collect()
}

/// Whether a stanza must come after a crash as well. How people are is asked anew then.
fn is_lasting(stanza: &Stanza) -> bool {
    stanza.kind != Kind::Presence || !matches!(stanza.type_, Type::Available | Type::Probe)
}

/// Where the letter of a step came from, as far as its consequences must survive a crash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// A client's stanza; once it is counted, all that it leads to must happen.
    Client(SessionId),
    /// A client tells all its contacts how it is; they will ask again after a crash.
    Broadcast(SessionId),
    /// A letter that the store keeps until it has been read.
    Registered,
    /// A stream; nobody need remember it, and it is said whatever becomes of the store.
    Stream,
    /// Anything else.
    Elsewhere,
}

impl Origin {
    /// The origin of this letter.
    pub fn of(letter: &Letter) -> Origin {
        match letter {
            Letter::Leaving(session, stanza) if stanza.kind == Kind::Presence && stanza.to.is_none() => {
                Origin::Broadcast(*session)
            }
            Letter::Leaving(session, _) | Letter::Settled(session, _) => Origin::Client(*session),
            Letter::Registered(..) | Letter::Unfinished(..) => Origin::Registered,
            Letter::Say(..) => Origin::Stream,
            _ => Origin::Elsewhere,
        }
    }
}

/// A stanza, or a letter, that comes of what is counted or kept and waits for the answer to a question: it stays in the
/// store until then. Returns its key there.
pub fn unfinished(
    node: &Node,
    origin: Origin,
    letter: &Arrived,
    entity: &Entity,
    left: &mut Yield,
) -> Option<String> {
    let waits = left.acts.iter().any(|act| matches!(act, Act::Ask(_, back) if back.asked().is_some()));
    if !waits {
        return None;
    }
    match (origin, letter, entity) {
        (Origin::Registered, Arrived::Kept(key), _) => {
            left.writes
                .retain(|write| !matches!(write, Write::LetterDrop { key: dropped, .. } if dropped == key));
            Some(key.clone())
        }
        (Origin::Client(session), Arrived::Stanza(stanza), Entity::Account(account))
            if account.kept.contains_key(&session) =>
        {
            let (key, to, xml) = (node.world.new_id(), account.jid.clone(), stanza.to_xml().into_bytes());
            left.writes.push(Write::LetterKeep(KeptLetter { key: key.clone(), to, leaving: true, xml }));
            Some(key)
        }
        _ => None,
    }
}

/// What of a letter must stay if it is not done with.
pub enum Arrived {
    /// A stanza that one of the account's own sessions sends.
    Stanza(Stanza),
    /// What the store keeps under this key.
    Kept(String),
    /// Anything else.
    Other,
}

impl Arrived {
    /// What there is of this envelope.
    pub fn of(envelope: &Envelope) -> Arrived {
        match (&envelope.letter, &envelope.kept) {
            (_, Some(Unfinished { key, .. }))
            | (Letter::Registered(key, _) | Letter::Unfinished(key, _), None) => Arrived::Kept(key.clone()),
            (Letter::Leaving(_, stanza), None) if stanza.is_request() => Arrived::Stanza(stanza.clone()),
            _ => Arrived::Other,
        }
    }
}

/// Adds to what a step has left what the store must have of it: its letters, if they come of what is counted or kept,
/// and all that its sessions are owed.
pub fn keep(node: &Node, entity: &mut Entity, origin: Origin, ticket: Option<&Ticket>, left: &mut Yield) {
    let registers = match (origin, &*entity) {
        (Origin::Registered, _) => true,
        (Origin::Client(session), Entity::Account(account)) => account.kept.contains_key(&session),
        _ => false,
    };
    register(node, registers, left);
    if let Entity::Account(account) = entity
        && !account.kept.is_empty()
    {
        owe(account, origin, ticket, node.world.clock.wall(), left);
        if origin != Origin::Stream {
            put(account, left);
        }
    }
}

/// Letters that are registered are kept until they are read; `all` become so if what they come of is.
fn register(node: &Node, all: bool, left: &mut Yield) {
    for act in &mut left.acts {
        if let Act::Route(stanza) = act
            && all
        {
            *act = Act::RouteRegistered(node.world.new_id(), stanza.clone());
        }
        let Act::RouteRegistered(key, stanza) = act else { continue };
        let Some((to, readdressed)) = router::readdressed(node, stanza.clone()) else { continue };
        *stanza = readdressed;
        let xml = stanza.to_xml().into_bytes();
        left.writes.push(Write::LetterKeep(KeptLetter { key: key.clone(), to, leaving: false, xml }));
    }
}

/// What sessions are to have, and how far they have counted.
fn owe(a: &mut Account, origin: Origin, ticket: Option<&Ticket>, at: SystemTime, left: &mut Yield) {
    let Yield { writes, acts } = left;
    for act in acts.iter() {
        let (session, stanzas, shared) = match act {
            Act::Deliver(session, stanza) => (session, std::slice::from_ref(stanza), None),
            Act::DeliverShared(session, stanza, shared) => {
                (session, std::slice::from_ref(stanza), Some(&**shared))
            }
            Act::Refused(session, _, error) => (session, error.as_slice(), None),
            Act::DeliverThen(session, stanzas, _) => (session, stanzas.as_slice(), None),
            _ => continue,
        };
        let others = keys_of_others(&a.kept, shared, *session);
        let Some(kept) = a.kept.get_mut(session) else { continue };
        for stanza in stanzas {
            kept.numbered += 1;
            if origin != Origin::Stream {
                writes.extend(kept.owe(&a.jid, stanza, at, others.clone(), kept.numbered));
            }
        }
    }
    if let (Origin::Client(session) | Origin::Broadcast(session), Some(count)) =
        (origin, ticket.and_then(Ticket::count))
        && let Some(kept) = a.kept.get_mut(&session)
    {
        kept.handled = count;
    }
}

/// Sessions that have changed, and what their clients have acknowledged.
fn put(a: &mut Account, left: &mut Yield) {
    for (id, kept) in &mut a.kept {
        let acknowledged = a.doors.get(id).map_or(0, |door| door.acknowledged());
        if acknowledged > kept.acked && kept.owed > kept.acked {
            kept.acked = acknowledged;
        }
        let counts = (kept.handled, kept.acked);
        if counts != std::mem::replace(&mut kept.counted, counts) {
            let (owner, key) = (a.jid.clone(), kept.key.clone());
            left.writes.push(Write::SessionCounted { owner, key, handled: counts.0, acked: counts.1 });
        }
        if let Some(session) = a.sessions.find(*id)
            && !kept.is_stored(session)
        {
            left.writes.push(kept.put(&a.jid, session));
            kept.stored = Some(session.clone());
        }
    }
}

/// How a session is, for the store.
fn state(session: &Session, max: u32) -> Element {
    let flag = |is_so: bool| is_so.then_some("true");
    let presence = session.presence.as_ref().map(|presence| {
        Element::new(STATE, "presence")
            .with_attr_opt("at", session.presence_at.map(datetime::format))
            .with_text(&presence.to_xml())
    });
    let directed = session.directed.iter().map(|jid| Element::new(STATE, "directed").with_text(jid.as_str()));
    Element::new(STATE, "session")
        .with_attr("resource", session.jid.resource())
        .with_attr("max", max.to_string())
        .with_attr_opt("client", session.client.as_deref())
        .with_attr_opt("interested", flag(session.interested))
        .with_attr_opt("watches-blocklist", flag(session.watches_blocklist))
        .with_attr_opt("carbons", flag(session.carbons))
        .with_attr_opt("draining", flag(session.draining))
        .with_children(presence)
        .with_children(directed)
}

/// The session of an account as the store has it, under a number of this life of the node; nothing if it cannot be
/// read.
pub fn restore(account: &BareJid, kept: &KeptSession, id: SessionId, now: Instant) -> Option<(Session, u32)> {
    let state = xml::parse(&kept.state, STATE_LIMITS).ok()?;
    let flag = |name: &str| state.attr(name) == Some("true");
    let mut session = Session::new(id, account.with_resource(state.attr("resource")?).ok()?, now);
    session.resumable = true;
    session.client = state.attr("client").map(Into::into);
    if let Some(presence) = state.child(STATE, "presence") {
        let stanza = Stanza::read(presence.text().as_bytes()).ok()?;
        session.priority = stanza.priority();
        session.presence = Some(stanza);
        session.presence_at = presence.attr("at").and_then(datetime::parse);
    }
    (session.interested, session.carbons) = (flag("interested"), flag("carbons"));
    (session.watches_blocklist, session.draining) = (flag("watches-blocklist"), flag("draining"));
    let directed = state.children().filter(|child| child.name() == "directed");
    session.directed = directed.filter_map(|directed| Jid::new(&directed.text()).ok()).collect();
    Some((session, state.attr("max")?.parse().ok()?))
}

/// A stanza that a session was owed by the store's word. `ids` are the numbers of the sessions in this life.
pub fn owed(owed: OwedStanza, own: SessionId, ids: &BTreeMap<&str, SessionId>) -> Option<(u64, Undelivered)> {
    let OwedStanza { number, at, shared, xml } = owed;
    let stanza = Stanza::read(&xml)
        .inspect_err(|error| tracing::error!(?error, "a stanza that was owed cannot be read"))
        .ok()?;
    let shared = (!shared.is_empty()).then(|| -> Arc<[SessionId]> {
        shared.iter().filter_map(|key| ids.get(key.as_str()).copied()).chain([own]).collect()
    });
    Some((number, Undelivered { stanza, at, shared, lsn: Lsn::default() }))
}
