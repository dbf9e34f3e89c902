//! Everybody sees who is there (RFC 6121 §4): once everything is at rest, each device knows the presence of its own
//! account's other devices and of its contacts' devices, as they told it last, and of nobody else.

use std::collections::{BTreeMap, BTreeSet};

use xmpp::jid::{BareJid, FullJid, Jid};

use super::blocks::Blocks;
use super::rosters::sees_contact;
use super::{Checker, Complaints};
use crate::event::{Event, Kept, StreamNo};

/// What devices there are, and how.
type View = BTreeMap<Jid, String>;

/// The rule.
#[derive(Default)]
pub struct Presence {
    devices: BTreeMap<StreamNo, FullJid>,
    /// What each device told everybody last, while it was available.
    told: BTreeMap<StreamNo, String>,
    /// What each device heard of others last.
    heard: BTreeMap<StreamNo, View>,
    blocks: Blocks,
}

impl Checker for Presence {
    fn see(&mut self, event: &Event<'_>, complaints: &mut Complaints) {
        self.blocks.see(event);
        match event {
            Event::Bound { stream, jid } => drop(self.devices.insert(*stream, (*jid).clone())),
            Event::Ended { stream } => {
                self.devices.remove(stream);
                self.told.remove(stream);
                self.heard.remove(stream);
            }
            Event::Told { stream, status: Some(status), .. } => {
                self.told.insert(*stream, (*status).to_owned());
            }
            Event::Told { stream, status: None, .. } => {
                self.told.remove(stream);
                // One that is unavailable hears nothing more of others.
                self.heard.remove(stream);
            }
            Event::Heard { stream, from, status } => {
                let view = self.heard.entry(*stream).or_default();
                match status {
                    Some(status) => drop(view.insert((*from).clone(), (*status).to_owned())),
                    None if from.resource().is_some() => drop(view.remove(*from)),
                    None => view.retain(|jid, _| jid.bare() != from.bare()),
                }
            }
            Event::AtRest { kept, .. } => self.compare(kept, complaints),
            _ => {}
        }
    }
}

impl Presence {
    fn compare(&self, kept: &[Kept], complaints: &mut Complaints) {
        for (stream, status) in &self.told {
            let Some(device) = self.devices.get(stream) else { continue };
            let account = device.bare();
            let visible = self.visible(kept, &account);
            let mut expected = View::new();
            for (other, status) in &self.told {
                let Some(jid) = self.devices.get(other) else { continue };
                if visible.contains(&jid.bare()) {
                    expected.insert(jid.clone().into(), status.clone());
                }
            }
            // Its own presence comes back to it (RFC 6121 §4.2.2).
            expected.insert(device.clone().into(), status.clone());
            let mut heard = self.heard.get(stream).cloned().unwrap_or_default();
            heard.retain(|jid, _| !self.blocks.between(&account, &jid.bare()));
            if heard != expected {
                let why = format!("{device} sees {heard:?} and should see {expected:?}");
                complaints.push(format!("presence: {why}"));
            }
        }
    }

    /// Whom an account sees: itself, and those it is subscribed to.
    fn visible(&self, kept: &[Kept], account: &BareJid) -> BTreeSet<BareJid> {
        let own = kept.iter().filter(|kept| kept.account == *account).flat_map(|kept| &kept.contacts);
        let seen = own.filter(|item| sees_contact(item)).map(|item| item.jid.clone());
        seen.filter(|contact| !self.blocks.between(account, contact)).chain([account.clone()]).collect()
    }
}
