//! Archives are complete (guarantee G6): what was accepted, and what anybody has received, is in the archives of both
//! who speak, once, and in the order in which each stream has sent it.

use std::collections::{BTreeMap, BTreeSet};

use xmpp::jid::BareJid;

use super::accepted::Accepted;
use super::blocks::Blocks;
use super::{Checker, Complaints};
use crate::event::{Event, Kept, MessageNo, StreamNo};

/// The rule.
#[derive(Default)]
pub struct Archives {
    accounts: BTreeMap<StreamNo, BareJid>,
    sent: BTreeMap<MessageNo, Sent>,
    accepted: Accepted,
    received: BTreeSet<MessageNo>,
    bounced: BTreeSet<MessageNo>,
    blocks: Blocks,
}

/// Who has said it to whom.
struct Sent {
    stream: StreamNo,
    from: BareJid,
    to: BareJid,
}

impl Checker for Archives {
    fn see(&mut self, event: &Event<'_>, complaints: &mut Complaints) {
        self.blocks.see(event);
        self.accepted.see(event);
        match event {
            Event::Bound { stream, jid } => drop(self.accounts.insert(*stream, jid.bare())),
            Event::Sent { stream, number, to } => {
                if let Some(from) = self.accounts.get(stream) {
                    let sent = Sent { stream: *stream, from: from.clone(), to: to.bare() };
                    self.sent.insert(*number, sent);
                }
            }
            Event::Received { number, .. } => drop(self.received.insert(*number)),
            Event::Bounced { number, .. } => drop(self.bounced.insert(*number)),
            Event::AtRest { kept, .. } => {
                for kept in *kept {
                    self.in_order(kept, complaints);
                }
                self.complete(kept, complaints);
            }
            _ => {}
        }
    }
}

impl Archives {
    /// Nothing is there twice, nothing of others, and what one stream has sent is in its order.
    fn in_order(&self, kept: &Kept, complaints: &mut Complaints) {
        let (mut seen, mut last) = (BTreeSet::new(), BTreeMap::new());
        for number in &kept.archived {
            let account = &kept.account;
            if !seen.insert(*number) {
                complaints.push(format!("archives: m{number} is twice in that of {account}"));
            }
            let Some(sent) =
                self.sent.get(number).filter(|sent| sent.from == *account || sent.to == *account)
            else {
                complaints.push(format!("archives: m{number} of somebody else is in that of {account}"));
                continue;
            };
            // What somebody writes to themselves is archived as it arrives, the rest as it leaves.
            if let Some(before) = last.insert((sent.stream, sent.from == sent.to), *number)
                && before > *number
            {
                complaints.push(format!("archives: m{number} is behind m{before} in that of {account}"));
            }
        }
    }

    fn complete(&self, kept: &[Kept], complaints: &mut Complaints) {
        let archives: BTreeMap<&BareJid, BTreeSet<MessageNo>> =
            kept.iter().map(|kept| (&kept.account, kept.archived.iter().copied().collect())).collect();
        for number in self.accepted.messages().union(&self.received) {
            let Some(sent) = self.sent.get(number) else { continue };
            // What was refused, by whomever, is not looked for; nor what may have been, without a word.
            let refused = self.bounced.contains(number) || self.blocks.between(&sent.from, &sent.to);
            if refused && !self.received.contains(number) {
                continue;
            }
            for owner in [&sent.from, &sent.to] {
                if archives.get(owner).is_some_and(|archive| !archive.contains(number)) {
                    complaints.push(format!("archives: m{number} is not in that of {owner}"));
                }
            }
        }
    }
}
