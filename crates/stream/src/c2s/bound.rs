//! A client with an address: its stanzas are stamped and handed on (RFC 6120 §8).

use std::sync::Arc;
use std::time::Instant;

use xmpp::error::{Condition, StanzaError, StreamCondition, StreamError};
use xmpp::jid::{FullJid, Jid};
use xmpp::stanza::{Kind, Problem, Stanza, Type};
use xmpp::xml::Element;
use xmpp::xml::Top;

use super::line::Line;
use super::{Event, managing};
use xmpp::ns;

/// The stream proper.
#[derive(Debug)]
pub(super) struct Bound {
    jid: FullJid,
    lang: Option<Arc<str>>,
    /// When the client last sent anything at all.
    heard: Instant,
    ping: Option<Ping>,
    /// Whether the stream is managed (XEP-0198).
    managed: bool,
}

/// A ping that is out (XEP-0199 §4.1).
#[derive(Debug)]
struct Ping {
    id: String,
    sent: Instant,
}

impl Bound {
    pub fn new(jid: FullJid, line: &Line) -> Self {
        let lang = line.lang.as_deref().map(Arc::from);
        Bound { jid, lang, heard: line.now, ping: None, managed: false }
    }

    /// One that is managed from its first stanza on, or goes on with a stream that was (XEP-0198).
    pub fn managed(jid: FullJid, line: &Line) -> Self {
        Bound { managed: true, ..Bound::new(jid, line) }
    }

    pub fn jid(&self) -> &FullJid {
        &self.jid
    }

    /// Any byte, white space too, shows that the client is there (RFC 6120 §4.6.1).
    pub fn heard(&mut self, now: Instant) {
        self.heard = now;
    }

    pub fn due(&self, line: &Line) -> Option<Instant> {
        let idle = line.settings.idle_ping?;
        match &self.ping {
            Some(ping) if ping.sent >= self.heard => Some(ping.sent + line.settings.ping_timeout),
            _ => Some(self.heard + idle),
        }
    }

    /// Pings a silent client, or gives up on one that did not answer.
    pub fn timeout(&mut self, line: &mut Line) -> Result<(), StreamError> {
        if self.ping.as_ref().is_some_and(|ping| ping.sent >= self.heard) {
            return Err(StreamCondition::ConnectionTimeout.into());
        }
        let id = line.seed.token();
        let ping = Stanza::iq(Type::Get, &id).with_to(self.jid.clone());
        let ping = match line.host.as_deref().map(Jid::from_domain) {
            Some(Ok(host)) => ping.with_from(host),
            _ => ping,
        };
        line.events.push_back(Event::Say(ping.with_child(&Element::new(ns::PING, "ping"))));
        self.ping = Some(Ping { id, sent: line.now });
        Ok(())
    }

    pub fn element(mut self, top: &Top<'_>, line: &mut Line) -> Result<Self, StreamError> {
        if managing::is_management(top) {
            managing::bound(top, &mut self.managed, line)?;
            return Ok(self);
        }
        if top.ns() == ns::CSI {
            // XEP-0352 §4.2: there is no answer.
            line.events.push_back(match top.name() {
                "active" => Event::Active,
                "inactive" => Event::Inactive,
                _ => return Err(StreamCondition::UnsupportedStanzaType.into()),
            });
            return Ok(self);
        }
        if top.ns() != ns::CLIENT {
            return Err(StreamCondition::UnsupportedStanzaType.into());
        }
        match top.stanza(self.lang.as_deref()) {
            None => Err(StreamCondition::UnsupportedStanzaType.into()),
            Some(Err(malformed)) if malformed.problem == Problem::From => {
                Err(StreamCondition::InvalidFrom.into())
            }
            Some(Err(malformed)) => {
                let answer = malformed.reply().map(|reply| reply.with_to(self.jid.clone()));
                line.events.push_back(Event::Settled { answer });
                Ok(self)
            }
            Some(Ok(stanza)) => self.stanza(stanza, line),
        }
    }

    fn stanza(mut self, mut stanza: Stanza, line: &mut Line) -> Result<Self, StreamError> {
        if let Some(from) = &stanza.from {
            self.check_sender(from)?;
        }
        if stanza.kind == Kind::Iq {
            if self.answers_ping(&stanza) {
                self.ping = None;
                line.events.push_back(Event::Settled { answer: None });
                return Ok(self);
            }
            if let Some(answer) = formality(&stanza) {
                line.events.push_back(Event::Settled { answer: Some(answer) });
                return Ok(self);
            }
        }
        // RFC 6120 §8.1.2.1: the server says who sent it.
        stanza.from = Some(self.jid.clone().into());
        line.events.push_back(Event::Stanza(stanza));
        Ok(self)
    }

    /// A client may name itself as the sender, by its full or bare address, and nobody else.
    fn check_sender(&self, from: &Jid) -> Result<(), StreamError> {
        let own = match from.resource() {
            Some(_) => from.as_str() == self.jid.as_str(),
            None => from.bare() == self.jid.bare(),
        };
        if own { Ok(()) } else { Err(StreamCondition::InvalidFrom.into()) }
    }

    fn answers_ping(&self, stanza: &Stanza) -> bool {
        let Some(ping) = &self.ping else { return false };
        matches!(stanza.type_, Type::Result | Type::Error) && stanza.id.as_deref() == Some(ping.id.as_str())
    }
}

/// Requests about the stream itself that come too late to mean anything.
fn formality(iq: &Stanza) -> Option<Stanza> {
    if iq.type_ != Type::Set {
        return None;
    }
    if iq.has(ns::SESSION, "session") {
        // RFC 3921 §3; RFC 6121 appendix E.
        return Some(iq.result());
    }
    if iq.has(ns::BIND, "bind") {
        // One resource per stream (RFC 6120 §7.6.2.2).
        return iq.error_reply(&StanzaError::new(Condition::NotAllowed));
    }
    None
}
