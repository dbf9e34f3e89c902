//! Offline messages (XEP-0160): what comes while nobody is there is kept, and handed over in order.

use std::collections::VecDeque;
use std::time::{Duration, SystemTime};

use step::{Act, Card, Read, Return, SessionId, Sessions, Step, Stop, rules};
use store::{OfflineMessage, Write};
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
    bytes: usize,
    last_id: u64,
    draining: Option<Draining>,
}

/// A session that is being handed what was held.
#[derive(Debug)]
struct Draining {
    session: SessionId,
    /// On their way out: id and size.
    leaving: VecDeque<(u64, usize)>,
}

impl Draining {
    /// Counts those up to this id no more. Returns whether there were any.
    fn forget(&mut self, up_to: u64, count: &mut usize, bytes: &mut usize) -> bool {
        let before = self.leaving.len();
        while let Some((_, size)) = self.leaving.pop_front_if(|(id, _)| *id <= up_to) {
            *count = count.saturating_sub(1);
            *bytes = bytes.saturating_sub(size);
        }
        self.leaving.len() < before
    }
}

impl Held {
    /// What the store holds when the account is loaded.
    pub fn load(count: usize, bytes: usize, last_id: u64) -> Self {
        Held { count, bytes, last_id, draining: None }
    }

    /// How many messages are held.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Whether this session is still being handed older messages, so that newer ones must queue behind them.
    pub fn is_draining_to(&self, session: SessionId) -> bool {
        self.draining.as_ref().is_some_and(|draining| draining.session == session)
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

/// Keeps a message behind those that are being handed over, before it is delivered out of order. Returns the session
/// that they are handed to; `None`: the message does not have to wait.
///
/// # Errors
/// As [`keep`].
pub fn queue_behind(
    held: &mut Held,
    sessions: &Sessions,
    owner: &BareJid,
    message: &Stanza,
    step: &mut Step<'_>,
) -> Result<Option<SessionId>, Stop> {
    let Some(session) = held.must_queue_for(sessions, message).filter(|_| rules::of(message).kept) else {
        return Ok(None);
    };
    hold(held, owner, message, step)?;
    Ok(Some(session))
}

/// Keeps a message that reached nobody.
///
/// # Errors
/// `resource-constraint` when the account's store of held messages is full; a silent drop for what is not worth
/// holding (XEP-0160 §3).
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
    let limits = &step.domain.limits;
    let size = message.byte_len();
    if held.count >= limits.offline_messages || held.bytes + size > limits.offline_bytes {
        return Err(Condition::ResourceConstraint.into());
    }
    // What was on its way to a device before it came here bears the time at which it came.
    let stamped = match is_stamped(message, step) {
        true => message.clone(),
        false => stamp(message, step.wall, "Offline Storage", step),
    };
    let mut xml = Vec::with_capacity(stamped.byte_len() + 64);
    stamped.write(&mut xml, xmpp::stanza::ContentNs::Inherited);
    held.last_id += 1;
    held.count += 1;
    held.bytes += xml.len();
    step.write(Write::OfflineKeep { owner: owner.clone(), id: held.last_id, at: step.wall, xml });
    Ok(())
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
            stamp(&message.clone().without(ns::DELAY, "delay"), held_at, REASON, step)
        }
        _ if is_stamped(message, step) => message.clone(),
        _ => stamp(message, at, REASON, step),
    }
}

/// XEP-0203 §2: a delay whose `from` is our domain is written by nobody but us.
pub fn without_forged_stamps(stanza: Stanza, step: &Step<'_>) -> Stanza {
    match is_stamped(&stanza, step) {
        true => stanza.without(ns::DELAY, "delay"),
        false => stanza,
    }
}

fn stamp(message: &Stanza, at: SystemTime, reason: &str, step: &Step<'_>) -> Stanza {
    message.clone().with_child(
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
pub fn hand_over(held: &mut Held, owner: &BareJid, session: SessionId, step: &mut Step<'_>) {
    if held.count == 0 || held.draining.is_some() {
        return;
    }
    held.draining = Some(Draining { session, leaving: VecDeque::new() });
    ask(owner, session, step);
}

fn ask(owner: &BareJid, session: SessionId, step: &mut Step<'_>) {
    let read = Read::Offline { owner: owner.clone(), after: 0, limit: BATCH };
    step.read(read, Return::Offline(session));
}

/// Writes a batch of held messages to the session that they were read for.
pub fn read(
    held: &mut Held,
    owner: &BareJid,
    sessions: &Sessions,
    session: SessionId,
    rows: Vec<OfflineMessage>,
    step: &mut Step<'_>,
) {
    let Some(draining) = held.draining.as_mut().filter(|draining| draining.session == session) else {
        return;
    };
    let Some(last) = rows.last().map(|row| row.id) else {
        held.draining = None;
        return;
    };
    draining.leaving = rows.iter().map(|row| (row.id, row.xml.len())).collect();
    let messages = rows.iter().filter_map(|row| Stanza::read(&row.xml).ok()).collect::<Vec<_>>();
    let back = Return::OfflineLeft(last);
    if sessions.find(session).is_some_and(|session| session.resumable) {
        // Owed to the session from now on, it need not be held any more; the next batch comes when it has this one.
        messages.into_iter().for_each(|message| step.to_session(session, message));
        draining.forget(last, &mut held.count, &mut held.bytes);
        step.write(Write::OfflineDrop { owner: owner.clone(), up_to: last });
        if held.count == 0 {
            held.draining = None;
            return;
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
pub fn left(held: &mut Held, owner: &BareJid, up_to: u64, step: &mut Step<'_>) {
    let Some(draining) = &mut held.draining else { return };
    let session = draining.session;
    if draining.forget(up_to, &mut held.count, &mut held.bytes) {
        step.write(Write::OfflineDrop { owner: owner.clone(), up_to });
    }
    if held.count == 0 {
        held.draining = None;
    } else {
        ask(owner, session, step);
    }
}

/// A session has gone: what it was not handed goes to another reachable one, or stays.
pub fn session_gone(
    held: &mut Held,
    owner: &BareJid,
    sessions: &Sessions,
    gone: SessionId,
    step: &mut Step<'_>,
) {
    if !held.is_draining_to(gone) {
        return;
    }
    held.draining = None;
    if let Some(next) = sessions.most_available().next() {
        hand_over(held, owner, next.id, step);
    }
}
