//! Streams that can be resumed (XEP-0198 §5), as their account sees them: one begins, loses its connection, goes on
//! with another one, or is waited for in vain.

use std::time::{Duration, SystemTime};

use aws_lc_rs::constant_time::verify_slices_are_equal;
use futures_channel::oneshot;
use step::{Act, Managed, Resumable, Return, SessionId, Step};
use store::{KeptSession, Lsn, Write};
use stream::{Enable, Wait};
use xmpp::jid::BareJid;

use crate::account::Account;
use crate::kept::{Kept, keys_of_others};
use crate::letter::Resuming;
use crate::outgoing::Undelivered;
use crate::told::Told;
use crate::{moments, returns};

/// Streams that are over and whose counts an account remembers, so that a client which comes back too late learns what
/// has been handled (§5).
const OVER_MAX: usize = 8;

/// A stream that is over.
#[derive(Debug, Clone)]
pub struct Over {
    /// The stream's id.
    pub key: String,
    /// How many of the client's stanzas had been handled.
    pub handled: u64,
    /// When it was over.
    pub at: SystemTime,
}

impl Over {
    fn put(&self, owner: &BareJid) -> Write {
        let (key, handled, over_at) = (self.key.clone(), self.handled, Some(self.at));
        let session = KeptSession { key, state: Vec::new(), handled, acked: 0, over_at };
        Write::SessionPut { owner: owner.clone(), session }
    }
}

/// Streams that are over, by the store's word; the latest last.
pub fn remembered(over: Vec<KeptSession>) -> Vec<Over> {
    let over = over.into_iter();
    let mut over: Vec<_> = over
        .filter_map(|KeptSession { key, handled, over_at, .. }| Some(Over { key, handled, at: over_at? }))
        .collect();
    over.sort_by_key(|over| over.at);
    over
}

/// The client wants its stream to be managed (§3).
pub fn manage(a: &mut Account, session: SessionId, enable: Enable, step: &mut Step<'_>) {
    let resumable = begin(a, session, enable, step);
    step.act(Act::Managed(session, Managed { resumable }));
}

/// A session's stream comes to be managed. Returns how it can be resumed, if it can.
pub fn begin(
    a: &mut Account,
    session: SessionId,
    Enable { resumption }: Enable,
    step: &mut Step<'_>,
) -> Option<Resumable> {
    let limit = step.domain.limits.resumption_seconds;
    let max = match resumption {
        Some(Wait::Seconds(seconds)) => seconds.min(limit),
        Some(Wait::Unsaid) => limit,
        None => 0,
    };
    // An anonymous visitor cannot log in again as the same.
    if max == 0 || a.anonymous {
        return None;
    }
    a.sessions.find_mut(session)?.resumable = true;
    let kept = Kept::new(step.new_id(), max);
    let resumable = Resumable { key: kept.key.clone(), max };
    a.kept.insert(session, Box::new(kept));
    if let Some(door) = a.doors.get(&session) {
        door.keep();
    }
    a.has_streams = true;
    Some(resumable)
}

/// A connection has gone without a goodbye: its session waits for another one (§7).
pub fn detached(a: &Account, session: SessionId, turn: u64, step: &mut Step<'_>) {
    if let Some(kept) = a.kept.get(&session) {
        step.after(Duration::from_secs(kept.max.into()), Return::Resumption(session, turn));
    }
}

/// The time has come for which a session waits: whether it has done so in vain since that turn of its door.
pub fn is_in_vain(a: &Account, session: SessionId, turn: u64) -> bool {
    a.doors.get(&session).is_some_and(|door| !door.is_taken() && door.turn() == turn)
}

/// A connection wants to go on with a former stream (§5).
pub fn resume(
    a: &mut Account,
    previd: &str,
    handled: u32,
    asker: oneshot::Sender<(Lsn, Resuming)>,
    step: &mut Step<'_>,
    told: &mut Told,
) {
    let is_it = |key: &str| verify_slices_are_equal(key.as_bytes(), previd.as_bytes()).is_ok();
    let found = a.kept.iter().find(|(_, kept)| is_it(&kept.key)).map(|(session, _)| *session);
    let found = found.and_then(|id| Some((a.doors.get(&id)?.clone(), a.sessions.find(id)?.jid.clone())));
    let Some((door, jid)) = found else {
        let over = a.over.iter().find(|over| is_it(&over.key)).map(|over| over.handled as u32);
        return told.answer(asker, Resuming::NotFound(over));
    };
    match door.resume(jid, handled) {
        Err(too_many) => told.answer(asker, Resuming::TooMany(too_many)),
        Ok((seat, resumed)) => {
            for back in resumed.told {
                returns::to_account(a, back, step::Returned::Left, step);
            }
            if resumed.renumbered {
                put_down(a, door.id, step);
            }
            // Until the connection sits there.
            detached(a, door.id, door.turn(), step);
            told.answer(asker, Resuming::Seat(seat));
        }
    }
}

/// A session is over: its client has said goodbye, or has not come back. Returns what it was not given.
pub fn over(a: &mut Account, session: SessionId, step: &mut Step<'_>) -> Vec<Undelivered> {
    let Some(door) = a.doors.remove(&session) else { return Vec::new() };
    if let Some(kept) = a.kept.remove(&session) {
        forget(a, *kept, door.has_parted(), step);
    }
    door.undelivered()
}

/// A stream that is over is remembered for a while, unless its client has ended it.
fn forget(a: &mut Account, kept: Kept, parted: bool, step: &mut Step<'_>) {
    let Kept { key, handled, .. } = kept;
    let owner = a.jid.clone();
    if parted {
        return step.write(Write::SessionForget { owner, key });
    }
    step.write(Write::OweNothing { owner: owner.clone(), key: key.clone() });
    let over = Over { key, handled, at: step.wall };
    step.write(over.put(&owner));
    a.over.push(over);
    if a.over.len() > OVER_MAX {
        let Over { key, .. } = a.over.remove(0);
        step.write(Write::SessionForget { owner, key });
    }
}

/// Sessions are there again after a restart or a crash; they wait for their clients as long as if they had just lost
/// their connections. What their contacts do may have changed.
pub fn restored(a: &mut Account, step: &mut Step<'_>) {
    for session in a.kept.keys() {
        detached(a, *session, a.doors.get(session).map_or(0, |door| door.turn()), step);
    }
    moments::presence_unknown(a, step);
}

/// All that is owed to sessions is put down anew: it may not have been written, as the account rests on a failed
/// commit.
pub fn put_all_down(a: &mut Account, step: &mut Step<'_>) {
    if !a.has_streams {
        return;
    }
    step.write(Write::SessionsForget { owner: a.jid.clone() });
    step.write_all(a.over.iter().map(|over| over.put(&a.jid)));
    for session in a.kept.keys().copied().collect::<Vec<_>>() {
        put_down(a, session, step);
        if let Some(kept) = a.kept.get(&session)
            && a.doors.get(&session).is_some_and(|door| !door.is_told_managed())
        {
            let resumable = Some(Resumable { key: kept.key.clone(), max: kept.max });
            step.act(Act::Managed(session, Managed { resumable }));
        }
        refuse(a, session, step);
    }
}

/// Stanzas of the client whose consequences were lost with a failed commit are answered; that they have been dealt with
/// is put down, with all that is owed.
pub fn refuse_lost(a: &mut Account, session: SessionId, step: &mut Step<'_>) {
    put_down(a, session, step);
    refuse(a, session, step);
}

fn refuse(a: &Account, session: SessionId, step: &mut Step<'_>) {
    let refusals = a.doors.get(&session).map(|door| door.refusals()).unwrap_or_default();
    for (number, error) in refusals {
        step.act(Act::Refused(session, number, error));
    }
}

/// All that is owed to a session is put down anew, by the numbers that it has now.
pub fn put_down(a: &mut Account, session: SessionId, step: &mut Step<'_>) {
    let Some(door) = a.doors.get(&session) else { return };
    let owed = door.owed();
    let shared =
        owed.stanzas.iter().map(|(_, owed)| keys_of_others(&a.kept, owed.shared.as_deref(), session));
    let shared: Vec<_> = shared.collect();
    let Some(kept) = a.kept.get_mut(&session) else { return };
    kept.numbered = owed.last;
    kept.handled = door.stepped_count();
    kept.acked = door.acknowledged();
    // With its counts, and as it is.
    kept.stored = None;
    step.write(Write::OweNothing { owner: a.jid.clone(), key: kept.key.clone() });
    step.act(Act::PutDown(session, owed.superseded));
    for ((number, owed), shared) in owed.stanzas.into_iter().zip(shared) {
        step.write_all(kept.owe(&a.jid, &owed.stanza, owed.at, shared, number));
    }
}
