//! Who answers which namespace: one match per kind of entity, one line per feature.

use features::registration::{self, Wish};
use features::{
    archive, blocking, caps, carbons, clients, disco, last_activity, ping, private, push, reports, roster,
    subscription, time, vcard, version,
};
use pubsub::{discovery, pep};
use step::{Card, Reply, SessionId, Step, Stop};
use xmpp::error::Condition;
use xmpp::ns;
use xmpp::stanza::{Stanza, Type};

use crate::account::Account;
use crate::cards::CARDS;
use crate::host::Host;
use crate::moments;

/// Whether an iq from one of the account's sessions is answered by the account itself (RFC 6120 §10.3.3), among them a
/// registration request to the own domain (XEP-0077 §3.3). COMPAT: some clients look for the archive on the domain.
pub fn is_for_own_account(a: &Account, iq: &Stanza) -> bool {
    match &iq.to {
        None => true,
        Some(to) if *to == *a.jid => true,
        Some(to) => {
            iq.is_request()
                && to.as_str() == a.domain.name()
                && iq.first_name().is_some_and(|(namespace, _)| matches!(namespace, ns::REGISTER | ns::MAM))
        }
    }
}

/// An iq from one of the account's own sessions to the account.
pub fn own_account(
    a: &mut Account,
    session: SessionId,
    iq: &Stanza,
    step: &mut Step<'_>,
) -> Result<(), Stop> {
    if !iq.is_request() {
        let learnt = caps::clients::answered(&mut a.sessions, session, iq, step);
        let learnt = learnt.ok_or(Stop::Drop("an answer that nobody asked for"))?;
        moments::learnt(a, learnt, step);
        return Ok(());
    }
    let Some((namespace, _)) = iq.first_name() else { return Err(Condition::BadRequest.into()) };
    let reply = match namespace {
        ns::ROSTER => {
            let answered = roster::answer(&mut a.roster, &mut a.sessions, &a.jid, session, iq, step)?;
            if let Some(ending) = &answered.removed {
                subscription::end(&a.sessions, &a.jid, ending, step);
            }
            Ok(answered.reply)
        }
        ns::BLOCKING => {
            let (list, sessions) = (&mut a.blocklist, &mut a.sessions);
            let reply = blocking::answer_own(list, sessions, &a.roster, &a.jid, session, iq, step)?;
            reports::keep(&mut a.reported, &a.jid, iq, step);
            Ok(reply)
        }
        ns::DISCO_INFO | ns::DISCO_ITEMS => tell_of(a, iq, step),
        ns::PUBSUB | ns::PUBSUB_OWNER if a.anonymous => Err(Condition::NotAllowed.into()),
        ns::PUBSUB | ns::PUBSUB_OWNER => a.with_nodes(|nodes, owner| pep::answer(nodes, owner, iq, step)),
        ns::CARBONS => carbons::answer_own(&mut a.sessions, session, iq),
        ns::MAM => archive::answer_own(&mut a.archive, &mut a.sessions, &a.jid, session, iq, step),
        ns::CLIENT_ACCESS => clients::answer_own(&mut a.clients, &a.sessions, &a.jid, session, iq, step),
        ns::PUSH => match a.sessions.find(session) {
            Some(session) => push::answer_own(&mut a.push, &a.jid, session, iq, step),
            None => Err(Stop::Drop("a session that has gone")),
        },
        ns::VCARD => vcard::answer_own(&a.jid, iq, step),
        ns::PRIVATE => private::answer_own(&a.jid, iq, step),
        ns::REGISTER => match registration::wish(&a.jid, iq)? {
            Wish::Form => Ok(registration::answer_form(&a.jid)),
            Wish::NewPassword(_) if a.anonymous => Err(Condition::NotAllowed.into()),
            Wish::NewPassword(password) => Ok(registration::change_password(password, iq, step)),
            Wish::Removal => Ok(moments::account_removes_itself(a, session, iq, step)),
        },
        ns::PING => ping::answer(iq),
        ns::LAST => last_activity::answer_account(&a.sessions, &a.last_seen, iq, step.wall),
        ns::SESSION => Ok(Reply::Done), // RFC 3921 §3: clients of old still ask; it means nothing now
        _ => Err(Condition::ServiceUnavailable.into()),
    }?;
    if let Some(answer) = reply.stanza(iq) {
        step.to_session(session, answer);
    }
    Ok(())
}

/// An iq from somebody else to the account (RFC 6121 §8.5.2.1.3).
pub fn other_account(a: &mut Account, iq: &Stanza, step: &mut Step<'_>) -> Result<(), Stop> {
    if !iq.is_request() {
        if push::answered(&mut a.push, &a.jid, iq, step) {
            return Ok(());
        }
        return Err(Stop::Drop("an answer that nobody asked for"));
    }
    let Some((namespace, _)) = iq.first_name() else { return Err(Condition::BadRequest.into()) };
    let knows_us = iq.from.as_ref().is_some_and(|from| {
        let asker = from.bare();
        asker == a.jid || a.roster.sees_me(&asker)
    });
    let reply = match (namespace, knows_us) {
        (ns::DISCO_INFO | ns::DISCO_ITEMS, true) => tell_of(a, iq, step),
        (ns::DISCO_INFO | ns::DISCO_ITEMS, false) => disco::answer_stranger(iq),
        (ns::PUBSUB | ns::PUBSUB_OWNER, _) if !a.anonymous => {
            a.with_nodes(|nodes, owner| pep::answer(nodes, owner, iq, step))
        }
        (ns::ROSTER, _) => roster::answer_other(),
        (ns::VCARD, _) => vcard::answer_other(&a.jid, iq, step),
        (ns::PRIVATE, _) => private::answer_other(),
        (ns::BLOCKING, _) => blocking::answer_other(),
        (ns::CARBONS, _) => carbons::answer_other(),
        (ns::MAM, _) => archive::answer_other(),
        (ns::LAST, true) => last_activity::answer_account(&a.sessions, &a.last_seen, iq, step.wall),
        (ns::LAST, false) => last_activity::answer_stranger(),
        (ns::PING, true) => ping::answer(iq),
        _ => Err(Condition::ServiceUnavailable.into()),
    }?;
    if let Some(answer) = reply.stanza(iq) {
        step.route(answer);
    }
    Ok(())
}

/// What an account tells of itself and its nodes to those who may know that it exists.
fn tell_of(a: &mut Account, iq: &Stanza, step: &mut Step<'_>) -> Result<Reply, Stop> {
    let query = [ns::DISCO_INFO, ns::DISCO_ITEMS].iter().find_map(|ns| iq.element(ns, "query"));
    let node = query.as_ref().and_then(|query| query.attr("node")).filter(|_| iq.type_ == Type::Get);
    if a.anonymous {
        let cards: Vec<_> = CARDS.iter().filter(|card| !is_publishing(card)).copied().collect();
        return disco::answer_account(&cards, &a.jid, a.kind(), &[], &[], &a.sessions, iq);
    }
    let (kind, asker) = (a.kind(), iq.from.as_ref().map_or_else(|| a.jid.clone(), |from| from.bare()));
    let items = a.with_nodes(|nodes, owner| {
        let Some(node) = node.filter(|node| nodes.find(node).is_some()) else {
            return Ok(discovery::nodes(nodes, owner, &asker));
        };
        Err(match iq.first_name() {
            Some((ns::DISCO_INFO, _)) => {
                discovery::info(nodes, owner, node, &asker).map(Reply::Result).map_err(Stop::from)
            }
            _ => pep::answer(nodes, owner, iq, step),
        })
    });
    match items {
        Ok(items) => {
            disco::answer_account(CARDS, &a.jid, kind, &[discovery::identity()], &items, &a.sessions, iq)
        }
        Err(answer) => answer,
    }
}

/// Whether a card is of what somebody without an account cannot do.
fn is_publishing(card: &Card) -> bool {
    [pep::CARD.xep, pep::PERSONAL_CARD.xep].contains(&card.xep)
}

/// An iq to an address without an account: what a stranger hears from one that exists, so that nobody learns which
/// addresses exist (guarantee G16).
pub fn nobody(iq: &Stanza, step: &mut Step<'_>) -> Result<(), Stop> {
    if !iq.is_request() {
        return Err(Stop::Drop("an answer to an account that does not exist"));
    }
    let Some((namespace, _)) = iq.first_name() else { return Err(Condition::BadRequest.into()) };
    if iq.to.as_ref().is_some_and(|to| to.resource().is_some()) {
        last_activity::stranger_may_ask_device(iq)?;
        return Err(Condition::ServiceUnavailable.into());
    }
    let reply = match namespace {
        ns::DISCO_INFO | ns::DISCO_ITEMS => disco::answer_stranger(iq),
        ns::ROSTER => roster::answer_other(),
        ns::VCARD => vcard::answer_nobody(iq),
        ns::PRIVATE => private::answer_other(),
        ns::BLOCKING => blocking::answer_other(),
        ns::CARBONS => carbons::answer_other(),
        ns::MAM => archive::answer_other(),
        ns::LAST => last_activity::answer_stranger(),
        _ => Err(Condition::ServiceUnavailable.into()),
    }?;
    if let Some(answer) = reply.stanza(iq) {
        step.route(answer);
    }
    Ok(())
}

/// An iq to one of our domains.
pub fn host(host: &mut Host, iq: &Stanza, step: &mut Step<'_>) -> Result<(), Stop> {
    if !iq.is_request() {
        return Err(Stop::Drop("an answer that nobody asked for"));
    }
    let Some((namespace, _)) = iq.first_name() else { return Err(Condition::BadRequest.into()) };
    let reply = match namespace {
        ns::DISCO_INFO | ns::DISCO_ITEMS => {
            disco::answer_host(CARDS, &features::ad_hoc::list(), &host.caps_node, iq, &host.domain)
        }
        ns::COMMANDS => features::ad_hoc::answer(&mut host.desk, iq, step),
        ns::PING => ping::answer(iq),
        ns::VERSION => version::answer(iq),
        ns::TIME => time::answer(iq, step.wall),
        ns::LAST => last_activity::answer_host(iq, step.now.saturating_duration_since(host.started)),
        ns::REGISTER => registration::answer_other(iq),
        ns::MAM => archive::answer_other(),
        _ => Err(Condition::ServiceUnavailable.into()),
    }?;
    if let Some(answer) = reply.stanza(iq) {
        step.route(answer);
    }
    Ok(())
}
