//! Offline messages (XEP-0160): what comes while nobody is there is kept, and handed over in order.

use std::collections::VecDeque;
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
    let limits = &step.domain.limits;
    let stamped = is_stamped(message, step);
    let full = held.count.saturating_sub(held.archived) >= limits.offline_messages
        || held.bytes + message.byte_len() > limits.offline_bytes;
    // What was on its way to a device before it came here bears the time at which it came.
    let whole = match (message.archived(), stamped) {
        (Some(_), false) => None,
        (Some(_), true) => Some(message.clone()).filter(|_| !full),
        (None, _) if full => return Err(Condition::ResourceConstraint.into()),
        (None, true) => Some(message.clone()),
        (None, false) => Some(stamp(message.clone(), step.wall, "Offline Storage", step)),
    };
    let mut xml = Vec::new();
    if let Some(whole) = whole {
        xml.reserve(whole.byte_len() + 64);
        whole.write(&mut xml, xmpp::stanza::ContentNs::Inherited);
    }
    held.last_id += 1;
    held.count += 1;
    held.archived += usize::from(message.archived().is_some());
    held.bytes += xml.len();
    let (owner, id, at) = (owner.clone(), held.last_id, step.wall);
    step.write(match message.archived() {
        // What is in the archive is kept there alone, and only its number is held.
        Some(archived) => Write::OfflineKeepArchived { owner, id, at, archived, xml },
        None => Write::OfflineKeep { owner, id, at, xml },
    });
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

/// Writes a batch of held messages to the session that they were read for. What it takes out of the archive itself, it
/// is not given again (docs/decisions/0012-held-or-archived.md). `identified` gives an archived message its id.
pub fn read(
    held: &mut Held,
    owner: &BareJid,
    sessions: &Sessions,
    session: SessionId,
    rows: Vec<OfflineMessage>,
    identified: &dyn Fn(Stanza, u64) -> Stanza,
    step: &mut Step<'_>,
) {
    let Some(draining) = held.draining.as_mut().filter(|draining| draining.session == session) else {
        return;
    };
    let Some(last) = rows.last().map(|row| row.id) else {
        held.draining = None;
        return;
    };
    draining.leaving = rows.iter().map(|row| (row.id, row.held_bytes, row.archived.is_some())).collect();
    let known = sessions.find(session).map(|session| &session.archive_read);
    let takes = |row: &OfflineMessage| {
        row.archived.zip(known).is_some_and(|(archived, known)| known.has(archived, row.at))
    };
    let wanted = rows.iter().filter(|row| !takes(row));
    let messages = wanted.filter_map(|row| {
        let message = Stanza::read(&row.xml).ok()?;
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
    let Some(session) = held.draining.as_ref().map(|draining| draining.session) else { return };
    if held.forget(up_to) {
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
