//! Handing held messages to a device that has come (XEP-0160 §2): in order, a batch at a time, and what comes meanwhile
//! behind them.

use std::collections::VecDeque;
use std::time::Duration;

use step::{Act, Read, Return, Session, SessionId, Sessions, Step};
use store::{OfflineMessage, Write};
use xmpp::jid::BareJid;
use xmpp::stanza::Stanza;

use super::{Held, is_stamped, stamp};

/// Messages handed to a session at a time; the next batch follows when these have left the house.
const BATCH: usize = 50;

/// When held messages cannot be read, they are asked for again after this time.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// A session that is being handed what was held.
#[derive(Debug)]
pub(super) struct Draining {
    pub(super) session: SessionId,
    /// On their way out: id, size, and whether it is in the archive.
    leaving: VecDeque<(u64, usize, bool)>,
}

impl Held {
    /// Counts those that are on their way out, up to this id, no more. Returns whether there were any.
    fn forget(&mut self, up_to: u64) -> bool {
        let Some(draining) = &mut self.draining else { return false };
        let before = draining.leaving.len();
        while let Some((_, size, archived)) = draining.leaving.pop_front_if(|(id, ..)| *id <= up_to) {
            self.count = self.count.saturating_sub(1);
            self.archived = self.archived.saturating_sub(usize::from(archived));
            self.bytes = self.bytes.saturating_sub(size);
        }
        draining.leaving.len() < before
    }
}

/// Begins to hand over what is held to a session that has just become reachable (RFC 6121 §8.5.2.1.1).
pub fn hand_over(
    held: &mut Held,
    owner: &BareJid,
    sessions: &mut Sessions,
    session: SessionId,
    step: &mut Step<'_>,
) {
    if held.count == 0 || held.draining.is_some() {
        return;
    }
    held.draining = Some(Draining { session, leaving: VecDeque::new() });
    mark(sessions, session, true);
    ask(owner, session, step);
}

/// The account is there again, as the store knows it: hands over what is held to whom it was being handed, or to
/// another reachable session.
pub fn hand_over_again(held: &mut Held, owner: &BareJid, sessions: &mut Sessions, step: &mut Step<'_>) {
    let before = sessions.reachable().find(|session| session.draining);
    let next = before.or_else(|| sessions.most_available().next()).map(|session| session.id);
    if let Some(next) = next {
        mark(sessions, next, false);
        hand_over(held, owner, sessions, next, step);
    }
}

/// A session has been given what is held up to this number, or is about to be.
pub fn handed(sessions: &mut Sessions, session: SessionId, up_to: u64) {
    if let Some(session) = sessions.find_mut(session) {
        session.handed = session.handed.max(up_to);
    }
}

fn mark(sessions: &mut Sessions, session: SessionId, draining: bool) {
    if let Some(session) = sessions.find_mut(session) {
        session.draining = draining;
    }
}

/// Nobody is being handed anything any more.
fn stop(held: &mut Held, sessions: &mut Sessions) {
    if let Some(draining) = held.draining.take() {
        mark(sessions, draining.session, false);
    }
}

fn ask(owner: &BareJid, session: SessionId, step: &mut Step<'_>) {
    let read = Read::Offline { owner: owner.clone(), after: 0, limit: BATCH };
    step.read(read, Return::Offline(session));
}

/// Writes a batch of held messages to the session that they were read for. What it takes out of the archive itself, it
/// is not given again (docs/decisions/0012-held-or-archived.md). `identified` gives an archived message its id.
pub fn read(
    held: &mut Held,
    owner: &BareJid,
    sessions: &mut Sessions,
    session: SessionId,
    mut rows: Vec<OfflineMessage>,
    identified: &dyn Fn(Stanza, u64) -> Stanza,
    step: &mut Step<'_>,
) {
    let Some(draining) = held.draining.as_mut().filter(|draining| draining.session == session) else {
        return;
    };
    let Some(last) = rows.last().map(|row| row.id) else { return stop(held, sessions) };
    let given = held.given.filter(|(to, _)| *to == session).map_or(0, |(_, up_to)| up_to);
    rows.retain(|row| row.id > given);
    if rows.is_empty() {
        return;
    }
    held.given = Some((session, last));
    draining.leaving.extend(rows.iter().map(|row| (row.id, row.held_bytes, row.archived.is_some())));
    let Some(own) = sessions.find(session) else { return };
    let messages = rows.into_iter().filter_map(|row| wanted(row, owner, own, identified, step));
    let messages = messages.collect::<Vec<_>>();
    let back = Return::OfflineLeft(last);
    if own.resumable {
        // Owed to the session from now on, it need not be held any more; the next batch comes when it has this one.
        messages.into_iter().for_each(|message| step.to_session(session, message));
        held.forget(last);
        step.write(Write::OfflineDrop { owner: owner.clone(), up_to: last });
        if held.count == 0 {
            return stop(held, sessions);
        }
        return step.act(Act::DeliverThen(session, Vec::new(), back));
    }
    step.act(Act::DeliverThen(session, messages, back));
}

/// A held message as a session is given it, unless that has it or it is for another one.
fn wanted(
    row: OfflineMessage,
    owner: &BareJid,
    own: &Session,
    identified: &dyn Fn(Stanza, u64) -> Stanza,
    step: &Step<'_>,
) -> Option<Stanza> {
    let takes = |archived| own.archive_read.has(archived, row.at);
    if row.id <= own.handed || row.archived.is_some_and(takes) {
        return None;
    }
    let message = Stanza::read(&row.xml).ok()?;
    if is_for_one_device(&message, owner) {
        let is_its = message.to.as_ref().is_some_and(|to| *to == *own.jid);
        return Some(message).filter(|_| is_its);
    }
    let message = match row.archived {
        Some(archived) => identified(message, archived),
        None => message,
    };
    Some(match is_stamped(&message, step) {
        true => message,
        false => stamp(message, row.at, "Offline Storage", step),
    })
}

/// Whether a held message is for one of the account's devices alone.
fn is_for_one_device(message: &Stanza, owner: &BareJid) -> bool {
    let to_device = message.to.as_ref().is_some_and(|to| to.resource().is_some());
    to_device && message.from.as_ref().is_some_and(|from| *from == **owner)
}

/// They could not be read: asks again after a while.
pub fn unreadable(session: SessionId, step: &mut Step<'_>) {
    step.after(RETRY_AFTER, Return::OfflineAgain(session));
}

/// Asks again, if the session is still there.
pub fn again(held: &Held, owner: &BareJid, session: SessionId, step: &mut Step<'_>) {
    if held.is_draining_to(session) {
        ask(owner, session, step);
    }
}

/// Forgets held messages once they have left the house, and goes on with the next batch.
pub fn left(held: &mut Held, owner: &BareJid, sessions: &mut Sessions, up_to: u64, step: &mut Step<'_>) {
    let Some(session) = held.draining.as_ref().map(|draining| draining.session) else { return };
    handed(sessions, session, up_to);
    if held.forget(up_to) {
        step.write(Write::OfflineDrop { owner: owner.clone(), up_to });
    }
    if held.count == 0 {
        stop(held, sessions);
    } else {
        ask(owner, session, step);
    }
}

/// A session has gone: what it was not handed goes to another reachable one, or stays.
pub fn session_gone(
    held: &mut Held,
    owner: &BareJid,
    sessions: &mut Sessions,
    gone: SessionId,
    step: &mut Step<'_>,
) {
    if !held.is_draining_to(gone) {
        return;
    }
    stop(held, sessions);
    held.given = None;
    let next = sessions.most_available().next().map(|session| session.id);
    if let Some(next) = next {
        hand_over(held, owner, sessions, next, step);
    }
}
