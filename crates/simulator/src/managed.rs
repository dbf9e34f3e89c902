//! A device's side of a managed stream (XEP-0198): counts what it sends and hears, and says so; goes on where it was
//! when it comes back.

use std::collections::VecDeque;

use stream::client::Former;
use xmpp::jid::FullJid;
use xmpp::ns;
use xmpp::stanza::Stanza;
use xmpp::xml::Element;

use crate::event::{MessageNo, message_number};

/// The counts of one stream, from the moment at which the device asked for it to be managed.
#[derive(Debug, Default)]
pub struct Managed {
    /// What was sent and is not acknowledged.
    unacked: VecDeque<Stanza>,
    acked: u32,
    handled: u32,
    /// The server has agreed: what it sends counts.
    agreed: bool,
    /// The stream's id, if it can be resumed.
    id: Option<String>,
}

impl Managed {
    /// What the device says to begin.
    pub fn enable(resumable: bool) -> Element {
        let enable = Element::new(ns::SM, "enable");
        if resumable { enable.with_attr("resume", "true") } else { enable }
    }

    /// What the device says to hear how much has been handled.
    pub fn ask() -> Element {
        Element::new(ns::SM, "r")
    }

    /// A stanza was sent.
    pub fn sent(&mut self, stanza: &Stanza) {
        self.unacked.push_back(stanza.clone());
    }

    /// The stream as another connection can go on with it.
    pub fn former(&self, jid: &FullJid) -> Option<Former> {
        Some(Former { id: self.id.clone()?, handled: self.handled, jid: jid.clone() })
    }

    /// The stream goes on. Returns what is to be sent again, and the messages that the server has handled.
    ///
    /// # Errors
    /// What the server may not say.
    pub fn resumed(&mut self, handled: u32) -> Result<(Vec<Stanza>, Vec<MessageNo>), String> {
        let numbers = self.acked_up_to(handled)?;
        Ok((self.unacked.iter().cloned().collect(), numbers))
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
            "enabled" => {
                self.agreed = true;
                self.id =
                    element.attr("id").filter(|_| element.attr("resume") == Some("true")).map(str::to_owned);
            }
            "r" => {
                let ack = Element::new(ns::SM, "a").with_attr("h", self.handled.to_string());
                return Ok((Some(ack), Vec::new()));
            }
            "a" => {
                let handled =
                    element.attr("h").and_then(|h| h.parse().ok()).ok_or("an ack without a count")?;
                return Ok((None, self.acked_up_to(handled)?));
            }
            other => return Err(format!("the server said <{other}/> on a managed stream")),
        }
        Ok((None, Vec::new()))
    }

    fn acked_up_to(&mut self, handled: u32) -> Result<Vec<MessageNo>, String> {
        let newly = handled.checked_sub(self.acked).ok_or("an ack that takes back another")? as usize;
        if newly > self.unacked.len() {
            return Err(format!("{handled} stanzas were acknowledged, and fewer were sent"));
        }
        self.acked = handled;
        let messages = self.unacked.drain(..newly).filter_map(|stanza| message_number(stanza.id.as_deref()?));
        Ok(messages.collect())
    }
}
