//! One step of one entity: what a feature may see, and what it leaves to be done.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use store::Write;
use xmpp::error::StreamError;
use xmpp::jid::BareJid;
use xmpp::stanza::Stanza;

use crate::act::{Act, Question, Read, Return, Work};
use crate::domain::Domain;
use crate::sessions::SessionId;
use crate::wishes::Wish;
use crate::world::World;

/// All a feature may see and do. Nothing happens before the step has ended: writes go to the log, letters to
/// other entities at once, and what leaves the node waits at the door for the commit it rests on.
pub struct Step<'a> {
    /// Monotonic time at which the step began.
    pub now: Instant,
    /// Time of day at which the step began.
    pub wall: SystemTime,
    /// The domain of the entity, with its settings.
    pub domain: &'a Domain,
    world: &'a World,
    writes: Vec<Write>,
    acts: Vec<Act>,
}

/// What a step left behind.
#[derive(Debug, Default)]
pub struct Yield {
    /// For the log, in order.
    pub writes: Vec<Write>,
    /// To be carried out once the writes are numbered, in order.
    pub acts: Vec<Act>,
}

impl<'a> Step<'a> {
    /// Begins a step of an entity of `domain`, now.
    pub fn new(world: &'a World, domain: &'a Domain, now: Instant) -> Self {
        Step { now, wall: world.clock.wall(), domain, world, writes: Vec::new(), acts: Vec::new() }
    }

    /// Sends a stanza to whomever its `to` names.
    pub fn route(&mut self, stanza: Stanza) {
        self.acts.push(Act::Route(stanza));
    }

    /// Sends a stanza that changes what the other side keeps: both sides must agree even after a crash, so it is kept
    /// until whoever it is for has read it.
    pub fn route_registered(&mut self, stanza: Stanza) {
        self.acts.push(Act::RouteRegistered(self.new_id(), stanza));
    }

    /// Tells the account that the event's `to` names of something that was published; it gives it to those of its
    /// sessions that want it (XEP-0163 §4.3).
    pub fn notify(&mut self, node: Arc<str>, event: Stanza) {
        self.acts.push(Act::Notify(node, event));
    }

    /// Tells an account that a session of this one wants its last news.
    pub fn wish(&mut self, to: BareJid, wish: Wish) {
        self.acts.push(Act::Wish(to, wish));
    }

    /// Writes a stanza to one of the account's own sessions.
    pub fn to_session(&mut self, session: SessionId, stanza: Stanza) {
        self.acts.push(Act::Deliver(session, stanza));
    }

    /// Writes a stanza to one of several sessions that all have it, in one form or another; one of them is enough.
    pub fn to_shared(&mut self, session: SessionId, stanza: Stanza, shared: &Arc<[SessionId]>) {
        match shared.len() {
            0 | 1 => self.to_session(session, stanza),
            _ => self.acts.push(Act::DeliverShared(session, stanza, shared.clone())),
        }
    }

    /// Closes a session's stream with an error.
    pub fn close(&mut self, session: SessionId, error: StreamError) {
        self.acts.push(Act::Close(session, error));
    }

    /// Hands back after `delay`.
    pub fn after(&mut self, delay: Duration, back: Return) {
        self.acts.push(Act::After(delay, back));
    }

    /// Reads from the store beside the entity; the rows come back as a letter and show the entity's own writes.
    pub fn read(&mut self, read: Read, back: Return) {
        self.acts.push(Act::Ask(Question::Read(read), back));
    }

    /// Has something costly done beside the entity.
    pub fn work(&mut self, work: Work, back: Return) {
        self.acts.push(Act::Ask(Question::Work(work), back));
    }

    /// Leaves any other wish.
    pub fn act(&mut self, act: Act) {
        self.acts.push(act);
    }

    /// Appends a write to the log when the step ends.
    pub fn write(&mut self, write: Write) {
        self.writes.push(write);
    }

    /// Appends several.
    pub fn write_all(&mut self, writes: impl IntoIterator<Item = Write>) {
        self.writes.extend(writes);
    }

    /// What has been written so far, in order.
    pub fn writes(&self) -> &[Write] {
        &self.writes
    }

    /// A fresh identifier that nobody can guess.
    pub fn new_id(&self) -> String {
        self.world.new_id()
    }

    /// Ends the step.
    pub fn finish(self) -> Yield {
        Yield { writes: self.writes, acts: self.acts }
    }
}
