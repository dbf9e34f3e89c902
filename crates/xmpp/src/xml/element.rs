//! A small owned tree: what features read when the envelope is not enough, and build when they answer.

use std::borrow::Cow;

use crate::ns;
use crate::xml::escape;

/// A name or namespace: most that we write are in the program, and are not copied.
pub type Word = Cow<'static, str>;

/// An element with its namespace resolved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Element {
    namespace: Word,
    name: Word,
    attributes: Vec<Attribute>,
    nodes: Vec<Node>,
}

/// An attribute; most have no namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Attribute {
    namespace: Option<Word>,
    name: Word,
    value: String,
}

/// What an element holds.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Node {
    Element(Element),
    Text(String),
}

impl Element {
    /// An empty element.
    pub fn new(namespace: impl Into<Word>, name: impl Into<Word>) -> Self {
        Element { namespace: namespace.into(), name: name.into(), attributes: Vec::new(), nodes: Vec::new() }
    }

    /// Its local name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its namespace.
    pub fn ns(&self) -> &str {
        &self.namespace
    }

    /// Whether it is this one.
    pub fn is(&self, namespace: &str, name: &str) -> bool {
        self.name == name && self.namespace == namespace
    }

    /// The value of an attribute without a namespace.
    pub fn attr(&self, name: &str) -> Option<&str> {
        let found = |attribute: &&Attribute| attribute.namespace.is_none() && attribute.name == name;
        self.attributes.iter().find(found).map(|attribute| attribute.value.as_str())
    }

    /// Its `xml:lang`.
    pub fn lang(&self) -> Option<&str> {
        let found = |attribute: &&Attribute| {
            attribute.namespace.as_deref() == Some(ns::XML) && attribute.name == "lang"
        };
        self.attributes.iter().find(found).map(|attribute| attribute.value.as_str())
    }

    /// All attributes: namespace, name, value.
    pub fn attributes(&self) -> impl Iterator<Item = (Option<&str>, &str, &str)> {
        self.attributes
            .iter()
            .map(|attribute| (attribute.namespace.as_deref(), &*attribute.name, attribute.value.as_str()))
    }

    /// Its child elements.
    pub fn children(&self) -> impl Iterator<Item = &Element> {
        self.nodes.iter().filter_map(|node| match node {
            Node::Element(element) => Some(element),
            Node::Text(_) => None,
        })
    }

    /// Its child elements, to be changed.
    pub fn children_mut(&mut self) -> impl Iterator<Item = &mut Element> {
        self.nodes.iter_mut().filter_map(|node| match node {
            Node::Element(element) => Some(element),
            Node::Text(_) => None,
        })
    }

    /// Its first child, without the rest.
    pub(crate) fn into_first_child(self) -> Option<Element> {
        self.nodes.into_iter().find_map(|node| match node {
            Node::Element(element) => Some(element),
            Node::Text(_) => None,
        })
    }

    pub(crate) fn set_ns(&mut self, namespace: Word) {
        self.namespace = namespace;
    }

    /// Its first child of this name.
    pub fn child(&self, namespace: &str, name: &str) -> Option<&Element> {
        self.children().find(|child| child.is(namespace, name))
    }

    /// The text directly in it, in one piece.
    pub fn text(&self) -> String {
        self.nodes
            .iter()
            .filter_map(|node| match node {
                Node::Text(text) => Some(text.as_str()),
                Node::Element(_) => None,
            })
            .collect()
    }

    /// With an attribute.
    pub fn with_attr(mut self, name: impl Into<Word>, value: impl Into<String>) -> Self {
        self.set_attr(name, value);
        self
    }

    /// With an attribute, if there is a value.
    pub fn with_attr_opt(self, name: impl Into<Word>, value: Option<impl Into<String>>) -> Self {
        match value {
            Some(value) => self.with_attr(name, value),
            None => self,
        }
    }

    /// With an `xml:lang`.
    pub fn with_lang(mut self, lang: &str) -> Self {
        self.set_attr_ns(Some(ns::XML.into()), "lang", lang);
        self
    }

    /// With a child at its end.
    pub fn with_child(mut self, child: Element) -> Self {
        self.push(child);
        self
    }

    /// With children at its end.
    pub fn with_children(mut self, children: impl IntoIterator<Item = Element>) -> Self {
        self.nodes.extend(children.into_iter().map(Node::Element));
        self
    }

    /// With text at its end.
    pub fn with_text(mut self, text: &str) -> Self {
        self.push_text(text);
        self
    }

    /// Sets an attribute.
    pub fn set_attr(&mut self, name: impl Into<Word>, value: impl Into<String>) {
        self.set_attr_ns(None, name, value);
    }

    /// Sets an attribute that may have a namespace.
    pub fn set_attr_ns(&mut self, namespace: Option<Word>, name: impl Into<Word>, value: impl Into<String>) {
        let (name, value) = (name.into(), value.into());
        let known = self
            .attributes
            .iter_mut()
            .find(|attribute| attribute.namespace == namespace && attribute.name == name);
        match known {
            Some(attribute) => attribute.value = value,
            None => self.attributes.push(Attribute { namespace, name, value }),
        }
    }

    /// Adds a child at its end.
    pub fn push(&mut self, child: Element) {
        self.nodes.push(Node::Element(child));
    }

    /// Adds text at its end.
    pub fn push_text(&mut self, text: &str) {
        match self.nodes.last_mut() {
            Some(Node::Text(known)) => known.push_str(text),
            _ if text.is_empty() => {}
            _ => self.nodes.push(Node::Text(text.to_owned())),
        }
    }

    /// Writes it where `default` is the default namespace.
    pub fn write(&self, default: &str, out: &mut Vec<u8>) {
        self.begin(default, out);
        if self.nodes.is_empty() {
            out.extend_from_slice(b"/>");
            return;
        }
        self.write_rest(out, |_| {});
    }

    /// Writes it with something more at the end of what is in it.
    pub(crate) fn write_around(&self, default: &str, out: &mut Vec<u8>, inside: impl FnOnce(&mut Vec<u8>)) {
        self.begin(default, out);
        self.write_rest(out, inside);
    }

    fn begin(&self, default: &str, out: &mut Vec<u8>) {
        out.push(b'<');
        out.extend_from_slice(self.name.as_bytes());
        if self.namespace != default {
            out.extend_from_slice(b" xmlns=");
            escape::namespace(&self.namespace, out);
        }
        for (number, attribute) in self.attributes.iter().enumerate() {
            attribute.write(number, out);
        }
    }

    fn write_rest(&self, out: &mut Vec<u8>, inside: impl FnOnce(&mut Vec<u8>)) {
        out.push(b'>');
        self.write_nodes(&self.namespace, out);
        inside(out);
        out.extend_from_slice(b"</");
        out.extend_from_slice(self.name.as_bytes());
        out.push(b'>');
    }

    /// Writes what is in it, where `default` is the default namespace.
    pub(crate) fn write_nodes(&self, default: &str, out: &mut Vec<u8>) {
        for node in &self.nodes {
            match node {
                Node::Element(element) => element.write(default, out),
                Node::Text(text) => escape::text(text, out),
            }
        }
    }

    /// As a text that stands by itself.
    pub fn to_xml(&self) -> String {
        let mut out = Vec::new();
        self.write("", &mut out);
        String::from_utf8(out).unwrap_or_default()
    }
}

impl Attribute {
    fn write(&self, number: usize, out: &mut Vec<u8>) {
        match self.namespace.as_deref() {
            None => out.push(b' '),
            Some(ns::XML) => out.extend_from_slice(b" xml:"),
            Some(namespace) => {
                out.extend_from_slice(format!(" xmlns:a{number}=").as_bytes());
                escape::namespace(namespace, out);
                out.extend_from_slice(format!(" a{number}:").as_bytes());
            }
        }
        out.extend_from_slice(self.name.as_bytes());
        out.extend_from_slice(b"='");
        escape::attribute(&self.value, out);
        out.push(b'\'');
    }
}
