//! Offline messages (XEP-0160): what comes while nobody is there is kept, and handed over in order.

mod handing;

use std::sync::Arc;
use std::time::SystemTime;

use step::{Card, SessionId, Sessions, Step, Stop, rules};
use store::{OfflineSize, Write};
use xmpp::datetime;
use xmpp::error::Condition;
use xmpp::jid::BareJid;
use xmpp::ns;
use xmpp::stanza::Stanza;
use xmpp::xml::Element;

use crate::delivery::Reached;
use handing::Draining;
pub use handing::{again, hand_over, hand_over_again, handed, left, read, session_gone, unreadable};

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

/// What is held for an account, without the messages themselves.
#[derive(Debug, Default)]
pub struct Held {
    count: usize,
    /// Of these, in the archive as well.
    archived: usize,
    bytes: usize,
    last_id: u64,
    draining: Option<Draining>,
    /// To whom something was handed last, and up to which number; what was asked for before that may still be read.
    given: Option<(SessionId, u64)>,
}

impl Held {
    /// What the store holds when the account is loaded.
    pub fn load(size: OfflineSize) -> Self {
        let OfflineSize { count, archived, bytes, last_id } = size;
        Held { count, archived, bytes, last_id, draining: None, given: None }
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
    let has_room = held.has_room(message, message.archived(), step);
    let xml = match message.archived() {
        None if !has_room => return Err(Condition::ResourceConstraint.into()),
        None => written(message),
        // What was on its way to a device before it came here bears the time at which it came.
        Some(_) if has_room && is_stamped(message, step) => written(message),
        Some(_) => Vec::new(),
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
