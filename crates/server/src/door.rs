//! The door of one session: what is meant to leave waits here until the log has committed what it rests on. It outlives
//! its connection, if the stream can be resumed.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::Waker;
use std::time::{Duration, SystemTime};

use parking_lot::{Mutex, MutexGuard};
use step::{Return, SessionId};
use store::{Fate, Lsn};
use xmpp::error::StreamCondition;
use xmpp::jid::FullJid;
use xmpp::stanza::Stanza;

use crate::commits::Commits;
use crate::managed::Managed;
use crate::outgoing::{Outgoing, Owed, Undelivered};
use crate::seat::Seat;
use crate::sent::{Resumed, Sent, TooMany};
use crate::ticket::{Handled, Ticket};
use crate::under_way::UnderWay;

mod state;
#[cfg(test)]
mod tests;

use state::Recount;
pub(crate) use state::State;
pub use state::Waiting;

/// Between the account and the connection of one of its sessions, in both directions. The connection has a [`Seat`] at
/// it.
pub struct Door {
    /// The session.
    pub id: SessionId,
    commits: Arc<Commits>,
    /// Bytes that may wait while no connection is there.
    bytes_max: usize,
    state: Mutex<State>,
}

impl Door {
    /// A door, and the seat of the connection that it is made for.
    pub fn opened(id: SessionId, commits: Arc<Commits>, bytes_max: usize) -> Seat {
        let door = Door::closed(id, commits, bytes_max, None, 0);
        door.state.lock().taken = true;
        Seat::new(door, 0)
    }

    /// The door of a session that was there before a crash, without a connection: so many stanzas of its client have
    /// been handled, and this has been `sent`.
    pub fn restored(
        id: SessionId,
        commits: Arc<Commits>,
        bytes_max: usize,
        handled: u64,
        sent: Sent,
    ) -> Arc<Self> {
        Door::closed(id, commits, bytes_max, Some(Box::new(Managed::restored(sent))), handled)
    }

    fn closed(
        id: SessionId,
        commits: Arc<Commits>,
        bytes_max: usize,
        managed: Option<Box<Managed>>,
        next_number: u64,
    ) -> Arc<Self> {
        let kept = managed.is_some();
        let state = State {
            kept,
            queue: VecDeque::new(),
            queued_bytes: 0,
            under_way: UnderWay::none(next_number),
            managed,
            waker: None,
            turn: 0,
            taken: false,
            parted: false,
            resuming: None,
            held_back: None,
            recount: None,
            superseded: 0,
        };
        Arc::new(Door { id, commits, bytes_max, state: Mutex::new(state) })
    }

    /// Nobody looks at the client (XEP-0352 §4.2): what can wait is held back from it, so many stanzas at most.
    pub fn hold_back(&self, stanzas_max: usize) {
        self.state.lock().hold_back(stanzas_max);
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    pub(crate) fn fate(&self, lsn: Lsn) -> Fate {
        self.commits.fate(lsn)
    }

    /// Puts something behind the door, resting on `lsn`. What comes of a stanza of this door's own client, by its
    /// `ticket`, leaves after all that comes of earlier ones is settled: an answer says that everything before it is
    /// safe. `at` is the time of day. Returns whether the session cannot go on waiting for a connection.
    pub fn put(&self, lsn: Lsn, at: SystemTime, ticket: Option<&Ticket>, outgoing: Outgoing) -> bool {
        self.put_together(lsn, at, ticket, [outgoing])
    }

    /// The same with what is taken all at once or not at all: the connection is not woken in between.
    pub fn put_together(
        &self,
        lsn: Lsn,
        at: SystemTime,
        ticket: Option<&Ticket>,
        together: impl IntoIterator<Item = Outgoing>,
    ) -> bool {
        let number = ticket.and_then(|ticket| ticket.number_at(self.id));
        let mut state = self.state.lock();
        let (mut overdue, mut waits) = (false, true);
        for outgoing in together {
            let answers = match (&outgoing, &state.managed) {
                // It is told when all that came before is answered.
                (Outgoing::Managed(_), Some(managed)) => Some(managed.first()),
                _ => number,
            };
            let closes = matches!(outgoing, Outgoing::Close(_));
            state.queued_bytes += outgoing.byte_len();
            state.queue.push_back(Waiting { lsn, at, answers, outgoing });
            overdue |= !state.taken && (closes || state.queued_bytes > self.bytes_max);
            waits = self.waits_for_commit(&state);
        }
        if !waits {
            wake(state);
        }
        overdue
    }

    /// Whether nothing leaves before a commit, which then wakes the connection: it need not be awake before. Whoever is
    /// first in the queue has been waited for since it came, or is from now on (docs/build/stepping.md, trap 10).
    fn waits_for_commit(&self, state: &State) -> bool {
        let Some(first) = state.queue.front().filter(|first| self.commits.fate(first.lsn) == Fate::Pending)
        else {
            return false;
        };
        match &state.waker {
            Some(waker) if state.queue.len() == 1 => self.commits.wait(first.lsn, waker) == Fate::Pending,
            _ => true,
        }
    }

    /// Takes what may leave now, in order, and says what has become of the client's own stanzas. What rests on a
    /// failed commit never leaves.
    pub(crate) fn take(&self, state: &mut State, waker: &Waker) -> Vec<Outgoing> {
        // Registered before the queue is looked at (docs/build/stepping.md, trap 4).
        state.register(waker);
        let mut leaving = Vec::new();
        for answer in state.under_way.settle(&self.commits, waker, state.kept) {
            leaving.extend(state.count(Outgoing::Stanza(answer), SystemTime::UNIX_EPOCH));
        }
        if state.resuming.is_some() {
            if !state.under_way.is_empty() {
                return leaving;
            }
            state.resume(&mut leaving);
        }
        while self.is_recounted(state, waker)
            && let Some(next) = state.queue.front()
        {
            if state.waits_for_earlier(next) || state.is_full() {
                break;
            }
            let fate = self.commits.wait(next.lsn, waker);
            if fate == Fate::Pending {
                break;
            }
            let Some(waiting) = state.queue.pop_front() else { break };
            state.queued_bytes = state.queued_bytes.saturating_sub(waiting.outgoing.byte_len());
            if fate == Fate::Committed {
                leaving.extend(state.let_out(waiting));
                if matches!(leaving.last(), Some(Outgoing::Close(_))) {
                    // Nothing follows it; what is behind it goes elsewhere.
                    break;
                }
            } else if matches!(waiting.outgoing, Outgoing::Entered(_)) {
                // Whoever waits for nothing else hears that it failed.
                leaving.push(Outgoing::Close(StreamCondition::ResourceConstraint.into()));
                break;
            }
        }
        if state.queue.is_empty() {
            // An idle session holds no room for more.
            state.queue = VecDeque::new();
        }
        if state.is_full() {
            leaving.extend(self.goodbye(state, waker));
        }
        leaving.extend(state.due_ack(None));
        leaving
    }

    /// Whether what leaves next has the numbers that it has in the store. After a failed commit the account is loaded
    /// anew, and puts them down anew.
    fn is_recounted(&self, state: &mut State, waker: &Waker) -> bool {
        let done = match state.recount {
            None => return true,
            Some(Recount::Due | Recount::Asked) => false,
            Some(Recount::PutDown(lsn)) => self.commits.wait(lsn, waker) == Fate::Committed,
        };
        if done {
            state.recount = None;
        }
        done
    }

    /// The account has put down what the session is owed with this number, when so many stanzas had given way to newer
    /// ones.
    pub fn put_down(&self, superseded: u64, lsn: Lsn) {
        let mut state = self.state.lock();
        if state.recount.is_some() && state.superseded == superseded {
            state.recount = Some(Recount::PutDown(lsn));
            wake(state);
        }
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

    /// The stream can be resumed: what becomes of its client's stanzas is in the store.
    pub fn keep(&self) {
        self.state.lock().kept = true;
    }

    /// The client's stanzas whose consequences are lost, by number, each with the error that it has not heard yet.
    pub fn refusals(&self) -> Vec<(u64, Option<Stanza>)> {
        self.state.lock().under_way.refusals(&self.commits)
    }

    /// That the consequence of a stanza is lost is known to the store with `lsn`; its client hears it at once.
    pub fn refused(&self, number: u64, lsn: Lsn, at: SystemTime, error: Option<Stanza>) {
        let mut state = self.state.lock();
        state.under_way.refused(number, lsn);
        if let Some(error) = error.map(Outgoing::Stanza) {
            state.queued_bytes += error.byte_len();
            let rests_on = Lsn::default();
            state.queue.push_back(Waiting { lsn: rests_on, at, answers: None, outgoing: error });
        }
        wake(state);
    }

    /// All that comes of the client's stanza of this number has been stepped.
    pub(crate) fn handled(&self, number: u64, handled: Handled) {
        let mut state = self.state.lock();
        state.under_way.handled(number, handled);
        wake(state);
    }

    /// How many stanzas of the client there are up to the one of this number, if the stream is managed.
    pub(crate) fn count_of(&self, number: u64) -> Option<u64> {
        let state = self.state.lock();
        let managed = state.managed.as_ref()?;
        (number >= managed.first()).then(|| managed.count_before(number + 1))
    }

    /// The client's stanza of this number has been read by its account.
    pub(crate) fn stepped(&self, number: u64, lsn: Lsn) {
        self.state.lock().under_way.stepped(number, lsn);
    }

    /// How many stanzas of the client its account has read, lost or not.
    pub fn stepped_count(&self) -> u64 {
        let state = self.state.lock();
        let next = state.under_way.unread();
        state.managed.as_ref().map_or(0, |managed| managed.count_before(next))
    }

    /// Whether nobody looks at the client, as far as it says.
    pub fn is_inactive(&self) -> bool {
        self.state.lock().held_back.is_some()
    }

    /// Whether the client, which acknowledges, has not done so for this long.
    pub fn is_silent(&self, now: SystemTime, patience: Duration) -> bool {
        let state = self.state.lock();
        let oldest = state.managed.as_ref().and_then(|managed| managed.sent.oldest());
        oldest.is_some_and(|at| now.duration_since(at).is_ok_and(|silent| silent >= patience))
    }

    /// How many stanzas the client has acknowledged.
    pub fn acknowledged(&self) -> u64 {
        self.state.lock().managed.as_ref().map_or(0, |managed| managed.sent.acknowledged())
    }

    /// What the session is owed. What rests on a failed commit is not among it.
    pub fn owed(&self) -> Owed {
        let state = self.state.lock();
        let Some(managed) = &state.managed else { return Owed::default() };
        let mut stanzas: Vec<_> =
            managed.sent.unacked().map(|(number, stanza)| (number, stanza.clone())).collect();
        let (mut last, mut begun) = (managed.sent.numbered(), managed.has_begun());
        let held_back = state.held_back.iter().flat_map(|held_back| held_back.iter());
        let waiting = held_back.chain(&state.queue);
        let waiting = waiting.filter(|waiting| self.commits.fate(waiting.lsn) != Fate::Failed);
        for Waiting { at, outgoing, lsn, .. } in waiting {
            begun |= outgoing.begins_management();
            let Some(stanza) = outgoing.stanza().filter(|_| begun) else { continue };
            last += 1;
            let shared = if let Outgoing::Shared(_, shared) = outgoing { Some(shared.clone()) } else { None };
            stanzas.push((last, Undelivered { stanza: stanza.clone(), at: *at, shared, lsn: *lsn }));
        }
        let held_back = state.held_back.as_ref().map_or(0, |held_back| held_back.superseded());
        Owed { stanzas, last, superseded: state.superseded + held_back }
    }

    /// The number up to which what was held for the account has been written for the client, or is about to be; 0 if
    /// nobody waits to hear that it has left.
    pub fn handed_up_to(&self) -> u64 {
        let state = self.state.lock();
        let sent = state.managed.iter().flat_map(|managed| managed.sent.lefts());
        let waiting = state.queue.iter().filter(|waiting| self.commits.fate(waiting.lsn) != Fate::Failed);
        let waiting = waiting.filter_map(|waiting| match &waiting.outgoing {
            Outgoing::Left(back) => Some(back),
            _ => None,
        });
        let numbers = sent.chain(waiting).filter_map(|back| match back {
            Return::OfflineLeft(up_to) => Some(*up_to),
            _ => None,
        });
        numbers.max().unwrap_or(0)
    }

    /// Bytes of what the session is owed.
    pub fn owed_bytes(&self) -> usize {
        let state = self.state.lock();
        let sent = state.managed.as_ref().map_or(0, |managed| managed.sent.bytes());
        let held_back = state.held_back.as_ref().map_or(0, |held_back| held_back.bytes());
        sent + held_back + state.queued_bytes
    }

    /// Whether the client has heard, or is about to hear, that its stream is managed.
    pub fn is_told_managed(&self) -> bool {
        let state = self.state.lock();
        let waits = |waiting: &Waiting| {
            waiting.outgoing.begins_management() && self.commits.fate(waiting.lsn) != Fate::Failed
        };
        state.managed.as_ref().is_some_and(|managed| managed.has_begun()) || state.queue.iter().any(waits)
    }

    /// Whether a connection is there.
    pub fn is_taken(&self) -> bool {
        self.state.lock().taken
    }

    /// Whether the session waits for its client, and no connection is about to go on with it.
    pub fn waits(&self) -> bool {
        let state = self.state.lock();
        !state.taken && state.resuming.is_none()
    }

    /// Whether the client has said goodbye, or can never come back.
    pub fn has_parted(&self) -> bool {
        self.state.lock().parted
    }

    /// A number that is another one as soon as a connection leaves or another one takes its place.
    pub fn turn(&self) -> u64 {
        self.state.lock().turn
    }

    /// Another connection goes on with the stream: its client has handled so many stanzas. One that is still there
    /// hears that it is over.
    ///
    /// # Errors
    /// When it was sent fewer; then all stays as it was.
    pub fn resume(self: &Arc<Self>, jid: FullJid, handled: u32) -> Result<(Seat, Resumed), TooMany> {
        let mut state = self.state.lock();
        let Some(managed) = &mut state.managed else { return Err(TooMany { handled, sent: 0 }) };
        let mut resumed = managed.sent.resume(handled)?;
        state.turn += 1;
        state.taken = false;
        state.resuming = Some(jid);
        // XEP-0352 §5.2: it always begins active.
        state.let_all_go();
        resumed.renumbered |= state.recount.is_some();
        // It was meant for the connection before.
        state.queue.retain(|waiting| !matches!(waiting.outgoing, Outgoing::Close(_)));
        let turn = state.turn;
        wake(state);
        Ok((Seat::new(self.clone(), turn), resumed))
    }

    /// The stanzas that did not leave, in order. What rests on a failed commit is not among them. A connection that was
    /// about to go on with the stream hears that it is over.
    pub fn undelivered(&self) -> Vec<Undelivered> {
        let mut state = self.state.lock();
        let resuming = state.resuming.take();
        state.queued_bytes = 0;
        let unacked = state.managed.as_mut().map(|managed| managed.sent.take().collect::<Vec<_>>());
        let held_back = state.held_back.as_mut().map(|held_back| held_back.take());
        let waiting = held_back.into_iter().flatten().chain(state.queue.drain(..));
        let waiting = waiting.filter(|waiting| self.commits.fate(waiting.lsn) != Fate::Failed);
        let stanzas = waiting.filter_map(|Waiting { at, outgoing, lsn, .. }| match outgoing {
            Outgoing::Stanza(stanza) => Some(Undelivered { stanza, at, shared: None, lsn }),
            Outgoing::Shared(stanza, shared) => Some(Undelivered { stanza, at, shared: Some(shared), lsn }),
            _ => None,
        });
        let stanzas = unacked.into_iter().flatten().chain(stanzas).collect();
        if resuming.is_some() {
            let outgoing = Outgoing::Close(StreamCondition::ResourceConstraint.into());
            let (lsn, at) = (Lsn::default(), SystemTime::UNIX_EPOCH);
            state.queue.push_back(Waiting { lsn, at, answers: None, outgoing });
        }
        stanzas
    }
}

/// Wakes the connection's task, after letting go of the lock.
pub(crate) fn wake(mut state: MutexGuard<'_, State>) {
    let waker = state.waker.take();
    drop(state);
    if let Some(waker) = waker {
        waker.wake();
    }
}
