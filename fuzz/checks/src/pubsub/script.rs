//! Requests about nodes, one a line: who asks, whether something is to change, and what is asked. Control bytes, which
//! XML forbids, stand for what requests are made of.

use xmpp::ns;
use xmpp::stanza::Type;
use xmpp::xml::{self, Element};

/// Requests of one input.
const REQUESTS_MAX: usize = 24;

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asker {
    /// The account itself.
    Owner,
    /// A contact who sees its presence.
    Friend,
    /// One that it has put on its list, and lets see nothing.
    Known,
    /// Somebody whom it does not know.
    Stranger,
    /// Somebody whom it has blocked, and knows.
    Blocked,
}

impl Asker {
    /// The device's address.
    pub fn address(self) -> &'static str {
        match self {
            Asker::Owner => "owner@one.test/phone",
            Asker::Friend => "friend@one.test/laptop",
            Asker::Known => "known@one.test/desk",
            Asker::Stranger => "stranger@two.test/x",
            Asker::Blocked => "blocked@one.test/x",
        }
    }
}

/// A request.
#[derive(Debug, Clone, PartialEq)]
pub struct Asked {
    /// Who asks.
    pub asker: Asker,
    /// `get` or `set`.
    pub type_: Type,
    /// What.
    pub payload: Element,
}

/// What a byte stands for.
const SPOKEN: [(u8, &str); 24] = [
    (0x01, "<p:pubsub>"),
    (0x02, "</p:pubsub>"),
    (0x03, "<o:pubsub>"),
    (0x04, "</o:pubsub>"),
    (0x05, "<p:publish node='"),
    (0x06, "</p:publish>"),
    (0x07, "<p:item id='"),
    (0x08, "</p:item>"),
    (0x0B, "<a xmlns='urn:a'>a</a>"),
    (
        0x0C,
        "<d:x type='submit'><d:field var='FORM_TYPE' type='hidden'><d:value>http://jabber.org/protocol/pubsub#",
    ),
    (0x0E, "</d:value></d:field>"),
    (0x0F, "<d:field var='pubsub#"),
    (0x10, "'><d:value>"),
    (0x11, "</d:x>"),
    (0x12, "<r:set>"),
    (0x13, "</r:set>"),
    (0x14, "<p:retract node='"),
    (0x15, "</p:retract>"),
    (0x16, "<o:affiliation jid='"),
    (0x17, "' affiliation='"),
    (0x18, "owner@one.test"),
    (0x19, "friend@one.test"),
    (0x1A, "stranger@two.test"),
    (0x1B, "0123456789012345678901234567890123456789"),
];

/// Reads an input; what is no XML is no request.
pub fn read(data: &[u8]) -> Vec<Asked> {
    data.split(|byte| *byte == b'\n').filter_map(request).take(REQUESTS_MAX).collect()
}

fn request(line: &[u8]) -> Option<Asked> {
    let [who, what, rest @ ..] = line else { return None };
    let asker = match who {
        b'f' => Asker::Friend,
        b'k' => Asker::Known,
        b's' => Asker::Stranger,
        b'b' => Asker::Blocked,
        _ => Asker::Owner,
    };
    let type_ = if *what == b's' { Type::Set } else { Type::Get };
    let mut text = format!(
        "<iq xmlns='{}' xmlns:p='{}' xmlns:o='{}' xmlns:d='{}' xmlns:r='{}' xmlns:i='{}'>",
        ns::CLIENT,
        ns::PUBSUB,
        ns::PUBSUB_OWNER,
        ns::FORMS,
        ns::RSM,
        ns::DISCO_ITEMS
    )
    .into_bytes();
    for byte in rest {
        match SPOKEN.iter().find(|(spoken, _)| spoken == byte) {
            Some((_, said)) => text.extend_from_slice(said.as_bytes()),
            None => text.push(*byte),
        }
    }
    text.extend_from_slice(b"</iq>");
    let iq = xml::parse(&text, xml::Limits::default()).ok()?;
    let payload = iq.children().next()?.clone();
    // Others have other owners (`server/queries.rs`).
    let is_ours =
        matches!(payload.ns(), ns::PUBSUB | ns::PUBSUB_OWNER) || payload.is(ns::DISCO_ITEMS, "query");
    is_ours.then_some(Asked { asker, type_, payload })
}
