//! Errors of publishing, each with the condition of XEP-0060 beside that of RFC 6120.

use xmpp::error::{Condition, StanzaError};
use xmpp::ns;
use xmpp::xml::Element;

/// An error with a condition of publishing.
pub fn error(condition: Condition, own: &'static str) -> StanzaError {
    StanzaError::new(condition).with_app(Element::new(ns::PUBSUB_ERRORS, own))
}

/// There is no such node.
pub fn no_such_node() -> StanzaError {
    // COMPAT: profanity 0.13 makes its list of devices for OMEMO once it has heard this number for it.
    StanzaError::new(Condition::ItemNotFound).with_code(404)
}

/// What is not done here.
pub fn unsupported(feature: &str) -> StanzaError {
    let own = Element::new(ns::PUBSUB_ERRORS, "unsupported").with_attr("feature", feature);
    StanzaError::new(Condition::FeatureNotImplemented).with_app(own)
}
