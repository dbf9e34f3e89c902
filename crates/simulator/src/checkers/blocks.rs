//! Who has ever wished to block whom. What passes between two such accounts is refused without a word (XEP-0191 §3.3),
//! also the end of a subscription, so what they know of each other is not compared.

use std::collections::{BTreeMap, BTreeSet};

use xmpp::jid::BareJid;

use crate::event::{Event, StreamNo, Wish};

/// Who has ever wished to block whom.
#[derive(Default)]
pub struct Blocks {
    accounts: BTreeMap<StreamNo, BareJid>,
    pairs: BTreeSet<(BareJid, BareJid)>,
}

impl Blocks {
    /// Looks at what happened.
    pub fn see(&mut self, event: &Event<'_>) {
        match event {
            Event::Bound { stream, jid } => drop(self.accounts.insert(*stream, jid.bare())),
            Event::Asked { stream, wish: Wish::Block(whom), .. } => {
                if let Some(account) = self.accounts.get(stream) {
                    self.pairs.insert((account.clone(), (*whom).clone()));
                }
            }
            _ => {}
        }
    }

    /// Whether the one has ever wished to block the other.
    pub fn by(&self, one: &BareJid, other: &BareJid) -> bool {
        self.pairs.contains(&(one.clone(), other.clone()))
    }

    /// Whether either has.
    pub fn between(&self, one: &BareJid, other: &BareJid) -> bool {
        self.by(one, other) || self.by(other, one)
    }
}
