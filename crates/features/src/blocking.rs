//! Blocking (XEP-0191): a user refuses to hear from, or be heard by, an address.

use std::collections::BTreeSet;

use step::{Card, Reply, Roster, SessionId, Sessions, Step, Stop};
use store::Write;
use xmpp::error::{Condition, StanzaError};
use xmpp::jid::{BareJid, Jid};
use xmpp::ns;
use xmpp::stanza::{Kind, Stanza, Type};
use xmpp::xml::Element;

/// The topic of the notes that keep a blocklist: one for each address, its key, with an empty value.
pub const TOPIC: &str = "blocklist";

/// What this file speaks of itself.
pub const CARD: Card = Card {
    xep: 191,
    version: "1.3",
    title: "Blocking Command",
    host: &[ns::BLOCKING],
    note: "Polite: subscriptions stay as they are (XEP-0191 §4).",
    ..Card::PLAIN
};

/// The addresses that an account blocks.
#[derive(Debug, Clone, Default)]
pub struct Blocklist {
    /// Prepared addresses, of users, devices or domains.
    entries: BTreeSet<String>,
}

impl Blocklist {
    /// Reads the list from the notes of topic [`TOPIC`]: keys are addresses.
    pub fn load(rows: impl IntoIterator<Item = (String, Vec<u8>)>) -> Self {
        Blocklist { entries: rows.into_iter().map(|(address, _)| address).collect() }
    }

    /// Whether this address is blocked, itself or by its account or its domain (XEP-0191 §6).
    pub fn blocks(&self, jid: &Jid) -> bool {
        !self.entries.is_empty()
            && (self.entries.contains(jid.as_str())
                || self.entries.contains(bare_text(jid))
                || self.entries.contains(jid.domain()))
    }

    /// Whether nothing is blocked.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// How many addresses are blocked.
    pub fn len(&self) -> usize {
        self.entries.len()
    }
}

/// The address without its resource, as a slice of it.
fn bare_text(jid: &Jid) -> &str {
    let text = jid.as_str();
    let resource = jid.resource().map_or(0, |resource| resource.len() + 1);
    &text[..text.len() - resource]
}

/// Whether an entry of a list matches an address (XEP-0191 §6).
fn matches(entry: &Jid, jid: &Jid) -> bool {
    entry.as_str() == jid.as_str() || entry.as_str() == bare_text(jid) || entry.as_str() == jid.domain()
}

/// Lets a stanza leave the account unless it goes to a blocked address. The account itself is never blocked
/// (XEP-0191 §5).
///
/// # Errors
/// `not-acceptable` with `<blocked/>`.
pub fn may_send(list: &Blocklist, stanza: &Stanza) -> Result<(), Stop> {
    let Some(to) = &stanza.to else { return Ok(()) };
    if !list.blocks(to) || is_to_self(stanza) {
        return Ok(());
    }
    Err(StanzaError::new(Condition::NotAcceptable)
        .with_type(xmpp::error::ErrorType::Cancel)
        .with_app(Element::new(ns::BLOCKING_ERRORS, "blocked"))
        .into())
}

/// Lets a stanza arrive at the account unless it comes from a blocked address, which then hears what it would hear
/// if nobody were there (XEP-0191 §3.3).
///
/// # Errors
/// `service-unavailable` for messages and questions; a silent drop for presence of every kind, for answers, for
/// errors, and for what a room sends: an error would make the room throw the user out.
pub fn may_receive(list: &Blocklist, stanza: &Stanza) -> Result<(), Stop> {
    let Some(from) = &stanza.from else {
        return Ok(());
    };
    if !list.blocks(from) || is_to_self(stanza) {
        return Ok(());
    }
    match (stanza.kind, stanza.type_) {
        (Kind::Message, Type::Error | Type::Groupchat) | (Kind::Presence, _) => {
            Err(Stop::Drop("from a blocked address (XEP-0191 §3.3)"))
        }
        (Kind::Iq, Type::Result | Type::Error) => {
            Err(Stop::Drop("an answer from a blocked address (XEP-0191 §3.3)"))
        }
        (Kind::Message | Kind::Iq, _) => Err(Condition::ServiceUnavailable.into()),
    }
}

fn is_to_self(stanza: &Stanza) -> bool {
    match (&stanza.from, &stanza.to) {
        (Some(from), Some(to)) => bare_text(from) == bare_text(to),
        _ => false,
    }
}

/// Answers what one of the account's own sessions asks or orders about its blocklist.
///
/// # Errors
/// `bad-request`, `jid-malformed`, `not-allowed` for one's own address, `policy-violation` when the list would grow
/// beyond its limit. After an error nothing has changed.
pub fn answer_own(
    list: &mut Blocklist,
    sessions: &mut Sessions,
    roster: &Roster,
    account: &BareJid,
    asker: SessionId,
    iq: &Stanza,
    step: &mut Step<'_>,
) -> Result<Reply, Stop> {
    if iq.type_ == Type::Get && iq.has(ns::BLOCKING, "blocklist") {
        // §3.4: from now on this session hears of changes.
        if let Some(session) = sessions.find_mut(asker) {
            session.watches_blocklist = true;
        }
        let items = list.entries.iter().map(|entry| item(entry));
        return Ok(Reply::Result(Element::new(ns::BLOCKING, "blocklist").with_children(items)));
    }
    if iq.type_ != Type::Set {
        return Err(Condition::BadRequest.into());
    }
    if let Some(order) = iq.element(ns::BLOCKING, "block") {
        let addresses = addresses(&order)?;
        block(list, sessions, roster, account, &addresses, step)?;
        push(sessions, "block", &addresses, step);
    } else if let Some(order) = iq.element(ns::BLOCKING, "unblock") {
        let addresses = addresses(&order)?;
        unblock(list, sessions, roster, account, &addresses, step);
        push(sessions, "unblock", &addresses, step);
    } else {
        return Err(Condition::BadRequest.into());
    }
    Ok(Reply::Done)
}

/// Answers anybody else, who has no business with the account's blocklist.
///
/// # Errors
/// Always `service-unavailable`, as for an account that does not exist.
pub fn answer_other() -> Result<Reply, Stop> {
    Err(Condition::ServiceUnavailable.into())
}

/// The addresses in an order, in the order in which they were written.
fn addresses(order: &Element) -> Result<Vec<Jid>, Stop> {
    let items = order.children().filter(|child| child.is(ns::BLOCKING, "item"));
    items
        .map(|item| {
            let text = item.attr("jid").ok_or(Condition::BadRequest)?;
            Jid::new(text).map_err(|_| Condition::JidMalformed.into())
        })
        .collect()
}

fn block(
    list: &mut Blocklist,
    sessions: &mut Sessions,
    roster: &Roster,
    account: &BareJid,
    addresses: &[Jid],
    step: &mut Step<'_>,
) -> Result<(), Stop> {
    if addresses.is_empty() {
        return Err(Condition::BadRequest.into()); // §3.3
    }
    if addresses.iter().any(|address| bare_text(address) == account.as_str()) {
        return Err(Condition::NotAllowed.into());
    }
    let fresh: BTreeSet<&Jid> =
        addresses.iter().filter(|address| !list.entries.contains(address.as_str())).collect();
    if list.len() + fresh.len() > step.domain.limits.blocklist_items {
        return Err(Condition::PolicyViolation.into());
    }
    for hearer in hearers(sessions, roster, &fresh).into_iter().filter(|jid| !list.blocks(jid)) {
        say_goodbye(sessions, roster, &hearer, step);
    }
    for address in fresh {
        list.entries.insert(address.as_str().to_owned());
        step.write(note(account, address.as_str(), Some(Vec::new())));
    }
    Ok(())
}

/// Takes addresses from the list; all if none are named (XEP-0191 §3.5).
fn unblock(
    list: &mut Blocklist,
    sessions: &Sessions,
    roster: &Roster,
    account: &BareJid,
    addresses: &[Jid],
    step: &mut Step<'_>,
) {
    let gone: Vec<Jid> = if addresses.is_empty() {
        list.entries.iter().filter_map(|entry| Jid::new(entry).ok()).collect()
    } else {
        addresses.iter().filter(|address| list.entries.contains(address.as_str())).cloned().collect()
    };
    for entry in &gone {
        list.entries.remove(entry.as_str());
        step.write(note(account, entry.as_str(), None));
    }
    let gone: BTreeSet<&Jid> = gone.iter().collect();
    // §3.4: who may see us sees us again, and we them.
    for hearer in subscribers(roster, &gone).into_iter().filter(|jid| !list.blocks(jid)) {
        for session in sessions.available() {
            if let Some(presence) = &session.presence {
                let presence = presence.clone().with_from(session.jid.clone());
                step.route(presence.with_to(hearer.clone()));
            }
        }
    }
    if sessions.available().next().is_some() {
        for contact in roster.subscriptions().map(|contact| Jid::from(contact.clone())) {
            if gone.iter().any(|entry| matches(entry, &contact)) && !list.blocks(&contact) {
                step.route(
                    Stanza::presence(Type::Probe)
                        .with_from(account.clone())
                        .with_to(contact)
                        .with_id(step.new_id()),
                );
            }
        }
    }
}

/// Who may see the account's presence and is matched by one of these entries: subscribers, and devices of
/// subscribers that an entry names.
fn subscribers(roster: &Roster, entries: &BTreeSet<&Jid>) -> BTreeSet<Jid> {
    let whole = roster
        .subscribers()
        .map(|subscriber| Jid::from(subscriber.clone()))
        .filter(|subscriber| entries.iter().any(|entry| matches(entry, subscriber)));
    let devices = entries
        .iter()
        .filter(|entry| entry.resource().is_some() && roster.sees_me(&entry.bare()))
        .map(|entry| (*entry).clone());
    whole.chain(devices).collect()
}

/// As [`subscribers`], and those who were sent directed presence.
fn hearers(sessions: &Sessions, roster: &Roster, entries: &BTreeSet<&Jid>) -> BTreeSet<Jid> {
    let directed = sessions
        .iter()
        .flat_map(|session| &session.directed)
        .filter(|to| entries.iter().any(|entry| matches(entry, to)))
        .cloned();
    directed.chain(subscribers(roster, entries)).collect()
}

/// Tells one who is about to be blocked that each device it can see has gone (XEP-0191 §3.3).
fn say_goodbye(sessions: &mut Sessions, roster: &Roster, hearer: &Jid, step: &mut Step<'_>) {
    let subscribed = roster.sees_me(&hearer.bare());
    for id in sessions.iter().map(|session| session.id).collect::<Vec<_>>() {
        let Some(session) = sessions.find_mut(id) else {
            continue;
        };
        let was_directed = session.directed.remove(hearer);
        if was_directed || (subscribed && session.is_available()) {
            let gone = Stanza::presence(Type::Unavailable).with_from(session.jid.clone());
            step.route_registered(gone.with_to(hearer.clone()));
        }
    }
}

/// Tells the sessions that asked for the list what has changed (XEP-0191 §3.3 to §3.5).
fn push(sessions: &Sessions, order: &'static str, addresses: &[Jid], step: &mut Step<'_>) {
    let change =
        Element::new(ns::BLOCKING, order).with_children(addresses.iter().map(|jid| item(jid.as_str())));
    for session in sessions.iter().filter(|session| session.watches_blocklist) {
        let push = Stanza::iq(Type::Set, &step.new_id()).with_to(session.jid.clone()).with_child(&change);
        step.to_session(session.id, push);
    }
}

fn item(address: &str) -> Element {
    Element::new(ns::BLOCKING, "item").with_attr("jid", address)
}

fn note(account: &BareJid, address: &str, value: Option<Vec<u8>>) -> Write {
    Write::Note { owner: account.clone(), topic: TOPIC, key: address.to_owned(), value }
}

#[cfg(test)]
mod tests;
