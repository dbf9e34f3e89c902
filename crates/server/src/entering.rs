//! A client comes in with all that it wants at once: it is known again, it has a session, it is given a token
//! (XEP-0388 §2.6, XEP-0386, XEP-0484).

use std::sync::Arc;

use features::clients::{Given, Login, Proof, Refusal};
use features::{archive, carbons};
use step::{Act, Entered, Managed, Session, SessionId, Step};
use store::Lsn;
use stream::{Entry, InlineBind, Mechanism, SaslCondition};
use xmpp::error::{Condition, StanzaError, StreamCondition, StreamError};
use xmpp::ns;
use xmpp::xml::Element;

use crate::account::Account;
use crate::door::Door;
use crate::memory::Room;
use crate::outgoing::Outgoing;
use crate::{moments, resumption};

/// Namespaces of what a session can begin with (XEP-0386 §3.1), besides that its stream is managed; see [`begin_with`].
pub const INLINE: &[&str] = &[ns::CARBONS, ns::CSI];

/// Why a client does not come in after all.
#[derive(Debug)]
pub enum NotEntered {
    /// What it has proven is not enough.
    Login(SaslCondition),
    /// There is no session for it.
    Session(StanzaError),
    /// There is memory for nobody new.
    NoRoom,
}

impl From<Refusal> for NotEntered {
    fn from(refusal: Refusal) -> Self {
        NotEntered::Login(match refusal {
            Refusal::NotAuthorized => SaslCondition::NotAuthorized,
            Refusal::Expired => SaslCondition::CredentialsExpired,
        })
    }
}

/// There is no memory for the session that a client wants.
pub fn turn_away(door: &Door, step: &Step<'_>) {
    door.put(Lsn::default(), step.wall, None, Outgoing::NotEntered(NotEntered::NoRoom));
}

/// A client has proven that it is this account's.
pub fn enter(a: &mut Account, door: Arc<Door>, entry: Entry, room: Room, step: &mut Step<'_>) {
    let id = door.id;
    match admit(a, &entry, room, step) {
        Ok(token) => {
            a.doors.insert(id, door);
            let client = entry.client.map(Arc::from);
            let begin = |bind| begin_session(a, id, bind, client, step);
            let begun = entry.bind.and_then(begin).unwrap_or_default();
            let rests = token.is_some() || entry.token.is_some() || begun.managed.is_some();
            let entered = Entered { token, ..begun };
            step.act(if rests { Act::EnteredDurably(id, entered) } else { Act::Entered(id, entered) });
        }
        // Its door need not be one of the account's.
        Err(refusal) => {
            a.doors.remove(&id);
            door.put(Lsn::default(), step.wall, None, Outgoing::NotEntered(refusal));
        }
    }
}

/// Whether the client may come in. Nothing has changed if not.
fn admit(
    a: &mut Account,
    entry: &Entry,
    room: Room,
    step: &mut Step<'_>,
) -> Result<Option<Given>, NotEntered> {
    let earlier = earlier(a, entry.client.as_deref());
    if entry.bind.is_some() && earlier.is_empty() && room == Room::ForNobodyNew {
        return Err(NotEntered::NoRoom);
    }
    // One that waits for its client makes room.
    let stays = |session: &&Session| !earlier.contains(&session.id) && is_taken(a, session.id);
    let others = a.sessions.iter().filter(stays).count();
    if entry.bind.is_some() && others >= step.domain.limits.sessions_per_account {
        return Err(NotEntered::Session(StanzaError::new(Condition::ResourceConstraint)));
    }
    let Some(agent) = &entry.agent else { return Ok(None) };
    let proof = match (&entry.token, entry.mechanism) {
        (Some((seed, used)), _) => {
            Proof::Token { seed: seed.clone(), count: used.count, invalidate: used.invalidate }
        }
        (None, Mechanism::External) => Proof::Certificate,
        (None, _) => Proof::Password,
    };
    let login = Login {
        id: agent.id.clone(),
        software: agent.software.clone(),
        device: agent.device.clone(),
        proof,
        wants_token: entry.wants_token.map(Mechanism::name),
    };
    Ok(a.clients.enter(&a.jid, login, &a.sessions, step)?)
}

/// Sessions that the same client has begun before.
fn earlier(a: &Account, client: Option<&str>) -> Vec<SessionId> {
    let same = |session: &&Session| client.is_some() && session.client.as_deref() == client;
    a.sessions.iter().filter(same).map(|session| session.id).collect()
}

fn is_taken(a: &Account, session: SessionId) -> bool {
    a.doors.get(&session).is_some_and(|door| door.is_taken())
}

/// Binds a resource that nobody can guess, behind the client's tag if that can be part of one (XEP-0386 §3.2.1).
/// Returns the address, how the stream is managed, and how far the archive goes.
fn begin_session(
    a: &mut Account,
    id: SessionId,
    bind: InlineBind,
    client: Option<Arc<str>>,
    step: &mut Step<'_>,
) -> Option<Entered> {
    // §3.2: earlier sessions of the same client end.
    for session in earlier(a, client.as_deref()) {
        step.close(session, StreamError::new(StreamCondition::Conflict));
        moments::session_closed(a, session, step);
        a.end_if_left(session, step);
    }
    a.makes_room(step);
    let made = step.new_id();
    let tagged = bind.tag.and_then(|tag| a.jid.with_resource(&format!("{tag}/{made}")).ok());
    let jid = tagged.or_else(|| a.jid.with_resource(&made).ok())?;
    a.sessions.add(Session { client, ..Session::new(id, jid.clone(), step.now) });
    // XEP-0198 §9.1; before the session can be held anything back, since all that it is owed counts.
    let managed = bind.enable.map(|enable| Managed { resumable: resumption::begin(a, id, enable, step) });
    for wish in &bind.wishes {
        begin_with(a, id, wish, step);
    }
    let archive = archive::bound(&a.archive, &mut a.sessions, id);
    Some(Entered { jid: Some(jid), managed, archive, token: None })
}

/// What the client wants its session to begin with (XEP-0386 §3.2). Each namespace stands in [`INLINE`], too.
fn begin_with(a: &mut Account, id: SessionId, wish: &Element, step: &Step<'_>) {
    match (wish.ns(), wish.name()) {
        (ns::CARBONS, "enable") => carbons::enable(&mut a.sessions, id),
        (ns::CSI, "inactive") => {
            if let Some(door) = a.doors.get(&id) {
                door.hold_back(step.domain.limits.held_back_stanzas);
            }
        }
        _ => {}
    }
}
