//! The order of everything that passes through an account: read it from top to bottom, this is all there is.

use std::slice;
use std::sync::Arc;

use features::presence::Became;
use features::{
    archive, blocking, caps, carbons, client_state, delivery, last_activity, offline, presence, push,
    strangers, subscription,
};
use pubsub::news;
use step::{Session, SessionId, Step, Stop, rules};
use xmpp::error::{Condition, StanzaError};
use xmpp::jid::Jid;
use xmpp::ns;
use xmpp::stanza::{Kind, Stanza, Type};

use crate::account::{self, Account};
use crate::outgoing::Undelivered;
use crate::{moments, queries};

/// What happens to a stanza from one of the account's own sessions. `from` has been stamped by the stream.
pub fn leaving(a: &mut Account, session: SessionId, stanza: Stanza, step: &mut Step<'_>) {
    if let Some(speaker) = a.sessions.find_mut(session) {
        speaker.heard = step.now;
    } else {
        return;
    }
    let sent = stanza.clone();
    let outcome = match stanza.kind {
        Kind::Message => message_leaving(a, session, stanza, step),
        Kind::Presence => presence_leaving(a, session, stanza, step),
        Kind::Iq => iq_leaving(a, session, stanza, step),
    };
    if let Err(stop) = outcome {
        refuse(session, &sent, stop, step);
    }
}

/// What happens to a stanza that arrives for the account.
pub fn arriving(a: &mut Account, stanza: Stanza, step: &mut Step<'_>) {
    let stanza = offline::without_forged_stamps(stanza, step);
    take_in(a, archive::without_forged_ids(stanza, &a.jid), step);
}

fn take_in(a: &mut Account, stanza: Stanza, step: &mut Step<'_>) {
    let sent = stanza.clone();
    let outcome = match stanza.kind {
        Kind::Message => message_arriving(a, stanza, step),
        Kind::Presence => presence_arriving(a, stanza, step),
        Kind::Iq => iq_arriving(a, stanza, step),
    };
    if let Err(stop) = outcome {
        stopped(&sent, stop, step);
    }
}

/// What happens to stanzas that were delivered to a session which never took them: a message takes its way anew, as if
/// the session had not been there, unless another session has it too.
pub fn undelivered(a: &mut Account, taken_back: Vec<Undelivered>, step: &mut Step<'_>) {
    for Undelivered { stanza, at, shared, lsn } in taken_back {
        // News are told again when a session comes that wants them. No client writes from a bare address.
        let from_account = stanza.from.as_ref().is_some_and(Jid::is_bare);
        let is_news = stanza.kind == Kind::Message && from_account && stanza.has_ns(ns::PUBSUB_EVENT);
        if is_news || archive::is_result(&stanza, &a.jid) {
            continue;
        }
        let stanza = match carbons::is_copy(&stanza, &a.jid) {
            false => stanza,
            true => match rules::copied_message(&stanza).filter(|_| shared.is_some()) {
                Some(message) => message,
                None => continue,
            },
        };
        if stanza.kind == Kind::Message && stanza.type_ != Type::Error {
            if shared.iter().any(|ids| ids.iter().any(|id| a.sessions.find(*id).is_some())) {
                continue;
            }
            let late = offline::taken_back(&stanza, at, step);
            a.taken_back.push(Undelivered { stanza, at, shared, lsn });
            take_in(a, late, step);
        } else if stanza.is_request() && stanza.from.as_ref().is_none_or(|from| *from != *a.jid) {
            stopped(&stanza, Condition::RecipientUnavailable.into(), step);
        }
    }
}

/// In order, to a message leaving the account.
fn message_leaving(
    a: &mut Account,
    session: SessionId,
    mut message: Stanza,
    step: &mut Step<'_>,
) -> Result<(), Stop> {
    if message.to.is_none() {
        // RFC 6120 §10.3.1: without an address it is for the account itself.
        message.to = Some(a.jid.clone().into());
    }
    message = archive::without_forged_ids(message, &a.jid);
    blocking::may_send(&a.blocklist, &message)?;
    a.addressed.remember(&a.roster, &a.jid, &message, step);
    let seq = archive::keep_sent(&mut a.archive, &a.roster, &a.jid, &mut message, step);
    let own = || archive::own(&a.archive, &a.jid, &message, seq);
    let copies = carbons::of_sent(&mut a.copied, &a.sessions, &a.jid, session, own);
    offline::give_in_turn(&mut a.held, &a.jid, copies, seq, &Arc::default(), step);
    let away = account::away(&a.sessions, &a.doors, step.wall);
    push::called_elsewhere(&mut a.push, &a.sessions, &away, a.roster.pending_count(), &a.jid, &message, step);
    step.route(message);
    Ok(())
}

/// In order, to a message arriving at the account.
fn message_arriving(a: &mut Account, message: Stanza, step: &mut Step<'_>) -> Result<(), Stop> {
    blocking::may_receive(&a.blocklist, &message)?;
    strangers::may_write(&a.addressed, &a.roster, &a.sessions, &a.jid, &message, step.domain)?;
    let behind = offline::queues_behind(&a.held, &a.sessions, &message);
    let reached = delivery::reach(&a.sessions, behind, &message)?;
    let message = archive::keep_received(&mut a.archive, &a.roster, &a.jid, message, step);
    let has_it = behind.as_ref().map_or(reached.sessions(), slice::from_ref);
    let watching = carbons::watching(&mut a.copied, &a.sessions, has_it, &message);
    let shared = reached.shared(offline::without_those_behind(&a.held, &watching));
    delivery::deliver(&reached, &shared, &message, step);
    let is_wanted = |session: &Session| a.push.is_wanted(session, &message);
    client_state::heed_wanted(&a.sessions, &is_wanted, reached.sessions(), &message, step);
    let copies = carbons::of_received(&a.sessions, &a.jid, &watching, &message);
    offline::give_in_turn(&mut a.held, &a.jid, copies, message.archived(), &shared, step);
    offline::keep(&mut a.held, &a.jid, &reached, &message, step)?;
    push::heed_service(&mut a.push, &a.jid, &message, step);
    wake(a, push::Event::Message(&message), step);
    Ok(())
}

/// In order, to what somebody has published. It is neither kept nor archived nor copied, and wakes nobody.
pub fn news_arriving(a: &mut Account, node: &str, event: &Stanza, step: &mut Step<'_>) {
    if blocking::may_receive(&a.blocklist, event).is_ok() {
        news::arrived(&a.sessions, node, event, step);
    }
}

/// Wakes devices that are not there to hear of it.
fn wake(a: &mut Account, event: push::Event<'_>, step: &mut Step<'_>) {
    let away = account::away(&a.sessions, &a.doors, step.wall);
    push::wake(&mut a.push, &a.sessions, &away, a.roster.pending_count(), &a.jid, event, step);
}

/// In order, to presence leaving one of the account's sessions.
fn presence_leaving(a: &mut Account, session: SessionId, p: Stanza, step: &mut Step<'_>) -> Result<(), Stop> {
    match (p.type_, p.to.is_some()) {
        (Type::Available, false) => {
            let hears = |jid: &Jid| !a.blocklist.blocks(jid);
            let became = presence::broadcast(&mut a.sessions, &a.roster, &hears, &a.jid, session, &p, step);
            if became != Became::Same && p.priority() >= 0 {
                offline::hand_over(&mut a.held, &a.jid, &mut a.sessions, session, step);
            }
            caps::clients::heed(&mut a.sessions, session, &p, step);
            Ok(())
        }
        (Type::Unavailable, false) => {
            moments::session_unavailable(a, session, &p, step);
            Ok(())
        }
        (Type::Available | Type::Unavailable, true) => {
            blocking::may_send(&a.blocklist, &p)?;
            presence::direct(&mut a.sessions, &a.roster, session, p, step)
        }
        (Type::Subscribe | Type::Subscribed | Type::Unsubscribe | Type::Unsubscribed, true) => {
            blocking::may_send(&a.blocklist, &p)?;
            subscription::leaving(&mut a.roster, &a.sessions, &a.jid, p, step)
        }
        (_, true) => {
            blocking::may_send(&a.blocklist, &p)?;
            step.route(p);
            Ok(())
        }
        (_, false) => Err(Condition::BadRequest.into()),
    }
}

/// In order, to presence arriving at the account.
fn presence_arriving(a: &mut Account, p: Stanza, step: &mut Step<'_>) -> Result<(), Stop> {
    blocking::may_receive(&a.blocklist, &p)?;
    match p.type_ {
        Type::Probe => {
            presence::answer_probe(&a.sessions, &a.roster, &a.jid, &a.last_seen, &p, step);
            Ok(())
        }
        Type::Subscribe | Type::Subscribed | Type::Unsubscribe | Type::Unsubscribed => {
            let waiting = a.roster.pending_count();
            let contact = p.from.as_ref().map(Jid::bare).filter(|_| p.type_ == Type::Subscribed);
            subscription::arriving(&mut a.roster, &a.sessions, &a.jid, p, step)?;
            if let Some(contact) = contact.filter(|contact| a.roster.i_see(contact)) {
                news::seek_of(&a.sessions, &contact, step);
            }
            if a.roster.pending_count() > waiting {
                wake(a, push::Event::Request, step);
            }
            Ok(())
        }
        _ => presence::deliver(&mut a.sessions, &p, step),
    }
}

/// In order, to an iq leaving one of the account's sessions.
fn iq_leaving(a: &mut Account, session: SessionId, iq: Stanza, step: &mut Step<'_>) -> Result<(), Stop> {
    if queries::is_for_own_account(a, &iq) {
        return queries::own_account(a, session, &iq, step);
    }
    blocking::may_send(&a.blocklist, &iq)?;
    step.route(iq);
    Ok(())
}

/// In order, to an iq arriving at the account.
fn iq_arriving(a: &mut Account, iq: Stanza, step: &mut Step<'_>) -> Result<(), Stop> {
    blocking::may_receive(&a.blocklist, &iq)?;
    let Some(resource) = iq.to.as_ref().and_then(|to| to.resource()) else {
        return queries::other_account(a, &iq, step);
    };
    last_activity::may_ask_device(&a.roster, &a.jid, &iq)?;
    let Some(session) = a.sessions.by_resource(resource) else {
        return Err(Condition::ServiceUnavailable.into());
    };
    // RFC 6121 §8.5.3.1: a request from one who may not know that this device is there does not reach it. People of the
    // same domain are no strangers (docs/decisions/0008-neighbours-reach-devices.md).
    let known = iq.from.as_ref().is_some_and(|from| {
        let bare = from.bare();
        bare.domain() == a.jid.domain()
            || a.roster.sees_me(&bare)
            || session.directed.contains(from)
            || session.directed.contains(&Jid::from(bare))
    });
    if iq.is_request() && !known {
        return Err(Condition::ServiceUnavailable.into());
    }
    step.to_session(session.id, iq);
    Ok(())
}

/// Tells a session that its stanza stopped, and why.
fn refuse(session: SessionId, sent: &Stanza, stop: Stop, step: &mut Step<'_>) {
    let Some(error) = reason(sent, &stop) else { return };
    if let Some(bounce) = sent.error_reply(&error) {
        step.to_session(session, bounce);
    }
}

/// Tells the sender of a stanza that it stopped, and why.
pub fn stopped(sent: &Stanza, stop: Stop, step: &mut Step<'_>) {
    let Some(error) = reason(sent, &stop) else { return };
    if let Some(bounce) = sent.error_reply(&error) {
        step.route(bounce);
    }
}

/// A stanza that stops has a reason, and the reason is visible to the operator.
fn reason(sent: &Stanza, stop: &Stop) -> Option<StanzaError> {
    let from = sent.from.as_ref().map(Jid::as_str);
    let to = sent.to.as_ref().map(Jid::as_str);
    tracing::debug!(kind = ?sent.kind, from, to, ?stop, "a stanza stopped");
    stop.stanza_error()
}
