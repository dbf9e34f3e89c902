//! Every stream error of RFC 6120 §4.9.3 that a client stream can come to, and every limit.

use super::*;
use xmpp::error::StreamError;

const STREAMS: &str = "xmlns:stream='http://etherx.jabber.org/streams'";

/// Says `text` to a fresh stream and expects a header, then the error, then the end.
fn opening_fails(text: &str, condition: StreamCondition) {
    let mut host = Host::secure();
    let answer = host.say(text);
    assert_eq!(host.failure(), Some(condition), "{text} → {answer}");
    assert!(answer.starts_with("<?xml version='1.0'?><stream:stream from='"), "{answer}");
    assert_eq!(answer.matches("<stream:stream").count(), 1, "{answer}");
    let error = format!("<stream:error><{} xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>", condition.name());
    assert!(answer.contains(&error), "{answer}");
    assert!(answer.ends_with("</stream:error></stream:stream>"), "{answer}");
    assert!(!host.machine.wants_input());
    assert_eq!(host.machine.poll_timeout(), None);
    assert_eq!(host.say("<presence/>"), "");
}

fn bound_fails(text: &str, condition: StreamCondition) {
    let mut host = Host::bound();
    let answer = host.say(text);
    assert_eq!(host.failure(), Some(condition), "{text} → {answer}");
    assert!(answer.starts_with("<stream:error>"), "{answer}");
    assert!(answer.ends_with("</stream:error></stream:stream>"), "{answer}");
}

fn open_with(attributes: &str) -> String {
    format!("<stream:stream {STREAMS} {attributes}>")
}

#[test]
fn headers_that_are_refused() {
    use StreamCondition::*;
    let client = "xmlns='jabber:client' version='1.0'";
    opening_fails(&open_with(client), ImproperAddressing);
    opening_fails(&open_with(&format!("{client} to=''")), ImproperAddressing);
    opening_fails(&open_with(&format!("{client} to='@'")), ImproperAddressing);
    opening_fails(&open_with(&format!("{client} to='three.test'")), HostUnknown);
    opening_fails(&open_with(&format!("{client} to='user@one.test'")), HostUnknown);
    opening_fails(&open_with(&format!("{client} to='one.test' from='@'")), InvalidFrom);
    opening_fails(&open_with("xmlns='jabber:client' to='one.test'"), UnsupportedVersion);
    opening_fails(&open_with("xmlns='jabber:client' to='one.test' version='11.0'"), UnsupportedVersion);
    opening_fails(&open_with("xmlns='jabber:server' to='one.test' version='1.0'"), InvalidNamespace);
    let elsewhere = "<stream:stream xmlns:stream='urn:x' xmlns='jabber:client' to='one.test' version='1.0'>";
    opening_fails(elsewhere, InvalidNamespace);
    let prefix = "<foo:stream xmlns:foo='http://etherx.jabber.org/streams' \
                  xmlns='jabber:client' to='one.test' version='1.0'>";
    opening_fails(prefix, BadNamespacePrefix);
}

#[test]
fn xml_that_is_refused() {
    use StreamCondition::*;
    let open = header("one.test");
    opening_fails("<?xml version='1.0' encoding='iso-8859-1'?>", UnsupportedEncoding);
    opening_fails("<!DOCTYPE stream>", RestrictedXml);
    opening_fails(&format!("{open}<!-- hello -->"), RestrictedXml);
    opening_fails(&format!("{open}<?php ?>"), RestrictedXml);
    opening_fails(&format!("{open}<a>&lol;</a>"), RestrictedXml);
    opening_fails(&format!("{open}<a></b>"), NotWellFormed);
    opening_fails(&format!("{open}<a a='1' a='2'/>"), NotWellFormed);
    opening_fails(&format!("{open}<a:b/>"), NotWellFormed);
    opening_fails("GET / HTTP/1.1\r\n\r\n", NotWellFormed);
}

#[test]
fn stanzas_before_login_are_not_authorized() {
    for stanza in [
        "<message to='a@one.test'><body>x</body></message>",
        "<presence/>",
        "<iq type='get' id='1'><query xmlns='jabber:iq:roster'/></iq>",
        "<iq/>",
    ] {
        opening_fails(&(header("one.test") + stanza), StreamCondition::NotAuthorized);
    }
    let mut host = Host::secure();
    host.log_in();
    host.say("<presence/>");
    assert_eq!(host.failure(), Some(StreamCondition::NotAuthorized));
}

#[test]
fn unknown_elements() {
    let condition = StreamCondition::UnsupportedStanzaType;
    opening_fails(&(header("one.test") + "<pubsub/>"), condition);
    bound_fails("<pubsub/>", condition);
    bound_fails("<enabled xmlns='urn:xmpp:sm:3'/>", condition);
    bound_fails("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'/>", condition);
}

#[test]
fn the_sender_is_nobody_else() {
    let condition = StreamCondition::InvalidFrom;
    bound_fails("<message from='other@one.test'/>", condition);
    bound_fails("<message from='user@one.test/other'/>", condition);
    bound_fails("<presence from='one.test'/>", condition);
    bound_fails("<message from='@'/>", condition);
}

#[test]
fn the_domain_and_the_sender_are_fixed() {
    let mut host = Host::secure();
    host.say(&header("one.test"));
    host.say(&plain("user", PASSWORD));
    let answer = host.say(&header("two.test"));
    assert_eq!(host.failure(), Some(StreamCondition::NotAuthorized), "{answer}");
    assert!(answer.contains("from='one.test'"), "{answer}");

    let from = |jid: &str| header("one.test").replace("xmlns='", &format!("from='{jid}' xmlns='"));
    let mut host = Host::secure();
    assert!(host.say(&from("user@one.test")).contains(" to='user@one.test'"));
    assert!(host.say(&plain("user", PASSWORD)).starts_with("<success"));
    host.say(&from("admin@one.test"));
    assert_eq!(host.failure(), Some(StreamCondition::InvalidFrom));

    let mut host = Host::secure();
    host.say(&from("admin@one.test"));
    assert!(!host.say(&plain("user", PASSWORD)).contains("success"));
    assert_eq!(host.failure(), Some(StreamCondition::InvalidFrom));
}

#[test]
fn starttls_is_guarded() {
    let starttls = "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>";
    let clear = || Host::new(settings(), TransportFacts::Tcp { starttls: true });
    for behind in [" <", "<presence/>", "<?xml version='1.0'?>"] {
        let mut host = clear();
        let answer = host.say(&format!("{}{starttls}{behind}", header("one.test")));
        assert_eq!(host.failure(), Some(StreamCondition::PolicyViolation), "{answer}");
        assert!(!answer.contains("proceed"), "{answer}");
        // However it is cut.
        let mut host = clear();
        host.say(&header("one.test"));
        host.say(&starttls[..8]);
        let answer = host.say(&format!("{}{behind}", &starttls[8..]));
        assert_eq!(host.failure(), Some(StreamCondition::PolicyViolation), "{answer}");
    }
    // White space, which some clients send, is dropped, and what is inside TLS begins afresh.
    let mut host = clear();
    host.say(&header("one.test"));
    assert!(host.say(&format!("{starttls}\n")).contains("proceed"));
    assert!(host.say(&header("one.test")).contains("SCRAM-SHA-256-PLUS"));
    assert_eq!(host.failure(), None);
    // Bytes in the clear during the handshake: the end, without a word.
    let mut host = clear();
    host.say(&header("one.test"));
    host.machine.receive(host.now, starttls.as_bytes());
    assert!(!host.machine.wants_input());
    let proceed = host.machine.poll_send().unwrap();
    assert_eq!(proceed, b"<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
    host.machine.receive(host.now, b"<presence/>");
    assert_eq!(host.machine.poll_send(), None);
    // Not twice.
    let mut host = clear();
    host.say(&header("one.test"));
    host.say(starttls);
    assert!(host.machine.is_encrypted());
    host.say(&header("one.test"));
    let answer = host.say(starttls);
    assert_eq!(answer, "<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:stream>");
    assert!(host.closed.is_some());
    // The parser is new: half an element from before means nothing.
    let mut host = clear();
    host.say(&header("one.test"));
    host.say(starttls);
    assert!(host.say(&header("one.test")).contains("SCRAM-SHA-256-PLUS"));
}

#[test]
fn limits_before_login() {
    let condition = StreamCondition::PolicyViolation;
    let open = header("one.test");
    opening_fails(&format!("{open}<a>{}</a>", "x".repeat(17 * 1024)), condition);
    opening_fails(&format!("{open}{}", "<a>".repeat(17)), condition);
    opening_fails(&format!("{open}{}", " ".repeat(65 * 1024)), condition);
    let mut host = Host::secure();
    host.say(&open);
    for _ in 0..65 {
        host.say("<abort xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>");
    }
    assert_eq!(host.failure(), Some(condition));
}

#[test]
fn limits_after_login() {
    let condition = StreamCondition::PolicyViolation;
    let message = |bytes: usize| format!("<message><body>{}</body></message>", "x".repeat(bytes));
    let mut host = Host::bound();
    host.say(&message(200 * 1024));
    assert_eq!(host.stanzas.len(), 1);
    for _ in 0..10 {
        host.say(&message(20 * 1024));
    }
    assert_eq!(host.stanzas.len(), 11);
    bound_fails(&message(256 * 1024), condition);
    bound_fails(&format!("<message>{}", "<a>".repeat(64)), condition);
}

#[test]
fn deadlines() {
    let seconds = Duration::from_secs;
    let mut host = Host::new(settings(), TransportFacts::Tcp { starttls: true });
    assert_eq!(host.wait(seconds(14)), "");
    assert!(host.wait(seconds(1)).contains("<connection-timeout"));
    assert_eq!(host.failure(), Some(StreamCondition::ConnectionTimeout));

    let mut host = Host::secure();
    host.say(&header("one.test"));
    assert_eq!(host.wait(seconds(29)), "");
    assert!(host.wait(seconds(1)).starts_with("<stream:error><connection-timeout"));

    let mut host = Host::secure();
    host.log_in();
    assert_eq!(host.wait(seconds(59)), "");
    assert!(host.wait(seconds(1)).starts_with("<stream:error><connection-timeout"));

    // The handshake cannot be interrupted with words.
    let mut host = Host::new(settings(), TransportFacts::Tcp { starttls: true });
    host.say(&header("one.test"));
    host.machine.receive(host.now, b"<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
    host.machine.poll_send();
    host.machine.poll_event();
    assert_eq!(host.wait(seconds(15)), "");
    assert!(matches!(host.closed, Some(CloseReason::HandshakeTimeout)));
}

#[test]
fn the_server_closes_with_any_error() {
    for condition in [
        StreamCondition::Conflict,
        StreamCondition::Reset,
        StreamCondition::InternalServerError,
        StreamCondition::ResourceConstraint,
        StreamCondition::UndefinedCondition,
    ] {
        let mut host = Host::bound();
        let mut error = StreamError::from(condition);
        error.text = Some("why".into());
        let answer = host.answer(Answer::Close(error));
        let name = condition.name();
        let xmlns = "xmlns='urn:ietf:params:xml:ns:xmpp-streams'";
        assert_eq!(
            answer,
            format!(
                "<stream:error><{name} {xmlns}/><text {xmlns} xml:lang='en'>why</text>\
                 </stream:error></stream:stream>"
            )
        );
        assert_eq!(host.failure(), Some(condition));
    }
    let mut host = Host::secure();
    let answer = host.answer(Answer::Shutdown);
    assert!(answer.contains("<stream:stream") && answer.contains("<system-shutdown"), "{answer}");
}
