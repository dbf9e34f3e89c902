//! Copies (XEP-0280): whoever has a message needs none, and nobody sees the same words of another device twice.

use std::collections::{BTreeMap, BTreeSet};

use xmpp::jid::FullJid;

use super::{Checker, Complaints};
use crate::event::{Event, How, MessageNo, StreamNo};

/// The rule.
#[derive(Default)]
pub struct Copies {
    streams: BTreeMap<StreamNo, FullJid>,
    senders: BTreeMap<MessageNo, StreamNo>,
    received: BTreeMap<StreamNo, BTreeSet<MessageNo>>,
    overheard: BTreeMap<StreamNo, BTreeSet<MessageNo>>,
}

impl Checker for Copies {
    fn see(&mut self, event: &Event<'_>, complaints: &mut Complaints) {
        match event {
            Event::Bound { stream, jid } => drop(self.streams.insert(*stream, (*jid).clone())),
            Event::Sent { stream, number, .. } => drop(self.senders.insert(*number, *stream)),
            // What comes late comes because somebody else did not take it, and may come again.
            Event::Received { stream, number, how: How::Direct | How::Copied } => {
                let is_new = self.received.entry(*stream).or_default().insert(*number);
                if !is_new {
                    complaints.push(format!("copies: m{number} came to stream {stream} twice"));
                }
            }
            Event::Overheard { stream, number } => {
                if !self.overheard.entry(*stream).or_default().insert(*number) {
                    complaints.push(format!("copies: stream {stream} overheard m{number} twice"));
                }
                let sender = self.senders.get(number).filter(|sender| *sender != stream);
                let bare = |stream: &StreamNo| self.streams.get(stream).map(|jid| jid.bare());
                if sender.and_then(bare) != bare(stream) {
                    complaints.push(format!("copies: stream {stream} overheard m{number} of somebody else"));
                }
            }
            _ => {}
        }
    }
}
