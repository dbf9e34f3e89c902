//! What happens to a stream, in order: bytes that come, time that passes, wishes of the server. Control bytes, which
//! XML forbids, stand for whole elements and for what is not bytes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use stream::sasl::ht;

/// The user agent of those who have a token.
pub const CLIENT: &str = "d4565fa7-4d72-4749-b3d3-740edbf87770";
/// What the token is derived from.
pub const SEED: &str = "seed";

/// One thing that happens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    /// Bytes come, in whatever pieces: each part was written as one in the script.
    Bytes(Vec<Part>),
    /// A stanza is for the client.
    Deliver,
    /// So many seconds pass.
    Wait(u64),
    /// The server wants to close.
    End,
    /// The server closes with an error.
    Close,
    /// The server stops.
    Shutdown,
    /// The connection is gone.
    Gone,
}

/// Bytes of a script that belong together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// What a control byte stands for.
    Element(Vec<u8>),
    /// As they stand in the script.
    Raw(Vec<u8>),
}

impl Part {
    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        match self {
            Part::Element(bytes) | Part::Raw(bytes) => bytes,
        }
    }
}

/// Elements that a byte stands for.
const SPOKEN: [(u8, &str); 23] = [
    (
        0x01,
        "<?xml version='1.0'?><stream:stream to='one.test' version='1.0' xmlns='jabber:client' \
         xmlns:stream='http://etherx.jabber.org/streams'>",
    ),
    (
        0x02,
        "<stream:stream to='one.test' from='user@one.test' xml:lang='de' version='1.0' xmlns='jabber:client' \
         xmlns:stream='http://etherx.jabber.org/streams'>",
    ),
    (0x05, "<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>"),
    (
        0x06,
        "<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>r</resource></bind></iq>",
    ),
    (0x07, "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"),
    (0x08, "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='ANONYMOUS'/>"),
    (0x0B, "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'>=</auth>"),
    (
        0x0C,
        "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='SCRAM-SHA-1'>biwsbj11c2VyLHI9YQ==</auth>",
    ),
    (0x0E, "<iq type='get' id='r'><query xmlns='jabber:iq:register'/></iq>"),
    (0x00, "<abort xmlns='urn:xmpp:sasl:2'/>"),
    (0x12, "<response xmlns='urn:xmpp:sasl:2'>"),
    (0x13, "<authenticate xmlns='urn:xmpp:sasl:2' mechanism='PLAIN'/>"),
    (0x14, "</stream:stream>"),
    (0x15, "<message to='b@two.test'><body>"),
    (0x16, "</body></message>"),
    (0x17, "<iq type='set' id='s'><session xmlns='urn:ietf:params:xml:ns:xmpp-session'/></iq>"),
    (0x18, "<presence/>"),
    (0x19, "<iq type='get' id='p' to='@'><ping xmlns='urn:xmpp:ping'/></iq>"),
    (0x1A, "<response xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>"),
    (0x1B, "</response>"),
    (0x1C, "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'/>"),
    (0x1D, "<stream:error><reset xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>"),
    (0x1E, "<abort xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>"),
];

/// Reads a script. What a byte behind 0x1F stands for happens beside the bytes.
pub fn read(data: &[u8]) -> Vec<Act> {
    let mut acts = Vec::new();
    let mut parts: Vec<Part> = Vec::new();
    let mut rest = data.iter();
    while let Some(byte) = rest.next() {
        let spoken = SPOKEN.iter().find(|(known, _)| known == byte).map(|(_, spoken)| (*spoken).to_owned());
        match (*byte, spoken, parts.last_mut()) {
            (0x1F, ..) => {
                acts.push(Act::Bytes(std::mem::take(&mut parts)));
                acts.extend(rest.next().and_then(|what| beside(*what)));
            }
            (0x03, ..) => parts.push(Part::Element(plain("pencil").into_bytes())),
            (0x0F, ..) => parts.push(Part::Element(by_password().into_bytes())),
            (0x10, ..) => parts.push(Part::Element(by_token(1).into_bytes())),
            (0x11, ..) => parts.push(Part::Element(by_token(0).into_bytes())),
            (0x04, ..) => parts.push(Part::Element(plain("pencils").into_bytes())),
            (_, Some(spoken), _) => parts.push(Part::Element(spoken.into_bytes())),
            (byte, None, Some(Part::Raw(bytes))) => bytes.push(byte),
            (byte, None, _) => parts.push(Part::Raw(vec![byte])),
        }
    }
    acts.push(Act::Bytes(parts));
    acts
}

fn beside(what: u8) -> Option<Act> {
    match what {
        b'd' => Some(Act::Deliver),
        b'w' => Some(Act::Wait(20)),
        b'l' => Some(Act::Wait(310)),
        b'e' => Some(Act::End),
        b'c' => Some(Act::Close),
        b's' => Some(Act::Shutdown),
        b'g' => Some(Act::Gone),
        // A pause: what comes next is another piece in any case.
        _ => None,
    }
}

/// A login with a session and a token.
fn by_password() -> String {
    let data = STANDARD.encode("\0user\0pencil");
    format!(
        "<authenticate xmlns='urn:xmpp:sasl:2' mechanism='PLAIN'><initial-response>{data}</initial-response>\
         <user-agent id='{CLIENT}'/><bind xmlns='urn:xmpp:bind:0'><tag>t</tag>\
         <enable xmlns='urn:xmpp:sm:3' resume='1'/></bind>\
         <request-token xmlns='urn:xmpp:fast:0' mechanism='HT-SHA-256-EXPR'/></authenticate>"
    )
}

/// A login with the token; a count of 0 is one that must not be.
fn by_token(count: u32) -> String {
    let token = ht::derive(&[3; 32], "user@one.test", CLIENT, SEED);
    let data = STANDARD.encode(ht::initiator("user", &token, b""));
    format!(
        "<authenticate xmlns='urn:xmpp:sasl:2' mechanism='HT-SHA-256-NONE'>\
         <initial-response>{data}</initial-response><user-agent id='{CLIENT}'/>\
         <fast xmlns='urn:xmpp:fast:0' count='{count}'/>\
         <resume xmlns='urn:xmpp:sm:3' previd='sm-1' h='1'/></authenticate>"
    )
}

fn plain(password: &str) -> String {
    let data = STANDARD.encode(format!("\0user\0{password}"));
    format!("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{data}</auth>")
}
