//! The door of one connection: what is meant to leave waits here until the log has committed what it rests on.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::Waker;
use std::time::{Instant, SystemTime};

use parking_lot::Mutex;
use step::{Return, SessionId};
use store::{Fate, Lsn};
use xmpp::error::{Condition, StanzaError, StreamError};
use xmpp::jid::FullJid;
use xmpp::stanza::Stanza;

use crate::commits::Commits;
use crate::managed::Managed;
use crate::sent::TooMany;

/// Something for the connection.
#[derive(Debug)]
pub enum Outgoing {
    /// A stanza for the client.
    Stanza(Stanza),
    /// A stanza that these sessions of the account all have, in one form or another.
    Shared(Stanza, Arc<[SessionId]>),
    /// A stanza that the store has, until whoever wrote it hears that it has left.
    Held(Stanza),
    /// The stream is managed; what leaves from here on counts.
    Managed,
    /// A client that wants to know hears how many of its stanzas have been handled.
    Ack(u32),
    /// Not for the client: whoever wrote the stanzas before it hears when they have left the house.
    Left(Return),
    /// The resource is bound.
    Bound(FullJid),
    /// There is no resource to be had.
    BindRefused(StanzaError),
    /// The stream is to be closed.
    Close(StreamError),
}

impl Outgoing {
    fn byte_len(&self) -> usize {
        match self {
            Outgoing::Stanza(stanza) | Outgoing::Shared(stanza, _) | Outgoing::Held(stanza) => {
                stanza.byte_len()
            }
            _ => 0,
        }
    }
}

/// A stanza that a session was meant to have and was not given.
#[derive(Debug)]
pub struct Undelivered {
    /// The stanza.
    pub stanza: Stanza,
    /// When it was put behind the door.
    pub at: SystemTime,
    /// Who all were meant to have it; one is enough.
    pub shared: Option<Arc<[SessionId]>>,
}

/// A stanza from the client whose whole consequence has not been committed yet.
#[derive(Debug)]
struct Asked {
    number: u64,
    /// None: the stream has dealt with it itself.
    stanza: Option<Stanza>,
    bytes: usize,
    handled: Option<Handled>,
}

/// How the consequence of a stanza ended.
#[derive(Debug, Clone, Copy)]
enum Handled {
    /// All of it was stepped; it rests on this number.
    At(Lsn),
    /// A step of it failed.
    Refused,
}

/// Something that waits to leave.
#[derive(Debug)]
struct Waiting {
    /// It rests on this number of the log.
    lsn: Lsn,
    at: SystemTime,
    /// It answers this stanza of the client, so it leaves after all earlier ones are done with.
    answers: Option<u64>,
    outgoing: Outgoing,
}

#[derive(Debug, Default)]
struct State {
    queue: VecDeque<Waiting>,
    queued_bytes: usize,
    asked: VecDeque<Asked>,
    asked_bytes: usize,
    next_number: u64,
    managed: Option<Box<Managed>>,
    waker: Option<Waker>,
}

impl State {
    /// The client's oldest stanza that has not been handled.
    fn unhandled(&self) -> u64 {
        self.asked.front().map_or(self.next_number, |asked| asked.number)
    }

    /// The acknowledgement that is due; `now` is the time if that alone may be the reason.
    fn due_ack(&mut self, now: Option<Instant>) -> Option<Outgoing> {
        let unhandled = self.unhandled();
        self.managed.as_mut()?.due_ack(unhandled, now).map(Outgoing::Ack)
    }

    /// Something leaves; see [`Managed::count`].
    fn count(&mut self, outgoing: Outgoing, at: SystemTime) -> Option<Outgoing> {
        match &mut self.managed {
            Some(managed) => managed.count(outgoing, at),
            None => Some(outgoing),
        }
    }

    fn waits_for_earlier(&self, waiting: &Waiting) -> bool {
        match (waiting.answers, self.asked.front()) {
            (Some(number), Some(first)) => first.number < number,
            _ => false,
        }
    }

    /// Whether the client must acknowledge something before more may leave.
    fn is_full(&self) -> bool {
        self.managed.as_ref().is_some_and(|managed| !managed.sent.has_room())
    }

    fn register(&mut self, waker: &Waker) {
        if !self.waker.as_ref().is_some_and(|known| known.will_wake(waker)) {
            self.waker = Some(waker.clone());
        }
    }
}

/// Between the entities and one connection, in both directions.
pub struct Door {
    /// The connection.
    pub id: SessionId,
    commits: Arc<Commits>,
    state: Mutex<State>,
}

impl Door {
    /// A door in front of a connection.
    pub fn new(id: SessionId, commits: Arc<Commits>) -> Arc<Self> {
        Arc::new(Door { id, commits, state: Mutex::new(State::default()) })
    }

    /// Puts something behind the door, resting on `lsn`. What comes of a stanza of this door's own client, by its
    /// `ticket`, leaves after all that comes of earlier ones is settled: an answer says that everything before it is
    /// safe. `at` is the time of day.
    pub fn put(&self, lsn: Lsn, at: SystemTime, ticket: Option<&Ticket>, outgoing: Outgoing) {
        let answers = ticket.filter(|ticket| ticket.0.door.id == self.id).map(|ticket| ticket.0.number);
        let mut state = self.state.lock();
        state.queued_bytes += outgoing.byte_len();
        state.queue.push_back(Waiting { lsn, at, answers, outgoing });
        wake(state);
    }

    /// Takes what may leave now, in order, and says what has become of the client's own stanzas. What rests on a
    /// failed commit never leaves. `waker` is woken when there is more.
    pub fn take(&self, waker: &Waker) -> Vec<Outgoing> {
        let mut state = self.state.lock();
        // Registered before the queue is looked at (docs/build/stepping.md, trap 4).
        state.register(waker);
        let mut leaving = Vec::new();
        self.settle_asked(&mut state, waker, &mut leaving);
        while let Some(next) = state.queue.front() {
            if state.waits_for_earlier(next) || state.is_full() {
                break;
            }
            let fate = self.commits.wait(next.lsn, waker);
            if fate == Fate::Pending {
                break;
            }
            let Some(Waiting { outgoing, at, .. }) = state.queue.pop_front() else { break };
            state.queued_bytes = state.queued_bytes.saturating_sub(outgoing.byte_len());
            if fate == Fate::Committed {
                let last = matches!(outgoing, Outgoing::Close(_));
                leaving.extend(state.count(outgoing, at));
                if last {
                    // Nothing follows it; what is behind it goes elsewhere.
                    break;
                }
            }
        }
        if state.is_full() {
            leaving.extend(self.goodbye(&mut state, waker));
        }
        leaving.extend(state.due_ack(None));
        leaving
    }

    /// A client that acknowledges nothing can still be told that its stream is over; what it was not given goes
    /// elsewhere.
    fn goodbye(&self, state: &mut State, waker: &Waker) -> Option<Outgoing> {
        let place = state.queue.iter().position(|waiting| matches!(waiting.outgoing, Outgoing::Close(_)))?;
        match self.commits.wait(state.queue.get(place)?.lsn, waker) {
            Fate::Committed => state.queue.remove(place).map(|waiting| waiting.outgoing),
            Fate::Pending | Fate::Failed => None,
        }
    }

    /// In the order in which they came: a stanza whose consequence is committed is done with; one whose consequence
    /// was lost with a failed commit is answered, so that its sender knows (guarantee G2).
    fn settle_asked(&self, state: &mut State, waker: &Waker, leaving: &mut Vec<Outgoing>) {
        while let Some(Asked { handled: Some(handled), .. }) = state.asked.front() {
            let lost = match handled {
                Handled::Refused => Some(Condition::InternalServerError),
                Handled::At(lsn) => match self.commits.wait(*lsn, waker) {
                    Fate::Pending => return,
                    Fate::Committed => None,
                    Fate::Failed => Some(Condition::ResourceConstraint),
                },
            };
            let Some(asked) = state.asked.pop_front() else { return };
            state.asked_bytes = state.asked_bytes.saturating_sub(asked.bytes);
            if let Some(condition) = lost {
                let error = StanzaError::new(condition);
                let reply = asked.stanza.and_then(|stanza| stanza.error_reply(&error));
                let counted =
                    reply.and_then(|reply| state.count(Outgoing::Stanza(reply), SystemTime::UNIX_EPOCH));
                leaving.extend(counted);
            }
        }
    }

    /// Only has `waker` woken when something more is put behind the door.
    pub fn rearm(&self, waker: &Waker) {
        self.state.lock().register(waker);
    }

    /// The waker of a task that is awake anyway needs not be called.
    pub fn disarm(&self) {
        self.state.lock().waker = None;
    }

    /// The client wants the stream to be managed: its stanzas count from now on. It hears so when all that it has sent
    /// before is answered, and what it is sent counts from there. COMPAT: @xmpp/client 0.14 counts nothing that comes
    /// in the same piece as `<enabled/>`, and so is told after the answers to what it has sent before.
    pub fn manage(&self, at: SystemTime) {
        let mut state = self.state.lock();
        let first = state.next_number;
        let outgoing = Outgoing::Managed;
        state.queue.push_back(Waiting { lsn: Lsn::default(), at, answers: Some(first), outgoing });
        state.managed = Some(Box::new(Managed::new(first)));
    }

    /// A stanza has come from the client that the stream has dealt with itself.
    pub fn settled(&self) {
        let mut state = self.state.lock();
        let number = state.next_number;
        state.next_number += 1;
        let handled = Some(Handled::At(Lsn::default()));
        state.asked.push_back(Asked { number, stanza: None, bytes: 0, handled });
        wake(state);
    }

    /// The stream has written a stanza itself.
    pub fn said(&self, stanza: Stanza, at: SystemTime) {
        // What only this connection could want is not taken back when it has gone.
        self.state.lock().count(Outgoing::Held(stanza), at);
    }

    /// The client asks how many of its stanzas have been handled; it hears when all have been that came before, and at
    /// `patience` at the latest.
    pub fn ask_ack(&self, patience: Instant) {
        let mut state = self.state.lock();
        let number = state.next_number;
        if let Some(managed) = &mut state.managed {
            managed.ask(number, patience);
            wake(state);
        }
    }

    /// When the client must hear how many of its stanzas have been handled.
    pub fn ack_due(&self) -> Option<Instant> {
        self.state.lock().managed.as_ref()?.ack_due()
    }

    /// The acknowledgement for which the time has come.
    pub fn overdue_ack(&self, now: Instant) -> Option<Outgoing> {
        self.state.lock().due_ack(Some(now))
    }

    /// The client has handled so many stanzas. Returns who is to hear of it.
    ///
    /// # Errors
    /// When it was sent fewer.
    pub fn acked(&self, handled: u32) -> Result<Vec<Return>, TooMany> {
        let mut state = self.state.lock();
        let Some(managed) = &mut state.managed else { return Ok(Vec::new()) };
        let told = managed.sent.acked(handled);
        wake(state);
        told
    }

    /// Whether the client should be asked for an acknowledgement now; it then counts as asked.
    pub fn wants_ack(&self) -> bool {
        self.state.lock().managed.as_mut().is_some_and(|managed| managed.sent.wants_ack())
    }

    /// A stanza has come from the client; the ticket stands for its whole consequence.
    pub fn ticket(self: &Arc<Self>, stanza: &Stanza) -> Ticket {
        let mut state = self.state.lock();
        let number = state.next_number;
        state.next_number += 1;
        let bytes = stanza.byte_len();
        state.asked_bytes += bytes;
        state.asked.push_back(Asked { number, stanza: Some(stanza.clone()), bytes, handled: None });
        drop(state);
        let rests_on = Mutex::new(Handled::At(Lsn::default()));
        Ticket(Arc::new(Share { door: self.clone(), number, rests_on }))
    }

    fn handled(&self, number: u64, handled: Handled) {
        let mut state = self.state.lock();
        // Numbers follow one another, so the place is known.
        let Some(first) = state.asked.front().map(|asked| asked.number) else { return };
        let place = usize::try_from(number.wrapping_sub(first)).unwrap_or(usize::MAX);
        let Some(asked) = state.asked.get_mut(place) else { return };
        asked.handled = Some(handled);
        wake(state);
    }

    /// Stanzas of the client that are not done with, and their bytes: its credit is used up by them.
    pub fn unhandled(&self) -> (usize, usize) {
        let state = self.state.lock();
        (state.asked.len(), state.asked_bytes)
    }

    /// Bytes that wait to leave.
    pub fn queued_bytes(&self) -> usize {
        self.state.lock().queued_bytes
    }

    /// The client has said goodbye.
    pub fn parted(&self) {
        if let Some(managed) = &mut self.state.lock().managed {
            managed.sent.parted();
        }
    }

    /// The connection is gone. What waits, and what is still put, stays for [`Door::undelivered`].
    pub fn close(&self) {
        let mut state = self.state.lock();
        state.waker = None;
        state.asked.clear();
    }

    /// The stanzas that did not leave, in order. What rests on a failed commit is not among them.
    pub fn undelivered(&self) -> Vec<Undelivered> {
        let mut state = self.state.lock();
        state.queued_bytes = 0;
        let unacked = state.managed.as_mut().map(|managed| managed.sent.take().collect::<Vec<_>>());
        let waiting = state.queue.drain(..).filter(|waiting| self.commits.fate(waiting.lsn) != Fate::Failed);
        let stanzas = waiting.filter_map(|Waiting { at, outgoing, .. }| match outgoing {
            Outgoing::Stanza(stanza) => Some(Undelivered { stanza, at, shared: None }),
            Outgoing::Shared(stanza, shared) => Some(Undelivered { stanza, at, shared: Some(shared) }),
            _ => None,
        });
        unacked.into_iter().flatten().chain(stanzas).collect()
    }
}

/// Wakes the connection's task, after letting go of the lock.
fn wake(mut state: parking_lot::MutexGuard<'_, State>) {
    let waker = state.waker.take();
    drop(state);
    if let Some(waker) = waker {
        waker.wake();
    }
}

/// A share in the consequence of one stanza of a client. When the last share is gone, the stanza has been handled, at
/// the highest number that any of its consequences rests on.
#[derive(Clone)]
pub struct Ticket(Arc<Share>);

struct Share {
    door: Arc<Door>,
    number: u64,
    rests_on: Mutex<Handled>,
}

impl Ticket {
    /// A consequence of the stanza rests on this.
    pub fn rest_on(&self, lsn: Lsn) {
        if let Handled::At(rests_on) = &mut *self.0.rests_on.lock()
            && self.0.door.commits.fate(*rests_on) != Fate::Failed
        {
            *rests_on = lsn.max(*rests_on);
        }
    }

    /// Whether a consequence of the stanza is lost; its sender is told, or has been.
    pub fn is_lost(&self) -> bool {
        match *self.0.rests_on.lock() {
            Handled::At(lsn) => self.0.door.commits.fate(lsn) == Fate::Failed,
            Handled::Refused => true,
        }
    }

    /// A step of its consequence failed: the sender hears `internal-server-error`.
    pub fn refuse(&self) {
        *self.0.rests_on.lock() = Handled::Refused;
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let handled = *self.rests_on.lock();
        self.door.handled(self.number, handled);
    }
}
