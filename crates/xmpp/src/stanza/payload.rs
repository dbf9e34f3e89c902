//! What is inside a stanza: one text, shared by all copies, with an index of its direct children.

use std::sync::Arc;

use smallvec::SmallVec;

use super::{ContentNs, Kind, Stanza, write_attribute};
use crate::ns;
use crate::xml::{self, Element, Limits};

/// The text between a stanza's tags.
#[derive(Clone, Default)]
pub(super) struct Payload(Option<Arc<Inside>>);

struct Inside {
    text: Box<str>,
    children: SmallVec<[Child; 4]>,
}

/// A direct child, as spans of the text.
#[derive(Debug, Clone, Copy)]
pub(super) struct Child {
    pub(super) whole: (u32, u32),
    pub(super) name: (u32, u32),
    /// Its namespace, where it declares one itself; else it is the content's.
    pub(super) namespace: Option<(u32, u32)>,
}

impl Payload {
    pub(super) fn new(text: &str, children: SmallVec<[Child; 4]>) -> Self {
        if text.is_empty() {
            Payload(None)
        } else {
            Payload(Some(Arc::new(Inside { text: text.into(), children })))
        }
    }

    /// The text itself.
    pub(super) fn text(&self) -> &str {
        self.0.as_ref().map_or("", |inside| &inside.text)
    }

    fn index(&self) -> &[Child] {
        self.0.as_ref().map_or(&[], |inside| &inside.children)
    }

    pub(super) fn count(&self) -> usize {
        self.index().len()
    }

    pub(super) fn children(&self) -> impl Iterator<Item = (&str, &str)> {
        let text = self.text();
        self.index().iter().map(move |child| {
            let namespace = child.namespace.map_or(ns::CLIENT, |span| part(text, span));
            (namespace, part(text, child.name))
        })
    }

    /// A child as a tree.
    pub(super) fn element(&self, at: usize) -> Option<Element> {
        let child = self.index().get(at)?;
        let mut whole = format!("<x xmlns='{}'>", ns::CLIENT).into_bytes();
        whole.extend_from_slice(part(self.text(), child.whole).as_bytes());
        whole.extend_from_slice(b"</x>");
        xml::parse(&whole, Limits::CHECKED).ok()?.into_first_child()
    }

    /// The text of a child that is written as `<name>text</name>` and no longer: without attributes, elements,
    /// references or line ends that a parser would change. Most bodies are.
    pub(super) fn plain_text(&self, at: usize) -> Option<&str> {
        let child = self.index().get(at)?;
        let inside = part(self.text(), (child.name.1, child.whole.1)).strip_prefix('>')?;
        let (text, _) = inside.split_once('<')?;
        let ends = inside.len() - text.len() == "</>".len() + (child.name.1 - child.name.0) as usize;
        (ends && !text.contains(['&', '\r'])).then_some(text)
    }

    /// With a child at the end.
    pub(super) fn with(&self, child: &Element) -> Payload {
        self.with_written(child, |out| child.write(ns::CLIENT, out))
    }

    /// With a child at the end in which a stanza is forwarded: its text is copied, not read and written anew.
    pub(super) fn with_forwarded(&self, wrapper: &Element, forwarded: &Element, stanza: &Stanza) -> Payload {
        self.with_written(wrapper, |out| {
            wrapper.write_around(ns::CLIENT, out, |out| {
                forwarded.write_around(wrapper.ns(), out, |out| {
                    stanza.write(out, ContentNs::Declared(ns::CLIENT));
                });
            });
        })
    }

    /// With a child at the end in which a stanza is forwarded that was written where its content namespace is the
    /// default one.
    pub(super) fn with_forwarded_text(
        &self,
        wrapper: &Element,
        forwarded: &Element,
        xml: &[u8],
    ) -> Option<Payload> {
        let xml = std::str::from_utf8(xml).ok()?;
        let kinds = [Kind::Message, Kind::Presence, Kind::Iq];
        let name = kinds.map(Kind::name).into_iter().find(|name| {
            let rest = xml.strip_prefix('<').and_then(|xml| xml.strip_prefix(name));
            rest.is_some_and(|rest| rest.starts_with([' ', '>', '/']))
        })?;
        let (begin, rest) = xml.split_at(1 + name.len());
        if !rest.ends_with("/>") && !rest.strip_suffix('>')?.strip_suffix(name)?.ends_with("</") {
            return None;
        }
        Some(self.with_written(wrapper, |out| {
            wrapper.write_around(ns::CLIENT, out, |out| {
                forwarded.write_around(wrapper.ns(), out, |out| {
                    out.extend_from_slice(begin.as_bytes());
                    write_attribute("xmlns", ns::CLIENT, out);
                    out.extend_from_slice(rest.as_bytes());
                });
            });
        }))
    }

    fn with_written(&self, child: &Element, write: impl FnOnce(&mut Vec<u8>)) -> Payload {
        let mut out = Vec::with_capacity(self.text().len() + 128);
        out.extend_from_slice(self.text().as_bytes());
        let from = out.len() as u32;
        write(&mut out);
        let Ok(text) = String::from_utf8(out) else { return self.clone() };
        let mut children: SmallVec<[Child; 4]> = self.index().into();
        let name = (from + 1, from + 1 + child.name().len() as u32);
        // `<name xmlns='…'`: written by Element, right behind the name, in either quote; none we know needs escaping.
        let namespace = (child.ns() != ns::CLIENT).then(|| {
            let begins = name.1 + " xmlns='".len() as u32;
            let quoted = &text[begins as usize - 1..];
            let length = quoted[1..].find(&quoted[..1]).unwrap_or(0) as u32;
            (begins, begins + length)
        });
        children.push(Child { whole: (from, text.len() as u32), name, namespace });
        Payload::new(&text, children)
    }

    /// Without those children of this name that are meant.
    pub(super) fn without(&self, namespace: &str, name: &str, meant: &dyn Fn(&Element) -> bool) -> Payload {
        let mut text = String::with_capacity(self.text().len());
        let mut children = SmallVec::new();
        let mut copied = 0;
        for (at, (child, found)) in self.index().iter().zip(self.children()).enumerate() {
            let (from, to) = (child.whole.0 as usize, child.whole.1 as usize);
            if found == (namespace, name) && self.element(at).is_some_and(|element| meant(&element)) {
                text.push_str(&self.text()[copied..from]);
                copied = to;
            } else {
                // Everything before this child that was cut out moves it towards the beginning.
                let cut = (copied - text.len()) as u32;
                let moved = |span: (u32, u32)| (span.0 - cut, span.1 - cut);
                children.push(Child {
                    whole: moved(child.whole),
                    name: moved(child.name),
                    namespace: child.namespace.map(moved),
                });
            }
        }
        text.push_str(&self.text()[copied..]);
        Payload::new(&text, children)
    }
}

fn part(text: &str, span: (u32, u32)) -> &str {
    &text[span.0 as usize..span.1 as usize]
}

impl PartialEq for Payload {
    fn eq(&self, other: &Self) -> bool {
        self.text() == other.text()
    }
}

impl Eq for Payload {}

impl std::fmt::Debug for Payload {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.text())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_is_taken_as_it_is_written_is_what_a_parser_reads() {
        for (body, is_plain) in [
            ("<body>hello, world</body>", true),
            ("<body></body>", true),
            ("<body>a ]] > b\n</body>", true),
            ("<body/>", false),
            ("<body>1 &lt; 2</body>", false),
            ("<body>a\r\nb</body>", false),
            ("<body>a<!-- -->b</body>", false),
            ("<body><![CDATA[a]]></body>", true),
            ("<body>a<b/></body>", false),
            ("<body>a<b/>c</body>", false),
            ("<body xml:lang='de'>hallo</body>", false),
            ("<body >a</body >", false),
            ("<body>a</body >", false),
            ("<b:body xmlns:b='jabber:client'>a</b:body>", true),
        ] {
            // Comments are refused at the edge (RFC 6120 §11.1).
            let Ok(stanza) = Stanza::read(format!("<message><x/>{body}</message>").as_bytes()) else {
                continue;
            };
            let at = stanza.children().position(|child| child == (ns::CLIENT, "body")).expect(body);
            assert_eq!(stanza.payload.plain_text(at).is_some(), is_plain, "{body}");
            assert_eq!(stanza.body(), stanza.element(ns::CLIENT, "body").map(|body| body.text()), "{body}");
        }
    }
}
