//! What has left for a client that acknowledges (XEP-0198 §4), until it has.

use std::collections::VecDeque;

use step::Return;

use crate::door::Undelivered;

/// Stanzas that a client may leave unacknowledged: beyond that nothing more leaves for it.
pub const UNACKED_STANZAS: usize = 1_000;
/// Their bytes.
pub const UNACKED_BYTES: usize = 1 << 20;

/// The client has acknowledged more than it was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooMany {
    /// How many it was sent.
    pub sent: u32,
}

/// Stanzas without an acknowledgement, the oldest first.
#[derive(Debug, Default)]
pub struct Sent {
    entries: VecDeque<Entry>,
    stanzas: usize,
    bytes: usize,
    /// How many have been acknowledged, modulo 2^32.
    acked: u32,
    /// An acknowledgement has been asked for.
    asked: bool,
}

#[derive(Debug)]
enum Entry {
    Stanza {
        stanza: Undelivered,
        /// It is in the store until it has been acknowledged.
        held: bool,
    },
    /// Whoever wrote the stanzas before hears when they have been acknowledged.
    Left(Return),
}

impl Sent {
    /// Whether more may leave.
    pub fn has_room(&self) -> bool {
        self.stanzas < UNACKED_STANZAS && self.bytes < UNACKED_BYTES
    }

    /// A stanza leaves.
    pub fn push(&mut self, stanza: Undelivered, held: bool) {
        self.stanzas += 1;
        self.bytes += stanza.stanza.byte_len();
        self.entries.push_back(Entry::Stanza { stanza, held });
    }

    /// Somebody wants to hear when all before has been acknowledged; handed back if it has been.
    pub fn push_left(&mut self, back: Return) -> Option<Return> {
        if self.entries.is_empty() {
            return Some(back);
        }
        self.entries.push_back(Entry::Left(back));
        None
    }

    /// Whether the client should be asked for an acknowledgement now; it then counts as asked.
    pub fn wants_ack(&mut self) -> bool {
        let wants = self.stanzas > 0 && !self.asked;
        self.asked |= wants;
        wants
    }

    /// The client has handled so many stanzas in all. Returns who is to hear of it.
    ///
    /// # Errors
    /// When it was sent fewer (§6).
    pub fn acked(&mut self, handled: u32) -> Result<Vec<Return>, TooMany> {
        let mut newly = handled.wrapping_sub(self.acked) as usize;
        if newly > self.stanzas {
            return Err(TooMany { sent: self.acked.wrapping_add(self.stanzas as u32) });
        }
        self.acked = handled;
        self.asked = false;
        let mut told = Vec::new();
        while let Some(entry) =
            self.entries.pop_front_if(|entry| newly > 0 || matches!(entry, Entry::Left(_)))
        {
            match entry {
                Entry::Stanza { stanza, .. } => {
                    newly -= 1;
                    self.stanzas -= 1;
                    self.bytes -= stanza.stanza.byte_len();
                }
                Entry::Left(back) => told.push(back),
            }
        }
        Ok(told)
    }

    /// What was not acknowledged and is nowhere else.
    pub fn take(&mut self) -> impl Iterator<Item = Undelivered> {
        (self.stanzas, self.bytes) = (0, 0);
        std::mem::take(&mut self.entries).into_iter().filter_map(|entry| match entry {
            Entry::Stanza { stanza, held: false } => Some(stanza),
            _ => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::SystemTime;
    use step::SessionId;
    use xmpp::stanza::{Stanza, Type};

    fn sent(count: usize) -> Sent {
        let mut sent = Sent::default();
        for number in 0..count {
            let stanza = Stanza::message(Type::Chat).with_id(number.to_string());
            sent.push(Undelivered { stanza, at: SystemTime::UNIX_EPOCH, shared: None }, number % 2 == 1);
        }
        sent
    }

    #[test]
    fn acknowledged_stanzas_are_forgotten_and_others_told() {
        let mut sent = sent(3);
        assert!(sent.push_left(Return::OfflineLeft(3)).is_none());
        assert!(sent.wants_ack() && !sent.wants_ack());
        assert_eq!(sent.acked(2).map(|told| told.len()), Ok(0));
        assert!(sent.wants_ack());
        assert_eq!(sent.acked(3).map(|told| told.len()), Ok(1));
        assert!(!sent.wants_ack() && sent.bytes == 0);
        assert!(sent.push_left(Return::Offline(SessionId(1))).is_some());
    }

    #[test]
    fn nobody_handles_what_was_not_sent() {
        let mut sent = sent(3);
        assert_eq!(sent.acked(4).map(|told| told.len()), Err(TooMany { sent: 3 }));
        assert_eq!(sent.acked(3).map(|told| told.len()), Ok(0));
        assert_eq!(sent.acked(2).map(|told| told.len()), Err(TooMany { sent: 3 }));
    }

    #[test]
    fn counts_begin_anew_after_two_to_the_32() {
        let mut sent = Sent { acked: u32::MAX, ..sent(2) };
        assert_eq!(sent.acked(1).map(|told| told.len()), Ok(0));
        assert_eq!(sent.stanzas, 0);
    }

    #[test]
    fn what_the_store_has_is_not_taken_back() {
        let ids: Vec<_> = sent(4).take().filter_map(|left| left.stanza.id).collect();
        assert_eq!(ids, ["0".into(), "2".into()]);
    }

    #[test]
    fn only_so_much_leaves() {
        assert!(sent(UNACKED_STANZAS - 1).has_room() && !sent(UNACKED_STANZAS).has_room());
    }
}
