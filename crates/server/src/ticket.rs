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
    handled: Mutex<Handled>,
}

/// How the consequence of a stanza ended.
#[derive(Debug, Clone, Copy)]
pub enum Handled {
    /// All of it was stepped.
    At {
        /// The number that it rests on: if that is lost, so is the consequence.
        rests_on: Lsn,
        /// The number of what came of registered letters. It is waited for; if it is lost, they are read again.
        waits_for: Lsn,
    },
    /// A step of it failed.
    Refused,
}

impl Handled {
    /// All of it rests on this number.
    pub fn at(rests_on: Lsn) -> Self {
        Handled::At { rests_on, waits_for: Lsn::default() }
    }
}

impl Ticket {
    /// For the stanza of this number.
    pub fn new(door: Arc<Door>, number: u64) -> Self {
        Ticket(Arc::new(Share { door, number, handled: Mutex::new(Handled::at(Lsn::default())) }))
    }

    /// The stanza's number, if it came through this door.
    pub fn number_at(&self, door: SessionId) -> Option<u64> {
        (self.0.door.id == door).then_some(self.0.number)
    }

    /// How many stanzas of a managed stream there are up to this one, if the stream is managed.
    pub fn count(&self) -> Option<u64> {
        self.0.door.count_of(self.0.number)
    }

    /// The account of its sender has read the stanza; that rests on this.
    pub fn step(&self, lsn: Lsn) {
        self.0.door.stepped(self.0.number, lsn);
        self.rest_on(lsn);
    }

    /// A consequence of the stanza rests on this.
    pub fn rest_on(&self, lsn: Lsn) {
        if let Handled::At { rests_on, .. } = &mut *self.0.handled.lock()
            && self.0.door.fate(*rests_on) != Fate::Failed
        {
            *rests_on = lsn.max(*rests_on);
        }
    }

    /// What a registered letter has led to, which comes of the stanza, rests on this.
    pub fn wait_for(&self, lsn: Lsn) {
        if let Handled::At { waits_for, .. } = &mut *self.0.handled.lock() {
            *waits_for = lsn.max(*waits_for);
        }
    }

    /// Whether a consequence of the stanza is lost; its sender is told, or has been.
    pub fn is_lost(&self) -> bool {
        match *self.0.handled.lock() {
            Handled::At { rests_on, .. } => self.0.door.fate(rests_on) == Fate::Failed,
            Handled::Refused => true,
        }
    }

    /// A step of its consequence failed: the sender hears `internal-server-error`.
    pub fn refuse(&self) {
        *self.0.handled.lock() = Handled::Refused;
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let handled = *self.handled.lock();
        self.door.handled(self.number, handled);
    }
}
