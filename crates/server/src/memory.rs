//! How full the memory is. Near its cap nobody new is let in, and sessions that wait for their clients wait no longer
//! (guarantee G10).

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use step::{Return, Returned, SessionId, World};
use store::{Fate, Lsn};
use xmpp::jid::BareJid;

use crate::entity::Entity;
use crate::node::Node;

/// How long it takes at most until what was given back is seen.
const SEEN_AFTER: Duration = Duration::from_millis(250);
/// Percent of the cap from which on nobody new is let in.
const SCARCE_PERCENT: u64 = 85;
/// Percent of the cap below which everybody is again: what one of those takes who were let in does not change it back.
const ENOUGH_PERCENT: u64 = 80;
/// Percent of the cap from which on sessions that wait for their clients are ended.
const SHORT_PERCENT: u64 = 90;
/// Percent of the cap to which they are to bring it.
const RELIEVED_PERCENT: u64 = 87;
/// Sessions that are ended with one look.
const ENDED_PER_LOOK: usize = 50;
/// Percent of the cap that they are to give back: to be held, what they are owed takes as much again for a moment.
const ENDED_PERCENT: u64 = 1;
/// Bytes that a session takes besides what it is owed, about.
const SESSION_BYTES: u64 = 16 * 1024;
/// What part of the cap connections may take, while memory is scarce, on which nobody is logged in.
const COMING_SHARE: u64 = 20;
/// Bytes that such a connection takes at worst.
const COMING_BYTES: u64 = 64 * 1024;

/// How full the memory is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// There is enough for everybody.
    Enough,
    /// There is none for anybody new.
    Scarce,
    /// There is none for those who wait for their clients either.
    Short,
}

impl Level {
    /// The level when so many bytes are in RAM, after this one.
    fn next(self, resident: u64, cap: u64) -> Level {
        let is_at = |percent: u64| resident / percent >= cap / 100;
        match self {
            _ if is_at(SHORT_PERCENT) => Level::Short,
            _ if is_at(SCARCE_PERCENT) => Level::Scarce,
            Level::Scarce | Level::Short if is_at(ENOUGH_PERCENT) => Level::Scarce,
            _ => Level::Enough,
        }
    }
}

/// For whom there is memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Room {
    /// For everybody.
    ForAll,
    /// For those who go on with a former stream, or take the place of a former session; for nobody new.
    ForNobodyNew,
}

/// The memory of the process, as far as it has been looked at.
#[derive(Debug)]
pub struct Memory {
    /// Bytes; none: the operator has not said, or nobody knows how many are taken.
    cap: Option<u64>,
    seen: Mutex<Seen>,
}

/// What was seen of it.
#[derive(Debug, Clone, Copy)]
pub struct Seen {
    /// Bytes in RAM.
    pub resident: u64,
    /// How full it is.
    pub level: Level,
    /// Since when there has not been enough.
    pub since: Option<Instant>,
    /// Those who were not let in since then.
    pub refused: u64,
    /// Sessions that were ended since then.
    pub ended: u64,
}

impl Memory {
    /// The memory of this world, of which the operator allows so many MiB; without a word, it is not watched.
    pub fn new(world: &World, allowed_mib: Option<u64>) -> Self {
        let (resident, given) = (world.memory.resident(), world.memory.given());
        let allowed = allowed_mib.map(|mib| mib.saturating_mul(1 << 20));
        let cap = allowed.filter(|_| resident.is_some());
        if allowed.is_some() && cap.is_none() {
            tracing::warn!(
                "this system does not tell how much memory is taken: it is not watched, and limits.memory_mib \
                 changes nothing"
            );
        }
        if let (Some(allowed), Some(given)) = (allowed, given)
            && allowed > given
        {
            let (allowed_mib, given_mib) = (mib(allowed), mib(given));
            tracing::warn!(
                allowed_mib,
                given_mib,
                "limits.memory_mib is more than there is: the system ends the server before it is reached"
            );
        }
        let resident = resident.unwrap_or_default();
        let seen = Seen { resident, level: Level::Enough, since: None, refused: 0, ended: 0 };
        Memory { cap, seen: Mutex::new(seen) }
    }

    /// Bytes that may be taken, if the memory is watched.
    pub fn cap(&self) -> Option<u64> {
        self.cap
    }

    /// What was seen last.
    pub fn seen(&self) -> Seen {
        *self.seen.lock()
    }

    /// For whom there is memory.
    pub fn room(&self) -> Room {
        match self.seen.lock().level {
            Level::Enough => Room::ForAll,
            Level::Scarce | Level::Short => Room::ForNobodyNew,
        }
    }

    /// While memory is scarce, how many connections there may be on which nobody is logged in yet.
    pub fn coming_max(&self) -> Option<usize> {
        let cap = self.cap.filter(|_| self.room() == Room::ForNobodyNew)?;
        Some(usize::try_from(cap / COMING_SHARE / COMING_BYTES).unwrap_or(usize::MAX).max(1))
    }

    /// Somebody was not let in.
    pub fn refused(&self) {
        self.seen.lock().refused += 1;
    }

    /// So many sessions are ended.
    fn ended(&self, count: usize) {
        let mut seen = self.seen.lock();
        if seen.ended == 0 && count > 0 {
            tracing::warn!(
                resident_mib = mib(seen.resident),
                "memory is short: sessions that wait for their clients are ended; what they are owed is kept"
            );
        }
        seen.ended += count as u64;
    }

    /// So many bytes are in RAM now. Says how full it is, and tells the operator what has changed.
    fn look(&self, resident: u64, now: Instant) -> Level {
        let Some(cap) = self.cap else { return Level::Enough };
        let mut seen = self.seen.lock();
        let level = seen.level.next(resident, cap);
        let before = std::mem::replace(&mut seen.level, level);
        seen.resident = resident;
        let (resident_mib, cap_mib, ended) = (mib(resident), mib(cap), seen.ended);
        match (before, level) {
            (Level::Enough, Level::Scarce | Level::Short) => {
                (seen.since, seen.refused, seen.ended) = (Some(now), 0, 0);
                tracing::warn!(
                    resident_mib,
                    cap_mib,
                    "memory is scarce: nobody new is let in until a fifth of it is free. If it stays so, raise \
                     limits.memory_mib, or give the machine more memory; `waxwing status` shows how it goes on"
                );
            }
            (Level::Scarce | Level::Short, Level::Enough) => {
                let refused = seen.refused;
                seen.since = None;
                tracing::warn!(
                    resident_mib,
                    cap_mib,
                    refused,
                    ended,
                    "there is memory again: everybody is let in"
                );
            }
            _ => {}
        }
        level
    }
}

/// Bytes in whole MiB.
pub fn mib(bytes: u64) -> u64 {
    bytes >> 20
}

/// Looks at the memory, as long as the node lives.
pub async fn watch(node: Weak<Node>) {
    let mut ended = Ended::default();
    loop {
        let Some(look_again) = node.upgrade().map(|node| node.world.memory.look_again()) else { return };
        look_again.await;
        let Some(node) = node.upgrade() else { return };
        node.look_at_memory(&mut ended);
    }
}

/// Sessions that were ended of late.
#[derive(Default)]
struct Ended {
    /// The bytes that they give back, and since when; that is not seen at once.
    given_back: Vec<(Instant, u64)>,
    /// What they are owed is held once this is committed. Until then it takes twice as much, so that nobody else is
    /// ended: on a slow disk that would take more and more.
    lsn: Lsn,
}

/// A session that waits for its client.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Waits {
    /// Bytes that it is owed.
    bytes: usize,
    /// The oldest has the smallest number.
    session: Reverse<SessionId>,
    turn: u64,
    account: BareJid,
}

impl Node {
    fn look_at_memory(self: &Arc<Self>, ended: &mut Ended) {
        let (Some(resident), Some(cap)) = (self.world.memory.resident(), self.memory.cap) else { return };
        let now = self.world.clock.now();
        let level = self.memory.look(resident, now);
        self.store.be_frugal(level > Level::Enough);
        if level > Level::Enough {
            self.world.memory.give_back();
        }
        if level < Level::Short || self.commits.fate(ended.lsn) == Fate::Pending {
            return;
        }
        ended.given_back.retain(|(at, _)| now.saturating_duration_since(*at) < SEEN_AFTER);
        let unseen: u64 = ended.given_back.iter().map(|(_, bytes)| bytes).sum();
        let mut waiting = self.waiting(ENDED_PER_LOOK);
        let too_much = resident.saturating_sub(cap / 100 * RELIEVED_PERCENT).saturating_sub(unseen);
        waiting.truncate(enough(&waiting, too_much.min(cap / 100 * ENDED_PERCENT)));
        ended.given_back.push((now, waiting.iter().map(Waits::takes).sum()));
        self.memory.ended(waiting.len());
        for Waits { session: Reverse(session), turn, account, .. } in waiting {
            // As if its time were over: what it was not given goes where it goes then.
            self.come_back(&account, Return::Resumption(session, turn), Returned::Time);
        }
        ended.lsn = self.commits.log().last();
        self.commits.log().hurry();
        self.forget_idle(Duration::ZERO);
    }

    /// Sessions that wait for their clients: so many of them, those first that are owed most, then the oldest.
    fn waiting(&self, most: usize) -> Vec<Waits> {
        let mut waiting = BinaryHeap::new();
        self.directory.visit(|address, inner| {
            let Some(Entity::Account(account)) = inner.entity.as_deref() else { return };
            let doors = account.kept.keys().filter_map(|session| account.doors.get(session));
            for door in doors.filter(|door| door.waits()) {
                let (bytes, session) = (door.owed_bytes(), Reverse(door.id));
                waiting.push(Reverse(Waits { bytes, session, turn: door.turn(), account: address.clone() }));
                if waiting.len() > most {
                    waiting.pop();
                }
            }
        });
        waiting.into_sorted_vec().into_iter().map(|Reverse(waits)| waits).collect()
    }
}

impl Waits {
    /// Bytes that it takes in all, about.
    fn takes(&self) -> u64 {
        self.bytes as u64 + SESSION_BYTES
    }
}

/// How many of them, the first, give back so many bytes.
fn enough(waiting: &[Waits], mut bytes: u64) -> usize {
    let goes_on = |waits: &&Waits| {
        let goes_on = bytes > 0;
        bytes = bytes.saturating_sub(waits.takes());
        goes_on
    };
    waiting.iter().take_while(goes_on).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The levels that follow one another when so many percent are taken.
    fn levels(percent: &[u64]) -> Vec<Level> {
        let cap = 64 << 20;
        let mut level = Level::Enough;
        let next = |percent: &u64| {
            level = level.next(cap / 100 * percent, cap);
            level
        };
        percent.iter().map(next).collect()
    }

    #[test]
    fn a_level_begins_with_its_percent() {
        use Level::{Enough, Scarce, Short};
        assert_eq!(
            levels(&[0, 84, 85, 89, 90, 100, 300]),
            [Enough, Enough, Scarce, Scarce, Short, Short, Short]
        );
        assert_eq!(levels(&[96, 10]), [Short, Enough]);
    }

    #[test]
    fn it_does_not_end_where_it_began() {
        use Level::{Enough, Scarce, Short};
        assert_eq!(levels(&[85, 84, 80, 79, 84]), [Scarce, Scarce, Scarce, Enough, Enough]);
        assert_eq!(levels(&[90, 89, 90, 80, 79]), [Short, Scarce, Short, Scarce, Enough]);
    }

    fn waits(bytes: usize, session: u64) -> Waits {
        let account = BareJid::new("alice@one.test").unwrap();
        Waits { bytes, session: Reverse(SessionId(session)), turn: 1, account }
    }

    #[test]
    fn those_first_that_are_owed_most_then_the_oldest() {
        let mut order = [waits(5, 3), waits(9, 4), waits(5, 2)].map(Reverse);
        order.sort();
        assert_eq!(order.map(|Reverse(waits)| waits.session.0.0), [4, 2, 3]);
    }

    #[test]
    fn no_more_than_are_needed() {
        let waiting = [waits(100 << 10, 1), waits(50 << 10, 2), waits(0, 3)];
        let needed = [0, 1, 116 << 10, (116 << 10) + 1, 182 << 10, (182 << 10) + 1, 1 << 30];
        assert_eq!(needed.map(|bytes| enough(&waiting, bytes)), [0, 1, 1, 2, 2, 3, 3]);
    }
}
