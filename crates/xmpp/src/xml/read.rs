//! Reads trees and values from text that the scanner has found to be well-formed.

use std::borrow::Cow;

use super::tag::{self, Attribute, Declaration, Reference, Span, reference, slice, text};
use super::{Element, Limits};
use crate::ns;

/// Names (as written) and values of attributes.
pub(crate) fn attributes(data: &[u8], attributes: &[Attribute]) -> Vec<(String, String)> {
    attributes
        .iter()
        .map(|attribute| {
            (text(data, attribute.name.whole()).to_owned(), value(slice(data, attribute.value)).into_owned())
        })
        .collect()
}

/// The value of an attribute: references read, white space made spaces (XML §3.3.3).
pub(crate) fn value(raw: &[u8]) -> Cow<'_, str> {
    if memchr::memchr3(b'&', b'\t', b'\n', raw).is_none() && memchr::memchr(b'\r', raw).is_none() {
        return Cow::Borrowed(std::str::from_utf8(raw).unwrap_or_default());
    }
    let spaced = |byte: u8| if matches!(byte, b'\t' | b'\n' | b'\r') { b' ' } else { byte };
    let raw = without_carriage_returns(raw);
    Cow::Owned(unescaped(&raw, spaced))
}

/// Character data: references read, line ends made line feeds (XML §2.11).
fn character_data(raw: &[u8]) -> String {
    unescaped(&without_carriage_returns(raw), |byte| byte)
}

/// XML §2.11: `\r\n` and a lone `\r` are read as `\n`.
fn without_carriage_returns(raw: &[u8]) -> Cow<'_, [u8]> {
    if memchr::memchr(b'\r', raw).is_none() {
        return raw.into();
    }
    let mut out = Vec::with_capacity(raw.len());
    let mut bytes = raw.iter().peekable();
    while let Some(byte) = bytes.next() {
        if *byte == b'\r' {
            bytes.next_if(|next| **next == b'\n');
            out.push(b'\n');
        } else {
            out.push(*byte);
        }
    }
    out.into()
}

fn unescaped(raw: &[u8], map: impl Fn(u8) -> u8) -> String {
    let mut out = Vec::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(at) = memchr::memchr(b'&', rest) {
        out.extend(rest[..at].iter().map(|byte| map(*byte)));
        match reference(&rest[at..]) {
            Reference::Character(character, length) => {
                out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                rest = &rest[at + length..];
            }
            _ => rest = &rest[at + 1..],
        }
    }
    out.extend(rest.iter().map(|byte| map(*byte)));
    String::from_utf8(out).unwrap_or_default()
}

/// Reads one element, with the namespaces that are declared around it.
pub(crate) fn tree(data: &[u8], outer: &[(String, String)]) -> Element {
    let mut reader = Reader { data, outer, declared: Vec::new() };
    let mut open: Vec<(Element, usize)> = Vec::new();
    let mut at = 0;
    while at < data.len() {
        if data[at] != b'<' {
            let end = memchr::memchr(b'<', &data[at..]).map_or(data.len(), |offset| at + offset);
            if let Some((element, _)) = open.last_mut() {
                element.push_text(&character_data(&data[at..end]));
            }
            at = end;
            continue;
        }
        if let Some(rest) = data[at..].strip_prefix(b"<![CDATA[") {
            let length = memchr::memmem::find(rest, b"]]>").unwrap_or(rest.len());
            if let Some((element, _)) = open.last_mut() {
                let raw = without_carriage_returns(&rest[..length]);
                element.push_text(std::str::from_utf8(&raw).unwrap_or_default());
            }
            at += 9 + length + 3;
            continue;
        }
        let end = reader.tag_end(at);
        let ended = if data.get(at + 1) == Some(&b'/') {
            open.pop()
        } else {
            let declared_before = reader.declared.len();
            let (element, is_empty) = reader.start((at as u32, end as u32));
            if is_empty {
                Some((element, declared_before))
            } else {
                open.push((element, declared_before));
                None
            }
        };
        if let Some((element, declared_before)) = ended {
            reader.declared.truncate(declared_before);
            match open.last_mut() {
                Some((parent, _)) => parent.push(element),
                None => return element,
            }
        }
        at = end;
    }
    Element::new("", "")
}

struct Reader<'a> {
    data: &'a [u8],
    outer: &'a [(String, String)],
    declared: Vec<Declaration>,
}

impl<'a> Reader<'a> {
    /// Behind the `>` of a tag.
    fn tag_end(&self, from: usize) -> usize {
        let mut at = from + 1;
        let mut quote = None;
        while let Some(byte) = self.data.get(at) {
            at += 1;
            match (quote, byte) {
                (None, b'>') => return at,
                (None, b'\'' | b'"') => quote = Some(byte),
                (Some(open), byte) if open == byte => quote = None,
                _ => {}
            }
        }
        at
    }

    fn start(&mut self, span: Span) -> (Element, bool) {
        let Ok(tag) = tag::start(self.data, span, &Limits::CHECKED) else {
            return (Element::new("", ""), true);
        };
        self.declared.extend_from_slice(&tag.declarations);
        let namespace = self.namespace(slice(self.data, tag.name.prefix()));
        let mut element = Element::new(namespace.to_owned(), text(self.data, tag.name.local()).to_owned());
        for attribute in &tag.attributes {
            let prefix = slice(self.data, attribute.name.prefix());
            let namespace = (!prefix.is_empty()).then(|| self.namespace(prefix).to_owned().into());
            let name = text(self.data, attribute.name.local()).to_owned();
            element.set_attr_ns(namespace, name, value(slice(self.data, attribute.value)));
        }
        (element, tag.is_empty)
    }

    fn namespace(&self, prefix: &[u8]) -> &'a str {
        if prefix == b"xml" {
            return ns::XML;
        }
        let inner = self.declared.iter().rev().find(|declared| slice(self.data, declared.prefix) == prefix);
        match inner {
            Some(declared) => text(self.data, declared.uri),
            None => self
                .outer
                .iter()
                .find(|(known, _)| known.as_bytes() == prefix)
                .map_or("", |(_, uri)| uri.as_str()),
        }
    }
}

/// Reads the stream's content namespace as `jabber:client`, wherever it reaches (RFC 6120 §4.8.2): to a reader of XML
/// it is all one whether an element inherits it or names it.
pub(crate) fn adopt(element: &mut Element) {
    let own = element.ns().to_owned();
    if ns::is_content(&own) && own != ns::CLIENT {
        rename(element, &own);
    }
}

fn rename(element: &mut Element, own: &str) {
    if element.ns() == own {
        element.set_ns(ns::CLIENT.into());
    }
    for child in element.children_mut() {
        rename(child, own);
    }
}
