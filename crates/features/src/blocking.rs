//! Blocking (XEP-0191): a user refuses to hear from, or be heard by, an address.

use std::collections::BTreeSet;

use step::{Card, Reply, Roster, SessionId, Sessions, Step, Stop};
use store::Write;
use xmpp::error::{Condition, StanzaError};
use xmpp::jid::{BareJid, Jid};
use xmpp::stanza::{Kind, Stanza, Type};
use xmpp::xml::Element;

/// The namespace.
pub const NS: &str = "urn:xmpp:blocking";

/// The namespace of the error that the user hears who writes to a blocked address (XEP-0191 §3.3).
const ERRORS: &str = "urn:xmpp:blocking:errors";

/// The topic of the notes that keep a blocklist: one for each address, its key, with an empty value.
pub const TOPIC: &str = "blocklist";

/// What this file speaks of itself.
pub const CARD: Card = Card {
    xep: 191,
    version: "1.3",
    title: "Blocking Command",
    host: &[NS],
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
    entry.as_str() == jid.as_str()
        || entry.as_str() == bare_text(jid)
        || entry.as_str() == jid.domain()
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
        .with_app(Element::new(ERRORS, "blocked"))
        .into())
}

/// Lets a stanza arrive at the account unless it comes from a blocked address, which then hears what it would hear
/// if nobody were there (XEP-0191 §3.3).
///
/// # Errors
/// `service-unavailable` for messages and questions; a silent drop for presence of every kind, for answers, for
/// errors, and for what a room sends: an error would make the room throw the user out.
pub fn may_receive(list: &Blocklist, stanza: &Stanza) -> Result<(), Stop> {
    let Some(from) = &stanza.from else { return Ok(()) };
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
    if iq.type_ == Type::Get && iq.has(NS, "blocklist") {
        // §3.4: from now on this session hears of changes.
        if let Some(session) = sessions.find_mut(asker) {
            session.watches_blocklist = true;
        }
        let items = list.entries.iter().map(|entry| item(entry));
        return Ok(Reply::Result(Element::new(NS, "blocklist").with_children(items)));
    }
    if iq.type_ != Type::Set {
        return Err(Condition::BadRequest.into());
    }
    if let Some(order) = iq.element(NS, "block") {
        let addresses = addresses(&order)?;
        block(list, sessions, roster, account, &addresses, step)?;
        push(sessions, "block", &addresses, step);
    } else if let Some(order) = iq.element(NS, "unblock") {
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
    let items = order.children().filter(|child| child.is(NS, "item"));
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
        let Some(session) = sessions.find_mut(id) else { continue };
        let was_directed = session.directed.remove(hearer);
        if was_directed || (subscribed && session.is_available()) {
            let gone = Stanza::presence(Type::Unavailable).with_from(session.jid.clone());
            step.route(gone.with_to(hearer.clone()));
        }
    }
}

/// Tells the sessions that asked for the list what has changed (XEP-0191 §3.3 to §3.5).
fn push(sessions: &Sessions, order: &str, addresses: &[Jid], step: &mut Step<'_>) {
    let change =
        Element::new(NS, order).with_children(addresses.iter().map(|jid| item(jid.as_str())));
    for session in sessions.iter().filter(|session| session.watches_blocklist) {
        let push =
            Stanza::iq(Type::Set, &step.new_id()).with_to(session.jid.clone()).with_child(&change);
        step.to_session(session.id, push);
    }
}

fn item(address: &str) -> Element {
    Element::new(NS, "item").with_attr("jid", address)
}

fn note(account: &BareJid, address: &str, value: Option<Vec<u8>>) -> Write {
    Write::Note { owner: account.clone(), topic: TOPIC, key: address.to_owned(), value }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::{bare, friends, iq, jid, routed, sessions, shown, stepped, to_sessions};
    use step::Yield;

    fn list(entries: &[&str]) -> Blocklist {
        Blocklist::load(entries.iter().map(|entry| ((*entry).to_owned(), Vec::new())))
    }

    fn order(list: &mut Blocklist, sessions: &mut Sessions, iq: &Stanza) -> (String, Yield) {
        let roster = friends(&["bob@two.test", "carol@two.test", "dave@three.test"]);
        let alice = bare("alice@one.test");
        let asker = SessionId(0);
        let (reply, left) =
            stepped(|step| answer_own(list, sessions, &roster, &alice, asker, iq, step));
        (shown(reply), left)
    }

    fn set(inner: &str) -> Stanza {
        iq(Type::Set, inner)
    }

    fn notes(left: &Yield) -> Vec<(String, bool)> {
        let one = |write: &Write| match write {
            Write::Note { topic: TOPIC, key, value, .. } => (key.clone(), value.is_some()),
            other => panic!("{other:?}"),
        };
        left.writes.iter().map(one).collect()
    }

    #[test]
    fn entries_match_as_the_xep_says() {
        for (entry, matched, other) in [
            ("bob@two.test/x", vec!["bob@two.test/x"], vec!["bob@two.test", "bob@two.test/y"]),
            ("bob@two.test", vec!["bob@two.test", "bob@two.test/y"], vec!["two.test", "eve@two.test"]),
            ("two.test/x", vec!["two.test/x"], vec!["two.test", "bob@two.test/x"]),
            ("two.test", vec!["two.test", "two.test/x", "bob@two.test/y"], vec!["a.two.test"]),
        ] {
            let list = list(&[entry]);
            for text in matched {
                assert!(list.blocks(&jid(text)), "{entry} {text}");
                assert!(matches(&jid(entry), &jid(text)), "{entry} {text}");
            }
            for text in other {
                assert!(!list.blocks(&jid(text)), "{entry} {text}");
                assert!(!matches(&jid(entry), &jid(text)), "{entry} {text}");
            }
        }
    }

    #[test]
    fn what_goes_to_a_blocked_address_is_not_acceptable() {
        let list = list(&["two.test", "one.test"]);
        let to = |to: &str| {
            Stanza::message(Type::Chat).with_from(jid("alice@one.test/phone")).with_to(jid(to))
        };
        let Err(Stop::Bounce(error)) = may_send(&list, &to("bob@two.test")) else { panic!() };
        assert_eq!(error.condition, Condition::NotAcceptable);
        assert!(error.app.is_some_and(|app| app.is(ERRORS, "blocked")));
        assert!(may_send(&list, &to("bob@three.test")).is_ok());
        assert!(may_send(&list, &to("alice@one.test/laptop")).is_ok());
        assert!(may_send(&list, &Stanza::presence(Type::Available)).is_ok());
    }

    #[test]
    fn what_comes_from_a_blocked_address_meets_silence_or_service_unavailable() {
        let list = list(&["bob@two.test"]);
        let from_bob = |stanza: Stanza| {
            let stanza = stanza.with_from(jid("bob@two.test/x")).with_to(jid("alice@one.test"));
            shown(may_receive(&list, &stanza).map(|()| Reply::Done))
        };
        for (type_, expected) in [
            (Type::Normal, "service-unavailable"),
            (Type::Chat, "service-unavailable"),
            (Type::Headline, "service-unavailable"),
            (Type::Groupchat, "drop"),
            (Type::Error, "drop"),
        ] {
            assert_eq!(from_bob(Stanza::message(type_)), expected, "{type_:?}");
        }
        for type_ in [Type::Available, Type::Unavailable, Type::Subscribe, Type::Probe, Type::Error] {
            assert_eq!(from_bob(Stanza::presence(type_)), "drop", "{type_:?}");
        }
        for (type_, expected) in [
            (Type::Get, "service-unavailable"),
            (Type::Set, "service-unavailable"),
            (Type::Result, "drop"),
            (Type::Error, "drop"),
        ] {
            assert_eq!(from_bob(Stanza::iq(type_, "1")), expected, "{type_:?}");
        }
        let carol = Stanza::message(Type::Chat).with_from(jid("carol@two.test/x"));
        assert!(may_receive(&list, &carol).is_ok());
    }

    #[test]
    fn the_list_is_told_and_watched() {
        let mut list = list(&["bob@two.test"]);
        let mut devices = sessions(&["alice@one.test/phone"]);
        let get = iq(Type::Get, "<blocklist xmlns='urn:xmpp:blocking'/>");
        let (answer, left) = order(&mut list, &mut devices, &get);
        assert!(answer.contains("bob@two.test"), "{answer}");
        assert!(left.writes.is_empty());
        assert!(devices.find(SessionId(0)).is_some_and(|session| session.watches_blocklist));
    }

    #[test]
    fn blocking_writes_pushes_and_says_goodbye() {
        let mut list = Blocklist::default();
        let mut devices = sessions(&["alice@one.test/phone", "alice@one.test/laptop"]);
        let laptop = devices.find_mut(SessionId(1)).expect("a laptop");
        laptop.watches_blocklist = true;
        laptop.directed.insert(jid("room@three.test/alice"));
        let (answer, left) = order(
            &mut list,
            &mut devices,
            &set("<block xmlns='urn:xmpp:blocking'><item jid='Bob@two.test'/>\
                  <item jid='room@three.test'/></block>"),
        );
        assert_eq!(answer, "result");
        assert_eq!(notes(&left), [("bob@two.test".into(), true), ("room@three.test".into(), true)]);
        let heard: Vec<_> = routed(&left)
            .iter()
            .map(|stanza| {
                assert_eq!(stanza.type_, Type::Unavailable);
                let text = |jid: &Option<Jid>| jid.as_ref().map(Jid::to_string).unwrap_or_default();
                format!("{} {}", text(&stanza.from), text(&stanza.to))
            })
            .collect();
        assert_eq!(
            heard,
            [
                "alice@one.test/phone bob@two.test",
                "alice@one.test/laptop bob@two.test",
                "alice@one.test/laptop room@three.test/alice",
            ]
        );
        let pushes = to_sessions(&left);
        assert_eq!(pushes.len(), 1);
        assert_eq!(pushes[0].0, SessionId(1));
        assert!(pushes[0].1.has(NS, "block"));
        assert!(devices.find(SessionId(1)).is_some_and(|session| session.directed.is_empty()));
        assert!(list.blocks(&jid("bob@two.test/any")));
    }

    #[test]
    fn blocking_again_changes_nothing() {
        let mut list = list(&["bob@two.test"]);
        let mut devices = sessions(&["alice@one.test/phone"]);
        let (answer, left) = order(
            &mut list,
            &mut devices,
            &set("<block xmlns='urn:xmpp:blocking'><item jid='bob@two.test'/></block>"),
        );
        assert_eq!((answer.as_str(), left.writes.len(), left.acts.len()), ("result", 0, 0));
    }

    #[test]
    fn bad_orders_change_nothing() {
        for (inner, expected) in [
            ("<block xmlns='urn:xmpp:blocking'/>", "bad-request"),
            ("<block xmlns='urn:xmpp:blocking'><item/></block>", "bad-request"),
            (
                "<block xmlns='urn:xmpp:blocking'><item jid='a@two.test'/><item jid='@'/></block>",
                "jid-malformed",
            ),
            ("<block xmlns='urn:xmpp:blocking'><item jid='alice@one.test'/></block>", "not-allowed"),
            ("<blocklist xmlns='urn:xmpp:blocking'/>", "bad-request"),
        ] {
            let mut list = Blocklist::default();
            let mut devices = sessions(&["alice@one.test/phone"]);
            let (answer, left) = order(&mut list, &mut devices, &set(inner));
            assert_eq!(answer, expected, "{inner}");
            assert!(left.writes.is_empty() && left.acts.is_empty() && list.is_empty());
        }
        assert_eq!(shown(answer_other()), "service-unavailable");
    }

    #[test]
    fn the_list_has_a_limit() {
        let many: Vec<String> = (0..3_000).map(|n| format!("<item jid='n{n}@two.test'/>")).collect();
        let inner = format!("<block xmlns='urn:xmpp:blocking'>{}</block>", many.concat());
        let mut list = Blocklist::default();
        let mut devices = sessions(&["alice@one.test/phone"]);
        let (answer, left) = order(&mut list, &mut devices, &set(&inner));
        assert_eq!(answer, "policy-violation");
        assert!(left.writes.is_empty() && list.is_empty());
    }

    #[test]
    fn unblocking_shows_the_account_again_unless_another_entry_matches() {
        let mut list = list(&["bob@two.test", "carol@two.test", "three.test", "dave@three.test"]);
        let mut devices = sessions(&["alice@one.test/phone"]);
        let (answer, left) = order(
            &mut list,
            &mut devices,
            &set("<unblock xmlns='urn:xmpp:blocking'><item jid='bob@two.test'/>\
                  <item jid='dave@three.test'/></unblock>"),
        );
        assert_eq!(answer, "result");
        assert_eq!(notes(&left), [("bob@two.test".into(), false), ("dave@three.test".into(), false)]);
        let to: Vec<_> = routed(&left).iter().map(|stanza| (stanza.type_, stanza.to.clone())).collect();
        assert!(to.iter().all(|(_, to)| *to == Some(jid("bob@two.test"))), "{to:?}");
        assert!(to.contains(&(Type::Available, Some(jid("bob@two.test")))));
        assert_eq!(list.len(), 2);
    }

    #[test]
    fn unblocking_nobody_in_particular_unblocks_all() {
        let mut list = list(&["bob@two.test", "carol@two.test"]);
        let mut devices = sessions(&["alice@one.test/phone"]);
        devices.find_mut(SessionId(0)).expect("a phone").watches_blocklist = true;
        let (answer, left) =
            order(&mut list, &mut devices, &set("<unblock xmlns='urn:xmpp:blocking'/>"));
        assert_eq!(answer, "result");
        assert_eq!(notes(&left).len(), 2);
        assert!(list.is_empty());
        let pushes = to_sessions(&left);
        assert_eq!(pushes[0].1.element(NS, "unblock").map(|u| u.children().count()), Some(0));
    }
}
