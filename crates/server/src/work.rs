//! Stepping: whoever posts a letter to an idle entity steps it on the spot, from a work list, never by recursion
//! (docs/build/stepping.md).

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use step::{Act, Entered, Managed, Resumable, Return, Returned, Step};
use store::{Fate, Lsn, Write};
use stream::{Enabled, Resumption};
use xmpp::error::{StreamCondition, StreamError};
use xmpp::jid::{BareJid, Jid};
use xmpp::stanza::Stanza;

use crate::directory::{Asking, Cell, Inner, Life, Unfinished};
use crate::entity::Entity;
use crate::kept::{self, Arrived, Origin};
use crate::letter::{Envelope, Letter};
use crate::node::Node;
use crate::outgoing::Outgoing;
use crate::router;
use crate::ticket::Ticket;
use crate::told::Told;
use crate::{beside, loading};

/// Entities that have been claimed and have letters to read, in order.
type WorkList = VecDeque<Arc<Cell>>;

/// Half of the time for which an entity waits that the store has refused twice in a row; it doubles each time.
const LOSS_PAUSE: Duration = Duration::from_millis(50);
/// The longest time for which it waits.
const LOSS_PAUSE_MAX: Duration = Duration::from_secs(2);

impl Node {
    /// Puts a letter into an entity's mailbox and, if nobody else does, has it read now.
    pub fn post(self: &Arc<Self>, to: &BareJid, envelope: Envelope) {
        let mut work = WorkList::new();
        self.put(to, envelope, &mut work);
        self.run(work);
    }

    /// Goes on with entities whose letters wait.
    fn run(self: &Arc<Self>, mut work: WorkList) {
        for _ in 0..self.world.spawn.steps_per_post() {
            let Some(cell) = work.pop_front() else { return };
            self.step(&cell, &mut work);
        }
        if !work.is_empty() {
            let node = self.clone();
            self.world.spawn.spawn(Box::pin(async move { node.run(work) }));
        }
    }

    /// Puts a letter into a mailbox; claims the entity if it was idle, has it loaded if it was asleep.
    fn put(self: &Arc<Self>, to: &BareJid, envelope: Envelope, work: &mut WorkList) {
        let mut envelope = Some(envelope);
        loop {
            let cell = self.directory.cell(to, || self.world.clock.now());
            let mut inner = cell.inner.lock();
            if inner.life == Life::Gone {
                continue;
            }
            if let Some(envelope) = envelope.take() {
                inner.push(envelope);
            }
            match inner.life {
                Life::Idle => {
                    inner.life = Life::Claimed;
                    drop(inner);
                    work.push_back(cell);
                }
                Life::Asleep => {
                    inner.life = Life::Loading;
                    drop(inner);
                    self.load(cell, None);
                }
                _ => {}
            }
            return;
        }
    }

    /// Has an entity loaded that is asleep, so that it reads the letters which the store has kept for it.
    pub(crate) fn wake(self: &Arc<Self>, address: &BareJid) {
        let cell = self.directory.cell(address, || self.world.clock.now());
        let mut inner = cell.inner.lock();
        if inner.life == Life::Asleep {
            inner.life = Life::Loading;
            drop(inner);
            self.load(cell, None);
        }
    }

    /// Has every idle entity loaded anew whose state rests on writes that the store has refused; a busy one sees to it
    /// itself.
    pub(crate) fn reload_failed(self: &Arc<Self>) {
        let mut work = WorkList::new();
        self.directory.cells(|cell| {
            let mut inner = cell.inner.lock();
            if inner.life == Life::Idle && self.commits.fate(inner.lsn) == Fate::Failed {
                inner.life = Life::Claimed;
                work.push_back(cell.clone());
            }
        });
        self.run(work);
    }

    /// Reads an entity from the store, then lets it read its letters. What lives only in memory (its sessions) is
    /// carried over from `before`.
    fn load(self: &Arc<Self>, cell: Arc<Cell>, before: Option<Box<Entity>>) {
        let Some(domain) = self.domain(cell.address.domain()).cloned() else { return };
        let node = self.clone();
        let carried_over = before.is_some();
        self.world.spawn.spawn(Box::pin(async move {
            // What it has appended itself must be in the store, or lost, before it is read from there.
            let appended = cell.inner.lock().appended();
            node.commits.settled(appended).await;
            if carried_over {
                node.pause_after_loss(&cell).await;
            }
            let (entity, letters) = loading::entity(&node, domain, &cell.address, before).await;
            let mut inner = cell.inner.lock();
            let restored = matches!(&entity, Entity::Account(account) if !account.kept.is_empty());
            if carried_over && !letters.is_empty() {
                inner.mailbox.push_front(Envelope::new(Letter::ReadAgain));
            }
            inner.prepend(letters);
            match carried_over {
                true => inner.mailbox.push_front(Envelope::new(Letter::CarriedOver)),
                false if restored => inner.mailbox.push_front(Envelope::new(Letter::Restored)),
                false => {}
            }
            (inner.lsn, inner.patient) = (Lsn::default(), Lsn::default());
            inner.failures_seen = node.commits.log().failures();
            inner.entity = Some(Box::new(entity));
            inner.life = Life::Claimed;
            drop(inner);
            node.run(WorkList::from([cell]));
        }));
    }

    /// An entity that the store refuses again and again is loaded less and less often: what it tells others whenever it
    /// is must not keep everybody busy while the disk is full.
    async fn pause_after_loss(&self, cell: &Cell) {
        let losses = cell.inner.lock().losses;
        cell.inner.lock().losses = losses.saturating_add(1);
        if losses > 0 {
            let pause = LOSS_PAUSE.saturating_mul(1 << losses.min(8)).min(LOSS_PAUSE_MAX);
            self.world.clock.sleep(pause).await;
        }
    }

    /// Takes one step of a claimed entity, posts what it left, and lets go of it or puts it at the tail.
    fn step(self: &Arc<Self>, cell: &Arc<Cell>, work: &mut WorkList) {
        let mut inner = cell.inner.lock();
        if self.rests_on_failure(&mut inner) {
            inner.life = Life::Loading;
            let before = inner.entity.take();
            drop(inner);
            return self.load(cell.clone(), before);
        }
        let Some(envelope) = inner.mailbox.pop_front() else {
            inner.life = Life::Idle;
            return self.ask_next(cell, &mut inner);
        };
        let Some(mut entity) = inner.entity.take() else { return };
        let rests_on = inner.lsn.max(envelope.lsn);
        let carried_over = matches!(envelope.letter, Letter::CarriedOver);
        if self.commits.fate(inner.lsn) == Fate::Committed && !carried_over {
            inner.losses = 0;
            entity.settled();
        }
        if envelope.letter.is_answer() {
            inner.asking = false;
        }
        // The letter that it comes of is read again.
        let outdated = envelope.kept.as_ref().is_some_and(|kept| kept.load != inner.loads);
        let now = self.world.clock.now();
        inner.used = now;
        drop(inner);

        let outcome = match outdated || self.is_void(&envelope) {
            true => {
                tracing::trace!(entity = %cell.address, letter = ?envelope.letter, "void");
                Ok((entity, Lsn::default()))
            }
            false => self.read(cell, entity, envelope, rests_on, now, work),
        };

        let mut inner = cell.inner.lock();
        match outcome {
            Ok((entity, lsn)) => {
                inner.lsn = inner.lsn.max(lsn);
                inner.entity = Some(entity);
                self.ask_next(cell, &mut inner);
                if inner.mailbox.is_empty() {
                    inner.life = Life::Idle;
                } else {
                    drop(inner);
                    work.push_back(cell.clone());
                }
            }
            Err(before) => {
                // A registered letter that was just read is read from the store, so it must be there.
                inner.lsn = inner.lsn.max(rests_on);
                inner.life = Life::Loading;
                drop(inner);
                self.load(cell.clone(), Some(before));
            }
        }
    }

    /// A letter whose writer's step never happened is not read, nor one that comes of a stanza which has been lost:
    /// whoever asked is told by its own ticket. A registered letter is read all the same once it has been written.
    fn is_void(&self, envelope: &Envelope) -> bool {
        let lost = envelope.ticket.as_ref().is_some_and(Ticket::is_lost);
        self.commits.fate(envelope.lsn) == Fate::Failed
            || (lost && !matches!(envelope.letter, Letter::Registered(..)))
    }

    /// Has the entity's next question answered, if none is being answered.
    fn ask_next(self: &Arc<Self>, cell: &Cell, inner: &mut Inner) {
        if let Some(next) = inner.next_question() {
            beside::ask(self, cell.address.clone(), inner.lsn, next);
        }
    }

    /// Whether the entity's state rests on writes that the store has refused.
    fn rests_on_failure(&self, inner: &mut Inner) -> bool {
        let failures = self.commits.log().failures();
        if failures == inner.failures_seen {
            return false;
        }
        inner.failures_seen = failures;
        self.commits.fate(inner.lsn) == Fate::Failed
    }

    /// One letter: the step itself, its writes, its acts. An entity that cannot go on is handed back to be loaded
    /// anew, with what of it lives only in memory.
    fn read(
        self: &Arc<Self>,
        cell: &Cell,
        mut entity: Box<Entity>,
        envelope: Envelope,
        rests_on: Lsn,
        now: Instant,
        work: &mut WorkList,
    ) -> Result<(Box<Entity>, Lsn), Box<Entity>> {
        let arrived = Arrived::of(&envelope);
        let Envelope { letter, ticket, lsn: comes_from, kept } = envelope;
        tracing::trace!(entity = %cell.address, ?letter, %comes_from, %rests_on, "step");
        let domain = entity.domain().clone();
        let was_kept = entity.is_kept();
        let origin = if kept.is_some() { Origin::Registered } else { Origin::of(&letter) };
        let mut step = Step::new(&self.world, &domain, now);
        let (mut told, wall) = (Told::default(), step.wall);
        if catch_unwind(AssertUnwindSafe(|| entity.read(letter, &mut step, &mut told))).is_err() {
            return Err(broken(entity, wall, ticket.as_ref()));
        }
        let mut left = step.finish();
        let read = |Unfinished { key, .. }| Write::LetterDrop { to: cell.address.clone(), key };
        left.writes.extend(kept.map(read));
        let unfinished = kept::unfinished(self, origin, &arrived, &entity, &mut left);
        kept::keep(self, &mut entity, origin, ticket.as_ref(), &mut left);
        if !(was_kept && entity.is_kept()) {
            // Of an anonymous visitor nothing stays but its letters, until the others have read them.
            left.writes.retain(|write| matches!(write, Write::LetterKeep(_) | Write::LetterDrop { .. }));
        }
        let is_patient = !left.writes.is_empty() && left.writes.iter().all(Write::is_patient);
        let appended = match origin {
            Origin::Stream => Ok(Lsn::default()),
            _ => self.commits.log().append(rests_on, left.writes),
        };
        let Ok(mut lsn) = appended else {
            if let Some(ticket) = ticket.as_ref().filter(|_| origin != Origin::Registered) {
                match self.commits.fate(rests_on) {
                    Fate::Failed => ticket.rest_on(rests_on),
                    // The store takes nothing more, or not this: nothing of it will ever be.
                    _ => ticket.refuse(),
                }
            }
            return Err(entity);
        };
        if is_patient {
            // What comes of the step does not rest on that.
            cell.inner.lock().patient = std::mem::replace(&mut lsn, rests_on);
        }
        match (&ticket, origin) {
            // If this is lost, the letter is read again.
            (Some(ticket), Origin::Registered) => ticket.wait_for(lsn),
            (Some(ticket), Origin::Client(_) | Origin::Broadcast(_)) => ticket.step(lsn),
            (Some(ticket), _) => ticket.rest_on(lsn),
            (None, _) => {}
        }
        told.at(lsn);
        let kept = unfinished.map(|key| Unfinished { key, load: cell.inner.lock().loads });
        let end = End { lsn, wall, ticket: ticket.as_ref(), kept };
        for act in left.acts {
            self.carry_out(cell, &entity, act, &end, work);
        }
        Ok((entity, lsn))
    }

    /// Does what a step wished for.
    fn carry_out(
        self: &Arc<Self>,
        cell: &Cell,
        entity: &Entity,
        act: Act,
        end: &End<'_>,
        work: &mut WorkList,
    ) {
        // A session that is over takes nothing more; what it had is on its way elsewhere.
        let mut overdue = None;
        let mut put = |session, lsn, outgoing| {
            if let Some(door) = entity.door(session)
                && door.put(lsn, end.wall, end.ticket, outgoing)
            {
                overdue = Some(session);
            }
        };
        let mut through = |session, outgoing| put(session, end.lsn, outgoing);
        match act {
            Act::Route(stanza) => self.route(stanza, Letter::Arriving, end, work),
            Act::RouteRegistered(key, stanza) => {
                self.route(stanza, |stanza| Letter::Registered(key, stanza), end, work);
            }
            Act::Notify(node, event) => {
                let to = event.to.as_ref().map(Jid::bare);
                if let Some(to) = to {
                    self.tell_if_awake(&to, Letter::News(node, event), end, work);
                }
            }
            Act::Wish(to, wish) => self.tell(&to, Letter::Wish(wish), end, work),
            Act::Learnt(told, shown) => beside::learn(self, told, shown),
            Act::Deliver(session, stanza) => through(session, Outgoing::Stanza(stanza)),
            Act::DeliverShared(session, stanza, shared) => through(session, Outgoing::Shared(stanza, shared)),
            Act::DeliverThen(session, stanzas, back) => {
                // Were the connection woken in between, its client might leave with them before it is heard that
                // they have left, and they would be held on.
                let together = stanzas.into_iter().map(Outgoing::Held).chain([Outgoing::Left(back)]);
                if let Some(door) = entity.door(session)
                    && door.put_together(end.lsn, end.wall, end.ticket, together)
                {
                    overdue = Some(session);
                }
            }
            Act::Flush(session) => through(session, Outgoing::Flush),
            // A session rests on no write: it goes on even if the account has to be loaded anew.
            Act::Bound(session, jid) => put(session, Lsn::default(), Outgoing::Bound(jid)),
            Act::BindRefused(session, error) => put(session, Lsn::default(), Outgoing::BindRefused(error)),
            Act::Managed(session, managed) => through(session, Outgoing::Managed(self.enabled(managed))),
            Act::Refused(session, number, error) => {
                if let Some(door) = entity.door(session) {
                    door.refused(number, end.lsn, end.wall, error);
                }
            }
            Act::PutDown(session, superseded) => {
                if let Some(door) = entity.door(session) {
                    door.put_down(superseded, end.lsn);
                }
            }
            Act::Entered(session, entered) => put(session, Lsn::default(), self.entered(entered)),
            Act::EnteredDurably(session, entered) => through(session, self.entered(entered)),
            Act::Close(session, error) => through(session, Outgoing::Close(error)),
            Act::After(delay, back) => beside::after(self, cell.address.clone(), delay, back),
            Act::Ask(question, back) => {
                let kept = end.kept.clone().filter(|_| back.asked().is_some());
                let asking = Asking { question, back, ticket: end.ticket.cloned(), kept };
                cell.inner.lock().questions.push_back(asking);
            }
        }
        if let Some(session) = overdue {
            self.put(&cell.address, Envelope::new(Letter::Overdue(session)), work);
        }
    }

    /// What a client hears whose stream is managed.
    fn enabled(&self, Managed { resumable }: Managed) -> Enabled {
        let location = self.config.come_back.clone();
        let resumption = resumable.map(|Resumable { key, max }| Resumption { id: key, max, location });
        Enabled { resumption }
    }

    /// What a client hears that is in.
    fn entered(&self, Entered { jid, managed, archive, token }: Entered) -> Outgoing {
        let enabled = managed.map(|managed| self.enabled(managed));
        Outgoing::Entered(Box::new(stream::Entered { jid, enabled, archive, token }))
    }

    /// Sends a stanza on its way (RFC 6120 §10), as the letter that `write` makes of it.
    fn route(
        self: &Arc<Self>,
        stanza: Stanza,
        write: impl FnOnce(Stanza) -> Letter,
        end: &End<'_>,
        work: &mut WorkList,
    ) {
        if let Some((address, stanza)) = router::readdressed(self, stanza) {
            let ticket = end.ticket.cloned();
            let envelope = Envelope { letter: write(stanza), lsn: end.lsn, ticket, kept: None };
            self.put(&address, envelope, work);
        }
    }

    /// Tells an account here what no stanza says. Accounts elsewhere will hear it from the capabilities in presence,
    /// once there is a way to other servers.
    fn tell(self: &Arc<Self>, to: &BareJid, letter: Letter, end: &End<'_>, work: &mut WorkList) {
        if self.domain(to.domain()).is_some() {
            let envelope = Envelope { letter, lsn: end.lsn, ticket: end.ticket.cloned(), kept: None };
            self.put(to, envelope, work);
        }
    }

    /// The same, unless it is asleep: then nobody is connected to it who could hear.
    fn tell_if_awake(self: &Arc<Self>, to: &BareJid, letter: Letter, end: &End<'_>, work: &mut WorkList) {
        if self.directory.is_awake(to) {
            self.tell(to, letter, end, work);
        }
    }

    /// Posts what comes back to an entity from beside it.
    pub(crate) fn come_back(self: &Arc<Self>, to: &BareJid, back: Return, what: Returned) {
        self.post(to, Envelope::new(Letter::Returned(back, what)));
    }
}

/// What all that a step leaves has in common.
struct End<'a> {
    /// The number that it rests on.
    lsn: Lsn,
    /// The time of day.
    wall: SystemTime,
    /// The client's stanza that it comes of.
    ticket: Option<&'a Ticket>,
    /// The letter that it comes of, if the store keeps it until a question is answered.
    kept: Option<Unfinished>,
}

/// An entity whose step has failed within: whoever asked is told, and its connections are closed, since what it holds
/// in memory may be half changed.
fn broken(entity: Box<Entity>, wall: SystemTime, ticket: Option<&Ticket>) -> Box<Entity> {
    tracing::error!(entity = %entity.address(), "a step failed; the entity is loaded anew");
    if let Some(ticket) = ticket {
        ticket.refuse();
    }
    for door in entity.doors() {
        let error = StreamError::new(StreamCondition::InternalServerError);
        door.put(Lsn::default(), wall, None, Outgoing::Close(error));
    }
    entity
}
