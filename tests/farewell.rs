//! How a connection ends once a client has closed its stream (RFC 6120 §4.4, §9.1.5).
#![allow(clippy::unwrap_used)]

use simulator::conversation::{Door, Received, Scene, Stage, Wire};
use std::time::Duration;
use support::sockets::Sockets;
use support::waxwing::Waxwing;

mod support;

/// The client ends TLS: some (Smack 4.5) lose the server's last words when the end of TLS comes with them. But it is
/// not waited for long.
#[test]
fn tls_is_left_to_the_client_for_a_while() {
    let mut stage = Sockets::new(Waxwing::new(None));
    stage.patience = Duration::from_millis(500);
    stage.set(&Scene::default()).unwrap();
    let wire = stage.open(Door::Tls, "one.test").unwrap();
    stage.secure(wire, "one.test", None).unwrap();
    let open = "<stream:stream to='one.test' version='1.0' xmlns='jabber:client' \
                xmlns:stream='http://etherx.jabber.org/streams'>";
    stage.send(wire, open.as_bytes());
    hear(&mut stage, wire, "</stream:features>");
    stage.send(wire, b"</stream:stream>");
    hear(&mut stage, wire, "</stream:stream>");
    assert_eq!(stage.receive(wire), Received::Quiet);
    let ended = (0..10).any(|_| stage.receive(wire) == Received::Closed);
    assert!(ended, "the connection was still there after five seconds");
}

fn hear(stage: &mut Sockets<Waxwing>, wire: Wire, end: &str) {
    let mut heard = String::new();
    while !heard.ends_with(end) {
        match stage.receive(wire) {
            Received::Bytes(bytes) => heard.push_str(&String::from_utf8(bytes).unwrap()),
            other => panic!("{other:?} after {heard}"),
        }
    }
}
