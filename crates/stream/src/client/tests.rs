//! A client machine against a server that misbehaves.
#![allow(clippy::disallowed_methods)] // any beginning will do

use super::*;

const HEADER: &str = "<stream:stream id='1' from='one.test' version='1.0' xmlns='jabber:client' \
                      xmlns:stream='http://etherx.jabber.org/streams'>";

fn client(login: Login) -> (Client, Instant) {
    let now = Instant::now();
    let transport = TransportFacts::DirectTls(TlsFacts::default());
    let settings = ClientSettings::new("one.test", login);
    (Client::new(now, settings, [4; 32], transport), now)
}

fn password() -> Login {
    Login::Password { username: "user".into(), password: "pencil".into() }
}

fn ends(text: &str) -> ClientClosed {
    let (mut client, now) = client(password());
    client.receive(now, text.as_bytes());
    while let Some(event) = client.poll_event() {
        if let ClientEvent::Closed(why) = event {
            return why;
        }
    }
    panic!("still open after {text}");
}

fn offering(mechanism: &str) -> String {
    format!(
        "{HEADER}<stream:features><mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>\
         <mechanism>{mechanism}</mechanism></mechanisms></stream:features>"
    )
}

#[test]
fn a_misbehaving_server_is_left() {
    let sasl = "xmlns='urn:ietf:params:xml:ns:xmpp-sasl'";
    for text in [
        "nonsense".to_owned(),
        format!("{HEADER}<message/>"),
        offering("KERBEROS"),
        format!("{}<message/>", offering("PLAIN")),
        format!("{}<challenge {sasl}/>", offering("PLAIN")),
        format!("{}<success {sasl}/>", offering("SCRAM-SHA-1")),
        format!("{}<challenge {sasl}>*</challenge>", offering("SCRAM-SHA-1")),
    ] {
        assert!(matches!(ends(&text), ClientClosed::Protocol(_)), "{text}");
    }
    assert_eq!(ends(&format!("{HEADER}</stream:stream>")), ClientClosed::Ended);
    let error = format!("{HEADER}<stream:error><x xmlns='urn:y'/></stream:error>");
    assert!(matches!(ends(&error), ClientClosed::Error(_)));
}

#[test]
fn without_a_login_everything_is_an_event() {
    let (mut client, now) = client(Login::None);
    assert!(client.poll_send().unwrap().starts_with(b"<?xml version='1.0'?><stream:stream to="));
    let text = format!("{HEADER}<stream:features/><message><body>x</body></message>");
    client.receive(now, text.as_bytes());
    assert!(matches!(client.poll_event(), Some(ClientEvent::Features(_))));
    assert!(matches!(client.poll_event(), Some(ClientEvent::Element(_))));
    client.send_raw(b"<presence/>");
    client.close(now);
    assert_eq!(client.poll_send().unwrap(), b"<presence/></stream:stream>");
    client.timeout(client.poll_timeout().unwrap());
    assert!(matches!(client.poll_event(), Some(ClientEvent::Closed(ClientClosed::Ended))));
}

#[test]
fn a_slow_server_is_left() {
    let (mut client, now) = client(password());
    client.timeout(now + Duration::from_secs(60));
    assert!(matches!(client.poll_event(), Some(ClientEvent::Closed(ClientClosed::TimedOut))));
}
