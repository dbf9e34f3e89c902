//! A share in the consequence of one stanza of a client.

use std::sync::Arc;

use parking_lot::Mutex;
use step::SessionId;
use store::{Fate, Lsn};

use crate::door::Door;

/// A share in the consequence of one stanza of a client. When the last share is gone, the stanza has been handled, at
/// the highest number that any of its consequences rests on.
#[derive(Clone)]
pub struct Ticket(Arc<Share>);

struct Share {
    door: Arc<Door>,
    number: u64,
    rests_on: Mutex<Handled>,
}

/// How the consequence of a stanza ended.
#[derive(Debug, Clone, Copy)]
pub enum Handled {
    /// All of it was stepped; it rests on this number.
    At(Lsn),
    /// A step of it failed.
    Refused,
}

impl Ticket {
    /// For the stanza of this number.
    pub fn new(door: Arc<Door>, number: u64) -> Self {
        Ticket(Arc::new(Share { door, number, rests_on: Mutex::new(Handled::At(Lsn::default())) }))
    }

    /// The stanza's number, if it came through this door.
    pub fn number_at(&self, door: SessionId) -> Option<u64> {
        (self.0.door.id == door).then_some(self.0.number)
    }

    /// How many stanzas of a managed stream there are up to this one, if the stream is managed.
    pub fn count(&self) -> Option<u64> {
        self.0.door.count_of(self.0.number)
    }

    /// The account of its sender has read the stanza.
    pub fn step(&self) {
        self.0.door.stepped(self.0.number);
    }

    /// A consequence of the stanza rests on this.
    pub fn rest_on(&self, lsn: Lsn) {
        if let Handled::At(rests_on) = &mut *self.0.rests_on.lock()
            && self.0.door.fate(*rests_on) != Fate::Failed
        {
            *rests_on = lsn.max(*rests_on);
        }
    }

    /// Whether a consequence of the stanza is lost; its sender is told, or has been.
    pub fn is_lost(&self) -> bool {
        match *self.0.rests_on.lock() {
            Handled::At(lsn) => self.0.door.fate(lsn) == Fate::Failed,
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
