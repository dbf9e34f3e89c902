//! Presence subscriptions (RFC 6121 §3): asking to see somebody, granting it, taking it back.

use step::roster::Ending;
use step::{Card, Roster, Sessions, Step, Stop};
use xmpp::error::Condition;
use xmpp::jid::{BareJid, Jid};
use xmpp::ns;
use xmpp::stanza::{Stanza, Type};
use xmpp::xml::Element;

/// What this file speaks of itself.
pub const CARD: Card =
    Card { version: "6121", title: "Presence subscriptions (RFC 6121 §3, appendix A)", ..Card::PLAIN };

/// A subscription stanza leaves the account (RFC 6121 §A.2). It is stamped with the account's bare address and goes to
/// the contact's bare address (§3.1.2).
///
/// # Errors
/// `bad-request` for a stanza to oneself, `resource-constraint` when the roster is full.
pub fn leaving(
    roster: &mut Roster,
    sessions: &Sessions,
    account: &BareJid,
    mut stanza: Stanza,
    step: &mut Step<'_>,
) -> Result<(), Stop> {
    let Some(contact) = stanza.to.as_ref().map(Jid::bare) else {
        return Err(Condition::BadRequest.into());
    };
    if contact == *account {
        return Err(Condition::BadRequest.into());
    }
    stanza.from = Some(account.clone().into());
    stanza.to = Some(contact.clone().into());
    let sent = roster.send(account, &contact, stanza.type_, step.domain.limits.roster_items)?;
    if sent.change.saw_me && !sent.change.sees_me {
        // §3.2.2: while the contact still sees us, it is told that we leave.
        say_unavailable(sessions, &contact, step);
    }
    if sent.route {
        step.route_registered(stanza);
    }
    let begins = !sent.change.saw_me && sent.change.sees_me;
    sent.change.carry_out(sessions, account, step);
    if begins {
        // §3.1.5: the contact is shown where we are.
        say_available(sessions, &contact, step);
    }
    Ok(())
}

/// A subscription stanza comes from a contact (RFC 6121 §A.3). It is read as if sent to the bare address (§3.1.3).
///
/// # Errors
/// `resource-constraint` when too many requests wait for an answer.
pub fn arriving(
    roster: &mut Roster,
    sessions: &Sessions,
    account: &BareJid,
    mut stanza: Stanza,
    step: &mut Step<'_>,
) -> Result<(), Stop> {
    let Some(contact) = stanza.from.as_ref().map(Jid::bare) else {
        return Err(Stop::Drop("a subscription stanza from nobody"));
    };
    let resource = stanza.to.as_ref().and_then(Jid::resource);
    let nowhere = resource.is_some_and(|resource| sessions.by_resource(resource).is_none());
    if nowhere && stanza.type_ != Type::Subscribe {
        // §8.5.3.2.2: to a device that is not there, only a request is read as one to the account.
        return Err(Stop::Drop("a subscription stanza to a device that is not there"));
    }
    stanza.from = Some(contact.clone().into());
    stanza.to = Some(account.clone().into());
    if stanza.type_ == Type::Subscribe && roster.pending_count() >= step.domain.limits.pending_subscriptions {
        return Err(Condition::ResourceConstraint.into());
    }
    let received = roster.receive(account, &contact, &stanza);
    if received.deliver {
        deliver(sessions, &stanza, step);
    }
    if let Some(type_) = received.reply {
        step.route_registered(Stanza::presence(type_).with_from(account.clone()).with_to(contact.clone()));
    }
    let begins = !received.change.saw_me && received.change.sees_me;
    let ends = received.change.saw_me && !received.change.sees_me;
    received.change.carry_out(sessions, account, step);
    if begins {
        say_available(sessions, &contact, step);
    }
    if ends {
        // §3.3.3 rule 3.
        say_unavailable(sessions, &contact, step);
    }
    Ok(())
}

/// A request is shown to all available sessions (§3.1.3); an answer to those interested in the roster (§3.1.6).
fn deliver(sessions: &Sessions, stanza: &Stanza, step: &mut Step<'_>) {
    for session in sessions.iter() {
        let hears = match stanza.type_ {
            Type::Subscribe => session.is_available(),
            _ => session.interested,
        };
        if hears {
            step.to_session(session.id, stanza.clone());
        }
    }
}

/// A contact has been removed from the roster (RFC 6121 §2.5.2): what remains of the subscription ends.
pub fn end(sessions: &Sessions, account: &BareJid, ending: &Ending, step: &mut Step<'_>) {
    if ending.saw_me {
        say_unavailable(sessions, &ending.contact, step);
    }
    for type_ in &ending.tell {
        let last = Stanza::presence(*type_).with_from(account.clone()).with_to(ending.contact.clone());
        step.route_registered(last.with_id(step.new_id()));
    }
}

/// The account goes: every subscription ends. Its sessions have said goodbye before.
pub fn end_all(roster: &Roster, account: &BareJid, step: &mut Step<'_>) {
    for (contact, tell) in roster.endings() {
        for type_ in tell {
            step.route_registered(
                Stanza::presence(type_).with_from(account.clone()).with_to(contact.clone()),
            );
        }
    }
}

fn say_available(sessions: &Sessions, contact: &BareJid, step: &mut Step<'_>) {
    for presence in sessions.available().filter_map(|session| session.presence.as_ref()) {
        step.route(presence.clone().with_to(contact.clone()));
    }
}

fn say_unavailable(sessions: &Sessions, contact: &BareJid, step: &mut Step<'_>) {
    for session in sessions.available() {
        let gone = Stanza::presence(Type::Unavailable).with_from(session.jid.clone());
        step.route_registered(gone.with_to(contact.clone()));
    }
}

/// The features that a stream announces for rosters and subscriptions (RFC 6121 §2.6.1, §3.4).
pub fn stream_features() -> [Element; 2] {
    [Element::new(ns::ROSTER_VER, "ver"), Element::new(ns::PRE_APPROVAL, "sub")]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::{bare, friends, jid, sessions, stepped};

    /// RFC 6121 §8.5.3.1, §8.5.3.2.2: what another server sends to a device counts if the device is there.
    #[test]
    fn a_refusal_sent_to_a_device_counts_if_the_device_is_there() {
        let (alice, bob) = (bare("alice@one.test"), bare("bob@two.test"));
        for (device, counts) in [("alice@one.test/phone", true), ("alice@one.test/nowhere", false)] {
            let (mut roster, sessions) = (friends(&["bob@two.test"]), sessions(&["alice@one.test/phone"]));
            let refusal = Stanza::presence(Type::Unsubscribed).with_from(bob.clone()).with_to(jid(device));
            let (outcome, _) = stepped(|step| arriving(&mut roster, &sessions, &alice, refusal, step));
            assert_eq!((outcome.is_ok(), roster.i_see(&bob)), (counts, !counts), "{device}");
        }
    }
}
