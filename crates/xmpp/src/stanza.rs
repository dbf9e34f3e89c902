//! Stanzas: a small parsed envelope over a shared, already validated text.

mod build;
mod payload;
mod receive;

use std::num::NonZeroU64;
use std::sync::Arc;

use crate::error::StanzaError;
use crate::jid::Jid;
use crate::ns;
use crate::xml::{Element, escape};

use payload::Payload;
pub use receive::{Malformed, Problem};

/// The three kinds of stanza (RFC 6120 §8.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Push.
    Message,
    /// Publish.
    Presence,
    /// Ask and answer.
    Iq,
}

impl Kind {
    /// The name of its element.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Message => "message",
            Kind::Presence => "presence",
            Kind::Iq => "iq",
        }
    }
}

/// The types of all three kinds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Type {
    /// A message that stands by itself (RFC 6121 §5.2.2); also any type that is not known.
    Normal,
    /// A message of a conversation.
    Chat,
    /// A message of a room.
    Groupchat,
    /// A message that expects no reply.
    Headline,
    /// Presence without a type.
    Available,
    /// No longer available.
    Unavailable,
    /// Asks to see presence.
    Subscribe,
    /// Grants it.
    Subscribed,
    /// Gives it up.
    Unsubscribe,
    /// Denies it, or takes it back.
    Unsubscribed,
    /// Asks for present presence.
    Probe,
    /// Asks.
    Get,
    /// Orders.
    Set,
    /// Answers.
    Result,
    /// Something went wrong with a stanza that was sent.
    Error,
}

impl Type {
    /// The value of the attribute, if it is written at all.
    pub fn name(self) -> Option<&'static str> {
        Some(match self {
            Type::Normal | Type::Available => return None,
            Type::Chat => "chat",
            Type::Groupchat => "groupchat",
            Type::Headline => "headline",
            Type::Unavailable => "unavailable",
            Type::Subscribe => "subscribe",
            Type::Subscribed => "subscribed",
            Type::Unsubscribe => "unsubscribe",
            Type::Unsubscribed => "unsubscribed",
            Type::Probe => "probe",
            Type::Get => "get",
            Type::Set => "set",
            Type::Result => "result",
            Type::Error => "error",
        })
    }

    /// Reads the attribute of a stanza of this kind.
    pub fn read(kind: Kind, value: Option<&str>) -> Option<Type> {
        Some(match (kind, value) {
            (_, Some("error")) => Type::Error,
            (Kind::Message, Some("chat")) => Type::Chat,
            (Kind::Message, Some("groupchat")) => Type::Groupchat,
            (Kind::Message, Some("headline")) => Type::Headline,
            // RFC 6121 §5.2.2: what is not known is read as normal.
            (Kind::Message, _) => Type::Normal,
            (Kind::Presence, None) => Type::Available,
            (Kind::Presence, Some("unavailable")) => Type::Unavailable,
            (Kind::Presence, Some("subscribe")) => Type::Subscribe,
            (Kind::Presence, Some("subscribed")) => Type::Subscribed,
            (Kind::Presence, Some("unsubscribe")) => Type::Unsubscribe,
            (Kind::Presence, Some("unsubscribed")) => Type::Unsubscribed,
            (Kind::Presence, Some("probe")) => Type::Probe,
            (Kind::Iq, Some("get")) => Type::Get,
            (Kind::Iq, Some("set")) => Type::Set,
            (Kind::Iq, Some("result")) => Type::Result,
            _ => return None,
        })
    }
}

/// How the content namespace is known where a stanza is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContentNs<'a> {
    /// It is the default namespace there (a TCP stream).
    Inherited,
    /// The stanza declares it itself (a WebSocket frame).
    Declared(&'a str),
}

/// A stanza. A clone shares its payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stanza {
    /// Which kind.
    pub kind: Kind,
    /// Which type.
    pub type_: Type,
    /// To whom.
    pub to: Option<Jid>,
    /// From whom.
    pub from: Option<Jid>,
    /// Its id.
    pub id: Option<Arc<str>>,
    /// Its `xml:lang`.
    pub lang: Option<Arc<str>>,
    /// Attributes that are not known, as they are written.
    extra: Option<Arc<str>>,
    payload: Payload,
    archived: Option<NonZeroU64>,
}

impl Stanza {
    /// Whether it has a direct child of this name. Builds no tree.
    pub fn has(&self, namespace: &str, name: &str) -> bool {
        self.children().any(|child| child == (namespace, name))
    }

    /// Whether it has a direct child of this namespace.
    pub fn has_ns(&self, namespace: &str) -> bool {
        self.children().any(|(own, _)| own == namespace)
    }

    /// Namespace and name of each direct child.
    pub fn children(&self) -> impl Iterator<Item = (&str, &str)> {
        self.payload.children()
    }

    /// Namespace and name of the first direct child.
    pub fn first_name(&self) -> Option<(&str, &str)> {
        self.children().next()
    }

    /// How many direct children it has.
    pub fn child_count(&self) -> usize {
        self.payload.count()
    }

    /// The first direct child of this name, as a tree.
    pub fn element(&self, namespace: &str, name: &str) -> Option<Element> {
        let at = self.children().position(|child| child == (namespace, name))?;
        self.payload.element(at)
    }

    /// All direct children of this name, as trees.
    pub fn elements<'a>(&'a self, namespace: &'a str, name: &'a str) -> impl Iterator<Item = Element> + 'a {
        let places = self.children().enumerate().filter(move |(_, child)| *child == (namespace, name));
        places.filter_map(|(at, _)| self.payload.element(at))
    }

    /// The first direct child, as a tree.
    pub fn first(&self) -> Option<Element> {
        self.payload.element(0)
    }

    /// The text of the first direct child of this name.
    pub fn child_text(&self, namespace: &str, name: &str) -> Option<String> {
        let at = self.children().position(|child| child == (namespace, name))?;
        match self.payload.plain_text(at) {
            Some(text) => Some(text.to_owned()),
            None => self.payload.element(at).map(|element| element.text()),
        }
    }

    /// The body of a message.
    pub fn body(&self) -> Option<String> {
        self.child_text(ns::CLIENT, "body")
    }

    /// The priority of a presence; zero where none is said or what is said is no number (RFC 6121 §4.7.2.3).
    pub fn priority(&self) -> i8 {
        if !self.has(ns::CLIENT, "priority") {
            return 0;
        }
        let text = self.child_text(ns::CLIENT, "priority").unwrap_or_default();
        text.trim().parse().unwrap_or(0)
    }

    /// The number under which whoever passes it on has archived it, letter for letter; it is never written.
    pub fn archived(&self) -> Option<u64> {
        self.archived.map(NonZeroU64::get)
    }

    /// Whether it is of type error.
    pub fn is_error(&self) -> bool {
        self.type_ == Type::Error
    }

    /// Whether it is an iq that wants an answer.
    pub fn is_request(&self) -> bool {
        matches!(self.type_, Type::Get | Type::Set)
    }

    /// About how many bytes it is when written.
    pub fn byte_len(&self) -> usize {
        let address = |jid: &Option<Jid>| jid.as_ref().map_or(0, |jid| jid.as_str().len() + 8);
        self.payload.text().len()
            + address(&self.to)
            + address(&self.from)
            + self.id.as_ref().map_or(0, |id| id.len() + 6)
            + self.extra.as_ref().map_or(0, |extra| extra.len())
            + 2 * self.kind.name().len()
            + 24
    }

    /// Writes it: a new head around the same text.
    pub fn write(&self, out: &mut Vec<u8>, content: ContentNs<'_>) {
        let name = self.kind.name().as_bytes();
        out.reserve(self.byte_len());
        out.push(b'<');
        out.extend_from_slice(name);
        if let ContentNs::Declared(namespace) = content {
            write_attribute("xmlns", namespace, out);
        }
        if let Some(from) = &self.from {
            write_attribute("from", from.as_str(), out);
        }
        if let Some(to) = &self.to {
            write_attribute("to", to.as_str(), out);
        }
        if let Some(id) = &self.id {
            write_attribute("id", id, out);
        }
        if let Some(type_) = self.type_.name() {
            write_attribute("type", type_, out);
        }
        if let Some(lang) = &self.lang {
            write_attribute("xml:lang", lang, out);
        }
        if let Some(extra) = &self.extra {
            out.extend_from_slice(extra.as_bytes());
        }
        let text = self.payload.text().as_bytes();
        if text.is_empty() {
            out.extend_from_slice(b"/>");
            return;
        }
        out.push(b'>');
        out.extend_from_slice(text);
        out.extend_from_slice(b"</");
        out.extend_from_slice(name);
        out.push(b'>');
    }

    /// As text for a stream whose default namespace is the content's.
    pub fn to_xml(&self) -> String {
        let mut out = Vec::new();
        self.write(&mut out, ContentNs::Inherited);
        String::from_utf8(out).unwrap_or_default()
    }

    /// The empty result of an iq.
    pub fn result(&self) -> Stanza {
        let mut answer = Stanza::iq(Type::Result, "");
        answer.id.clone_from(&self.id);
        answer.to.clone_from(&self.from);
        answer.from.clone_from(&self.to);
        answer
    }

    /// The result of an iq, with this child.
    pub fn result_with(&self, child: &Element) -> Stanza {
        self.result().with_child(child)
    }

    /// The error that answers this stanza (RFC 6120 §8.3.1). There is none for an error, nor for a result.
    pub fn error_reply(&self, error: &StanzaError) -> Option<Stanza> {
        if matches!(self.type_, Type::Error | Type::Result) {
            return None;
        }
        let mut answer = Stanza::empty(self.kind, Type::Error);
        answer.id.clone_from(&self.id);
        answer.to.clone_from(&self.from);
        answer.from.clone_from(&self.to);
        Some(answer.with_child(&error.to_element()))
    }
}

fn write_attribute(name: &str, value: &str, out: &mut Vec<u8>) {
    out.push(b' ');
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"='");
    escape::attribute(value, out);
    out.push(b'\'');
}
