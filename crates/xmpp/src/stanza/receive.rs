//! From a scanned element to a stanza: the envelope is checked, the payload copied once out of what was read.

use std::sync::Arc;

use smallvec::SmallVec;

use super::payload::{Child, Payload};
use super::{Kind, Stanza, Type};
use crate::error::{Condition, StanzaError};
use crate::jid::Jid;
use crate::ns;
use crate::xml::{Limits, Space, Top, escape, value};

/// A stanza whose envelope is wrong: who is to be told what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Malformed {
    /// Its kind.
    pub kind: Kind,
    /// Its type, where it is known.
    pub type_: Option<Type>,
    /// Its id.
    pub id: Option<Arc<str>>,
    /// Its `to`, as it was written.
    pub to: Option<String>,
    /// What is wrong.
    pub problem: Problem,
}

/// What is wrong with an envelope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Problem {
    /// The sender hears this error and the stream goes on.
    Stanza(StanzaError),
    /// The `from` is no address: `invalid-from`, and the stream ends (RFC 6120 §4.9.3.9).
    From,
}

impl Malformed {
    /// The error that answers it, as far as it can be addressed. There is none for an error, nor for a result.
    pub fn reply(&self) -> Option<Stanza> {
        let Problem::Stanza(error) = &self.problem else { return None };
        if matches!(self.type_, Some(Type::Error | Type::Result)) {
            return None;
        }
        let mut reply = Stanza::empty(self.kind, Type::Error);
        // RFC 6120 §8.3.1 rule 3: the error of an iq has an id, an empty one if the iq had none.
        let empty = (self.kind == Kind::Iq).then(|| Arc::from(""));
        reply.id = self.id.clone().or(empty);
        reply.from = self.to.as_deref().and_then(|to| Jid::new(to).ok());
        Some(reply.with_child(&error.to_element()))
    }
}

impl Top<'_> {
    /// Reads it as a stanza, if it is one: a message, presence or iq in a content namespace.
    /// Where it says no language, `lang` is its language (RFC 6120 §8.1.5).
    pub fn stanza(&self, lang: Option<&str>) -> Option<Result<Stanza, Malformed>> {
        if !ns::is_content(self.ns()) {
            return None;
        }
        let kind = match self.name() {
            "message" => Kind::Message,
            "presence" => Kind::Presence,
            "iq" => Kind::Iq,
            _ => return None,
        };
        Some(read(self, kind, lang))
    }
}

impl Stanza {
    /// Reads a stanza that stands by itself, as the store keeps it; `jabber:client` is implied.
    ///
    /// # Errors
    /// When it is no stanza, or its envelope is wrong.
    pub fn read(xml: &[u8]) -> Result<Stanza, Malformed> {
        let mut scanner = crate::xml::Scanner::within(Limits::CHECKED, ns::CLIENT);
        let mut rest = xml;
        let nothing = || Malformed {
            kind: Kind::Message,
            type_: None,
            id: None,
            to: None,
            problem: Problem::Stanza(StanzaError::new(Condition::BadRequest)),
        };
        match scanner.next(&mut rest) {
            Ok(Some(crate::xml::Item::Element(top))) => top.stanza(None).unwrap_or_else(|| Err(nothing())),
            _ => Err(nothing()),
        }
    }
}

fn read(top: &Top<'_>, kind: Kind, lang: Option<&str>) -> Result<Stanza, Malformed> {
    let mut stanza = Stanza::empty(kind, Type::Normal);
    let mut to = None;
    let mut from = None;
    let mut type_ = None;
    let mut extra = Vec::new();
    let mut prefixes: SmallVec<[&str; 2]> = SmallVec::new();
    for attribute in top.attributes() {
        let plain = value(attribute.value);
        match attribute.name {
            "to" => to = Some(plain),
            "from" => from = Some(plain),
            "id" => stanza.id = Some(Arc::from(plain.as_ref())),
            "type" => type_ = Some(plain),
            "xml:lang" => stanza.lang = Some(Arc::from(plain.as_ref())),
            _ => {
                if let Some((prefix, namespace)) =
                    attribute.prefix().filter(|(own, _)| !prefixes.contains(own))
                {
                    prefixes.push(prefix);
                    extra.extend_from_slice(format!(" xmlns:{prefix}=").as_bytes());
                    escape::namespace(namespace, &mut extra);
                }
                attribute.write_again(&mut extra);
            }
        }
    }
    stanza.lang = stanza.lang.or_else(|| lang.map(Arc::from));
    stanza.extra = String::from_utf8(extra).ok().filter(|extra| !extra.is_empty()).map(Arc::from);
    let known = Type::read(kind, type_.as_deref());
    let wrong = |problem: Problem| Malformed {
        kind,
        type_: known,
        id: stanza.id.clone(),
        to: to.as_deref().map(str::to_owned),
        problem,
    };
    let bad = |condition: Condition| wrong(Problem::Stanza(StanzaError::new(condition)));
    stanza.from = match from.as_deref().map(Jid::new).transpose() {
        Ok(from) => from,
        Err(_) => return Err(wrong(Problem::From)),
    };
    stanza.type_ = known.ok_or_else(|| bad(Condition::BadRequest))?;
    stanza.to = match to.as_deref().map(Jid::new).transpose() {
        Ok(to) => to,
        Err(_) => return Err(bad(Condition::JidMalformed)),
    };
    stanza.payload = payload(top);
    // RFC 6120 §8.2.3: an iq has an id, and a request exactly one child.
    let asks = stanza.is_request();
    if kind == Kind::Iq && (stanza.id.is_none() || asks && stanza.child_count() != 1) {
        return Err(bad(Condition::BadRequest));
    }
    Ok(stanza)
}

fn payload(top: &Top<'_>) -> Payload {
    if top.is_portable() { indexed(top) } else { rewritten(top) }
}

fn indexed(top: &Top<'_>) -> Payload {
    let (from, to) = top.head.inner;
    let text = std::str::from_utf8(&top.data[from as usize..to as usize]).unwrap_or_default();
    let moved = |span: (u32, u32)| (span.0 - from, span.1 - from);
    let children = top
        .children
        .iter()
        .map(|child| Child {
            whole: moved(child.whole),
            name: moved(child.name),
            namespace: match child.space {
                Space::Declared(span) => Some(moved(span)),
                _ => None,
            },
        })
        .collect();
    Payload::new(text, children)
}

/// The rare slow path: what depends on its surroundings is written anew, so that it stands by itself. The head is not:
/// its attributes are written again wherever the stanza goes.
fn rewritten(top: &Top<'_>) -> Payload {
    let mut out = b"<x>".to_vec();
    top.element().write_nodes(ns::CLIENT, &mut out);
    out.extend_from_slice(b"</x>");
    let mut scanner = crate::xml::Scanner::within(Limits::CHECKED, ns::CLIENT);
    let mut rest = out.as_slice();
    match scanner.next(&mut rest) {
        Ok(Some(crate::xml::Item::Element(again))) => indexed(&again),
        _ => Payload::default(),
    }
}
