//! One person's account: all its state in memory, one letter at a time.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::SystemTime;

use features::archive::{self, Archive};
use features::blocking::Blocklist;
use features::carbons::Copied;
use features::clients::Clients;
use features::offline::Held;
use features::presence::Departure;
use features::push::{self, Enabled};
use features::registration;
use features::reports::Reported;
use features::strangers::Addressed;
use futures_channel::oneshot;
use pubsub::access::Owner;
use pubsub::news;
use pubsub::node::Nodes;
use step::{Domain, LastSeen, Roster, Session, SessionId, Sessions, Step};
use store::Write;
use xmpp::error::{Condition, StanzaError, StreamCondition, StreamError};
use xmpp::jid::{BareJid, Jid};

use crate::door::Door;
use crate::kept::Kept;
use crate::letter::{Letter, Outcome};
use crate::memory::Room;
use crate::nobody::Nobody;
use crate::outgoing::Undelivered;
use crate::resumption::Over;
use crate::told::Told;
use crate::{entering, moments, pipeline, resumption, returns};

/// Whether a device, by its resource, must be woken to hear something: it is not there, nobody looks at it, or it does
/// not acknowledge what it was given.
pub fn away<'a>(
    sessions: &'a Sessions,
    doors: &'a BTreeMap<SessionId, Arc<Door>>,
    now: SystemTime,
) -> impl Fn(&str) -> bool + 'a {
    move |resource| {
        let door = sessions.by_resource(resource).and_then(|session| doors.get(&session.id));
        door.is_none_or(|door| !door.is_taken() || door.is_inactive() || door.is_silent(now, push::SILENCE))
    }
}

/// An account, with one field per feature that keeps state.
pub struct Account {
    /// Its address.
    pub jid: BareJid,
    /// Its domain.
    pub domain: Arc<Domain>,
    /// Whether it exists only as long as its connection (XEP-0175).
    pub anonymous: bool,
    /// Whether it has been removed in this step.
    pub removed: bool,
    /// Who is connected.
    pub sessions: Sessions,
    /// The connections' doors.
    pub doors: BTreeMap<SessionId, Arc<Door>>,
    /// Those whose streams can be resumed, as the store has them; boxed, as a map has room for eleven.
    pub kept: BTreeMap<SessionId, Box<Kept>>,
    /// Whether the store may have any.
    pub has_streams: bool,
    /// Streams that are over and could be resumed before.
    pub over: Vec<Over>,
    /// Its contacts.
    pub roster: Roster,
    /// Whom it does not want to hear.
    pub blocklist: Blocklist,
    /// In what it publishes.
    pub nodes: Nodes,
    /// What it has said and heard.
    pub archive: Archive,
    /// Which clients have access to it.
    pub clients: Clients,
    /// Whom it has reported.
    pub reported: Reported,
    /// To whom it has written lately.
    pub addressed: Addressed,
    /// Messages of which other devices had copies.
    pub copied: Copied,
    /// What is held for it while nobody is there.
    pub held: Held,
    /// Which push services wake its devices, and of which chats it wants to be told.
    pub push: Enabled,
    /// When it was last available.
    pub last_seen: LastSeen,
    /// Sessions that have left since all that the account rests on was committed: whoever is to know of it may have to
    /// be told again.
    pub departed: VecDeque<Departure>,
    /// What sessions that have left were not given, for as long: it may have to take its way anew once more.
    pub taken_back: Vec<Undelivered>,
}

impl Account {
    /// Reads one letter. Returns whom it becomes when it is removed.
    pub fn read(&mut self, letter: Letter, step: &mut Step<'_>, told: &mut Told) -> Option<Nobody> {
        match letter {
            Letter::Arriving(stanza) => pipeline::arriving(self, stanza, step),
            Letter::Registered(key, stanza) => {
                step.write(Write::LetterDrop { to: self.jid.clone(), key });
                pipeline::arriving(self, stanza, step);
            }
            Letter::Leaving(session, stanza) => pipeline::leaving(self, session, stanza, step),
            Letter::News(node, event) => pipeline::news_arriving(self, &node, &event, step),
            Letter::Wish(wish) => self.with_nodes(|nodes, owner| news::wished(nodes, owner, &wish, step)),
            Letter::Bind { door, resource, client, room, .. } => {
                self.bind(door, resource, client, room, step);
            }
            Letter::Enter { door, entry, room } => entering::enter(self, door, *entry, room, step),
            Letter::Unfinished(key, stanza) => {
                step.write(Write::LetterDrop { to: self.jid.clone(), key });
                // Without its session nobody waits for what it was to lead to.
                let resource = stanza.from.as_ref().and_then(|from| from.resource());
                let session = resource.and_then(|resource| self.sessions.by_resource(resource));
                if let Some(session) = session.map(|session| session.id) {
                    pipeline::leaving(self, session, stanza, step);
                }
            }
            Letter::Settled(session, answer) => {
                answer.into_iter().for_each(|answer| step.to_session(session, answer));
            }
            Letter::Say(session, stanza) => step.to_session(session, stanza),
            Letter::Lost(session) => resumption::refuse_lost(self, session, step),
            Letter::Superseded(session) => resumption::put_down(self, session, step),
            Letter::Manage(session, enable) => resumption::manage(self, session, enable, step),
            Letter::Resume { previd, handled, asker } => {
                resumption::resume(self, &previd, handled, asker, step, told);
            }
            // What it covers is seen to with every step.
            Letter::Acked(_) => {}
            Letter::Closed(session, turn) => self.closed(session, turn, step),
            Letter::Overdue(session) => {
                if self.doors.get(&session).is_some_and(|door| !door.is_taken()) {
                    moments::session_over(self, session, step);
                }
            }
            Letter::ArchiveCleared => archive::cleared(&mut self.archive, &self.jid, step),
            Letter::Restored => resumption::restored(self, step),
            Letter::Returned(back, what) | Letter::Answered(back, what) => {
                returns::to_account(self, back, what, step);
            }
            Letter::CarriedOver => moments::carried_over(self, step),
            Letter::ReadAgain => moments::letters_read_again(self, step),
            Letter::Create(_, asker) => {
                told.tell(asker, Err(StanzaError::new(Condition::Conflict)));
            }
            Letter::SetCredentials(credentials, asker) => {
                step.write(Write::AccountCredentials { account: self.jid.clone(), credentials });
                self.clients.password_changed();
                told.tell(asker, Ok(()));
            }
            Letter::AddKeys { credentials, proven, asker } => {
                step.write(Write::AccountKeys { account: self.jid.clone(), credentials, proven });
                told.tell(asker, Ok(()));
            }
            Letter::NewPassword(credentials, asker) => {
                step.write(Write::AccountCredentials { account: self.jid.clone(), credentials });
                registration::end_others(&self.sessions, None, step);
                told.tell(asker, Ok(()));
            }
            Letter::Remove(asker) => {
                moments::account_removed(self, step);
                told.tell(asker, Ok(()));
            }
            Letter::EndSessions(resource, asker) => self.end_sessions(resource, asker, step, told),
        }
        let over = self.anonymous && self.sessions.is_empty();
        if over && !self.removed {
            moments::visit_over(self, step);
        }
        (self.removed || over).then(|| self.without_account())
    }

    /// Does something with its nodes.
    pub fn with_nodes<T>(&mut self, act: impl FnOnce(&mut Nodes, &Owner<'_>) -> T) -> T {
        let hears = |jid: &Jid| !self.blocklist.blocks(jid);
        let owner =
            Owner { account: &self.jid, roster: &self.roster, sessions: &self.sessions, hears: &hears };
        act(&mut self.nodes, &owner)
    }

    /// The address that is left of it, with connections that have not closed yet.
    fn without_account(&mut self) -> Nobody {
        let doors = std::mem::take(&mut self.doors);
        Nobody { jid: self.jid.clone(), domain: self.domain.clone(), doors }
    }

    /// What the account is, for service discovery (XEP-0175 §5).
    pub fn kind(&self) -> &'static str {
        if self.anonymous { "anonymous" } else { "registered" }
    }

    /// Binds a resource (RFC 6120 §7). A resource that is taken goes to the newcomer, and the older session is closed
    /// with `conflict` (§7.7.2.2, behaviour 3): a phone that has lost its connection gets back in, even if there is
    /// memory for nobody new.
    pub fn bind(
        &mut self,
        door: Arc<Door>,
        resource: Option<String>,
        client: Option<Arc<str>>,
        room: Room,
        step: &mut Step<'_>,
    ) {
        let id = door.id;
        let resource = resource.unwrap_or_else(|| step.new_id());
        let jid = self.jid.with_resource(&resource);
        let taken = jid.as_ref().ok().and_then(|jid| self.sessions.by_resource(jid.resource()));
        let taken = taken.map(|session| session.id);
        if taken.is_none() && room == Room::ForNobodyNew {
            return entering::turn_away(&door, step);
        }
        self.doors.insert(id, door);
        let Ok(jid) = jid else {
            return self.refuse_bind(id, Condition::BadRequest, step);
        };
        if let Some(taken) = taken {
            step.close(taken, StreamError::new(StreamCondition::Conflict));
            moments::session_closed(self, taken, step);
            self.end_if_left(taken, step);
        } else if !self.makes_room(step) {
            return self.refuse_bind(id, Condition::ResourceConstraint, step);
        }
        self.sessions.add(Session { client, ..Session::new(id, jid.clone(), step.now) });
        step.act(step::Act::Bound(id, jid));
    }

    /// Whether there is room for one more session: a newcomer is worth more than one that waits for its client.
    pub fn makes_room(&mut self, step: &mut Step<'_>) -> bool {
        if self.sessions.len() < step.domain.limits.sessions_per_account {
            return true;
        }
        let left = |id: &SessionId| self.doors.get(id).is_some_and(|door| !door.is_taken());
        let Some(waiting) = self.sessions.iter().map(|session| session.id).find(left) else { return false };
        moments::session_over(self, waiting, step);
        true
    }

    /// The connection of a session is gone. If it may come back, it is waited for.
    fn closed(&mut self, session: SessionId, turn: u64, step: &mut Step<'_>) {
        let Some(door) = self.doors.get(&session) else { return };
        if door.is_taken() || door.turn() != turn {
            // Another connection goes on with the stream.
            return;
        }
        if let Some(gone) = self.sessions.find(session).filter(|_| !door.is_inactive()) {
            self.push.device_was_here(gone.jid.resource());
        }
        let waits = self.kept.contains_key(&session) && self.sessions.find(session).is_some();
        match waits && !door.has_parted() {
            true => resumption::detached(self, session, turn, step),
            false => moments::session_over(self, session, step),
        }
    }

    /// A session that has lost its connection hears of nothing more, so it is over at once.
    pub fn end_if_left(&mut self, session: SessionId, step: &mut Step<'_>) {
        if self.doors.get(&session).is_some_and(|door| !door.is_taken()) {
            moments::session_over(self, session, step);
        }
    }

    fn refuse_bind(&mut self, id: SessionId, condition: Condition, step: &mut Step<'_>) {
        step.act(step::Act::BindRefused(id, StanzaError::new(condition)));
        // The door is needed until the refusal has gone through it; it is forgotten when the connection closes.
    }

    fn end_sessions(
        &mut self,
        resource: Option<String>,
        asker: oneshot::Sender<Outcome>,
        step: &mut Step<'_>,
        told: &mut Told,
    ) {
        let ended: Vec<_> = self
            .sessions
            .iter()
            .filter(|session| resource.as_deref().is_none_or(|wanted| session.jid.resource() == wanted))
            .map(|session| session.id)
            .collect();
        for id in &ended {
            step.close(*id, StreamError::new(StreamCondition::PolicyViolation));
        }
        let found = if ended.is_empty() { Err(StanzaError::new(Condition::ItemNotFound)) } else { Ok(()) };
        told.tell(asker, found);
    }

    /// When the last session has gone, that moment is remembered (XEP-0012).
    pub fn remember_seen(&mut self, at: SystemTime, status: Option<String>, step: &mut Step<'_>) {
        self.last_seen = LastSeen { at: Some(at), status: status.clone() };
        step.write(Write::AccountSeen { account: self.jid.clone(), at, status });
    }
}
