//! What has left for a client that acknowledges (XEP-0198 §4), until it has.

use std::collections::VecDeque;
use std::time::SystemTime;

use step::Return;

use xmpp::stanza::{Kind, Stanza};

use crate::outgoing::Undelivered;

/// Stanzas that a client may leave unacknowledged: beyond that nothing more leaves for it.
pub const UNACKED_STANZAS: usize = 1_000;
/// Their bytes.
pub const UNACKED_BYTES: usize = 512 << 10;

/// The client has acknowledged more than it was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooMany {
    /// How many it says.
    pub handled: u32,
    /// How many it was sent.
    pub sent: u32,
}

/// How far the numbers that are given after a crash are from those given before: a client that resumes its stream says
/// how many stanzas it has handled, and the last of them may not have been in the store.
pub const RESTORED_GAP: u64 = 1 << 31;

/// Stanzas without an acknowledgement, the oldest first.
#[derive(Debug, Default)]
pub struct Sent {
    entries: VecDeque<Entry>,
    stanzas: usize,
    bytes: usize,
    /// How many have been acknowledged.
    acked: u64,
    /// The number of the last one.
    last: u64,
    /// It was read from the store: more may have been sent than is known here.
    restored: bool,
    /// Something has left since an acknowledgement was asked for.
    unasked: bool,
    /// Acknowledgements that were asked for and have not come.
    awaited: usize,
    /// How many of the stanzas had left when the last one was asked for.
    asked: usize,
    /// How many of the stanzas the client has read: it has answered a request that came behind them.
    read: usize,
    /// The same, as it was before the last acknowledgement, which may have come unasked (§4).
    read_before: usize,
    results: Results,
}

/// Whether the client counts the results of its requests, as it must. COMPAT: @xmpp/client 0.14 does not, and so never
/// acknowledges as much as it has handled. A client that counts shows it as soon as it has caught up: then what it has
/// handled is more than all that was sent without results.
#[derive(Debug, Default)]
struct Results {
    /// How many were sent.
    sent: u32,
    /// How many other stanzas were.
    others: u32,
    counted: bool,
}

impl Results {
    fn push(&mut self, stanza: &Stanza) {
        match stanza.kind == Kind::Iq && !stanza.is_request() {
            true => self.sent = self.sent.wrapping_add(1),
            false => self.others = self.others.wrapping_add(1),
        }
    }

    fn acked(&mut self, handled: u32) {
        self.counted |= handled > self.others;
    }

    fn are_left_out(&self) -> bool {
        self.sent > 0 && !self.counted
    }
}

#[derive(Debug)]
enum Entry {
    Stanza {
        number: u64,
        stanza: Undelivered,
        /// It is in the store until it has been acknowledged.
        held: bool,
    },
    /// Whoever wrote the stanzas before hears when they have been acknowledged.
    Left(Return),
}

/// A stream goes on: what comes of the client's word on what it has handled.
#[derive(Debug)]
pub struct Resumed {
    /// Who is to hear of it.
    pub told: Vec<Return>,
    /// The numbers of what is still owed are others than before.
    pub renumbered: bool,
}

impl Sent {
    /// What a session was sent and had not acknowledged, by the store's word; each with its number, in order.
    pub fn restored(acked: u64, owed: impl IntoIterator<Item = (u64, Undelivered)>) -> Self {
        let mut sent = Sent { acked, last: acked, restored: true, ..Sent::default() };
        for (number, stanza) in owed {
            sent.stanzas += 1;
            sent.bytes += stanza.stanza.byte_len();
            sent.last = sent.last.max(number);
            sent.entries.push_back(Entry::Stanza { number, stanza, held: false });
        }
        sent
    }

    /// How many have been acknowledged.
    pub fn acknowledged(&self) -> u64 {
        self.acked
    }

    /// The number after which what follows is numbered.
    pub fn numbered(&self) -> u64 {
        if self.restored { self.last + RESTORED_GAP } else { self.last }
    }

    /// What has left and is not acknowledged, by number.
    pub fn unacked(&self) -> impl Iterator<Item = (u64, &Undelivered)> {
        self.entries.iter().filter_map(|entry| match entry {
            Entry::Stanza { number, stanza, .. } => Some((*number, stanza)),
            Entry::Left(_) => None,
        })
    }

    /// What is to be told once all before has been acknowledged.
    pub fn lefts(&self) -> impl Iterator<Item = &Return> {
        self.entries.iter().filter_map(|entry| match entry {
            Entry::Left(back) => Some(back),
            Entry::Stanza { .. } => None,
        })
    }

    /// Bytes of what has left and is not acknowledged.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether more may leave.
    pub fn has_room(&self) -> bool {
        self.stanzas < UNACKED_STANZAS && self.bytes < UNACKED_BYTES
    }

    /// Since when the oldest stanza waits for its acknowledgement, while a request for one is not answered.
    pub fn oldest(&self) -> Option<SystemTime> {
        let at = self.entries.iter().find_map(|entry| match entry {
            Entry::Stanza { stanza, .. } => Some(stanza.at),
            Entry::Left(_) => None,
        });
        // Errors that the door has made itself bear no time.
        at.filter(|at| *at > SystemTime::UNIX_EPOCH && self.awaited > 0)
    }

    /// A stanza leaves.
    pub fn push(&mut self, stanza: Undelivered, held: bool) {
        self.results.push(&stanza.stanza);
        self.stanzas += 1;
        self.bytes += stanza.stanza.byte_len();
        self.unasked = true;
        self.last += 1;
        self.entries.push_back(Entry::Stanza { number: self.last, stanza, held });
    }

    /// Somebody wants to hear when all before has been acknowledged; handed back if it has been.
    pub fn push_left(&mut self, back: Return) -> Option<Return> {
        if self.entries.is_empty() {
            return Some(back);
        }
        self.entries.push_back(Entry::Left(back));
        None
    }

    /// Whether the client should be asked for an acknowledgement now; it then counts as asked. Each time that something
    /// has left it is asked again: COMPAT: @xmpp/client 0.14 does not hear what comes right behind `<enabled/>`.
    pub fn wants_ack(&mut self) -> bool {
        let wants = std::mem::take(&mut self.unasked);
        if wants {
            self.awaited += 1;
            self.asked = self.stanzas;
        }
        wants
    }

    /// The client has said goodbye. What it has not acknowledged it may not have read (§4), unless it leaves out the
    /// results of its requests: then what it has read is not to come again.
    pub fn parted(&mut self) {
        if self.results.are_left_out() {
            let read = (self.acked as u32).wrapping_add(self.read_before as u32);
            // It is no more than was sent.
            drop(self.acked(read));
        }
    }

    /// The client has handled so many stanzas in all. Returns who is to hear of it.
    ///
    /// # Errors
    /// When it was sent fewer (§6).
    pub fn acked(&mut self, handled: u32) -> Result<Vec<Return>, TooMany> {
        let whole = self.whole(handled);
        if whole > self.last {
            return Err(TooMany { handled, sent: self.last as u32 });
        }
        let newly = (whole - self.acked) as usize;
        self.results.acked(handled);
        self.read_before = self.read.saturating_sub(newly);
        self.awaited = self.awaited.saturating_sub(1);
        if self.awaited == 0 {
            self.read = self.asked;
        }
        self.read = self.read.saturating_sub(newly);
        self.asked = self.asked.saturating_sub(newly);
        let mut told = self.forget(whole);
        if self.results.are_left_out() {
            told.extend(self.left_and_read());
        }
        Ok(told)
    }

    /// The client comes back and has handled so many stanzas in all. What is left is to be sent again; it is numbered
    /// as the client will count it.
    ///
    /// # Errors
    /// When the client was sent fewer (§6).
    pub fn resume(&mut self, handled: u32) -> Result<Resumed, TooMany> {
        let whole = self.whole(handled);
        let known = if self.restored { self.acked + RESTORED_GAP } else { self.last };
        if whole > known {
            return Err(TooMany { handled, sent: self.last as u32 });
        }
        // What a client that leaves out results has read beyond its count is not to come again.
        let read = if self.results.are_left_out() { self.read_before as u64 } else { 0 };
        let told = self.forget(whole + read);
        self.acked = whole;
        let mut last = whole;
        let mut renumbered = std::mem::take(&mut self.restored) || read > 0;
        for entry in &mut self.entries {
            if let Entry::Stanza { number, .. } = entry {
                last += 1;
                renumbered |= *number != last;
                *number = last;
            }
        }
        (self.last, self.unasked) = (last, self.stanzas > 0);
        (self.awaited, self.asked, self.read, self.read_before) = (0, 0, 0, 0);
        Ok(Resumed { told, renumbered })
    }

    /// The whole of a count that is modulo 2^32.
    fn whole(&self, handled: u32) -> u64 {
        self.acked + u64::from(handled.wrapping_sub(self.acked as u32))
    }

    /// Forgets the stanzas up to this number. Returns who waited for that.
    fn forget(&mut self, up_to: u64) -> Vec<Return> {
        let mut told = Vec::new();
        let done = |entry: &mut Entry| match entry {
            Entry::Stanza { number, .. } => *number <= up_to,
            Entry::Left(_) => true,
        };
        while let Some(entry) = self.entries.pop_front_if(done) {
            match entry {
                Entry::Stanza { stanza, .. } => {
                    self.stanzas -= 1;
                    self.bytes -= stanza.stanza.byte_len();
                }
                Entry::Left(back) => told.push(back),
            }
        }
        self.acked = self.acked.max(up_to);
        told
    }

    /// Whoever waits for stanzas that the client has read hears of it, though it has not counted them; from then on
    /// they are only here.
    fn left_and_read(&mut self) -> Vec<Return> {
        let (mut before, mut told) = (0, Vec::new());
        let read = self.read;
        self.entries.retain_mut(|entry| match entry {
            Entry::Stanza { held, .. } => {
                *held &= before >= read;
                before += 1;
                true
            }
            Entry::Left(back) => {
                let waits = before > read;
                if !waits {
                    told.push(back.clone());
                }
                waits
            }
        });
        told
    }

    /// What was not acknowledged and is nowhere else.
    pub fn take(&mut self) -> impl Iterator<Item = Undelivered> {
        (self.stanzas, self.bytes) = (0, 0);
        std::mem::take(&mut self.entries).into_iter().filter_map(|entry| match entry {
            Entry::Stanza { stanza, held: false, .. } => Some(stanza),
            _ => None,
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::time::SystemTime;
    use step::SessionId;
    use store::Lsn;
    use xmpp::stanza::{Stanza, Type};

    fn sent(count: usize) -> Sent {
        let mut sent = Sent::default();
        for number in 0..count {
            let stanza = Stanza::message(Type::Chat).with_id(number.to_string());
            sent.push(
                Undelivered { stanza, at: SystemTime::UNIX_EPOCH, shared: None, lsn: Lsn::default() },
                number % 2 == 1,
            );
        }
        sent
    }

    fn unread(stanza: Stanza) -> Undelivered {
        Undelivered { stanza, at: SystemTime::UNIX_EPOCH, shared: None, lsn: Lsn::default() }
    }

    #[test]
    fn acknowledged_stanzas_are_forgotten_and_others_told() {
        let mut sent = sent(3);
        assert!(sent.push_left(Return::OfflineLeft(3)).is_none());
        assert!(sent.wants_ack() && !sent.wants_ack());
        assert_eq!(sent.acked(2).map(|told| told.len()), Ok(0));
        assert_eq!(sent.acked(3).map(|told| told.len()), Ok(1));
        assert_eq!(sent.bytes, 0);
        sent.push(unread(Stanza::message(Type::Chat)), false);
        assert!(sent.wants_ack() && !sent.wants_ack() && sent.acked(4).is_ok());
        assert!(sent.push_left(Return::Offline(SessionId(1))).is_some());
    }

    /// A result, two messages and a request behind them; whoever waits for them.
    fn with_result() -> Sent {
        let mut sent = Sent::default();
        sent.push(unread(Stanza::iq(Type::Result, "1")), false);
        sent.push(unread(Stanza::message(Type::Chat).with_id("a")), true);
        sent.push(unread(Stanza::message(Type::Chat).with_id("b")), true);
        assert!(sent.push_left(Return::OfflineLeft(2)).is_none() && sent.wants_ack());
        sent
    }

    fn left(sent: &mut Sent) -> Vec<String> {
        let ids = sent.take().filter_map(|left| left.stanza.id);
        ids.map(|id| id.to_string()).filter(|id| id != "1").collect()
    }

    #[test]
    fn who_leaves_out_results_is_given_nothing_again_that_it_has_read() {
        // Both messages, and not the result.
        let mut sent = with_result();
        assert_eq!(sent.acked(2).map(|told| told.len()), Ok(1), "the store need not have them any more");
        assert!(sent.acked(2).is_ok(), "unasked, as it leaves");
        sent.parted();
        assert!(left(&mut sent).is_empty());
        // Without a goodbye nobody knows.
        let mut sent = with_result();
        assert!(sent.acked(2).is_ok());
        assert_eq!(left(&mut sent), ["b"]);
    }

    #[test]
    fn who_counts_results_is_believed() {
        let mut sent = with_result();
        assert_eq!(sent.acked(3).map(|told| told.len()), Ok(1));
        sent.push(unread(Stanza::message(Type::Chat).with_id("c")), false);
        assert!(sent.wants_ack() && sent.acked(3).is_ok());
        sent.parted();
        assert_eq!(left(&mut sent), ["c"]);
    }

    #[test]
    fn the_last_acknowledgement_may_have_come_unasked() {
        let mut sent = with_result();
        assert!(sent.acked(0).is_ok());
        sent.parted();
        // They are in the store no more, for it seemed that they had been read; so they are here.
        assert_eq!(left(&mut sent), ["a", "b"]);
    }

    #[test]
    fn nobody_handles_what_was_not_sent() {
        let mut sent = sent(3);
        assert_eq!(sent.acked(4).map(|told| told.len()), Err(TooMany { handled: 4, sent: 3 }));
        assert_eq!(sent.acked(3).map(|told| told.len()), Ok(0));
        assert_eq!(sent.acked(2).map(|told| told.len()), Err(TooMany { handled: 2, sent: 3 }));
    }

    #[test]
    fn counts_begin_anew_after_two_to_the_32() {
        let before = u64::from(u32::MAX);
        let mut sent = Sent { acked: before, last: before, ..Sent::default() };
        sent.push(unread(Stanza::message(Type::Chat)), false);
        sent.push(unread(Stanza::message(Type::Chat)), false);
        assert_eq!(sent.acked(1).map(|told| told.len()), Ok(0));
        assert_eq!((sent.stanzas, sent.acked), (0, before + 2));
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

    #[test]
    fn who_comes_back_is_sent_what_it_has_not_handled() {
        let mut all = sent(4);
        assert!(all.acked(1).is_ok() && all.resume(5).is_err());
        assert!(!all.resume(2).unwrap().renumbered);
        assert_eq!(all.unacked().map(|(number, _)| number).collect::<Vec<_>>(), [3, 4]);
        assert!(all.wants_ack());
        all.push(unread(Stanza::message(Type::Chat)), false);
        assert_eq!(all.acked(5).map(|told| told.len()), Ok(0));
    }

    #[test]
    fn who_comes_back_after_a_crash_may_have_handled_more_than_is_known() {
        let owed =
            [7, 9].map(|number| (number, unread(Stanza::message(Type::Chat).with_id(number.to_string()))));
        // What was not in the store (6, 8, 10 and beyond) may have come, or not.
        for (handled, left) in [(5, vec!["7", "9"]), (7, vec!["9"]), (8, vec!["9"]), (12, vec![])] {
            let mut sent = Sent::restored(5, owed.clone());
            assert_eq!(sent.numbered(), 9 + RESTORED_GAP);
            assert!(sent.resume(handled).unwrap().renumbered);
            let numbers: Vec<u64> = sent.unacked().map(|(number, _)| number).collect();
            let first = u64::from(handled) + 1;
            assert_eq!(numbers, (first..first + left.len() as u64).collect::<Vec<_>>());
            assert_eq!(sent.numbered(), u64::from(handled) + left.len() as u64);
            assert_eq!(super::tests::left(&mut sent), left);
        }
    }

    #[test]
    fn who_leaves_out_results_is_not_sent_again_what_it_has_read() {
        let mut sent = with_result();
        assert!(sent.acked(2).is_ok() && sent.acked(2).is_ok());
        sent.push(unread(Stanza::message(Type::Chat).with_id("c")), false);
        // By its own count it has handled two.
        assert!(sent.resume(2).unwrap().renumbered);
        let numbers: Vec<u64> = sent.unacked().map(|(number, _)| number).collect();
        assert_eq!(numbers, [3]);
        assert_eq!(left(&mut sent), ["c"]);
    }
}
