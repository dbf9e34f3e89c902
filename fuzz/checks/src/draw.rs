//! What the fuzzer's bytes stand for: choices, texts and trees. When the bytes are used up, every choice is the first.

use arbitrary::Unstructured;
use xmpp::ns;
use xmpp::xml::Element;

use crate::tree::Tree;

/// Pieces that texts are made of; each is there because some reader treats it in its own way.
const PIECES: [&str; 16] = [
    "a",
    " ",
    "]]>",
    "&amp;",
    "<",
    "'",
    "\"",
    "\r",
    "\n",
    "\t",
    "\r\n",
    "&",
    "\u{e9}",
    "\u{85}",
    "\u{2028}",
    "\u{1F600}",
];

/// Local names.
pub const NAMES: [&str; 8] = ["x", "body", "query", "error", "message", "a-b.c", "_", "\u{e9}l\u{e9}ment"];

/// Namespaces that are read as they are written.
pub const NAMESPACES: [&str; 10] = [
    ns::CLIENT,
    "urn:a",
    "",
    "urn:it's",
    "urn:\"q\"",
    "a > b",
    ns::SERVER,
    ns::COMPONENT,
    ns::STREAM,
    ns::STANZA_ERRORS,
];

/// Elements inside one another that are drawn.
const DEPTH_MAX: usize = 4;

/// A source of choices.
#[derive(Debug)]
pub struct Draw<'a>(Unstructured<'a>);

impl<'a> Draw<'a> {
    /// A source over these bytes.
    pub fn new(data: &'a [u8]) -> Self {
        Draw(Unstructured::new(data))
    }

    /// A number below `end`, which is at most 256.
    pub fn below(&mut self, end: usize) -> usize {
        usize::from(self.byte()) % end.max(1)
    }

    /// Any byte.
    pub fn byte(&mut self) -> u8 {
        self.0.arbitrary().unwrap_or(0)
    }

    /// Yes or no; no at the end.
    pub fn yes(&mut self) -> bool {
        self.byte() & 1 == 1
    }

    /// One of these.
    pub fn one<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }

    /// A text of characters that XML allows.
    pub fn text(&mut self) -> String {
        let mut text = String::new();
        for _ in 0..self.below(6) {
            match self.below(PIECES.len() + 2) {
                0 => text.push_str("text"),
                1 => {
                    let code = u32::from_be_bytes([0, self.byte() & 0x1F, self.byte(), self.byte()]);
                    text.extend(char::from_u32(code).filter(|character| is_legal(*character)));
                }
                piece => text.push_str(PIECES[piece - 2]),
            }
        }
        text
    }

    /// An element, as ours and as a tree.
    pub fn element(&mut self) -> (Element, Tree) {
        self.element_within(DEPTH_MAX)
    }

    fn element_within(&mut self, depth: usize) -> (Element, Tree) {
        let (namespace, name) = (self.one(&NAMESPACES), self.one(&NAMES));
        let (mut element, mut tree) = (Element::new(namespace, name), Tree::new(namespace, name));
        for _ in 0..self.below(4) {
            let (namespace, name) = match self.below(6) {
                0 => (Some(ns::XML), "lang"),
                1 => (Some("urn:a"), self.one(&NAMES)),
                2 => (Some("urn:it's"), self.one(&NAMES)),
                _ => (None, self.one(&NAMES)),
            };
            let value = self.text();
            if tree.attr_ns(namespace.unwrap_or(""), name).is_none() {
                element.set_attr_ns(namespace.map(Into::into), name, value.as_str());
                tree.set(namespace.unwrap_or(""), name, &value);
            }
        }
        for _ in 0..self.below(4) {
            if depth > 0 && self.yes() {
                let (child, child_tree) = self.element_within(depth - 1);
                element.push(child);
                tree.push(child_tree);
            } else {
                let text = self.text();
                element.push_text(&text);
                tree.push_text(&text);
            }
        }
        (element, tree)
    }
}

/// XML §2.2.
pub fn is_legal(character: char) -> bool {
    matches!(character, '\t' | '\n' | '\r' | ' '..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..)
}
