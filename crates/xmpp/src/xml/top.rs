//! One whole element, directly in a stream: its envelope as spans, nothing interpreted yet.

use super::tag::{Attribute, Declaration, Span, slice, text};
use super::{Element, read};
use crate::ns;

/// Where a name's namespace was declared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Space {
    /// It has none.
    #[default]
    None,
    /// The one behind `xml:`.
    Xml,
    /// On the stream's start tag.
    Outer(u32),
    /// In the element, at this span.
    Declared(Span),
    /// Somewhere above; for direct children, where it is the head's own or leads to rewriting.
    Inherited,
}

impl Space {
    /// The namespace itself.
    pub(crate) fn uri<'a>(self, data: &'a [u8], outer: &'a [(String, String)]) -> &'a str {
        match self {
            Space::None | Space::Inherited => "",
            Space::Xml => ns::XML,
            Space::Outer(number) => outer.get(number as usize).map_or("", |(_, uri)| uri.as_str()),
            Space::Declared(span) => text(data, span),
        }
    }
}

/// The start tag of the element.
#[derive(Debug, Default)]
pub(crate) struct Head {
    pub(crate) name: Span,
    pub(crate) space: Space,
    pub(crate) attributes: Vec<Attribute>,
    pub(crate) declares: Vec<Declaration>,
    /// What is between the tags.
    pub(crate) inner: Span,
    /// Whether something inside uses a prefix of the stream's start tag.
    pub(crate) uses_outer_prefix: bool,
    /// Whether something inside names a content namespace that it could have inherited.
    pub(crate) names_content: bool,
    /// Whether text inside is written as CDATA; it leaves as plain text, which every reader reads the same way.
    pub(crate) has_cdata: bool,
}

/// A direct child.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Child {
    pub(crate) whole: Span,
    pub(crate) name: Span,
    pub(crate) space: Space,
}

/// One complete top-level element, borrowed from what was read.
#[derive(Debug)]
pub struct Top<'a> {
    pub(crate) data: &'a [u8],
    pub(crate) head: &'a Head,
    pub(crate) children: &'a [Child],
    pub(crate) outer: &'a [(String, String)],
}

impl Top<'_> {
    /// Its local name.
    pub fn name(&self) -> &str {
        text(self.data, self.head.name)
    }

    /// Its namespace.
    pub fn ns(&self) -> &str {
        self.head.space.uri(self.data, self.outer)
    }

    /// Its bytes, as they came.
    pub fn bytes(&self) -> &[u8] {
        self.data
    }

    /// The whole of it as a tree. Content namespaces are read as `jabber:client`.
    pub fn element(&self) -> Element {
        let mut element = read::tree(self.data, self.outer);
        read::adopt(&mut element);
        element
    }

    /// The attributes of its head.
    pub(crate) fn attributes(&self) -> impl Iterator<Item = HeadAttribute<'_>> {
        self.head.attributes.iter().map(|attribute| HeadAttribute {
            name: text(self.data, attribute.name.whole()),
            value: slice(self.data, attribute.value),
            whole: text(self.data, attribute.whole()),
            namespace: attribute.name.has_prefix().then(|| {
                let prefix = attribute.name.prefix();
                (text(self.data, prefix), self.bound(prefix))
            }),
        })
    }

    fn bound(&self, prefix: Span) -> &str {
        let own = self.head.declares.iter().find(|d| slice(self.data, d.prefix) == slice(self.data, prefix));
        match own {
            Some(declared) => text(self.data, declared.uri),
            None => self
                .outer
                .iter()
                .find(|(known, _)| known == text(self.data, prefix))
                .map_or("", |(_, uri)| uri),
        }
    }

    /// Whether what is inside means the same under any head of the stream's content namespace, so that it can be passed
    /// on as it is. Otherwise it is rewritten once, here at the edge.
    pub(crate) fn is_portable(&self) -> bool {
        let own = self.ns();
        let default = match self.default_declared() {
            Some(uri) => uri,
            None => self.outer.iter().find(|(prefix, _)| prefix.is_empty()).map_or("", |(_, uri)| uri),
        };
        let prefixes = self.head.declares.iter().any(|declared| declared.prefix.0 < declared.prefix.1);
        let Head { names_content, uses_outer_prefix, has_cdata, .. } = *self.head;
        default == own && !prefixes && !names_content && !uses_outer_prefix && !has_cdata
    }

    fn default_declared(&self) -> Option<&str> {
        let default = self.head.declares.iter().find(|declared| declared.prefix.0 == declared.prefix.1)?;
        Some(text(self.data, default.uri))
    }
}

/// An attribute of the head of a top-level element.
pub(crate) struct HeadAttribute<'a> {
    /// Its name as written.
    pub(crate) name: &'a str,
    /// Its value as written.
    pub(crate) value: &'a [u8],
    whole: &'a str,
    namespace: Option<(&'a str, &'a str)>,
}

impl<'a> HeadAttribute<'a> {
    /// Its prefix and the namespace behind it, if they must be declared wherever it is written again.
    pub(crate) fn prefix(&self) -> Option<(&'a str, &'a str)> {
        self.namespace.filter(|(prefix, _)| *prefix != "xml")
    }

    /// Writes it again for another head.
    pub(crate) fn write_again(&self, out: &mut Vec<u8>) {
        out.push(b' ');
        out.extend_from_slice(self.whole.as_bytes());
    }
}
