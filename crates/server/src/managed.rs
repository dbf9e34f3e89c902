//! The counts of a managed stream (XEP-0198 §4): what the client wants to know, and what it has not acknowledged.

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use step::SessionId;
use store::Lsn;
use xmpp::stanza::Stanza;

use crate::outgoing::{Outgoing, Undelivered};
use crate::sent::Sent;

/// The counts of one stream.
#[derive(Debug)]
pub struct Managed {
    /// The client's first stanza that counts.
    first: u64,
    /// The client has been told: what leaves counts.
    begun: bool,
    /// What the client has not acknowledged.
    pub sent: Sent,
    /// The client wants an acknowledgement once all its stanzas before this one have been handled, or at this time.
    ack_due: Option<(u64, Instant)>,
}

impl Managed {
    /// Counts from the client's stanza of this number on.
    pub fn new(first: u64) -> Self {
        Managed { first, begun: false, sent: Sent::default(), ack_due: None }
    }

    /// The counts of a stream that was there before a crash.
    pub fn restored(sent: Sent) -> Self {
        Managed { first: 0, begun: true, sent, ack_due: None }
    }

    /// The client's first stanza that counts.
    pub fn first(&self) -> u64 {
        self.first
    }

    /// How many of the client's stanzas count before this one.
    pub fn count_before(&self, number: u64) -> u64 {
        number.saturating_sub(self.first)
    }

    /// Whether the client has been told: what leaves counts.
    pub fn has_begun(&self) -> bool {
        self.begun
    }

    /// The client asks; its next stanza would have this `number`. It waits until `patience` at most.
    pub fn ask(&mut self, number: u64, patience: Instant) {
        self.ack_due = Some((number, patience));
    }

    /// When the client must hear.
    pub fn ack_due(&self) -> Option<Instant> {
        self.ack_due.map(|(_, due)| due)
    }

    /// What the client hears now, if it does: how many of its stanzas have been handled, modulo 2^32. `unhandled` is
    /// the oldest that has not.
    pub fn due_ack(&mut self, unhandled: u64, now: Option<Instant>) -> Option<u32> {
        let (number, due) = self.ack_due?;
        if unhandled < number && now.is_none_or(|now| now < due) {
            return None;
        }
        self.ack_due = None;
        Some(self.count_before(unhandled) as u32)
    }

    /// Something leaves, and is kept until the client has acknowledged it. Nothing comes back when it is only to be
    /// said once all before has been acknowledged.
    pub fn count(&mut self, outgoing: Outgoing, at: SystemTime) -> Option<Outgoing> {
        let kept = |stanza: &Stanza, shared: Option<&Arc<[SessionId]>>| Undelivered {
            stanza: stanza.clone(),
            at,
            shared: shared.cloned(),
            // It leaves: all that it rests on is committed.
            lsn: Lsn::default(),
        };
        match outgoing {
            _ if outgoing.begins_management() => self.begun = true,
            _ if !self.begun => {}
            Outgoing::Left(back) => return self.sent.push_left(back).map(Outgoing::Left),
            Outgoing::Stanza(ref stanza) => self.sent.push(kept(stanza, None), false),
            Outgoing::Held(ref stanza) => self.sent.push(kept(stanza, None), true),
            Outgoing::Shared(ref stanza, ref shared) => self.sent.push(kept(stanza, Some(shared)), false),
            _ => {}
        }
        Some(outgoing)
    }
}
