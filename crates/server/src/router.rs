//! Where a stanza goes: one match on the address it names (RFC 6120 §10).

use xmpp::error::{Condition, StanzaError};
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

/// The stanza and whose letter it is. What is for another server comes back as an error: there is no way to them yet.
pub fn readdressed(node: &Node, stanza: Stanza) -> Option<(BareJid, Stanza)> {
    let stanza = match destination(node, &stanza) {
        Destination::Here(address) => return Some((address, stanza)),
        Destination::Remote(domain) => {
            tracing::debug!(%domain, "there is no way to other servers yet");
            stanza.error_reply(&StanzaError::new(Condition::RemoteServerNotFound))
        }
        Destination::Nowhere => None,
    };
    let Some(stanza) = stanza else {
        tracing::debug!("a stanza that can be sent nowhere was dropped");
        return None;
    };
    match destination(node, &stanza) {
        Destination::Here(address) => Some((address, stanza)),
        Destination::Remote(_) | Destination::Nowhere => None,
    }
}
