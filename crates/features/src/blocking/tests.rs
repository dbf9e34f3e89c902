//! Lists, orders and stanzas in; stops, writes and presence out.

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
    let (reply, left) = stepped(|step| answer_own(list, sessions, &roster, &alice, asker, iq, step));
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
    let to = |to: &str| Stanza::message(Type::Chat).with_from(jid("alice@one.test/phone")).with_to(jid(to));
    let Err(Stop::Bounce(error)) = may_send(&list, &to("bob@two.test")) else { panic!() };
    assert_eq!(error.condition, Condition::NotAcceptable);
    assert!(error.app.is_some_and(|app| app.is(ns::BLOCKING_ERRORS, "blocked")));
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
    assert!(pushes[0].1.has(ns::BLOCKING, "block"));
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
        ("<block xmlns='urn:xmpp:blocking'><item jid='a@two.test'/><item jid='@'/></block>", "jid-malformed"),
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
    let (answer, left) = order(&mut list, &mut devices, &set("<unblock xmlns='urn:xmpp:blocking'/>"));
    assert_eq!(answer, "result");
    assert_eq!(notes(&left).len(), 2);
    assert!(list.is_empty());
    let pushes = to_sessions(&left);
    assert_eq!(pushes[0].1.element(ns::BLOCKING, "unblock").map(|u| u.children().count()), Some(0));
}
