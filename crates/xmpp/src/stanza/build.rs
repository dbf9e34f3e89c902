//! Making stanzas, and copies that differ.

use std::num::NonZeroU64;
use std::sync::Arc;

use super::payload::Payload;
use super::{Kind, Stanza, Type};
use crate::jid::Jid;
use crate::xml::Element;

impl Stanza {
    pub(super) fn empty(kind: Kind, type_: Type) -> Self {
        Stanza {
            kind,
            type_,
            to: None,
            from: None,
            id: None,
            lang: None,
            extra: None,
            payload: Payload::default(),
            archived: None,
        }
    }

    /// An empty message.
    pub fn message(type_: Type) -> Self {
        Stanza::empty(Kind::Message, type_)
    }

    /// An empty presence.
    pub fn presence(type_: Type) -> Self {
        Stanza::empty(Kind::Presence, type_)
    }

    /// An empty iq.
    pub fn iq(type_: Type, id: &str) -> Self {
        Stanza::empty(Kind::Iq, type_).with_id(id)
    }

    /// To this address.
    pub fn with_to(mut self, to: impl Into<Jid>) -> Self {
        self.to = Some(to.into());
        self
    }

    /// From this address.
    pub fn with_from(mut self, from: impl Into<Jid>) -> Self {
        self.from = Some(from.into());
        self
    }

    /// With this id.
    pub fn with_id(mut self, id: impl AsRef<str>) -> Self {
        self.id = Some(Arc::from(id.as_ref()));
        self
    }

    /// With a child at the end. An element of `jabber:client` becomes one of the stanza's own namespace.
    pub fn with_child(mut self, child: &Element) -> Self {
        self.payload = self.payload.with(child);
        self.archived = None;
        self
    }

    /// With a child at the end in which another stanza is forwarded (XEP-0297 §3): `wrapper` around a `forwarded` that
    /// may say when.
    pub fn with_forwarded(mut self, wrapper: &Element, forwarded: &Element, stanza: &Stanza) -> Self {
        self.payload = self.payload.with_forwarded(wrapper, forwarded, stanza);
        self.archived = None;
        self
    }

    /// The same, where the other stanza is as the store keeps it, written with [`ContentNs::Inherited`]: its text is
    /// copied. `None` for what cannot be one.
    pub fn with_forwarded_text(mut self, wrapper: &Element, forwarded: &Element, xml: &[u8]) -> Option<Self> {
        self.payload = self.payload.with_forwarded_text(wrapper, forwarded, xml)?;
        self.archived = None;
        Some(self)
    }

    /// Without any direct child of this name.
    pub fn without(mut self, namespace: &str, name: &str) -> Self {
        if self.has(namespace, name) {
            self.payload = self.payload.without(namespace, name, &|_| true);
            self.archived = None;
        }
        self
    }

    /// Without those direct children of this name that are meant.
    pub fn without_those(mut self, namespace: &str, name: &str, meant: impl Fn(&Element) -> bool) -> Self {
        if self.elements(namespace, name).any(|element| meant(&element)) {
            self.payload = self.payload.without(namespace, name, &meant);
            self.archived = None;
        }
        self
    }

    /// Archived under this number as it is; any change of what is in it makes it another one.
    pub fn archived_as(mut self, number: u64) -> Self {
        self.archived = NonZeroU64::new(number);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ns;
    use crate::stanza::ContentNs;

    #[test]
    fn a_kept_stanza_is_forwarded_as_if_it_had_been_read() {
        let wrapper = Element::new(ns::MAM, "result").with_attr("id", "1");
        let forwarded = Element::new(ns::FORWARD, "forwarded");
        let outer = || Stanza::message(Type::Normal).with_id("2");
        for xml in [
            "<message/>",
            "<message from='a@one.test/b' to='c@one.test' id='&lt;' type='chat'><body>1 &lt; 2</body></message>",
            "<message xml:lang='de'><x xmlns='urn:example:x'><y/></x></message>",
            "<presence/>",
        ] {
            let read = Stanza::read(xml.as_bytes()).unwrap();
            let mut kept = Vec::new();
            read.write(&mut kept, ContentNs::Inherited);
            let by_text = outer().with_forwarded_text(&wrapper, &forwarded, &kept).unwrap();
            assert_eq!(by_text.to_xml(), outer().with_forwarded(&wrapper, &forwarded, &read).to_xml());
            assert_eq!(by_text.first_name(), Some((ns::MAM, "result")));
        }
        for xml in ["", "<", "<message", "<message>", "message/>", "<messages/>", "<a/>", "<message></iq>"] {
            assert!(outer().with_forwarded_text(&wrapper, &forwarded, xml.as_bytes()).is_none(), "{xml}");
        }
        assert!(outer().with_forwarded_text(&wrapper, &forwarded, b"<message>\xff</message>").is_none());
    }
}
