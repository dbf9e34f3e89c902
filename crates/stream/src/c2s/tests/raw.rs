//! Login spoken by hand: what no proper client would say.

use super::*;
use crate::sasl::encode;

fn refused(text: &str, condition: &str) {
    let mut host = Host::secure();
    host.say(&header("one.test"));
    let answer = host.say(text);
    assert_eq!(
        answer,
        format!("<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><{condition}/></failure>"),
        "{text}"
    );
    // The stream lives on and a good login still works.
    assert!(host.say(&plain("user", PASSWORD)).starts_with("<success"));
}

#[test]
fn every_failure_has_its_condition() {
    let sasl = "xmlns='urn:ietf:params:xml:ns:xmpp-sasl'";
    refused(&format!("<abort {sasl}/>"), "aborted");
    refused(&format!("<auth {sasl}>AA==</auth>"), "invalid-mechanism");
    refused(&auth("CRAM-MD5", ""), "invalid-mechanism");
    refused(&auth("ANONYMOUS", "="), "invalid-mechanism");
    refused(&auth("EXTERNAL", "="), "invalid-mechanism");
    refused(&auth("PLAIN", "*"), "incorrect-encoding");
    refused(&auth("PLAIN", "AHVzZXIAcGVuY2ls\n"), "incorrect-encoding");
    refused(&auth("PLAIN", "/w=="), "malformed-request");
    refused(&auth("PLAIN", "="), "malformed-request");
    refused(&auth("PLAIN", &encode("\0user")), "malformed-request");
    refused(&auth("PLAIN", &encode("\0us er\0x")), "not-authorized");
    refused(&plain("user", "wrong"), "not-authorized");
    refused(&auth("PLAIN", &encode("admin@one.test\0user\0pencil")), "invalid-authzid");
    refused(&auth("PLAIN", &encode("user@two.test\0user\0pencil")), "invalid-authzid");
    refused(&auth("PLAIN", &encode("@@\0user\0pencil")), "invalid-authzid");
    refused(&format!("<response {sasl}/>"), "malformed-request");
    let scram = |message: &str| auth("SCRAM-SHA-256", &encode(message));
    refused(&scram("n,a=admin@one.test,n=user,r=x"), "invalid-authzid");
    refused(&scram("y,,n=user,r=x"), "not-authorized");
    refused(&scram("p=tls-exporter,,n=user,r=x"), "malformed-request");
    refused(&scram("n,,n=user"), "malformed-request");
    refused(&auth("SCRAM-SHA-256-PLUS", &encode("n,,n=user,r=x")), "malformed-request");
    refused(&auth("SCRAM-SHA-256-PLUS", &encode("y,,n=user,r=x")), "malformed-request");
    let unknown = encode("p=tls-unique,,n=user,r=x");
    refused(&auth("SCRAM-SHA-256-PLUS", &unknown), "not-authorized");
}

#[test]
fn an_authzid_that_says_the_same_is_fine() {
    let mut host = Host::secure();
    host.say(&header("one.test"));
    let answer = host.say(&auth("PLAIN", &encode("user@one.test\0user\0pencil")));
    assert!(answer.starts_with("<success"), "{answer}");
}

#[test]
fn weak_mechanisms_are_called_so() {
    let mut strong = settings();
    strong.plain = false;
    strong.scram = vec![ScramHash::Sha256];
    let mut host = Host::new(strong, TransportFacts::DirectTls(facts()));
    host.say(&header("one.test"));
    assert!(host.say(&plain("user", PASSWORD)).contains("<mechanism-too-weak/>"));
    let answer = host.say(&auth("SCRAM-SHA-1", &encode("n,,n=user,r=x")));
    assert!(answer.contains("<mechanism-too-weak/>"));
}

#[test]
fn nothing_but_starttls_in_the_clear() {
    let mut host = Host::new(settings(), TransportFacts::Tcp { starttls: true });
    let features = host.say(&header("one.test"));
    assert!(features.contains("<required/>"), "{features}");
    assert!(!features.contains("mechanism"), "{features}");
    assert!(host.say(&plain("user", PASSWORD)).contains("<encryption-required/>"));
    // Where TLS is optional, PLAIN still is not.
    let mut loose = settings();
    loose.tls_required = false;
    let mut host = Host::new(loose, TransportFacts::Tcp { starttls: true });
    let features = host.say(&header("one.test"));
    assert!(!features.contains("<required/>") && !features.contains("PLAIN"), "{features}");
    assert!(features.contains("<mechanism>SCRAM-SHA-256</mechanism>"), "{features}");
    assert!(host.say(&plain("user", PASSWORD)).contains("<encryption-required/>"));
}

#[test]
fn three_failures_and_out() {
    let mut host = Host::secure();
    host.say(&header("one.test"));
    for _ in 0..2 {
        assert!(host.say(&plain("user", "wrong")).contains("not-authorized"));
    }
    let last = host.say(&plain("user", "wrong"));
    assert!(last.contains("<not-authorized/></failure><stream:error><policy-violation"), "{last}");
    assert!(last.ends_with("</stream:stream>"), "{last}");
    assert_eq!(host.failure(), Some(StreamCondition::PolicyViolation));
    assert_eq!(host.say(&plain("user", PASSWORD)), "");
}

#[test]
fn data_may_come_with_the_response() {
    let mut host = Host::secure();
    host.say(&header("one.test"));
    let challenge = host.say(&auth("PLAIN", ""));
    assert_eq!(challenge, "<challenge xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>");
    let sasl = "urn:ietf:params:xml:ns:xmpp-sasl";
    let data = encode("\0user\0pencil");
    let answer = host.say(&format!("<response xmlns='{sasl}'>{data}</response>"));
    assert_eq!(answer, format!("<success xmlns='{sasl}'/>"));
}

#[test]
fn a_new_attempt_discards_the_old() {
    let mut host = Host::secure();
    host.say(&header("one.test"));
    let challenge = host.say(&auth("SCRAM-SHA-1", &encode("n,,n=user,r=x")));
    assert!(challenge.contains("<challenge"), "{challenge}");
    assert!(host.say(&plain("user", PASSWORD)).starts_with("<success"));
}

#[test]
fn a_whole_login_in_one_breath() {
    let mut host = Host::secure();
    let bind = "<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>";
    let mut text = header("one.test") + &plain("user", PASSWORD) + &header("one.test") + bind;
    text.push_str("<presence/>");
    host.say(&text);
    assert_eq!(host.machine.bound_jid().unwrap().as_str(), "user@one.test/made-here");
    assert_eq!(host.stanzas.len(), 1);
}

#[test]
fn byte_by_byte() {
    let mut host = Host::secure();
    let bind = "<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>";
    let text = header("one.test") + &plain("user", PASSWORD) + &header("one.test") + bind;
    for byte in text.bytes() {
        host.machine.receive(host.now, &[byte]);
        host.settle();
    }
    assert!(host.machine.bound_jid().is_some());
}

#[test]
fn the_machine_reads_nothing_while_it_asks() {
    let mut host = Host::secure();
    host.say(&header("one.test"));
    host.machine.receive(host.now, plain("user", PASSWORD).as_bytes());
    assert!(!host.machine.wants_input());
    // Whoever feeds it all the same does so within a bound.
    for _ in 0..20 {
        host.machine.receive(host.now, &[b' '; 8192]);
    }
    host.settle();
    assert_eq!(host.failure(), Some(StreamCondition::PolicyViolation));
}

#[test]
fn registration_before_login() {
    let iq = "<iq type='get' id='1' to='one.test'><query xmlns='jabber:iq:register'/></iq>";
    let mut open = settings();
    open.register = true;
    let mut host = Host::new(open, TransportFacts::DirectTls(facts()));
    let features = host.say(&header("one.test"));
    assert!(features.contains("http://jabber.org/features/iq-register"), "{features}");
    assert!(host.say(iq).contains("type='result'"));
    assert!(host.say(&plain("user", PASSWORD)).starts_with("<success"));
    // Not in the clear.
    let mut host = Host::new(settings(), TransportFacts::Tcp { starttls: true });
    assert!(!host.say(&header("one.test")).contains("iq-register"));
    host.say(iq);
    assert_eq!(host.failure(), Some(StreamCondition::NotAuthorized));
}
