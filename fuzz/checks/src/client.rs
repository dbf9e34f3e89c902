//! A client's stream, seen from the client: whatever a server says, in whatever pieces, the client says the same, says
//! XML, gives no password away in the clear, and takes nobody for a server that knows it who does not.
//!
//! Input: how the client logs in, a byte that seeds the cuts, what the server says. Control bytes stand for elements.

use std::time::Instant;

use stream::client::{Client, ClientAnswer, ClientEvent, ClientSettings, Login};
use stream::{TlsFacts, TransportFacts};

use xmpp::xml::Element;

use crate::oracle::by_rxml;
use crate::scanner::cut;

/// Elements that a byte stands for. A pause (0x1F) makes what follows another piece in any case.
const SPOKEN: [(u8, &str); 13] = [
    (
        0x01,
        "<stream:stream id='1' from='one.test' version='1.0' xmlns='jabber:client' \
         xmlns:stream='http://etherx.jabber.org/streams'>",
    ),
    (0x02, "<stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:features>"),
    (
        0x03,
        "<stream:features><mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>PLAIN</mechanism>\
         <mechanism>EXTERNAL</mechanism><mechanism>ANONYMOUS</mechanism></mechanisms></stream:features>",
    ),
    (
        0x04,
        "<stream:features><mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>SCRAM-SHA-1</mechanism>\
         <mechanism>SCRAM-SHA-256-PLUS</mechanism></mechanisms><sasl-channel-binding xmlns='urn:xmpp:sasl-cb:0'>\
         <channel-binding type='tls-exporter'/></sasl-channel-binding></stream:features>",
    ),
    (0x05, "<stream:features><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></stream:features>"),
    (0x06, "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"),
    (0x07, "<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>"),
    (0x08, "<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><not-authorized/></failure>"),
    (0x0B, "<challenge xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>cj1hLHM9YWFhYSxpPTQwOTY=</challenge>"),
    (
        0x0C,
        "<iq type='result' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><jid>user@one.test/r</jid>\
         </bind></iq>",
    ),
    (0x0E, "<stream:error><reset xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>"),
    (0x0F, "</stream:stream>"),
    (0x10, "<message from='a@one.test'><body>hi</body></message>"),
];

/// All that came of a stream.
#[derive(Debug, Default, PartialEq, Eq)]
struct Outcome {
    sent: String,
    told: Vec<Told>,
}

/// What the client told.
#[derive(Debug, PartialEq, Eq)]
enum Told {
    Element(Element),
    Other(String),
}

/// Checks an input.
///
/// # Panics
/// When the client breaks a promise.
pub fn check(data: &[u8]) {
    let [choices, cuts, script @ ..] = data else { return };
    let segments: Vec<Vec<u8>> = script.split(|byte| *byte == 0x1F).map(spoken).collect();
    let whole = run(*choices, data, &segments, |segment, hear| hear(segment));
    is_xml(&whole.sent);
    let bytewise = run(*choices, data, &segments, |segment, hear| segment.chunks(1).for_each(hear));
    assert_eq!(whole, bytewise, "split: byte by byte");
    let seeded = run(*choices, data, &segments, |segment, hear| cut(segment, *cuts).for_each(hear));
    assert_eq!(whole, seeded, "split: {cuts}");
}

fn spoken(script: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for byte in script {
        match SPOKEN.iter().find(|(known, _)| known == byte) {
            Some((_, spoken)) => bytes.extend_from_slice(spoken.as_bytes()),
            None => bytes.push(*byte),
        }
    }
    bytes
}

fn login(choices: u8) -> Login {
    match choices & 3 {
        0 => Login::Password { username: "user".to_owned(), password: "pencil".to_owned() },
        1 => Login::Certificate { authzid: None },
        2 => Login::Anonymous,
        _ => Login::None,
    }
}

fn run(
    choices: u8,
    data: &[u8],
    segments: &[Vec<u8>],
    pieces: impl Fn(&[u8], &mut dyn FnMut(&[u8])),
) -> Outcome {
    let facts = TlsFacts { version13: true, exporter: Some([9; 32]), ..TlsFacts::default() };
    let transport = match choices & 4 {
        0 => TransportFacts::DirectTls(facts.clone()),
        _ => TransportFacts::Tcp { starttls: true },
    };
    let settings = ClientSettings::new("one.test", login(choices));
    #[allow(clippy::disallowed_methods)] // any beginning will do
    let now = Instant::now();
    // Another nonce for every input: nobody guesses it, so nobody makes the client work for a challenge.
    let seed =
        data.iter().fold(0x811C_9DC5_u32, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193));
    let mut key = [0; 32];
    key[..4].copy_from_slice(&seed.to_be_bytes());
    let mut client = Client::new(now, settings, key, transport);
    let mut outcome = Outcome::default();
    let mut secure = choices & 4 == 0;
    settle(&mut client, &mut outcome);
    for segment in segments {
        let mut shaking = false;
        pieces(segment, &mut |piece| {
            // What stands behind `<proceed/>` belongs to the handshake, not to the stream.
            if !shaking {
                client.receive(now, piece);
                shaking = settle(&mut client, &mut outcome);
            }
        });
        assert!(secure || !outcome.sent.contains("mechanism='PLAIN'"), "a password in the clear");
        if shaking {
            secure = true;
            client.answer(now, ClientAnswer::TlsReady(facts.clone()));
            settle(&mut client, &mut outcome);
        }
    }
    let is_bound = client.bound_jid().is_some();
    let proves = choices & 3 == 0 && !outcome.sent.contains("mechanism='PLAIN'");
    assert!(!is_bound || !proves && choices & 3 != 3, "bound to a server that proved nothing: {outcome:?}");
    for _ in 0..2 {
        if let Some(due) = client.poll_timeout() {
            client.timeout(due);
            settle(&mut client, &mut outcome);
        }
    }
    assert_eq!(client.poll_timeout(), None);
    outcome
}

/// Notes what the client says and tells; whether it wants the handshake.
fn settle(client: &mut Client, outcome: &mut Outcome) -> bool {
    let mut shakes = false;
    while let Some(event) = client.poll_event() {
        shakes |= matches!(event, ClientEvent::StartTls);
        outcome.told.push(match event {
            ClientEvent::Features(element)
            | ClientEvent::Element(element)
            | ClientEvent::BindFailed(element) => Told::Element(element),
            other => Told::Other(format!("{other:?}")),
        });
    }
    while let Some(bytes) = client.poll_send() {
        outcome.sent.push_str(std::str::from_utf8(&bytes).expect("UTF-8 is sent"));
    }
    shakes
}

fn is_xml(sent: &str) {
    const OPEN: &str = "<?xml version='1.0'?>";
    for stream in sent.split(OPEN).skip(1) {
        let reading = by_rxml::stream(format!("{OPEN}{stream}").as_bytes());
        assert_eq!((reading.refused, reading.text_after), (None, None), "{stream}");
    }
}
