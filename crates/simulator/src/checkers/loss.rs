//! Nothing accepted is lost (guarantee G2, G3): from then on a message is received, held, or has come back.
//!
//! One exception is in the nature of things: a message that was on its way to a connected device whose stream cannot be
//! resumed, when that connection, or the node, ended.

use std::collections::{BTreeMap, BTreeSet};

use step::rules;
use xmpp::jid::BareJid;

use super::accepted::Accepted;
use super::blocks::Blocks;
use super::{Checker, Complaints};
use crate::event::{Event, MessageNo, StreamNo, message_number};

/// The rule.
#[derive(Default)]
pub struct Loss {
    accepted: Accepted,
    /// Received, or bounced.
    settled: BTreeSet<MessageNo>,
    /// On its way to a device when the node ended.
    under_way: BTreeSet<MessageNo>,
    accounts: BTreeMap<StreamNo, BareJid>,
    pairs: BTreeMap<MessageNo, (BareJid, BareJid)>,
    /// By which stream each was sent.
    senders: BTreeMap<MessageNo, StreamNo>,
    ended: BTreeSet<StreamNo>,
    blocks: Blocks,
}

impl Checker for Loss {
    fn see(&mut self, event: &Event<'_>, complaints: &mut Complaints) {
        self.blocks.see(event);
        self.accepted.see(event);
        match event {
            Event::Bound { stream, jid } => drop(self.accounts.insert(*stream, jid.bare())),
            Event::Sent { stream, number, to } => {
                if let Some(sender) = self.accounts.get(stream) {
                    self.pairs.insert(*number, (sender.clone(), to.bare()));
                    self.senders.insert(*number, *stream);
                }
            }
            Event::Ended { stream } => drop(self.ended.insert(*stream)),
            Event::Received { number, .. } | Event::Bounced { number, .. } => {
                self.settled.insert(*number);
            }
            Event::Killed { undelivered } => {
                let numbers = undelivered.iter().filter_map(|stanza| {
                    let copied = rules::copied_message(stanza);
                    message_number(copied.as_ref().unwrap_or(stanza).id.as_deref()?)
                });
                self.under_way.extend(numbers);
            }
            Event::AtRest { kept, written } => {
                let held: BTreeSet<_> = kept.iter().flat_map(|kept| kept.held.iter().copied()).collect();
                let on_wires: BTreeSet<_> = written.iter().flat_map(|bytes| numbers(bytes)).collect();
                for number in self.accepted.messages().difference(&self.settled) {
                    let known = [&held, &on_wires, &self.under_way].iter().any(|set| set.contains(number));
                    // Who blocks somebody does not even hear that a message to them has failed.
                    let unheard =
                        self.pairs.get(number).is_some_and(|(sender, to)| self.blocks.by(sender, to));
                    if !known && !unheard && !self.is_refused_to_nobody(*number) {
                        complaints.push(format!("loss: m{number} was accepted and is nowhere"));
                    }
                }
            }
            _ => {}
        }
    }
}

impl Loss {
    /// Whoever blocks the sender before a device has taken a message refuses it (XEP-0191 §3.3): only the device that
    /// wrote it hears so, if it is still there. In the archive it stays.
    fn is_refused_to_nobody(&self, number: MessageNo) -> bool {
        let blocked = self.pairs.get(&number).is_some_and(|(sender, to)| self.blocks.by(to, sender));
        blocked && self.senders.get(&number).is_some_and(|stream| self.ended.contains(stream))
    }
}

/// Numbers of messages among these bytes.
fn numbers(bytes: &[u8]) -> Vec<MessageNo> {
    let text = String::from_utf8_lossy(bytes);
    let ids = text.split("id='").skip(1);
    ids.filter_map(|rest| message_number(rest.split('\'').next()?)).collect()
}
