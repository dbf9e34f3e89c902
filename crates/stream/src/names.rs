//! The namespaces that only streams speak.

pub(crate) const CLIENT: &str = "jabber:client";
pub(crate) const STREAM: &str = "http://etherx.jabber.org/streams";
pub(crate) const STREAM_ERRORS: &str = "urn:ietf:params:xml:ns:xmpp-streams";
pub(crate) const TLS: &str = "urn:ietf:params:xml:ns:xmpp-tls";
pub(crate) const SASL: &str = "urn:ietf:params:xml:ns:xmpp-sasl";
pub(crate) const SASL_CB: &str = "urn:xmpp:sasl-cb:0";
pub(crate) const BIND: &str = "urn:ietf:params:xml:ns:xmpp-bind";
pub(crate) const SESSION: &str = "urn:ietf:params:xml:ns:xmpp-session";
pub(crate) const LIMITS: &str = "urn:xmpp:stream-limits:0";
pub(crate) const REGISTER: &str = "jabber:iq:register";
pub(crate) const REGISTER_FEATURE: &str = "http://jabber.org/features/iq-register";
pub(crate) const PING: &str = "urn:xmpp:ping";
