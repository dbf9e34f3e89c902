//! A bound client: stanzas both ways, pings, and how a stream ends well.

use super::*;

const BIND: &str = "xmlns='urn:ietf:params:xml:ns:xmpp-bind'";

#[test]
fn stanzas_are_stamped() {
    let mut host = Host::bound();
    for from in ["", " from='user@one.test'", " from='user@one.test/r'", " from='USER@one.test'"] {
        assert_eq!(host.say(&format!("<message{from} to='a@b.test'><body>x</body></message>")), "");
        let stanza = host.stanzas.pop().unwrap();
        assert!(stanza.contains("from='user@one.test/r'"), "{stanza}");
        assert!(stanza.contains("to='a@b.test'"), "{stanza}");
        assert!(stanza.contains("<body>x</body>"), "{stanza}");
    }
}

#[test]
fn stanzas_are_delivered() {
    let mut host = Host::bound();
    let stanza = xmpp::stanza::Stanza::read(b"<message from='a@b.test/c'><body>x</body></message>").unwrap();
    let sent = host.answer(Answer::Deliver(stanza.clone()));
    assert_eq!(sent, stanza.to_xml());
    // Not before there is an address.
    let mut host = Host::secure();
    host.log_in();
    assert_eq!(host.answer(Answer::Deliver(stanza)), "");
}

#[test]
fn a_malformed_address_is_an_error_of_the_stanza_only() {
    let mut host = Host::bound();
    let answer = host.say("<message id='1' to='@'><body>x</body></message>");
    assert!(answer.contains("<jid-malformed"), "{answer}");
    assert!(answer.contains("id='1'") && answer.contains("type='error'"), "{answer}");
    let answer = host.say("<iq type='get' id='2' to='a b@@'><q xmlns='urn:x'/></iq>");
    assert!(answer.contains("<jid-malformed"), "{answer}");
    let answer = host.say("<iq type='get' id='3'/>");
    assert!(answer.contains("<bad-request"), "{answer}");
    assert_eq!(host.say("<message type='error' to='@'/>"), "");
    assert!(host.stanzas.is_empty() && host.closed.is_none());
    host.say("<presence/>");
    assert_eq!(host.stanzas.len(), 1);
}

#[test]
fn resources_are_prepared_or_refused() {
    let mut host = Host::secure();
    host.log_in();
    let bind = |resource: &str| {
        format!("<iq type='set' id='1'><bind {BIND}><resource>{resource}</resource></bind></iq>")
    };
    let long = "x".repeat(1024);
    for bad in ["a\tb", &long] {
        let answer = host.say(&bind(bad));
        assert!(answer.contains("<bad-request"), "{answer}");
    }
    let answer = host.say(&bind("e\u{301}&amp;"));
    let jid = "user@one.test/\u{e9}&amp;";
    assert!(answer.contains(&format!("<bind {BIND}><jid>{jid}</jid></bind>")), "{answer}");
    let mut host = Host::secure();
    host.log_in();
    for _ in 0..10 {
        host.say(&bind("a\tb"));
    }
    assert_eq!(host.failure(), Some(StreamCondition::PolicyViolation));
}

#[test]
fn an_empty_resource_is_made_into_one_of_ours() {
    let mut host = Host::secure();
    host.log_in();
    let answer = host.say(&format!("<iq type='set' id='1'><bind {BIND}><resource/></bind></iq>"));
    assert!(answer.contains("<jid>user@one.test/made-here</jid>"), "{answer}");
}

#[test]
fn formalities_after_binding() {
    let mut host = Host::bound();
    let session = "<iq type='set' id='s'>\
                   <session xmlns='urn:ietf:params:xml:ns:xmpp-session'/></iq>";
    let answer = host.say(session);
    assert!(answer.contains("type='result'") && answer.contains("id='s'"), "{answer}");
    let answer = host.say(&format!("<iq type='set' id='b'><bind {BIND}/></iq>"));
    assert!(answer.contains("<not-allowed"), "{answer}");
    assert!(host.stanzas.is_empty());
}

#[test]
fn a_silent_client_is_pinged() {
    let mut host = Host::bound();
    let ping = host.wait(Duration::from_secs(300));
    assert!(ping.contains("<ping xmlns='urn:xmpp:ping'/>"), "{ping}");
    assert!(ping.contains("from='one.test'"), "{ping}");
    let id = ping.split("id='").nth(1).unwrap().split('\'').next().unwrap();
    host.now += Duration::from_secs(1);
    assert_eq!(host.say(&format!("<iq type='result' id='{id}' to='one.test'/>")), "");
    assert!(host.stanzas.is_empty());
    // White space counts as a sign of life; the next ping waits for as long again.
    host.now += Duration::from_secs(299);
    host.say(" ");
    assert_eq!(host.wait(Duration::from_secs(299)), "");
    assert!(host.wait(Duration::from_secs(1)).contains("ping"));
    assert_eq!(host.wait(Duration::from_secs(59)), "");
    let end = host.wait(Duration::from_secs(1));
    assert!(end.starts_with("<stream:error><connection-timeout"), "{end}");
}

#[test]
fn the_client_closes() {
    let mut host = Host::bound();
    assert_eq!(host.say("<presence type='unavailable'/></stream:stream>"), "</stream:stream>");
    assert_eq!(host.stanzas.len(), 1);
    assert!(matches!(host.closed, Some(CloseReason::PeerClosed)));
    let mut host = Host::secure();
    host.say(&header("one.test"));
    assert_eq!(host.say("</stream:stream>"), "</stream:stream>");
}

#[test]
fn what_the_last_stanzas_lead_to_is_delivered_before_the_end() {
    let mut host = Host::bound();
    host.last_words = Some(Stanza::message(Type::Chat));
    assert_eq!(host.say("</stream:stream>"), "<message type='chat'/></stream:stream>");
    assert!(matches!(host.closed, Some(CloseReason::PeerClosed)));
}

#[test]
fn nobody_waits_for_ever_for_the_last_delivery() {
    let mut host = Host::bound();
    host.machine.receive(host.now, b"</stream:stream>");
    assert!(!host.machine.wants_input());
    let due = host.machine.poll_timeout().unwrap();
    host.machine.timeout(due);
    assert_eq!(host.machine.poll_send().unwrap(), b"</stream:stream>");
}

#[test]
fn the_client_fails() {
    let mut host = Host::bound();
    let error = "<stream:error><reset xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>";
    assert_eq!(host.say(error), "</stream:stream>");
    assert!(matches!(&host.closed, Some(CloseReason::PeerError(name)) if name == "reset"));
}

#[test]
fn the_server_ends() {
    let mut host = Host::bound();
    assert_eq!(host.answer(Answer::End), "</stream:stream>");
    assert!(host.closed.is_none());
    assert_eq!(host.say("<message/>"), "");
    assert_eq!(host.stanzas.len(), 1);
    assert_eq!(host.say("</stream:stream>"), "");
    assert!(matches!(host.closed, Some(CloseReason::Ended)));

    let mut host = Host::bound();
    host.answer(Answer::End);
    assert_eq!(host.wait(Duration::from_secs(5)), "");
    assert!(matches!(host.closed, Some(CloseReason::Ended)));

    let mut host = Host::bound();
    host.machine.transport_closed(host.now);
    host.settle();
    assert!(matches!(host.closed, Some(CloseReason::TransportClosed)));
}
