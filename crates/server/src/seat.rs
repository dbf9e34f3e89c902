//! A connection's seat at the door of its session. When another connection goes on with the stream, whoever sat there
//! before takes nothing more and gives nothing more.

use std::sync::Arc;
use std::task::Waker;
use std::time::Instant;

use parking_lot::MutexGuard;
use step::{Return, SessionId};
use xmpp::error::{StreamCondition, StreamError};
use xmpp::stanza::Stanza;

use crate::door::{Door, State, wake};
use crate::managed::Managed;
use crate::outgoing::Outgoing;
use crate::sent::TooMany;
use crate::ticket::Ticket;

/// What the connection is to do beside moving stanzas.
#[derive(Debug, Default)]
pub struct Duties {
    /// The account is to answer for a stanza of the client that is lost; it counts as told.
    pub refusal: bool,
    /// The account is to put down anew what the session is owed, since some of it has given way to newer stanzas; it
    /// counts as asked to.
    pub recount: bool,
    /// The client is to be asked for an acknowledgement; it counts as asked.
    pub ack: bool,
    /// More waits than may: the client does not read.
    pub overflow: bool,
}

/// How much is on its way at a seat.
#[derive(Debug, Default)]
pub struct Load {
    /// Stanzas of the client that are not done with.
    pub unhandled: usize,
    /// Their bytes: its credit is used up by them.
    pub unhandled_bytes: usize,
    /// Bytes that wait to leave.
    pub queued_bytes: usize,
}

/// The seat of one connection.
pub struct Seat {
    door: Arc<Door>,
    /// The turn of the door in which it is this connection's.
    turn: u64,
}

impl Seat {
    /// The seat in this turn.
    pub(crate) fn new(door: Arc<Door>, turn: u64) -> Self {
        Seat { door, turn }
    }

    /// The session.
    pub fn id(&self) -> SessionId {
        self.door.id
    }

    /// The door.
    pub fn door(&self) -> &Arc<Door> {
        &self.door
    }

    /// The door's state, if this is still the seat.
    fn state(&self) -> Option<MutexGuard<'_, State>> {
        Some(self.door.lock()).filter(|state| state.turn == self.turn)
    }

    /// The connection is there.
    pub fn sit(&self) {
        if let Some(mut state) = self.state() {
            state.taken = true;
        }
    }

    /// Takes what may leave now, in order. `waker` is woken when there is more.
    pub fn take(&self, waker: &Waker) -> Vec<Outgoing> {
        match self.state() {
            Some(mut state) => self.door.take(&mut state, waker),
            // XEP-0198 §5: the stream goes on elsewhere.
            None => vec![Outgoing::Close(StreamError::new(StreamCondition::Conflict))],
        }
    }

    /// What is to be done beside; so many bytes may wait.
    pub fn duties(&self, bytes_max: usize) -> Duties {
        let Some(mut state) = self.state() else { return Duties::default() };
        Duties {
            refusal: state.under_way.wants_refusal(),
            recount: state.wants_recount(),
            ack: state.managed.as_mut().is_some_and(|managed| managed.sent.wants_ack()),
            overflow: state.queued_bytes > bytes_max,
        }
    }

    /// Only has `waker` woken when something more is put behind the door.
    pub fn rearm(&self, waker: &Waker) {
        if let Some(mut state) = self.state() {
            state.register(waker);
        }
    }

    /// The waker of a task that is awake anyway needs not be called.
    pub fn disarm(&self) {
        if let Some(mut state) = self.state() {
            state.forget_waker();
        }
    }

    /// The client wants the stream to be managed: its stanzas count from now on. It hears so when all that it has sent
    /// before is answered, and what it is sent counts from there. COMPAT: @xmpp/client 0.14 counts nothing that comes
    /// in the same piece as `<enabled/>`, and so is told after the answers to what it has sent before.
    pub fn manage(&self) {
        if let Some(mut state) = self.state() {
            state.managed = Some(Box::new(Managed::new(state.under_way.next())));
        }
    }

    /// Nobody looks at the client (XEP-0352 §4.2): what can wait is held back from it, so many stanzas at most.
    pub fn inactive(&self, stanzas_max: usize) {
        if let Some(mut state) = self.state() {
            state.hold_back(stanzas_max);
        }
    }

    /// Somebody looks at the client: what was held back from it goes before all that comes of what it sends from now on
    /// (XEP-0352 §5.1).
    pub fn active(&self) {
        if let Some(mut state) = self.state() {
            state.let_all_go();
            wake(state);
        }
    }

    /// The client asks how many of its stanzas have been handled; it hears when all have been that came before, and at
    /// `patience` at the latest.
    pub fn ask_ack(&self, patience: Instant) {
        let Some(mut state) = self.state() else { return };
        let number = state.under_way.next();
        if let Some(managed) = &mut state.managed {
            managed.ask(number, patience);
            wake(state);
        }
    }

    /// When the client must hear how many of its stanzas have been handled.
    pub fn ack_due(&self) -> Option<Instant> {
        self.state()?.ack_due()
    }

    /// The acknowledgement for which the time has come.
    pub fn overdue_ack(&self, now: Instant) -> Option<Outgoing> {
        self.state()?.due_ack(Some(now))
    }

    /// The client has handled so many stanzas. Returns who is to hear of it.
    ///
    /// # Errors
    /// When it was sent fewer.
    pub fn acked(&self, handled: u32) -> Result<Vec<Return>, TooMany> {
        let Some(mut state) = self.state() else { return Ok(Vec::new()) };
        let Some(managed) = &mut state.managed else { return Ok(Vec::new()) };
        let told = managed.sent.acked(handled);
        wake(state);
        told
    }

    /// A stanza has come from the client; the ticket stands for its whole consequence. None when it must come again by
    /// way of whoever sits here now.
    pub fn ticket(&self, stanza: Option<&Stanza>) -> Option<Ticket> {
        let mut state = self.state()?;
        let number = state.under_way.begin(stanza);
        drop(state);
        Some(Ticket::new(self.door.clone(), number))
    }

    /// How much is on its way.
    pub fn load(&self) -> Load {
        self.state().map_or_else(Load::default, |state| Load {
            unhandled: state.under_way.len(),
            unhandled_bytes: state.under_way.bytes(),
            queued_bytes: state.queued_bytes,
        })
    }

    /// The client has said goodbye.
    pub fn parted(&self) {
        let Some(mut state) = self.state() else { return };
        state.parted = true;
        if let Some(managed) = &mut state.managed {
            managed.sent.parted();
        }
    }

    /// The client cannot come back to this stream.
    pub fn never_back(&self) {
        if let Some(mut state) = self.state() {
            state.parted = true;
        }
    }

    /// The connection is gone. What waits, and what is still put, stays. Returns the door's turn, unless somebody else
    /// sits there.
    pub fn leave(&self) -> Option<u64> {
        let mut state = self.state()?;
        state.forget_waker();
        // A client that has not heard that its stream is managed cannot come back to it.
        state.parted |= state.managed.as_ref().is_some_and(|managed| !managed.has_begun());
        (state.taken, state.turn) = (false, state.turn + 1);
        Some(state.turn)
    }
}
