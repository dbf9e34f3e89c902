//! What is enabled is kept, and no more is told than may be.

use std::time::Duration;

use step::{Act, Return, SessionId, Sessions, Yield};

use super::*;
use crate::check::{bare, element, iq, jid, reads, routed, sessions, shown, stepped_at};
use notify::CREDIT_MAX;

const ENABLE: &str = "<enable xmlns='urn:xmpp:push:0' jid='push.test' node='n'/>";

fn devices() -> Sessions {
    sessions(&["alice@one.test/phone"])
}

/// Answers one request of the phone.
fn ask(enabled: &mut Enabled, payload: &str) -> (String, Yield) {
    let all = devices();
    let phone = all.find(SessionId(0)).unwrap();
    let (reply, left) = stepped_at(Duration::ZERO, |step| {
        answer_own(enabled, &bare("alice@one.test"), phone, &iq(Type::Set, payload), step)
    });
    (shown(reply), left)
}

fn enabled() -> Enabled {
    let mut enabled = Enabled::default();
    assert_eq!(ask(&mut enabled, ENABLE).0, "result");
    enabled
}

/// A message comes so many seconds after the others while the phone is away, or not. Returns what is left of it.
fn comes(enabled: &mut Enabled, seconds: u64, away: bool, inside: &str) -> Yield {
    let message =
        format!("<message type='chat' from='bob@two.test/x' to='alice@one.test'>{inside}</message>");
    let message = Stanza::read(message.as_bytes()).unwrap();
    let (all, account) = (devices(), bare("alice@one.test"));
    stepped_at(Duration::from_secs(seconds), |step| {
        wake(enabled, &all, &|_| away, 0, &account, Event::Message(&message), step);
    })
    .1
}

const BODY: &str = "<body>hello</body>";
const PROPOSE: &str = "<propose xmlns='urn:xmpp:jingle-message:0' id='c'/>";

#[test]
fn what_is_enabled_comes_back_from_the_store() {
    let mut enabled = Enabled::default();
    let options = "<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'>\
        <value>http://jabber.org/protocol/pubsub#publish-options</value></field>\
        <field var='secret'><value>s</value></field></x>";
    let order = format!("<enable xmlns='urn:xmpp:push:0' jid='push.test' node='n'>{options}</enable>");
    let (answer, left) = ask(&mut enabled, &order);
    assert_eq!(answer, "result");
    let [Write::Note { topic: TOPIC, key, value: Some(value), .. }] = left.writes.as_slice() else {
        panic!("{:?}", left.writes);
    };
    let loaded =
        Enabled::load(vec![(key.clone(), value.clone()), ("rubbish".to_owned(), Vec::new())], Vec::new());
    let target = loaded.all.get(&(jid("push.test"), "n".to_owned())).unwrap();
    assert_eq!(target.device, "phone");
    assert_eq!(target.options, Some(element(options)));
    assert_eq!(loaded.all.len(), 1);
}

#[test]
fn what_a_device_is_becomes_known_and_comes_back_from_the_store() {
    let pc = || vec![Identity { category: "client".to_owned(), type_: "pc".to_owned() }];
    let is = |all: &mut Sessions, identities: Vec<Identity>| {
        let told = step::Told { hash: "sha-1".to_owned(), node: "n".to_owned(), ver: "v".to_owned() };
        let shown = step::Shown { identities: identities.into(), ..Default::default() };
        all.find_mut(SessionId(0)).unwrap().wishes = step::Wishes::Known(Box::new(told), shown);
    };
    let (mut all, account) =
        (sessions(&["alice@one.test/phone", "alice@one.test/desk"]), bare("alice@one.test"));
    let mut enabled = enabled();
    let becomes = |enabled: &mut Enabled, all: &Sessions, session: u64| {
        let session = all.find(SessionId(session)).unwrap();
        stepped_at(Duration::ZERO, |step| enabled.device_is(&account, session, step)).1.writes
    };
    is(&mut all, Vec::new());
    assert!(becomes(&mut enabled, &all, 0).is_empty());
    is(&mut all, pc());
    assert!(becomes(&mut enabled, &all, 1).is_empty());
    let [Write::Note { topic: TOPIC, key, value: Some(value), .. }] = &becomes(&mut enabled, &all, 0)[..]
    else {
        panic!("what is new is noted");
    };
    assert!(becomes(&mut enabled, &all, 0).is_empty());
    let loaded = Enabled::load(vec![(key.clone(), value.clone())], Vec::new());
    let target = loaded.all.values().next().unwrap();
    assert_eq!((&target.identities, &target.options), (&pc(), &None));

    // Enabled anew, it is what it is.
    let phone = all.find(SessionId(0)).unwrap();
    stepped_at(Duration::ZERO, |step| {
        answer_own(&mut enabled, &account, phone, &iq(Type::Set, ENABLE), step).unwrap();
    });
    assert_eq!(enabled.all.values().next().unwrap().identities, pc());
}

#[test]
fn only_so_much_can_be_enabled() {
    let mut enabled = Enabled::default();
    for number in 0..ENABLED_MAX {
        let order = format!("<enable xmlns='urn:xmpp:push:0' jid='push.test' node='{number}'/>");
        assert_eq!(ask(&mut enabled, &order).0, "result");
    }
    assert_eq!(ask(&mut enabled, ENABLE).0, "resource-constraint");
    assert_eq!(ask(&mut enabled, "<enable xmlns='urn:xmpp:push:0' jid='push.test' node='0'/>").0, "result");
    let long = "n".repeat(NAME_BYTES_MAX);
    let order = format!("<enable xmlns='urn:xmpp:push:0' jid='push.test' node='{long}'/>");
    assert_eq!(ask(&mut enabled, &order).0, "not-acceptable");
    assert_eq!(
        ask(&mut enabled, "<disable xmlns='urn:xmpp:push:0' jid='push.test' node='1'/>").1.writes.len(),
        1
    );
    let (answer, left) = ask(&mut enabled, "<disable xmlns='urn:xmpp:push:0' jid='push.test'/>");
    assert_eq!((answer.as_str(), left.writes.len()), ("result", ENABLED_MAX - 1));
    assert!(enabled.is_empty());
}

#[test]
fn a_flood_wakes_only_so_often_and_a_call_goes_before_it() {
    let mut enabled = enabled();
    let sent = |left: &Yield| routed(left).len();
    let went: usize = (0..20).map(|_| sent(&comes(&mut enabled, 0, true, BODY))).sum();
    assert_eq!(went, CREDIT_MAX as usize - 2);
    assert_eq!(sent(&comes(&mut enabled, 0, true, PROPOSE)), 1);
    assert_eq!(sent(&comes(&mut enabled, 0, true, PROPOSE)), 1);
    assert_eq!(sent(&comes(&mut enabled, 0, true, PROPOSE)), 0);
    // Ten seconds for each; one goes when three are there, since two are for calls.
    assert_eq!(sent(&comes(&mut enabled, 20, true, BODY)), 0);
    assert_eq!(sent(&comes(&mut enabled, 30, true, BODY)), 1);
}

#[test]
fn what_could_not_go_goes_later_once() {
    let mut enabled = enabled();
    let timers =
        |left: &Yield| left.acts.iter().filter(|act| matches!(act, Act::After(_, Return::Push))).count();
    let armed: usize = (0..20).map(|_| timers(&comes(&mut enabled, 0, true, BODY))).sum();
    assert_eq!(armed, 1);
    let account = bare("alice@one.test");
    let left = stepped_at(notify::SILENCE, |step| look_again(&mut enabled, &|_| true, 0, &account, step)).1;
    assert_eq!(routed(&left).len(), 1);
    assert!(routed(&left)[0].to_xml().contains("<value>20</value>"));
    let left = stepped_at(notify::SILENCE, |step| look_again(&mut enabled, &|_| true, 0, &account, step)).1;
    assert!(left.acts.is_empty());
}

#[test]
fn a_device_that_does_not_acknowledge_is_woken_after_a_while() {
    for (still_away, woken) in [(true, 1), (false, 0)] {
        let mut enabled = enabled();
        assert!(routed(&comes(&mut enabled, 0, false, BODY)).is_empty());
        let account = bare("alice@one.test");
        let left =
            stepped_at(notify::SILENCE, |step| look_again(&mut enabled, &|_| still_away, 0, &account, step))
                .1;
        assert_eq!(routed(&left).len(), woken);
    }
}

#[test]
fn errors_that_may_pass_are_borne_for_a_while() {
    let account = bare("alice@one.test");
    let answer = |enabled: &mut Enabled, asked: &Stanza, error: Option<&str>| {
        let mut answer = Stanza::iq(if error.is_some() { Type::Error } else { Type::Result }, "");
        answer.id.clone_from(&asked.id);
        answer = answer.with_from(jid("push.test"));
        if let Some(error) = error {
            answer = answer.with_child(&element(error));
        }
        let mut other = answer.clone();
        other.from = Some(jid("other.test"));
        stepped_at(Duration::ZERO, |step| {
            assert!(!answered(enabled, &account, &other, step));
            assert!(answered(enabled, &account, &answer, step));
            assert!(!answered(enabled, &account, &answer, step));
        })
        .1
    };
    let error = |type_: &str, condition: &str| {
        format!(
            "<error xmlns='jabber:client' type='{type_}'>\
             <{condition} xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>"
        )
    };
    let mut enabled = enabled();
    let publish =
        |enabled: &mut Enabled, turn: u64| routed(&comes(enabled, 100 * turn, true, BODY)).pop().unwrap();
    for turn in 0..4 {
        let asked = publish(&mut enabled, turn);
        let left = answer(&mut enabled, &asked, Some(&error("wait", "resource-constraint")));
        assert!(left.writes.is_empty());
    }
    let asked = publish(&mut enabled, 5);
    answer(&mut enabled, &asked, None);
    let asked = publish(&mut enabled, 6);
    answer(&mut enabled, &asked, Some(&error("cancel", "remote-server-not-found")));
    assert!(!enabled.is_empty());
    let asked = publish(&mut enabled, 7);
    let left = answer(&mut enabled, &asked, Some(&error("cancel", "item-not-found")));
    assert!(enabled.is_empty());
    assert!(matches!(left.writes.as_slice(), [Write::Note { value: None, .. }]));
    assert!(reads(&left).is_empty());
}

#[test]
fn a_long_text_is_shortened_between_characters() {
    let text = "ü".repeat(400);
    let short = notify::shortened(text.clone());
    assert_eq!(short.chars().count(), 251);
    assert_eq!(notify::shortened("short".to_owned()), "short");
}

/// Its namespaces may have been declared outside of it: it is written with more in one tag than anybody could send.
#[test]
fn what_is_enabled_outlives_a_restart_whatever_its_options_look_like() {
    let declared: String = (0..40).map(|number| format!(" xmlns:p{number}='urn:p{number}'")).collect();
    let used: String = (0..40).map(|number| format!(" p{number}:a='{number}'")).collect();
    let enable = format!(
        "<enable xmlns='urn:xmpp:push:0' jid='push.test' node='n'{declared}>\
         <x xmlns='jabber:x:data' type='submit'{used}><field var='FORM_TYPE' type='hidden'>\
         <value>http://jabber.org/protocol/pubsub#publish-options</value></field></x></enable>"
    );
    let (reply, left) = ask(&mut Enabled::default(), &enable);
    let [Write::Note { key, value: Some(value), .. }] = &left.writes[..] else {
        panic!("{reply}: {:?}", left.writes)
    };
    assert!(!Enabled::load(vec![(key.clone(), value.clone())], Vec::new()).is_empty());
}
