//! Where a stanza goes: one match on the address it names (RFC 6120 §10).

use xmpp::jid::BareJid;
use xmpp::stanza::Stanza;

use crate::node::Node;

/// Who is to read a stanza.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// An entity of ours: an account, or one of our domains.
    Here(BareJid),
    /// Another server.
    Remote(String),
    /// It names nobody.
    Nowhere,
}

/// Whose letter this stanza is.
pub fn destination(node: &Node, stanza: &Stanza) -> Destination {
    match &stanza.to {
        None => Destination::Nowhere,
        Some(to) if node.domain(to.domain()).is_some() => Destination::Here(to.bare()),
        Some(to) => Destination::Remote(to.domain().to_owned()),
    }
}
