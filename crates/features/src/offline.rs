//! Offline messages (XEP-0160): what comes while nobody is there is kept, and handed over in order.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use step::{Act, Card, Read, Return, SessionId, Sessions, Step, Stop, rules};
use store::{OfflineMessage, OfflineSize, Write};
use xmpp::datetime;
use xmpp::error::Condition;
use xmpp::jid::BareJid;
use xmpp::ns;
use xmpp::stanza::Stanza;
use xmpp::xml::Element;

use crate::delivery::Reached;

/// Handling of offline messages.
pub const CARD: Card = Card {
    xep: 160,
    version: "1.0.1",
    title: "Best Practices for Handling Offline Messages",
    host: &["msgoffline"],
    ..Card::PLAIN
};

/// Delayed delivery, the stamp on what was held.
pub const DELAY_CARD: Card = Card { xep: 203, version: "2.0", title: "Delayed Delivery", ..Card::PLAIN };

/// Messages handed to a session at a time; the next batch follows when these have left the house.
const BATCH: usize = 50;

/// When held messages cannot be read, they are asked for again after this time.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// What is held for an account, without the messages themselves.
#[derive(Debug, Default)]
pub struct Held {
    count: usize,
    /// Of these, in the archive as well.
    archived: usize,
    bytes: usize,
    last_id: u64,
    draining: Option<Draining>,
}

/// A session that is being handed what was held.
#[derive(Debug)]
struct Draining {
    session: SessionId,
    /// On their way out: id, size, and whether it is in the archive.
    leaving: VecDeque<(u64, usize, bool)>,
}

impl Held {
    /// What the store holds when the account is loaded.
    pub fn load(size: OfflineSize) -> Self {
        let OfflineSize { count, archived, bytes, last_id } = size;
        Held { count, archived, bytes, last_id, draining: None }
    }

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

    /// How many messages are held.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Whether this session is still being handed older messages, so that newer ones must queue behind them.
    pub fn is_draining_to(&self, session: SessionId) -> bool {
        self.draining.as_ref().is_some_and(|draining| draining.session == session)
    }

    /// Whether there is room for one more that is kept whole. Of what is in the archive as well only bytes are counted.
    fn has_room(&self, message: &Stanza, archived: Option<u64>, step: &Step<'_>) -> bool {
        let limits = &step.domain.limits;
        let counted = self.count.saturating_sub(self.archived);
        (archived.is_some() || counted < limits.offline_messages)
            && self.bytes + message.byte_len() <= limits.offline_bytes
    }

    /// The session for which a message that would reach `sessions` must queue behind older ones (RFC 6120 §10.1).
    fn must_queue_for(&self, sessions: &Sessions, message: &Stanza) -> Option<SessionId> {
        let draining = self.draining.as_ref()?;
        let waits = match message.to.as_ref().and_then(|to| to.resource()) {
            None => true,
            Some(resource) => {
                sessions.by_resource(resource).is_none_or(|session| session.id == draining.session)
            }
        };
        waits.then_some(draining.session)
    }
}

/// The session that is being handed older messages, behind which this one must queue; `None`: it does not have to wait.
pub fn queues_behind(held: &Held, sessions: &Sessions, message: &Stanza) -> Option<SessionId> {
    held.must_queue_for(sessions, message).filter(|_| rules::of(message).kept)
}

/// Gives devices what the account itself says to them (copies; others `shared` them). To one that is being handed older
/// messages it comes behind them, as a client may take the latest id that it knows for all before it; at once only if
/// there is no room for more.
pub fn give_in_turn(
    held: &mut Held,
    owner: &BareJid,
    said: Vec<(SessionId, Stanza)>,
    archived: Option<u64>,
    shared: &Arc<[SessionId]>,
    step: &mut Step<'_>,
) {
    for (session, said) in said {
        match held.is_draining_to(session) && held.has_room(&said, archived, step) {
            true => put(held, owner, archived, written(&said), step),
            false => step.to_shared(session, said, shared),
        }
    }
}

/// Those of these sessions that are not being handed older messages, and have at once what they are given.
pub fn without_those_behind(held: &Held, sessions: &[SessionId]) -> impl Iterator<Item = SessionId> {
    sessions.iter().copied().filter(|session| !held.is_draining_to(*session))
}

/// Whether a held message is for one of the account's devices alone.
fn is_for_one_device(message: &Stanza, owner: &BareJid) -> bool {
    let to_device = message.to.as_ref().is_some_and(|to| to.resource().is_some());
    to_device && message.from.as_ref().is_some_and(|from| *from == **owner)
}

/// Keeps a message that reached nobody.
///
/// # Errors
/// `resource-constraint` when the account's store of held messages is full and the message is in no archive; a silent
/// drop for what is not worth holding (XEP-0160 §3).
pub fn keep(
    held: &mut Held,
    owner: &BareJid,
    reached: &Reached,
    message: &Stanza,
    step: &mut Step<'_>,
) -> Result<(), Stop> {
    if *reached != Reached::Nobody {
        return Ok(());
    }
    if !rules::of(message).kept {
        return Err(Stop::Drop("nobody there, and not worth holding (XEP-0160 §3)"));
    }
    hold(held, owner, message, step)
}

fn hold(held: &mut Held, owner: &BareJid, message: &Stanza, step: &mut Step<'_>) -> Result<(), Stop> {
    let stamped = is_stamped(message, step);
    let has_room = held.has_room(message, message.archived(), step);
    // What was on its way to a device before it came here bears the time at which it came.
    let xml = match (message.archived(), stamped) {
        (Some(_), true) if has_room => written(message),
        (Some(_), _) => Vec::new(),
        (None, _) if !has_room => return Err(Condition::ResourceConstraint.into()),
        (None, true) => written(message),
        (None, false) => written(&stamp(message.clone(), step.wall, "Offline Storage", step)),
    };
    put(held, owner, message.archived(), xml, step);
    Ok(())
}

fn written(message: &Stanza) -> Vec<u8> {
    let mut xml = Vec::with_capacity(message.byte_len() + 64);
    message.write(&mut xml, xmpp::stanza::ContentNs::Inherited);
    xml
}

fn put(held: &mut Held, owner: &BareJid, archived: Option<u64>, xml: Vec<u8>, step: &mut Step<'_>) {
    held.last_id += 1;
    held.count += 1;
    held.archived += usize::from(archived.is_some());
    held.bytes += xml.len();
    let (owner, id, at) = (owner.clone(), held.last_id, step.wall);
    step.write(match archived {
        // What is in the archive is kept there alone, and only its number is held.
        Some(archived) => Write::OfflineKeepArchived { owner, id, at, archived, xml },
        None => Write::OfflineKeep { owner, id, at, xml },
    });
}

/// A message that a device was meant to have, and that takes its way anew since the device has gone: it may come after
/// later ones.
pub fn taken_back(message: &Stanza, at: SystemTime, step: &Step<'_>) -> Stanza {
    const REASON: &str = "Taken back from another device";
    let stamps: Vec<Element> = message.elements(ns::DELAY, "delay").collect();
    match stamps.as_slice() {
        // It was held before; it came when that says.
        [only] if is_stamped(message, step) => {
            let held_at = only.attr("stamp").and_then(datetime::parse).unwrap_or(at);
            stamp(message.clone().without(ns::DELAY, "delay"), held_at, REASON, step)
        }
        _ if is_stamped(message, step) => message.clone(),
        _ => stamp(message.clone(), at, REASON, step),
    }
}

/// XEP-0203 §2: a delay whose `from` is our domain is written by nobody but us.
pub fn without_forged_stamps(stanza: Stanza, step: &Step<'_>) -> Stanza {
    match is_stamped(&stanza, step) {
        true => stanza.without(ns::DELAY, "delay"),
        false => stanza,
    }
}

fn stamp(message: Stanza, at: SystemTime, reason: &str, step: &Step<'_>) -> Stanza {
    message.with_child(
        &Element::new(ns::DELAY, "delay")
            .with_attr("from", step.domain.name())
            .with_attr("stamp", datetime::format(at))
            .with_text(reason),
    )
}

/// Whether a message bears a stamp of our domain.
fn is_stamped(message: &Stanza, step: &Step<'_>) -> bool {
    message.elements(ns::DELAY, "delay").any(|delay| delay.attr("from") == Some(step.domain.name()))
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
    rows: Vec<OfflineMessage>,
    identified: &dyn Fn(Stanza, u64) -> Stanza,
    step: &mut Step<'_>,
) {
    let Some(draining) = held.draining.as_mut().filter(|draining| draining.session == session) else {
        return;
    };
    let Some(last) = rows.last().map(|row| row.id) else { return stop(held, sessions) };
    draining.leaving = rows.iter().map(|row| (row.id, row.held_bytes, row.archived.is_some())).collect();
    let own = sessions.find(session);
    let takes = |row: &OfflineMessage| {
        row.archived.zip(own).is_some_and(|(archived, own)| own.archive_read.has(archived, row.at))
    };
    let wanted = rows.iter().filter(|row| !takes(row));
    let messages = wanted.filter_map(|row| {
        let message = Stanza::read(&row.xml).ok()?;
        if is_for_one_device(&message, owner) {
            let is_its = own.is_some_and(|own| message.to.as_ref().is_some_and(|to| *to == *own.jid));
            return Some(message).filter(|_| is_its);
        }
        let message = match row.archived {
            Some(archived) => identified(message, archived),
            None => message,
        };
        Some(if is_stamped(&message, step) {
            message
        } else {
            stamp(message, row.at, "Offline Storage", step)
        })
    });
    let messages = messages.collect::<Vec<_>>();
    let back = Return::OfflineLeft(last);
    if sessions.find(session).is_some_and(|session| session.resumable) {
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
    let next = sessions.most_available().next().map(|session| session.id);
    if let Some(next) = next {
        hand_over(held, owner, sessions, next, step);
    }
}
