//! Nothing blocked is delivered (XEP-0191 §3.3): once a device knows that somebody is blocked, no message comes from
//! them that was sent afterwards.

use std::collections::{BTreeMap, BTreeSet};

use xmpp::jid::BareJid;

use super::{Checker, Complaints};
use crate::event::{Event, MessageNo, Outcome, StreamNo, Wish};

/// The rule.
#[derive(Default)]
pub struct Blocked {
    devices: BTreeMap<StreamNo, BareJid>,
    /// Requests whose answer is not known, and perhaps never will be: they may be carried out at any time.
    blocks: BTreeMap<(StreamNo, String), Pair>,
    unblocks: BTreeMap<(StreamNo, String), Pair>,
    /// Blocked for certain.
    blocked: BTreeSet<Pair>,
    /// Messages whose receiver blocked their sender for certain when they were sent.
    doomed: BTreeMap<MessageNo, Pair>,
}

/// Who blocks, and whom.
type Pair = (BareJid, BareJid);

impl Checker for Blocked {
    fn see(&mut self, event: &Event<'_>, complaints: &mut Complaints) {
        match event {
            Event::Bound { stream, jid } => drop(self.devices.insert(*stream, jid.bare())),
            Event::Asked { stream, id, wish } => self.asked(*stream, id, *wish),
            Event::Answered { stream, id, outcome } => {
                let request = (*stream, (*id).to_owned());
                // What the store could not keep is asked again if the stream goes on after a crash.
                if !matches!(outcome, Outcome::Refused("resource-constraint")) {
                    self.unblocks.remove(&request);
                }
                if let (Some(pair), Outcome::Done) = (self.blocks.remove(&request), outcome) {
                    self.blocked.insert(pair);
                }
            }
            Event::Sent { stream, number, to } => {
                let Some(sender) = self.devices.get(stream) else { return };
                let pair = (to.bare(), sender.clone());
                if self.blocked.contains(&pair) {
                    self.doomed.insert(*number, pair);
                }
            }
            Event::Received { stream, number, .. } if self.doomed.contains_key(number) => {
                complaints.push(format!("blocked: m{number} came to stream {stream}"));
            }
            _ => {}
        }
    }
}

impl Blocked {
    fn asked(&mut self, stream: StreamNo, id: &str, wish: Wish<'_>) {
        let Some(account) = self.devices.get(&stream) else { return };
        let request = (stream, id.to_owned());
        match wish {
            Wish::Block(whom) => {
                let pair = (account.clone(), whom.clone());
                // Two devices at once: nobody knows which is carried out first.
                if !self.unblocks.values().any(|unblocked| *unblocked == pair) {
                    self.blocks.insert(request, pair);
                }
            }
            Wish::Unblock(whom) => {
                let pair = (account.clone(), whom.clone());
                self.blocked.remove(&pair);
                self.blocks.retain(|_, blocked| *blocked != pair);
                // What is still under way may arrive afterwards.
                self.doomed.retain(|_, doomed| *doomed != pair);
                self.unblocks.insert(request, pair);
            }
            _ => {}
        }
    }
}
