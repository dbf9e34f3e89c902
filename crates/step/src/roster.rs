//! The ledger of an account's contacts (RFC 6121 §2, §3): who they are, and who sees whose presence.

pub mod states;

use std::collections::BTreeMap;

use store::{RosterItem, Subscription, Write};
use xmpp::error::{Condition, StanzaError};
use xmpp::jid::{BareJid, Jid};
use xmpp::ns;
use xmpp::stanza::{Stanza, Type};
use xmpp::xml::Element;

use crate::sessions::Sessions;
use crate::step::Step;
use states::{Inbound, Outbound, State};

/// Bytes of a contact's name, and of a group's (RFC 6121 §2.3.3).
pub const NAME_BYTES_MAX: usize = 1023;
/// Groups of one contact.
pub const GROUPS_MAX: usize = 100;
/// The notes in which requests from others wait for their answer: no contact is made of them (RFC 6121 §3.1.3).
pub const REQUESTS: &str = "subscription-requests";

/// An account's contacts, and those who ask to become subscribers.
#[derive(Debug, Clone, Default)]
pub struct Roster {
    version: u64,
    items: BTreeMap<BareJid, RosterItem>,
    /// Requests that wait for an answer, as they came.
    requests: BTreeMap<BareJid, Vec<u8>>,
}

/// What a change of the roster leads to.
#[derive(Debug, Default)]
pub struct Change {
    /// For the log.
    pub writes: Vec<Write>,
    /// What interested sessions are told (RFC 6121 §2.1.6).
    pub push: Option<Element>,
    /// Whether the contact saw the account's presence before.
    pub saw_me: bool,
    /// Whether it sees it now.
    pub sees_me: bool,
}

impl Change {
    /// Writes the change and pushes it to interested sessions (RFC 6121 §2.1.6).
    pub fn carry_out(self, sessions: &Sessions, account: &BareJid, step: &mut Step<'_>) {
        step.write_all(self.writes);
        let Some(query) = self.push else { return };
        for session in sessions.interested() {
            let push = Stanza::iq(Type::Set, &step.new_id())
                .with_from(account.clone())
                .with_to(session.jid.clone())
                .with_child(&query);
            step.to_session(session.id, push);
        }
    }
}

/// What becomes of a subscription stanza that the account sends.
#[derive(Debug)]
pub struct Sent {
    /// Whether it goes to the contact.
    pub route: bool,
    /// What it changes.
    pub change: Change,
}

/// What becomes of a subscription stanza that comes for the account.
#[derive(Debug)]
pub struct Received {
    /// Whether the account's sessions are shown it.
    pub deliver: bool,
    /// What the contact is answered at once.
    pub reply: Option<Type>,
    /// What it changes.
    pub change: Change,
}

/// What remains to be done for a contact that was removed (RFC 6121 §2.5.2).
#[derive(Debug)]
pub struct Ending {
    /// The contact.
    pub contact: BareJid,
    /// The stanzas that it is sent, in order.
    pub tell: Vec<Type>,
    /// Whether it saw the account's presence.
    pub saw_me: bool,
}

/// A roster set that was carried out.
#[derive(Debug)]
pub enum Set {
    /// A contact was added or changed.
    Put(Change),
    /// A contact was removed.
    Removed(Change, Ending),
}

impl Roster {
    /// The roster as the store keeps it; `requests` are the notes of [`REQUESTS`].
    pub fn load(version: u64, items: Vec<RosterItem>, requests: Vec<(String, Vec<u8>)>) -> Self {
        Roster {
            version,
            items: items.into_iter().map(|item| (item.jid.clone(), item)).collect(),
            requests: requests
                .into_iter()
                .filter_map(|(jid, request)| Some((BareJid::new(&jid).ok()?, request)))
                .collect(),
        }
    }

    /// How many contacts there are.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Whether this address is a contact.
    pub fn has(&self, contact: &BareJid) -> bool {
        self.items.contains_key(contact)
    }

    /// Whether this address sees the account's presence.
    pub fn sees_me(&self, contact: &BareJid) -> bool {
        self.items.get(contact).is_some_and(|item| is_from(item.subscription))
    }

    /// Whether the account sees this address's presence.
    pub fn i_see(&self, contact: &BareJid) -> bool {
        self.items.get(contact).is_some_and(|item| is_to(item.subscription))
    }

    /// The groups that the account has put this address in.
    pub fn groups(&self, contact: &BareJid) -> &[String] {
        self.items.get(contact).map_or(&[], |item| &item.groups)
    }

    /// Those who see the account's presence.
    pub fn subscribers(&self) -> impl Iterator<Item = &BareJid> {
        self.items.values().filter(|item| is_from(item.subscription)).map(|item| &item.jid)
    }

    /// Those whose presence the account sees.
    pub fn subscriptions(&self) -> impl Iterator<Item = &BareJid> {
        self.items.values().filter(|item| is_to(item.subscription)).map(|item| &item.jid)
    }

    /// Requests that wait for an answer, as they came.
    pub fn pending_in(&self) -> impl Iterator<Item = Stanza> {
        self.requests.values().filter_map(|request| Stanza::read(request).ok())
    }

    /// How many requests wait.
    pub fn pending_count(&self) -> usize {
        self.requests.len()
    }

    /// Everybody with whom there is, or is to be, a subscription, and the stanzas that end it.
    pub fn endings(&self) -> Vec<(BareJid, Vec<Type>)> {
        let mut all: Vec<BareJid> = self.items.keys().cloned().collect();
        all.extend(self.requests.keys().filter(|jid| !self.items.contains_key(*jid)).cloned());
        all.into_iter()
            .map(|jid| (jid.clone(), self.ending(&jid)))
            .filter(|(_, tell)| !tell.is_empty())
            .collect()
    }

    /// Answers a roster get: the whole roster, or `None` when the client knows it already (RFC 6121 §2.6).
    pub fn result(&self, known: Option<&str>) -> Option<Element> {
        if known == Some(self.version.to_string().as_str()) {
            return None;
        }
        let query = Element::new(ns::ROSTER, "query").with_attr("ver", self.version.to_string());
        Some(query.with_children(self.items.values().map(element)))
    }

    /// Carries out a roster set of the account's owner (RFC 6121 §2.3 to §2.5).
    ///
    /// # Errors
    /// Those of §2.3.3 and §2.5.3, and `resource-constraint` beyond `items_max` contacts.
    pub fn set(&mut self, owner: &BareJid, query: &Element, items_max: usize) -> Result<Set, StanzaError> {
        let mut children = query.children();
        let (Some(item), None) = (children.next(), children.next()) else {
            return Err(Condition::BadRequest.into());
        };
        if !item.is(ns::ROSTER, "item") {
            return Err(Condition::BadRequest.into());
        }
        let jid = item.attr("jid").ok_or(Condition::BadRequest)?;
        let jid = Jid::new(jid).map_err(|_| Condition::JidMalformed)?.bare();
        if jid == *owner {
            return Err(Condition::NotAllowed.into());
        }
        if item.attr("subscription") == Some("remove") {
            let (change, ending) = self.remove(owner, &jid).ok_or(Condition::ItemNotFound)?;
            return Ok(Set::Removed(change, ending));
        }
        let name = item.attr("name").map(str::to_owned).filter(|name| !name.is_empty());
        if name.as_ref().is_some_and(|name| name.len() > NAME_BYTES_MAX) {
            return Err(Condition::NotAcceptable.into());
        }
        let groups = groups(item)?;
        if !self.items.contains_key(&jid) && self.items.len() >= items_max {
            return Err(Condition::ResourceConstraint.into());
        }
        let kept = self.items.entry(jid.clone()).or_insert_with(|| RosterItem::new(jid.clone()));
        kept.name = name;
        kept.groups = groups;
        Ok(Set::Put(self.put(owner, &jid)))
    }

    fn remove(&mut self, owner: &BareJid, jid: &BareJid) -> Option<(Change, Ending)> {
        let saw_me = self.sees_me(jid);
        let tell = self.ending(jid);
        self.items.remove(jid)?;
        self.version += 1;
        let version = self.version;
        let mut writes = vec![Write::RosterRemove { owner: owner.clone(), version, jid: jid.clone() }];
        writes.extend(self.forget_request(owner, jid));
        let gone = Element::new(ns::ROSTER, "item")
            .with_attr("jid", jid.as_str())
            .with_attr("subscription", "remove");
        let push = Some(self.push(gone));
        let ending = Ending { contact: jid.clone(), tell, saw_me };
        Some((Change { writes, push, saw_me, sees_me: false }, ending))
    }

    /// What a contact must be sent so that nothing of a subscription is left (RFC 6121 §2.5.2).
    fn ending(&self, jid: &BareJid) -> Vec<Type> {
        let state = self.state(jid);
        let mut tell = Vec::new();
        if is_to(state.subscription()) || state.is_pending_out() {
            tell.push(Type::Unsubscribe);
        }
        if is_from(state.subscription()) || state.is_pending_in() {
            tell.push(Type::Unsubscribed);
        }
        tell
    }

    /// The account sends a subscription stanza (RFC 6121 §A.2, §3.4).
    ///
    /// # Errors
    /// `resource-constraint` beyond `items_max` contacts.
    pub fn send(
        &mut self,
        owner: &BareJid,
        contact: &BareJid,
        type_: Type,
        items_max: usize,
    ) -> Result<Sent, StanzaError> {
        let state = self.state(contact);
        let makes_item = matches!(type_, Type::Subscribe | Type::Subscribed);
        if makes_item && !self.items.contains_key(contact) && self.items.len() >= items_max {
            return Err(Condition::ResourceConstraint.into());
        }
        Ok(match states::outbound(type_, state) {
            Outbound::Route(new) => {
                Sent { route: true, change: self.become_(owner, contact, state, new, None) }
            }
            Outbound::Approve => Sent { route: false, change: self.approve(owner, contact, true) },
            Outbound::Stop if type_ == Type::Unsubscribed => {
                Sent { route: false, change: self.approve(owner, contact, false) }
            }
            Outbound::Stop => Sent { route: false, change: self.unchanged(contact) },
        })
    }

    /// A subscription stanza comes from a contact (RFC 6121 §A.3).
    pub fn receive(&mut self, owner: &BareJid, contact: &BareJid, stanza: &Stanza) -> Received {
        let state = self.state(contact);
        let approved = self.items.get(contact).is_some_and(|item| item.approved);
        if stanza.type_ == Type::Subscribe && approved && !is_from(state.subscription()) {
            return self.receive_approved(owner, contact, state);
        }
        match states::inbound(stanza.type_, state) {
            Inbound::Deliver(new) => {
                let request = (stanza.type_ == Type::Subscribe).then_some(stanza);
                let change = self.become_(owner, contact, state, new, request);
                let reply = (stanza.type_ == Type::Unsubscribe).then_some(Type::Unsubscribed);
                Received { deliver: true, reply, change }
            }
            Inbound::Ignore => Received { deliver: false, reply: None, change: self.unchanged(contact) },
            Inbound::Remind => {
                Received { deliver: false, reply: Some(Type::Subscribed), change: self.unchanged(contact) }
            }
        }
    }

    /// A request that was approved in advance (RFC 6121 §3.4.2): answered at once, never shown.
    fn receive_approved(&mut self, owner: &BareJid, contact: &BareJid, state: State) -> Received {
        let subscription = if is_to(state.subscription()) { Subscription::Both } else { Subscription::From };
        let new = State::of(subscription, state.is_pending_out(), false);
        let change = self.become_(owner, contact, state, new, None);
        Received { deliver: false, reply: Some(Type::Subscribed), change }
    }

    fn state(&self, contact: &BareJid) -> State {
        let asked = self.requests.contains_key(contact);
        match self.items.get(contact) {
            Some(item) => State::of(item.subscription, item.ask, asked),
            None => State::of(Subscription::None, false, asked),
        }
    }

    /// Moves a contact from one state to another. A contact that is only asking becomes no item (RFC 6121 §3.1.3).
    fn become_(
        &mut self,
        owner: &BareJid,
        contact: &BareJid,
        old: State,
        new: State,
        request: Option<&Stanza>,
    ) -> Change {
        let saw_me = self.sees_me(contact);
        let mut change = Change { saw_me, sees_me: is_from(new.subscription()), ..Change::default() };
        if new.is_pending_in() && !old.is_pending_in() {
            let xml = request.map(|request| request.to_xml().into_bytes()).unwrap_or_default();
            self.requests.insert(contact.clone(), xml.clone());
            change.writes.push(note(owner, contact, Some(xml)));
        } else if old.is_pending_in() && !new.is_pending_in() {
            change.writes.extend(self.forget_request(owner, contact));
        }
        let same = old.subscription() == new.subscription() && old.is_pending_out() == new.is_pending_out();
        if same {
            return change;
        }
        let item = self.items.entry(contact.clone()).or_insert_with(|| RosterItem::new(contact.clone()));
        item.subscription = new.subscription();
        item.ask = new.is_pending_out();
        let put = self.put(owner, contact);
        change.writes.extend(put.writes);
        change.push = put.push;
        change
    }

    /// Notes, or takes back, an approval in advance (RFC 6121 §3.4.2, §3.2.2 rule 2).
    fn approve(&mut self, owner: &BareJid, contact: &BareJid, approved: bool) -> Change {
        let known = self.items.get(contact).is_some_and(|item| item.approved);
        if known == approved {
            return self.unchanged(contact);
        }
        let item = self.items.entry(contact.clone()).or_insert_with(|| RosterItem::new(contact.clone()));
        item.approved = approved;
        self.put(owner, contact)
    }

    fn unchanged(&self, contact: &BareJid) -> Change {
        let sees_me = self.sees_me(contact);
        Change { saw_me: sees_me, sees_me, ..Change::default() }
    }

    /// An item is as it is now: written and pushed under the next version.
    fn put(&mut self, owner: &BareJid, contact: &BareJid) -> Change {
        let mut change = self.unchanged(contact);
        let Some(item) = self.items.get(contact).cloned() else { return change };
        self.version += 1;
        change.push = Some(self.push(element(&item)));
        change.writes.push(Write::RosterPut { owner: owner.clone(), version: self.version, item });
        change
    }

    fn push(&self, item: Element) -> Element {
        Element::new(ns::ROSTER, "query").with_attr("ver", self.version.to_string()).with_child(item)
    }

    fn forget_request(&mut self, owner: &BareJid, contact: &BareJid) -> Option<Write> {
        self.requests.remove(contact).map(|_| note(owner, contact, None))
    }
}

fn note(owner: &BareJid, contact: &BareJid, value: Option<Vec<u8>>) -> Write {
    Write::Note { owner: owner.clone(), topic: REQUESTS, key: contact.as_str().to_owned(), value }
}

fn is_from(subscription: Subscription) -> bool {
    matches!(subscription, Subscription::From | Subscription::Both)
}

fn is_to(subscription: Subscription) -> bool {
    matches!(subscription, Subscription::To | Subscription::Both)
}

/// RFC 6121 §2.3.3: no empty group, none too long, none twice.
fn groups(item: &Element) -> Result<Vec<String>, StanzaError> {
    let mut groups: Vec<String> = Vec::new();
    for group in item.children().filter(|child| child.is(ns::ROSTER, "group")) {
        let name = group.text();
        if name.is_empty() || name.len() > NAME_BYTES_MAX {
            return Err(Condition::NotAcceptable.into());
        }
        if groups.contains(&name) {
            return Err(Condition::BadRequest.into());
        }
        groups.push(name);
    }
    if groups.len() > GROUPS_MAX {
        return Err(Condition::NotAcceptable.into());
    }
    Ok(groups)
}

/// An item as clients see it (RFC 6121 §2.1.2).
fn element(item: &RosterItem) -> Element {
    Element::new(ns::ROSTER, "item")
        .with_attr_opt("approved", item.approved.then_some("true"))
        .with_attr_opt("ask", item.ask.then_some("subscribe"))
        .with_attr("jid", item.jid.as_str())
        .with_attr_opt("name", item.name.as_deref())
        .with_attr("subscription", item.subscription.as_str())
        .with_children(item.groups.iter().map(|group| Element::new(ns::ROSTER, "group").with_text(group)))
}
