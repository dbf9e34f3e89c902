//! What was answered with a result holds (guarantee G5): each device keeps a number with the server, and whatever it
//! is told afterwards is not older than the last number it was promised. A roster seen is never seen older.

use std::collections::BTreeMap;

use xmpp::jid::{BareJid, FullJid};

use super::{Checker, Complaints};
use crate::event::{Event, Outcome, StreamNo, Wish};

/// The rule.
#[derive(Default)]
pub struct Promises {
    devices: BTreeMap<StreamNo, FullJid>,
    asked: BTreeMap<(StreamNo, String), Asked>,
    /// For each device the last number that was promised, and the last that was asked for.
    numbers: BTreeMap<FullJid, (u32, u32)>,
    /// The highest version of each roster that was seen, and how it was then.
    rosters: BTreeMap<BareJid, (u64, Vec<String>)>,
}

enum Asked {
    Keep(u32),
    /// With what was promised when it asked.
    Recall(u32),
    /// With the version known when it asked.
    Roster(u64),
}

impl Checker for Promises {
    fn see(&mut self, event: &Event<'_>, complaints: &mut Complaints) {
        match event {
            Event::Bound { stream, jid } => drop(self.devices.insert(*stream, (*jid).clone())),
            Event::Asked { stream, id, wish } => self.asked(*stream, id, *wish),
            Event::Answered { stream, id, outcome } => self.answered(*stream, id, outcome, complaints),
            _ => {}
        }
    }
}

impl Promises {
    fn asked(&mut self, stream: StreamNo, id: &str, wish: Wish<'_>) {
        let Some(device) = self.devices.get(&stream) else { return };
        let (promised, last) = self.numbers.entry(device.clone()).or_default();
        let asked = match wish {
            Wish::Keep(number) => {
                *last = number;
                Asked::Keep(number)
            }
            Wish::Recall => Asked::Recall(*promised),
            Wish::Roster => {
                Asked::Roster(self.rosters.get(&device.bare()).map_or(0, |(version, _)| *version))
            }
            _ => return,
        };
        self.asked.insert((stream, id.to_owned()), asked);
    }

    fn answered(&mut self, stream: StreamNo, id: &str, outcome: &Outcome<'_>, complaints: &mut Complaints) {
        let Some(asked) = self.asked.remove(&(stream, id.to_owned())) else { return };
        let Some(device) = self.devices.get(&stream) else { return };
        match (asked, outcome) {
            (Asked::Keep(number), Outcome::Done) => {
                let (promised, _) = self.numbers.entry(device.clone()).or_default();
                *promised = number.max(*promised);
            }
            (Asked::Recall(promised), Outcome::Recalled(number)) => {
                let last = self.numbers.get(device).map_or(0, |(_, last)| *last);
                if !(promised..=last).contains(number) {
                    let why = format!("{device} was promised {promised} and is told {number}");
                    complaints.push(format!("promises: {why} (it asked for {last} last)"));
                }
            }
            (Asked::Roster(known), Outcome::Roster(items, version)) => {
                let account = device.bare();
                let version: u64 = version.parse().unwrap_or_default();
                if version < known {
                    let why = format!("the roster of {account} was seen at {known} and is now at {version}");
                    complaints.push(format!("promises: {why}"));
                }
                let seen = self.rosters.entry(account.clone()).or_insert_with(|| (version, items.clone()));
                if seen.0 == version && seen.1 != *items {
                    let why = format!("the roster of {account} has two contents at version {version}");
                    complaints.push(format!("promises: {why}: {:?} and {items:?}", seen.1));
                }
                if seen.0 < version {
                    *seen = (version, items.clone());
                }
            }
            _ => {}
        }
    }
}
