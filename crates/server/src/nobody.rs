//! An address on our domain that has no account: it answers as one that nobody reaches, and may become one.

use std::collections::BTreeMap;
use std::sync::Arc;

use features::archive::Archive;
use features::blocking::Blocklist;
use features::carbons::Copied;
use features::clients::Clients;
use features::offline::Held;
use features::push::Enabled;
use features::reports::Reported;
use features::strangers::{self, Addressed};
use features::{delivery, presence};
use pubsub::node::Nodes;
use step::{Domain, LastSeen, Roster, SessionId, Sessions, Step, Stop};
use store::{ArchiveState, Write};
use stream::{Mechanism, SaslCondition};
use xmpp::error::{Condition, StanzaError};
use xmpp::jid::BareJid;
use xmpp::stanza::{Kind, Stanza, Type};

use crate::account::Account;
use crate::door::Door;
use crate::entering::NotEntered;
use crate::letter::{Letter, Resuming};
use crate::memory::Room;
use crate::outgoing::Outgoing;
use crate::told::Told;
use crate::{entering, pipeline, queries};

/// An address without an account.
pub struct Nobody {
    /// The address.
    pub jid: BareJid,
    /// Its domain.
    pub domain: Arc<Domain>,
    /// Connections of the account that was removed, until they have closed.
    pub doors: BTreeMap<SessionId, Arc<Door>>,
}

impl Nobody {
    /// An address without an account.
    pub fn new(jid: BareJid, domain: Arc<Domain>) -> Self {
        Nobody { jid, domain, doors: BTreeMap::new() }
    }

    /// Reads one letter. Returns the account that it becomes.
    pub fn read(&mut self, letter: Letter, step: &mut Step<'_>, told: &mut Told) -> Option<Box<Account>> {
        match letter {
            Letter::Arriving(stanza) => self.answer(&stanza, step),
            Letter::Create(credentials, asker) => {
                let account = self.jid.clone();
                step.write(Write::AccountCreate { account, credentials, at: step.wall });
                told.tell(asker, Ok(()));
                let mut account = self.with_account(false);
                let (seal, state) = (&self.domain.seal, ArchiveState::default());
                account.archive = Archive::load(seal, &self.jid, step.wall, state, None);
                return Some(account);
            }
            Letter::Bind { door, anonymous: true, room: Room::ForNobodyNew, .. } => {
                entering::turn_away(&door, step);
            }
            Letter::Bind { door, resource, client, anonymous: true, room } => {
                let mut account = self.with_account(true);
                account.bind(door, resource, client, room, step);
                return Some(account);
            }
            // The account was removed between login and bind (RFC 6120 §7.6.2.2); if the connection has gone too,
            // nobody minds.
            Letter::Bind { door, .. } => {
                let refused = Outgoing::BindRefused(StanzaError::new(Condition::NotAllowed));
                door.put(store::Lsn::default(), step.wall, None, refused);
            }
            Letter::Enter { door, entry, room: Room::ForNobodyNew }
                if entry.mechanism == Mechanism::Anonymous && entry.bind.is_some() =>
            {
                entering::turn_away(&door, step);
            }
            Letter::Enter { door, entry, room } if entry.mechanism == Mechanism::Anonymous => {
                let mut account = self.with_account(true);
                entering::enter(&mut account, door, *entry, room, step);
                return Some(account);
            }
            // The account was removed while its client logged in.
            Letter::Enter { door, .. } => {
                let refused = Outgoing::NotEntered(NotEntered::Login(SaslCondition::NotAuthorized));
                door.put(store::Lsn::default(), step.wall, None, refused);
            }
            Letter::Registered(key, stanza) => {
                step.write(Write::LetterDrop { to: self.jid.clone(), key });
                self.answer(&stanza, step);
            }
            Letter::Resume { asker, .. } => told.answer(asker, Resuming::NotFound(None)),
            Letter::Unfinished(key, _) => step.write(Write::LetterDrop { to: self.jid.clone(), key }),
            Letter::Closed(session, _) | Letter::Overdue(session) => {
                self.doors.remove(&session);
            }
            Letter::SetCredentials(_, asker)
            | Letter::AddKeys { asker, .. }
            | Letter::NewPassword(_, asker)
            | Letter::Remove(asker)
            | Letter::EndSessions(_, asker) => {
                told.tell(asker, Err(StanzaError::new(Condition::ItemNotFound)));
            }
            Letter::Answered(back, _) => {
                // The account was removed while it had a question answered for somebody.
                if let Some(asked) = back.asked() {
                    pipeline::stopped(asked, Condition::ServiceUnavailable.into(), step);
                }
            }
            Letter::Leaving(..)
            | Letter::News(..)
            | Letter::Wish(_)
            | Letter::Settled(..)
            | Letter::Say(..)
            | Letter::Lost(_)
            | Letter::Superseded(_)
            | Letter::Manage(..)
            | Letter::Acked(_)
            | Letter::Returned(..)
            | Letter::ArchiveCleared
            | Letter::Restored
            | Letter::CarriedOver
            | Letter::ReadAgain => {}
        }
        None
    }

    /// RFC 6121 §8.5.1: no such user.
    fn answer(&self, stanza: &Stanza, step: &mut Step<'_>) {
        let stop = match (stanza.kind, stanza.type_) {
            (Kind::Message, _) => {
                strangers::refusal(stanza, &self.domain).unwrap_or_else(|| delivery::no_such_user(stanza))
            }
            (Kind::Iq, _) => match queries::nobody(stanza, step) {
                Ok(()) => return,
                Err(stop) => stop,
            },
            (Kind::Presence, Type::Probe) => {
                if let Some(prober) = &stanza.from {
                    step.route(presence::refuse_probe(stanza, &self.jid, prober));
                }
                Stop::Drop("a probe was answered")
            }
            (Kind::Presence, _) => Stop::Drop("presence for an account that does not exist"),
        };
        pipeline::stopped(stanza, stop, step);
    }

    /// The account that it becomes, empty.
    pub fn with_account(&mut self, anonymous: bool) -> Box<Account> {
        Box::new(Account {
            jid: self.jid.clone(),
            domain: self.domain.clone(),
            anonymous,
            removed: false,
            sessions: Sessions::default(),
            doors: std::mem::take(&mut self.doors),
            kept: BTreeMap::new(),
            has_streams: false,
            over: Vec::new(),
            roster: Roster::default(),
            blocklist: Blocklist::default(),
            nodes: Nodes::default(),
            archive: Archive::default(),
            clients: Clients::default(),
            copied: Copied::default(),
            reported: Reported::default(),
            addressed: Addressed::default(),
            held: Held::default(),
            push: Enabled::default(),
            last_seen: LastSeen::default(),
            departed: Default::default(),
            taken_back: Vec::new(),
        })
    }
}
