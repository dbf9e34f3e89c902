//! What was published stays as it was last (guarantee G5), and is heard (XEP-0163 §4.3): whoever reads sees what was
//! promised last or later, and at rest every device of an account has heard last what is there.

use std::collections::BTreeMap;

use xmpp::jid::FullJid;

use super::{Checker, Complaints};
use crate::event::{Event, Kept, Outcome, StreamNo, Wish};

/// The rule.
#[derive(Default)]
pub struct Publications {
    devices: BTreeMap<StreamNo, FullJid>,
    asked: BTreeMap<(StreamNo, String), Asked>,
    published: BTreeMap<FullJid, Published>,
    /// Streams of devices that are available, and what each has heard last of its own account.
    available: BTreeMap<StreamNo, Option<(String, Option<u32>)>>,
}

enum Asked {
    Change(u32),
    /// With what was promised when it asked.
    Read(u32),
}

/// What a device has published and taken back, by the numbers of these deeds.
#[derive(Default)]
struct Published {
    /// What there is to be read once the deed is done.
    deeds: BTreeMap<u32, Option<u32>>,
    /// The last one that was promised.
    promised: u32,
}

impl Checker for Publications {
    fn see(&mut self, event: &Event<'_>, complaints: &mut Complaints) {
        match event {
            Event::Bound { stream, jid } => drop(self.devices.insert(*stream, (*jid).clone())),
            Event::Ended { stream } => drop(self.available.remove(stream)),
            Event::Told { stream, status: None, .. } => drop(self.available.remove(stream)),
            Event::Told { stream, .. } => drop(self.available.entry(*stream).or_default()),
            Event::Asked { stream, id, wish } => self.asked(*stream, id, *wish),
            Event::Answered { stream, id, outcome } => self.answered(*stream, id, outcome, complaints),
            Event::News { stream, from, id, number } => {
                let own = self.devices.get(stream).is_some_and(|device| device.bare() == from.bare());
                if let (true, Some(heard)) = (own, self.available.get_mut(stream)) {
                    *heard = Some(((*id).to_owned(), *number));
                }
            }
            Event::AtRest { kept, .. } => kept.iter().for_each(|kept| self.at_rest(kept, complaints)),
            _ => {}
        }
    }
}

impl Publications {
    fn asked(&mut self, stream: StreamNo, id: &str, wish: Wish<'_>) {
        let Some(device) = self.devices.get(&stream) else { return };
        let published = self.published.entry(device.clone()).or_default();
        let asked = match wish {
            Wish::Publish(number) => {
                published.deeds.insert(number, Some(number));
                Asked::Change(number)
            }
            Wish::Retract(number) => {
                published.deeds.insert(number, None);
                Asked::Change(number)
            }
            Wish::Published => Asked::Read(published.promised),
            _ => return,
        };
        self.asked.insert((stream, id.to_owned()), asked);
    }

    fn answered(&mut self, stream: StreamNo, id: &str, outcome: &Outcome<'_>, complaints: &mut Complaints) {
        let Some(asked) = self.asked.remove(&(stream, id.to_owned())) else { return };
        let Some(device) = self.devices.get(&stream) else { return };
        let Some(published) = self.published.get_mut(device) else { return };
        match (asked, outcome) {
            (Asked::Change(number), Outcome::Done) => published.promised = number.max(published.promised),
            (Asked::Read(promised), Outcome::Published(number)) if !published.may_be(promised, *number) => {
                let why = format!("{device} was promised {promised} and reads {number:?}");
                complaints.push(format!("publications: {why}"));
            }
            _ => {}
        }
    }

    fn at_rest(&self, kept: &Kept, complaints: &mut Complaints) {
        for (device, published) in self.published.iter().filter(|(device, _)| device.bare() == kept.account) {
            let number = kept.published.get(device.resource()).copied();
            if !published.may_be(published.promised, number) {
                let why = format!("{device} was promised {} and {number:?} is there", published.promised);
                complaints.push(format!("publications: {why}"));
            }
        }
        for (stream, heard) in &self.available {
            let Some(device) = self.devices.get(stream).filter(|device| device.bare() == kept.account) else {
                continue;
            };
            match heard {
                Some((id, number)) if kept.published.get(id) != number.as_ref() => {
                    let is = kept.published.get(id);
                    complaints.push(format!(
                        "publications: {device} has heard {number:?} of {id}, which is {is:?}"
                    ));
                }
                None if !kept.published.is_empty() => {
                    complaints
                        .push(format!("publications: {device} has heard nothing of {:?}", kept.published));
                }
                _ => {}
            }
        }
    }
}

impl Published {
    /// Whether this may be read by one who was promised that.
    fn may_be(&self, promised: u32, number: Option<u32>) -> bool {
        (promised == 0 && number.is_none()) || self.deeds.range(promised..).any(|(_, left)| *left == number)
    }
}
