//! A device's side of a managed stream (XEP-0198): counts what it sends and hears, and says so.

use std::collections::VecDeque;

use xmpp::ns;
use xmpp::stanza::Stanza;
use xmpp::xml::Element;

use crate::event::{MessageNo, message_number};

/// The counts of one stream, from the moment at which the device asked for it to be managed.
#[derive(Debug, Default)]
pub struct Managed {
    /// What was sent and is not acknowledged: the numbers of messages, and nothing for other stanzas.
    unacked: VecDeque<Option<MessageNo>>,
    acked: u32,
    handled: u32,
    /// The server has agreed: what it sends counts.
    agreed: bool,
}

impl Managed {
    /// What the device says to begin.
    pub fn enable() -> Element {
        Element::new(ns::SM, "enable")
    }

    /// What the device says to hear how much has been handled.
    pub fn ask() -> Element {
        Element::new(ns::SM, "r")
    }

    /// A stanza was sent.
    pub fn sent(&mut self, stanza: &Stanza) {
        self.unacked.push_back(stanza.id.as_deref().and_then(message_number));
    }

    /// Something was heard. Returns what the device answers, and the messages that the server has handled.
    ///
    /// # Errors
    /// What the server may not say.
    pub fn hear(&mut self, element: &Element) -> Result<(Option<Element>, Vec<MessageNo>), String> {
        if element.ns() != ns::SM {
            self.handled += u32::from(self.agreed);
            return Ok((None, Vec::new()));
        }
        match element.name() {
            "enabled" => self.agreed = true,
            "r" => {
                let ack = Element::new(ns::SM, "a").with_attr("h", self.handled.to_string());
                return Ok((Some(ack), Vec::new()));
            }
            "a" => return Ok((None, self.acked(element)?)),
            other => return Err(format!("the server said <{other}/> on a managed stream")),
        }
        Ok((None, Vec::new()))
    }

    fn acked(&mut self, ack: &Element) -> Result<Vec<MessageNo>, String> {
        let handled: u32 = ack.attr("h").and_then(|h| h.parse().ok()).ok_or("an ack without a count")?;
        let newly = handled.checked_sub(self.acked).ok_or("an ack that takes back another")? as usize;
        if newly > self.unacked.len() {
            return Err(format!("{handled} stanzas were acknowledged, and fewer were sent"));
        }
        self.acked = handled;
        Ok(self.unacked.drain(..newly).flatten().collect())
    }
}
