//! Both rosters agree once everything is at rest (RFC 6121 appendix A): who sees somebody is seen by them to see, and a
//! request that one side waits for waits on the other side for its answer.

use store::{RosterItem, Subscription};
use xmpp::jid::BareJid;

use super::blocks::Blocks;
use super::{Checker, Complaints};
use crate::event::{Event, Kept};

/// The rule.
#[derive(Default)]
pub struct Rosters {
    blocks: Blocks,
}

impl Checker for Rosters {
    fn see(&mut self, event: &Event<'_>, complaints: &mut Complaints) {
        self.blocks.see(event);
        let Event::AtRest { kept, .. } = event else { return };
        for one in *kept {
            for other in kept.iter().filter(|other| other.account != one.account) {
                if !self.blocks.between(&one.account, &other.account) {
                    compare(one, other, complaints);
                }
            }
        }
    }
}

fn compare(one: &Kept, other: &Kept, complaints: &mut Complaints) {
    let (a, b) = (&one.account, &other.account);
    let sees = item(one, b).is_some_and(sees_contact);
    let shows = item(other, a).is_some_and(shows_itself);
    if sees != shows {
        complaints.push(format!("rosters: {a} sees {b}: {sees}; {b} shows itself to {a}: {shows}"));
    }
    let asks = item(one, b).is_some_and(|item| item.ask);
    let asked = other.requests.contains(a);
    if asks != asked {
        complaints.push(format!("rosters: {a} asks {b}: {asks}; {b} is asked by {a}: {asked}"));
    }
}

/// Whether the owner sees the contact's presence.
pub fn sees_contact(item: &RosterItem) -> bool {
    matches!(item.subscription, Subscription::To | Subscription::Both)
}

fn shows_itself(item: &RosterItem) -> bool {
    matches!(item.subscription, Subscription::From | Subscription::Both)
}

fn item<'a>(kept: &'a Kept, whom: &BareJid) -> Option<&'a RosterItem> {
    kept.contacts.iter().find(|item| item.jid == *whom)
}
