//! Presence (RFC 6121 §4): who hears that a person's device has come, changed or gone, and who may ask.

use std::collections::{BTreeSet, VecDeque};

use step::{Card, LastSeen, Roster, SessionId, Sessions, Step, Stop};
use xmpp::datetime;
use xmpp::error::Condition;
use xmpp::jid::{BareJid, Jid};
use xmpp::ns;
use xmpp::stanza::{Stanza, Type};
use xmpp::xml::Element;

/// What this file speaks of itself.
pub const CARD: Card = Card { version: "6121", title: "Presence (RFC 6121 §4)", ..Card::PLAIN };

/// Whether an address may hear from the account at all (it is not blocked, XEP-0191 §3.3).
pub type Hears<'a> = &'a dyn Fn(&Jid) -> bool;

/// What a broadcast changed about the session that sent it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Became {
    /// Initial presence: the session was not available before.
    Available,
    /// It is now reachable by the bare address and was not before (its priority is no longer negative).
    Reachable,
    /// Neither.
    Same,
}

/// Broadcasts a session's presence without `to` (RFC 6121 §4.2.2, §4.4.2).
pub fn broadcast(
    sessions: &mut Sessions,
    roster: &Roster,
    hears: Hears<'_>,
    account: &BareJid,
    id: SessionId,
    presence: &Stanza,
    step: &mut Step<'_>,
) -> Became {
    let Some(session) = sessions.find_mut(id) else { return Became::Same };
    let was_available = session.is_available();
    let was_reachable = was_available && session.priority >= 0;
    session.priority = presence.priority();
    session.presence = Some(presence.clone());
    session.presence_at = Some(step.wall);
    let is_reachable = session.priority >= 0;
    tell_subscribers(roster, hears, presence, step);
    tell_own(sessions, account, presence, None, step);
    if !was_available {
        learn(sessions, roster, hears, account, id, step);
    }
    match (was_available, was_reachable, is_reachable) {
        (false, ..) => Became::Available,
        (true, false, true) => Became::Reachable,
        _ => Became::Same,
    }
}

/// Sends a presence to everybody who is subscribed to the account (RFC 6121 §4.2.2).
fn tell_subscribers(roster: &Roster, hears: Hears<'_>, presence: &Stanza, step: &mut Step<'_>) {
    for subscriber in roster.subscribers().filter(|jid| hears(jid)) {
        step.route(presence.clone().with_to(subscriber.clone()));
    }
}

/// Sends a presence to the account's own available sessions, and to `also`: one is implicitly subscribed to oneself
/// (RFC 6121 §4.2.2, §4.5.2).
fn tell_own(
    sessions: &Sessions,
    account: &BareJid,
    presence: &Stanza,
    also: Option<SessionId>,
    step: &mut Step<'_>,
) {
    let own = presence.clone().with_to(account.clone());
    for session in sessions.iter() {
        if session.is_available() || also == Some(session.id) {
            step.to_session(session.id, own.clone());
        }
    }
}

/// A session that has just come hears its account's other sessions, the requests that wait for an answer
/// (RFC 6121 §3.1.3) and, by probes, its contacts (§4.3.1).
fn learn(
    sessions: &Sessions,
    roster: &Roster,
    hears: Hears<'_>,
    account: &BareJid,
    id: SessionId,
    step: &mut Step<'_>,
) {
    for other in sessions.available().filter(|other| other.id != id) {
        if let Some(presence) = &other.presence {
            step.to_session(id, presence.clone().with_to(account.clone()));
        }
    }
    for request in roster.pending_in() {
        step.to_session(id, request);
    }
    probe_contacts(roster, hears, account, step);
}

fn probe_contacts(roster: &Roster, hears: Hears<'_>, account: &BareJid, step: &mut Step<'_>) {
    for contact in roster.subscriptions().filter(|jid| hears(jid)) {
        let probe = Stanza::presence(Type::Probe)
            .with_from(account.clone())
            .with_to(contact.clone())
            .with_id(step.new_id());
        step.route(probe);
    }
}

/// A session says that it becomes unavailable (RFC 6121 §4.5.2). Returns its departure, if it was there for anybody.
pub fn leave(
    sessions: &mut Sessions,
    roster: &Roster,
    hears: Hears<'_>,
    account: &BareJid,
    id: SessionId,
    presence: &Stanza,
    step: &mut Step<'_>,
) -> Option<Departure> {
    let session = sessions.find_mut(id)?;
    let was_available = session.presence.take().is_some();
    session.priority = 0;
    let mut directed = std::mem::take(&mut session.directed);
    if was_available {
        // Subscribers have heard it.
        directed.retain(|other| !roster.sees_me(&other.bare()));
        tell_subscribers(roster, hears, presence, step);
        tell_own(sessions, account, presence, Some(id), step);
    }
    tell_directed(hears, presence, &directed, step);
    (was_available || !directed.is_empty()).then(|| Departure { last: presence.clone(), directed })
}

/// §4.6.3: who was sent directed presence must hear it too.
fn tell_directed(hears: Hears<'_>, last: &Stanza, directed: &BTreeSet<Jid>, step: &mut Step<'_>) {
    for other in directed.iter().filter(|jid| hears(jid)) {
        step.route(last.clone().with_to(other.clone()));
    }
}

/// A session that has left, and who besides the subscribers was to know.
#[derive(Debug)]
pub struct Departure {
    /// Its last presence.
    pub last: Stanza,
    /// Whom it had sent directed presence.
    pub directed: BTreeSet<Jid>,
}

/// What was said of the account's sessions may not have left: everybody is told again who is there and who has gone,
/// and contacts are asked again.
pub fn tell_again(
    sessions: &Sessions,
    roster: &Roster,
    hears: Hears<'_>,
    account: &BareJid,
    departed: &VecDeque<Departure>,
    step: &mut Step<'_>,
) {
    for Departure { last, directed } in departed {
        let back = last.from.as_ref().and_then(Jid::resource).and_then(|gone| sessions.by_resource(gone));
        if back.is_none_or(|session| !session.is_available()) {
            tell_subscribers(roster, hears, last, step);
            tell_own(sessions, account, last, None, step);
            tell_directed(hears, last, directed, step);
        }
    }
    for session in sessions.available() {
        let Some(presence) = &session.presence else { continue };
        tell_subscribers(roster, hears, presence, step);
        tell_own(sessions, account, presence, None, step);
    }
    ask_again(sessions, roster, hears, account, step);
}

/// What contacts have told may be lost: they are asked again, if anybody is there to hear it.
pub fn ask_again(
    sessions: &Sessions,
    roster: &Roster,
    hears: Hears<'_>,
    account: &BareJid,
    step: &mut Step<'_>,
) {
    if sessions.available().next().is_some() {
        probe_contacts(roster, hears, account, step);
    }
}

/// What contacts, and other devices, have told may be so no more: each is unavailable (RFC 6121 §4.3.2) until it says
/// otherwise.
pub fn forget_others(sessions: &Sessions, roster: &Roster, account: &BareJid, step: &mut Step<'_>) {
    for session in sessions.available() {
        for other in roster.subscriptions().chain([account]) {
            let gone = unavailable(other.clone()).with_to(session.jid.clone());
            step.to_session(session.id, gone);
        }
    }
}

/// The unavailable presence of a session that went without a word (RFC 6121 §4.5.2).
pub fn unavailable(from: impl Into<Jid>) -> Stanza {
    Stanza::presence(Type::Unavailable).with_from(from)
}

/// Sends presence to one address (RFC 6121 §4.6.3).
///
/// # Errors
/// `policy-violation` beyond the limit of addresses that a session may direct presence to.
pub fn direct(
    sessions: &mut Sessions,
    roster: &Roster,
    id: SessionId,
    presence: Stanza,
    step: &mut Step<'_>,
) -> Result<(), Stop> {
    let Some(to) = presence.to.clone() else { return Ok(()) };
    let Some(session) = sessions.find_mut(id) else { return Ok(()) };
    let hears_broadcasts = session.is_available() && roster.sees_me(&to.bare());
    if presence.type_ == Type::Unavailable {
        session.directed.remove(&to);
    } else if !hears_broadcasts && !session.directed.contains(&to) {
        if session.directed.len() >= step.domain.limits.directed_presence {
            return Err(Condition::PolicyViolation.into());
        }
        session.directed.insert(to);
    }
    step.route(presence);
    Ok(())
}

/// Delivers a presence notification (RFC 6121 §8.5.2.1.2, §8.5.3).
///
/// # Errors
/// A silent drop when nobody is there.
pub fn deliver(sessions: &mut Sessions, presence: &Stanza, step: &mut Step<'_>) -> Result<(), Stop> {
    if presence.type_ == Type::Unavailable
        && let Some(from) = &presence.from
    {
        // §4.6.1: an entity that leaves needs not be told that we leave.
        for id in sessions.iter().map(|session| session.id).collect::<Vec<_>>() {
            if let Some(session) = sessions.find_mut(id) {
                session.directed.remove(from);
            }
        }
    }
    let reached = match presence.to.as_ref().and_then(Jid::resource) {
        Some(resource) => sessions.by_resource(resource).map(|session| session.id).into_iter().collect(),
        None => sessions.available().map(|session| session.id).collect::<Vec<_>>(),
    };
    if reached.is_empty() {
        return Err(Stop::Drop("presence for nobody there (RFC 6121 §8.5)"));
    }
    for id in reached {
        step.to_session(id, presence.clone());
    }
    Ok(())
}

/// Answers a probe (RFC 6121 §4.3.2, §4.6.6).
pub fn answer_probe(
    sessions: &Sessions,
    roster: &Roster,
    account: &BareJid,
    last_seen: &LastSeen,
    probe: &Stanza,
    step: &mut Step<'_>,
) {
    let Some(prober) = probe.from.clone() else { return };
    let resource = probe.to.as_ref().and_then(Jid::resource);
    let authorised = roster.sees_me(&prober.bare()) || prober.bare() == *account;
    match (authorised, resource) {
        (true, None) => tell_all(sessions, account, last_seen, probe, &prober, step),
        (true, Some(resource)) => tell_one(sessions, resource, probe, &prober, step),
        (false, _) => tell_stranger(sessions, account, resource, probe, &prober, step),
    }
}

/// §4.3.2 rules 3 and 4: the last presence of each available session, or that there is none.
fn tell_all(
    sessions: &Sessions,
    account: &BareJid,
    last_seen: &LastSeen,
    probe: &Stanza,
    prober: &Jid,
    step: &mut Step<'_>,
) {
    let mut anybody = false;
    for presence in sessions.available().filter_map(|session| session.presence.as_ref()) {
        anybody = true;
        step.route(presence.clone().with_to(prober.clone()));
    }
    if !anybody {
        let mut answer = echo(probe, Type::Unavailable, account.clone().into(), prober);
        if let Some(at) = last_seen.at {
            answer =
                answer.with_child(&Element::new(ns::DELAY, "delay").with_attr("stamp", datetime::format(at)));
        }
        step.route(answer);
    }
}

/// §4.3.2: a probe of one device hears only whether that device is available.
fn tell_one(sessions: &Sessions, resource: &str, probe: &Stanza, prober: &Jid, step: &mut Step<'_>) {
    let Some(to) = &probe.to else { return };
    match sessions.available().find(|session| session.jid.resource() == resource) {
        Some(session) => step
            .route(Stanza::presence(Type::Available).with_from(session.jid.clone()).with_to(prober.clone())),
        None => step.route(echo(probe, Type::Unavailable, to.clone(), prober)),
    }
}

/// §4.6.6: one who was sent directed presence hears of that device; all others are told `unsubscribed`
/// (§4.3.2 rule 1), in the same way whether the account exists or not.
fn tell_stranger(
    sessions: &Sessions,
    account: &BareJid,
    resource: Option<&str>,
    probe: &Stanza,
    prober: &Jid,
    step: &mut Step<'_>,
) {
    let directed = resource.and_then(|resource| sessions.by_resource(resource)).filter(|session| {
        session.directed.contains(prober) || session.directed.contains(&Jid::from(prober.bare()))
    });
    match directed {
        Some(session) => step
            .route(Stanza::presence(Type::Available).with_from(session.jid.clone()).with_to(prober.clone())),
        None => step.route(refuse_probe(probe, account, prober)),
    }
}

/// The answer to a probe from one who may not know (RFC 6121 §4.3.2 rule 1).
pub fn refuse_probe(probe: &Stanza, account: &BareJid, prober: &Jid) -> Stanza {
    echo(probe, Type::Unsubscribed, account.clone().into(), &prober.bare().into())
}

/// An answer that mirrors the probe's id (RFC 6121 §4.3.2.1).
fn echo(probe: &Stanza, type_: Type, from: Jid, to: &Jid) -> Stanza {
    let answer = Stanza::presence(type_).with_from(from).with_to(to.clone());
    match &probe.id {
        Some(id) => answer.with_id(id.as_ref()),
        None => answer,
    }
}
