//! Clients come in, with tokens good and bad; they are listed, and lose their access.

use super::*;
use crate::check::{bare, error, iq, sessions, shown, stepped};
use step::{Act, Yield};

const HT: &str = "HT-SHA-256-NONE";

fn login(proof: Proof) -> Login {
    let (software, device) = (Some("Swift".to_owned()), Some("phone\u{7}".to_owned()));
    Login { id: "client".to_owned(), software, device, proof, wants_token: None }
}

fn by_token(given: &Given, count: Option<u32>) -> Proof {
    Proof::Token { seed: given.0.clone(), count, invalidate: false }
}

/// One client at a time comes in; nobody is connected.
struct Desk(Clients);

impl Desk {
    fn enter(&mut self, login: Login) -> (Result<Option<Given>, Refusal>, Vec<Write>) {
        let none = Sessions::default();
        let (told, left) = stepped(|step| self.0.enter(&bare("alice@one.test"), login, &none, step));
        (told, left.writes)
    }

    /// With the password, and away with a token.
    fn given() -> (Desk, Given) {
        let mut desk = Desk(Clients::default());
        let wanted = Login { wants_token: Some(HT), ..login(Proof::Password) };
        let given = desk.enter(wanted).0.unwrap().unwrap();
        (desk, given)
    }

    fn tokens(&self) -> (Option<&str>, Option<&str>) {
        let seed = |token: &'_ Option<TokenRecord>| token.as_ref().map(|token| token.seed.clone());
        let client = &self.0.0[0];
        let leak = |seed: Option<String>| seed.map(|seed| &*seed.leak());
        (leak(seed(&client.current)), leak(seed(&client.next)))
    }

    /// As if so much of the token's time were over.
    fn age(&mut self, by: Duration) {
        let client = &mut self.0.0[0];
        for token in [&mut client.current, &mut client.next].into_iter().flatten() {
            token.expires -= by;
        }
    }
}

#[test]
fn a_newcomer_is_written_down_and_then_left_alone_for_a_while() {
    let mut desk = Desk(Clients::default());
    let (told, writes) = desk.enter(login(Proof::Password));
    assert_eq!(told, Ok(None));
    let [Write::ClientPut { account, client }] = &writes[..] else { panic!("{writes:?}") };
    assert_eq!((account.as_str(), client.id.as_str()), ("alice@one.test", "client"));
    assert_eq!((client.software.as_deref(), client.device.as_deref()), (Some("Swift"), Some("phone")));
    assert!(client.by_password && !client.by_certificate && !client.handle.is_empty());
    assert_eq!(desk.enter(login(Proof::Password)).1, []);
    desk.0.0[0].last_seen -= SEEN_EVERY;
    assert_eq!(desk.enter(login(Proof::Password)).1.len(), 1);
    assert_eq!(desk.enter(login(Proof::Certificate)).1.len(), 1, "something new of it");
}

#[test]
fn a_token_lets_in_until_its_successor_has() {
    let (mut desk, first) = Desk::given();
    assert_eq!(desk.tokens(), (None, Some(&*first.0)));
    assert_eq!(desk.enter(login(by_token(&first, None))).0, Ok(None));
    assert_eq!(desk.tokens(), (Some(&*first.0), None), "it is in use");
    desk.age(ROTATE_AFTER);
    let second = desk.enter(login(by_token(&first, None))).0.unwrap().unwrap();
    assert_eq!(desk.tokens(), (Some(&*first.0), Some(&*second.0)));
    // The client has not heard of it: the first is still good, and brings another in the place of the second.
    let third = desk.enter(login(by_token(&first, None))).0.unwrap().unwrap();
    assert_eq!(desk.enter(login(by_token(&second, None))).0, Err(Refusal::NotAuthorized));
    assert_eq!(desk.enter(login(by_token(&third, None))).0, Ok(None));
    assert_eq!(desk.tokens(), (Some(&*third.0), None));
    assert_eq!(desk.enter(login(by_token(&first, None))).0, Err(Refusal::NotAuthorized));
}

#[test]
fn a_count_must_grow() {
    let (mut desk, token) = Desk::given();
    for (count, good) in [(Some(5), true), (Some(5), false), (Some(4), false), (Some(6), true), (None, true)]
    {
        let (told, writes) = desk.enter(login(by_token(&token, count)));
        let expected = if good { Ok(None) } else { Err(Refusal::NotAuthorized) };
        assert_eq!(told, expected, "{count:?}");
        assert_eq!(!writes.is_empty(), good && count.is_some(), "{count:?}");
    }
    assert_eq!(desk.enter(login(by_token(&token, Some(6)))).0, Err(Refusal::NotAuthorized));
}

#[test]
fn a_token_has_its_time() {
    let (mut desk, token) = Desk::given();
    desk.age(days(30));
    let before = desk.0.0.clone();
    let (told, writes) = desk.enter(login(by_token(&token, Some(1))));
    assert_eq!((told, writes.len()), (Err(Refusal::Expired), 0));
    assert_eq!(desk.0.0, before);
}

#[test]
fn a_token_can_be_given_back() {
    let (mut desk, token) = Desk::given();
    let last = || Proof::Token { seed: token.0.clone(), count: None, invalidate: true };
    assert_eq!(desk.enter(login(last())).0, Ok(None));
    assert_eq!(desk.tokens(), (None, None));
    assert_eq!(desk.enter(login(last())).0, Err(Refusal::NotAuthorized));
    // Unless another is wanted in its place.
    let (mut desk, token) = Desk::given();
    let last = Proof::Token { seed: token.0, count: None, invalidate: true };
    let told = desk.enter(Login { wants_token: Some(HT), ..login(last) }).0;
    assert!(matches!(told, Ok(Some(_))), "{told:?}");
}

#[test]
fn another_password_takes_tokens_away() {
    let (mut desk, token) = Desk::given();
    desk.0.password_changed();
    assert_eq!(desk.enter(login(by_token(&token, None))).0, Err(Refusal::NotAuthorized));
}

#[test]
fn only_so_many_are_remembered_and_only_for_so_long() {
    let mut desk = Desk(Clients::default());
    let named = |number: u64| Login { id: format!("client {number}"), ..login(Proof::Password) };
    for number in 0..50 {
        assert_eq!(desk.enter(named(number)).1.len(), 1);
        desk.0.0[number as usize].last_seen -= Duration::from_secs(1000 - number);
    }
    let (_, writes) = desk.enter(named(50));
    let [_, Write::ClientRemove { client, .. }] = &writes[..] else { panic!("{writes:?}") };
    assert_eq!(client, "client 0");
    desk.0.0.iter_mut().take(10).for_each(|client| client.last_seen -= days(91));
    assert_eq!(desk.enter(named(50)).1.len(), 10);
    assert_eq!(desk.0.0.len(), 40);
}

#[test]
fn whoever_is_connected_is_not_forgotten() {
    let mut clients = Desk::given().0.0;
    clients.0[0].last_seen -= days(100);
    let other = Login { id: "other".to_owned(), ..login(Proof::Password) };
    let connected = connected();
    let (_, left) = stepped(|step| clients.enter(&bare("alice@one.test"), other, &connected, step));
    assert_eq!((left.writes.len(), clients.0.len()), (1, 2));
}

/// The client is connected, and so is somebody who has not said which client it is.
fn connected() -> Sessions {
    let mut sessions = sessions(&["alice@one.test/phone", "alice@one.test/old"]);
    if let Some(session) = sessions.find_mut(SessionId(0)) {
        session.client = Some("client".into());
    }
    sessions
}

fn asked(clients: &mut Clients, type_: Type, inner: &str) -> (Result<Reply, Stop>, Yield) {
    let iq = iq(type_, inner);
    stepped(|step| answer_own(clients, &connected(), &bare("alice@one.test"), SessionId(0), &iq, step))
}

fn revoke(clients: &mut Clients, handle: &str) -> (Result<Reply, Stop>, Yield) {
    asked(clients, Type::Set, &format!("<revoke xmlns='urn:xmpp:cam:0' id='{handle}'/>"))
}

#[test]
fn those_who_have_access_are_listed() {
    let mut clients = Desk::given().0.0;
    let (reply, _) = asked(&mut clients, Type::Get, "<list xmlns='urn:xmpp:cam:0'/>");
    let Ok(Reply::Result(list)) = reply else { panic!("{}", shown(reply)) };
    let [known, unnamed] = &list.children().collect::<Vec<_>>()[..] else { panic!("{}", list.to_xml()) };
    assert_eq!((known.attr("connected"), known.attr("type")), (Some("true"), Some("session")));
    let auth: Vec<_> =
        known.child(ns::CLIENT_ACCESS, "auth").unwrap().children().map(Element::name).collect();
    assert_eq!(auth, ["password", "fast"]);
    assert!(known.to_xml().contains("<device>phone</device>"), "{}", known.to_xml());
    assert!(!known.to_xml().contains("client\""), "the id is the client's own");
    assert_eq!(unnamed.attr("id"), Some("connection-1"));
}

#[test]
fn access_is_revoked_where_that_helps() {
    let mut clients = Desk::given().0.0;
    let handle = clients.0[0].handle.clone();
    for known in [&*handle, "connection-1"] {
        let (refused, left) = revoke(&mut clients, known);
        assert_eq!(shown(refused), "service-unavailable");
        assert!(left.acts.is_empty() && left.writes.is_empty());
    }
    assert_eq!(shown(revoke(&mut clients, "unheard of").0), "item-not-found");
    assert_eq!(shown(revoke(&mut clients, "connection-0").0), "item-not-found");
    clients.0[0].by_password = false;
    clients.0[0].by_certificate = true;
    assert_eq!(shown(revoke(&mut clients, &handle).0), "service-unavailable");
    clients.0[0].by_certificate = false;
    let (done, left) = revoke(&mut clients, &handle);
    assert_eq!(shown(done), "later");
    let [Act::Deliver(SessionId(0), result), Act::Close(SessionId(0), _)] = &left.acts[..] else {
        panic!("{:?}", left.acts)
    };
    assert_eq!((result.type_, error(result).is_some()), (Type::Result, false));
    assert!(matches!(&left.writes[..], [Write::ClientRemove { client, .. }] if client == "client"));
    assert_eq!(shown(revoke(&mut clients, &handle).0), "item-not-found");
}

#[test]
fn other_questions_are_malformed() {
    let mut clients = Clients::default();
    for (type_, inner) in [
        (Type::Set, "<list xmlns='urn:xmpp:cam:0'/>"),
        (Type::Get, "<revoke xmlns='urn:xmpp:cam:0' id='x'/>"),
        (Type::Set, "<revoke xmlns='urn:xmpp:cam:0'/>"),
        (Type::Set, "<revoke xmlns='urn:xmpp:cam:0' id=''/>"),
        (Type::Get, "<clients xmlns='urn:xmpp:cam:0'/>"),
    ] {
        assert_eq!(shown(asked(&mut clients, type_, inner).0), "bad-request", "{inner}");
    }
}
