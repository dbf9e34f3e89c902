//! What waits at a door, and how far both sides of its stream have counted.

use std::collections::VecDeque;
use std::task::Waker;
use std::time::{Instant, SystemTime};

use store::Lsn;
use xmpp::jid::FullJid;

use crate::held_back::{self, HeldBack};
use crate::managed::Managed;
use crate::outgoing::Outgoing;
use crate::under_way::UnderWay;

/// Something that waits to leave.
#[derive(Debug)]
pub struct Waiting {
    /// It rests on this number of the log.
    pub(super) lsn: Lsn,
    pub(super) at: SystemTime,
    /// It answers this stanza of the client, so it leaves after all earlier ones are done with.
    pub(super) answers: Option<u64>,
    /// What.
    pub outgoing: Outgoing,
}

#[derive(Debug)]
pub(crate) struct State {
    pub(super) queue: VecDeque<Waiting>,
    pub(crate) queued_bytes: usize,
    pub(crate) under_way: UnderWay,
    pub(crate) managed: Option<Box<Managed>>,
    /// Nobody looks at the client: this is held back from it.
    pub(super) held_back: Option<Box<HeldBack>>,
    pub(super) waker: Option<Waker>,
    /// Goes up whenever a connection leaves or gives way to another: so an earlier one knows that it is none any more.
    pub(crate) turn: u64,
    /// A connection is there.
    pub(crate) taken: bool,
    /// The client has said goodbye, or can never come back to this stream.
    pub(crate) parted: bool,
    /// The stream can be resumed: what its client is owed is in the store by its numbers.
    pub(super) kept: bool,
    /// A connection goes on with the stream and has not been told so.
    pub(super) resuming: Option<FullJid>,
    /// What leaves next has other numbers than in the store.
    pub(super) recount: Option<Recount>,
    /// So many stanzas in all have given way to newer ones while they were held back, and others behind them have left
    /// or are about to.
    pub(super) superseded: u64,
}

/// Stanzas that were held back have given way to newer ones: those behind them have other numbers than in the store.
/// They leave once the store has the new ones, for a client may come back after a crash (XEP-0198 §5).
#[derive(Debug, Clone, Copy)]
pub(super) enum Recount {
    /// The account is to put them down.
    Due,
    /// It has been asked to.
    Asked,
    /// It has, with this number of the log.
    PutDown(Lsn),
}

impl State {
    /// The acknowledgement that is due; `now` is the time if that alone may be the reason. None overtakes what waits
    /// for its numbers: it may be the error for a stanza that the acknowledgement counts.
    pub(crate) fn due_ack(&mut self, now: Option<Instant>) -> Option<Outgoing> {
        if self.recount.is_some() {
            return None;
        }
        let unhandled = self.under_way.oldest();
        self.managed.as_mut()?.due_ack(unhandled, now).map(Outgoing::Ack)
    }

    /// When the client must hear how many of its stanzas have been handled, unless that waits for something else.
    pub(crate) fn ack_due(&self) -> Option<Instant> {
        self.managed.as_ref().filter(|_| self.recount.is_none())?.ack_due()
    }

    /// Something leaves; see [`Managed::count`].
    pub(super) fn count(&mut self, outgoing: Outgoing, at: SystemTime) -> Option<Outgoing> {
        match &mut self.managed {
            Some(managed) => managed.count(outgoing, at),
            None => Some(outgoing),
        }
    }

    /// What leaves of something that could, and is counted; see [`HeldBack::meet`].
    pub(super) fn let_out(&mut self, waiting: Waiting) -> Option<Outgoing> {
        let fate = match &mut self.held_back {
            Some(held_back) => held_back.meet(waiting),
            None => held_back::Fate::Goes(waiting),
        };
        match fate {
            held_back::Fate::Goes(Waiting { outgoing, at, .. }) => self.count(outgoing, at),
            held_back::Fate::Waits => None,
            held_back::Fate::AllGo(all) => {
                let superseded = self.held_back.as_mut().map_or(0, |held_back| held_back.take_superseded());
                self.give_way(superseded);
                self.put_in_front(all.into_iter());
                None
            }
        }
    }

    /// Somebody looks at the client: nothing is held back any more.
    pub(crate) fn let_all_go(&mut self) {
        if let Some(mut held_back) = self.held_back.take() {
            self.give_way(held_back.take_superseded());
            self.put_in_front(held_back.take());
        }
    }

    /// So many stanzas have given way to newer ones, and what was held back behind them is to leave.
    fn give_way(&mut self, superseded: u64) {
        self.superseded += superseded;
        if superseded > 0 && self.kept {
            self.recount = Some(Recount::Due);
        }
    }

    /// Nobody looks at the client: what can wait is held back from it, so many stanzas at most.
    pub(crate) fn hold_back(&mut self, stanzas_max: usize) {
        if self.held_back.is_none() {
            self.held_back = Some(Box::new(HeldBack::new(stanzas_max)));
        }
    }

    /// Whether the account is to put down what the session is owed; it then counts as asked to.
    pub(crate) fn wants_recount(&mut self) -> bool {
        let due = matches!(self.recount, Some(Recount::Due));
        if due {
            self.recount = Some(Recount::Asked);
        }
        due
    }

    /// Puts what was taken from the queue to its front again.
    fn put_in_front(&mut self, all: impl DoubleEndedIterator<Item = Waiting>) {
        for waiting in all.rev() {
            self.queued_bytes += waiting.outgoing.byte_len();
            self.queue.push_front(waiting);
        }
    }

    pub(super) fn waits_for_earlier(&self, waiting: &Waiting) -> bool {
        waiting.answers.is_some_and(|number| self.under_way.oldest() < number)
    }

    /// Whether the client must acknowledge something before more may leave.
    pub(super) fn is_full(&self) -> bool {
        self.managed.as_ref().is_some_and(|managed| !managed.sent.has_room())
    }

    pub(crate) fn register(&mut self, waker: &Waker) {
        if !self.waker.as_ref().is_some_and(|known| known.will_wake(waker)) {
            self.waker = Some(waker.clone());
        }
    }

    pub(crate) fn forget_waker(&mut self) {
        self.waker = None;
    }

    /// A client that goes on with a former stream hears so when all that it has sent before is done with, and is sent
    /// again what it has not handled (XEP-0198 §5).
    pub(super) fn resume(&mut self, leaving: &mut Vec<Outgoing>) {
        let unhandled = self.under_way.oldest();
        let Some(jid) = self.resuming.take() else { return };
        let Some(managed) = &self.managed else { return };
        leaving.push(Outgoing::Resumed(jid, managed.count_before(unhandled) as u32));
        leaving.extend(managed.sent.unacked().map(|(_, owed)| Outgoing::Stanza(owed.stanza.clone())));
    }
}
