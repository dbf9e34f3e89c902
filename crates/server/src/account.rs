//! One person's account: all its state in memory, one letter at a time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use features::blocking::Blocklist;
use features::carbons::Copied;
use features::offline::Held;
use features::presence::Departure;
use futures_channel::oneshot;
use step::{Domain, LastSeen, Roster, Session, SessionId, Sessions, Step};
use store::Write;
use xmpp::error::{Condition, StanzaError, StreamCondition, StreamError};
use xmpp::jid::BareJid;

use crate::door::{Door, Undelivered};
use crate::letter::{Letter, Outcome};
use crate::nobody::Nobody;
use crate::told::Told;
use crate::{moments, pipeline, returns};

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
    /// Its contacts.
    pub roster: Roster,
    /// Whom it does not want to hear.
    pub blocklist: Blocklist,
    /// Messages of which other devices had copies.
    pub copied: Copied,
    /// What is held for it while nobody is there.
    pub held: Held,
    /// When it was last available.
    pub last_seen: LastSeen,
    /// Sessions that have left since all that the account rests on was committed: whoever is to know of it may have to
    /// be told again.
    pub departed: Vec<Departure>,
    /// What sessions that have left were not given, for as long: it may have to take its way anew once more.
    pub taken_back: Vec<Undelivered>,
}

impl Account {
    /// Reads one letter. Returns whom it becomes when it is removed.
    pub fn read(&mut self, letter: Letter, step: &mut Step<'_>, told: &mut Told) -> Option<Nobody> {
        match letter {
            Letter::Arriving(stanza) => pipeline::arriving(self, stanza, step),
            Letter::Registered(key, stanza) => {
                step.write(Write::LetterDrop { key });
                pipeline::arriving(self, stanza, step);
            }
            Letter::Leaving(session, stanza) => pipeline::leaving(self, session, stanza, step),
            Letter::Bind { door, resource, .. } => self.bind(door, resource, step),
            Letter::Closed(session) => {
                let stanzas = moments::door_closed(self, session, step);
                pipeline::undelivered(self, stanzas, step);
            }
            Letter::Returned(back, what) | Letter::Answered(back, what) => {
                returns::to_account(self, back, what, step);
            }
            Letter::CarriedOver => {
                let stanzas = moments::carried_over(self, step);
                pipeline::undelivered(self, stanzas, step);
            }
            Letter::ReadAgain => moments::letters_read_again(self, step),
            Letter::Create(_, asker) => {
                told.tell(asker, Err(StanzaError::new(Condition::Conflict)));
            }
            Letter::SetCredentials(credentials, asker) => {
                step.write(Write::AccountCredentials { account: self.jid.clone(), credentials });
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
    /// with `conflict` (§7.7.2.2, behaviour 3): a phone that has lost its connection gets back in.
    pub fn bind(&mut self, door: Arc<Door>, resource: Option<String>, step: &mut Step<'_>) {
        let id = door.id;
        self.doors.insert(id, door);
        let resource = resource.unwrap_or_else(|| step.new_id());
        let Ok(jid) = self.jid.with_resource(&resource) else {
            return self.refuse_bind(id, Condition::BadRequest, step);
        };
        if let Some(taken) = self.sessions.by_resource(jid.resource()).map(|session| session.id) {
            step.close(taken, StreamError::new(StreamCondition::Conflict));
            moments::session_closed(self, taken, step);
        } else if self.sessions.len() >= step.domain.limits.sessions_per_account {
            return self.refuse_bind(id, Condition::ResourceConstraint, step);
        }
        self.sessions.add(Session::new(id, jid.clone(), step.now));
        step.act(step::Act::Bound(id, jid));
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
