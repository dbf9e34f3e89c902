//! Who said what, who has it, and what is wrong with that.

use std::collections::BTreeSet;

use super::heard::{Heard, Name, Query, Way, short};

/// Faults that are told one by one.
const FAULTS: usize = 20;

/// Who hears.
#[derive(Debug, Clone, Copy)]
pub struct Ears {
    /// The account of the device.
    pub account: u32,
    /// Whether it has everything that its account says and hears, by copies and by its archive; or only what is given
    /// to it.
    pub follows: bool,
}

#[derive(Debug, Clone, Copy)]
struct Said {
    /// To this account; none: nobody is there.
    to: Option<u32>,
    acked: bool,
    bounced: bool,
}

/// A set of numbers.
#[derive(Debug, Clone, Default)]
struct Numbers(Vec<u64>);

impl Numbers {
    /// Whether it is new.
    fn add(&mut self, number: u32) -> bool {
        let (place, bit) = (number as usize / 64, 1 << (number % 64));
        if self.0.len() <= place {
            self.0.resize(place + 1, 0);
        }
        let is_new = self.0[place] & bit == 0;
        self.0[place] |= bit;
        is_new
    }

    fn has(&self, number: u32) -> bool {
        self.0.get(number as usize / 64).is_some_and(|bits| bits & (1 << (number % 64)) != 0)
    }
}

/// The latest message of a device, as its stream and number.
type Latest = Option<(u32, u32)>;

/// What was counted.
#[derive(Debug, Clone, Copy, Default)]
pub struct Counts {
    /// Messages said.
    pub said: u64,
    /// Of them, acknowledged (XEP-0198).
    pub acked: u64,
    /// Messages that came: given to the device, live or held.
    pub given: u64,
    /// As copies.
    pub copied: u64,
    /// From the archive, by who had missed them.
    pub caught_up: u64,
    /// Came once more, on another stream or on a page, under the id by which the device knew them.
    pub known: u64,
    /// Came once more on one stream, under that id: as a copy before the device was available, and then as held.
    pub held: u64,
    /// To nobody, and returned.
    pub bounced: u64,
    /// To nobody, from a stream that ended before they could be returned.
    pub unheard: u64,
    /// Read in whole archives.
    pub archived: u64,
    /// Came late, as another device was to have them.
    pub taken_back: u64,
    /// Came twice.
    pub twice: u64,
    /// Came out of order.
    pub disordered: u64,
    /// Whatever else must not be.
    pub wrong: u64,
}

/// What is missing of what was acknowledged.
#[derive(Debug, Clone, Default)]
pub struct Missing {
    /// Copies that there must be: of each message, one for each device that follows.
    pub wanted: u64,
    /// Those that are not there.
    pub lost: u64,
    /// The first of them.
    pub first: Vec<String>,
}

/// The ledger.
#[derive(Debug)]
pub struct Ledger {
    ears: Vec<Ears>,
    said: Vec<Vec<Said>>,
    /// By device, and by who said it.
    had: Vec<Vec<Numbers>>,
    /// By device and by who said it: the latest on the present stream, given, and copied. Who is not available yet gets
    /// copies, and then what was held: each is in order by itself.
    latest: Vec<Vec<[Latest; 2]>>,
    /// By account, and by who said it: ids in the account's archive.
    ids: Vec<Vec<Vec<u64>>>,
    /// By account, and by who said it: read in its whole archive.
    read: Vec<Vec<Numbers>>,
    /// To nobody and not returned yet; by device.
    pending: Vec<BTreeSet<u32>>,
    /// What was counted.
    pub counts: Counts,
    /// The first of what must not be.
    pub faults: Vec<String>,
}

impl Ledger {
    /// Nothing was said yet.
    pub fn new(ears: Vec<Ears>) -> Self {
        let (devices, accounts) =
            (ears.len(), ears.iter().map(|ears| ears.account + 1).max().unwrap_or(0) as usize);
        Ledger {
            ears,
            said: vec![Vec::new(); devices],
            had: vec![vec![Numbers::default(); devices]; devices],
            latest: vec![vec![[None; 2]; devices]; devices],
            ids: vec![vec![Vec::new(); devices]; accounts],
            read: vec![vec![Numbers::default(); devices]; accounts],
            pending: vec![BTreeSet::new(); devices],
            counts: Counts::default(),
            faults: Vec::new(),
        }
    }

    /// Something is said; its number.
    pub fn say(&mut self, device: usize, to: Option<u32>) -> u32 {
        let number = self.said[device].len() as u32;
        self.said[device].push(Said { to, acked: false, bounced: false });
        if to.is_none() {
            self.pending[device].insert(number);
        }
        self.counts.said += 1;
        number
    }

    /// The server has acknowledged it.
    pub fn acked(&mut self, device: usize, number: u32) {
        self.said[device][number as usize].acked = true;
        self.counts.acked += 1;
    }

    /// It came back as an error.
    pub fn bounced(&mut self, device: usize, name: Name, xml: &[u8]) {
        let Some(said) = self.said[device].get_mut(name.number as usize).filter(|_| name.device == device)
        else {
            return self.fault(format!("an error for what device {device} never said: {name:?}"));
        };
        let (again, to) = (std::mem::replace(&mut said.bounced, true), said.to);
        if to.is_none() && !again {
            self.pending[device].remove(&name.number);
            self.counts.bounced += 1;
        } else {
            self.fault(format!("{name:?} to {to:?} came back: {}", String::from_utf8_lossy(xml)));
        }
    }

    /// A device's stream is over, and another begins: what was to come back on it does not.
    pub fn new_stream(&mut self, device: usize) {
        self.counts.unheard += std::mem::take(&mut self.pending[device]).len() as u64;
        self.latest[device].fill([None; 2]);
    }

    /// A message came to a device.
    pub fn came(&mut self, device: usize, heard: Heard<'_>) {
        let Name { device: sender, stream, number } = heard.name;
        if self.said.get(sender).is_none_or(|said| said.len() <= number as usize) {
            return self.fault(format!("device {device} heard what nobody said: {:?}", heard.name));
        }
        let is_known = self.is_known(device, heard);
        if let Way::Page(Query::Earlier | Query::Whole) = heard.way {
            return self.look(device, heard);
        }
        if sender == device {
            if heard.way != Way::Page(Query::Missed) {
                self.fault(format!("device {device} heard its own {:?}", heard.name));
            }
            return;
        }
        let was_copied = self.was_copied(device, heard);
        if !matches!(heard.way, Way::Page(_)) && !heard.is_taken_back && !self.had[device][sender].has(number)
        {
            self.order(device, sender, stream, number, heard);
        }
        if self.had[device][sender].add(number) {
            self.counts.taken_back += u64::from(heard.is_taken_back);
            match heard.way {
                Way::Given => self.counts.given += 1,
                Way::Copied => self.counts.copied += 1,
                Way::Page(_) => self.counts.caught_up += 1,
            }
        } else if is_known && was_copied {
            self.counts.held += 1;
        } else if is_known {
            self.counts.known += 1;
        } else {
            self.counts.twice += 1;
            self.note(format!("device {device} has {:?} twice", heard.name));
        }
    }

    /// Whether it is given after it was copied to the same stream.
    fn was_copied(&self, device: usize, heard: Heard<'_>) -> bool {
        let [_, copied] = self.latest[device][heard.name.device];
        let is_there = |(stream, number)| stream == heard.name.stream && number >= heard.name.number;
        heard.way == Way::Given && copied.is_some_and(is_there)
    }

    /// Whether its id in the archive says that it is what the device may have had already. One message has one id.
    fn is_known(&mut self, device: usize, heard: Heard<'_>) -> bool {
        let Some(id) = heard.archived.map(short) else { return false };
        let ids = &mut self.ids[self.ears[device].account as usize][heard.name.device];
        let number = heard.name.number as usize;
        if ids.len() <= number {
            ids.resize(number + 1, 0);
        }
        let before = std::mem::replace(&mut ids[number], id);
        if before != 0 && before != id {
            self.fault(format!("{:?} has two ids in the archive", heard.name));
        }
        before == id
    }

    /// What is on a page that a device reads without having missed it.
    fn look(&mut self, device: usize, heard: Heard<'_>) {
        if heard.way != Way::Page(Query::Whole) {
            return;
        }
        let account = self.ears[device].account as usize;
        if self.read[account][heard.name.device].add(heard.name.number) {
            self.counts.archived += 1;
        } else {
            self.counts.twice += 1;
            self.note(format!("{:?} is in an archive of account {account} twice", heard.name));
        }
    }

    /// On one stream, what another one has said comes once, and in order.
    fn order(&mut self, device: usize, sender: usize, stream: u32, number: u32, heard: Heard<'_>) {
        let latest = &mut self.latest[device][sender][usize::from(heard.way == Way::Copied)];
        let before = latest.replace((stream, number));
        if before.is_some_and(|(of, before)| of == stream && before >= number) {
            self.counts.disordered += 1;
            self.note(format!("device {device} heard {:?} after {before:?}", heard.name));
        }
    }

    /// Something must not be.
    pub fn fault(&mut self, what: String) {
        self.counts.wrong += 1;
        self.note(what);
    }

    fn note(&mut self, what: String) {
        if self.faults.len() < FAULTS {
            self.faults.push(what);
        }
    }

    /// What is missing with the devices.
    pub fn missing(&self) -> Missing {
        let mut missing = Missing::default();
        for (sender, number, said) in self.acknowledged() {
            let to = said.to.unwrap_or(u32::MAX);
            for (device, ears) in self.ears.iter().enumerate() {
                let is_party =
                    ears.account == to || (ears.account == self.ears[sender].account && ears.follows);
                if device == sender || !is_party || said.to.is_none() {
                    continue;
                }
                missing.count(self.had[device][sender].has(number), || {
                    format!("device {device}: {number} of {sender}")
                });
            }
            if said.to.is_none() && self.pending[sender].contains(&number) {
                missing.count(false, || format!("the return of {number} of {sender}"));
            }
        }
        missing
    }

    /// What is missing in the archives, after all have been read.
    pub fn unarchived(&self) -> Missing {
        let mut missing = Missing::default();
        for (sender, number, said) in self.acknowledged() {
            let Some(to) = said.to else { continue };
            for account in [self.ears[sender].account, to] {
                let is_there = self.read[account as usize][sender].has(number);
                missing.count(is_there, || format!("archive of {account}: {number} of {sender}"));
            }
        }
        missing
    }

    fn acknowledged(&self) -> impl Iterator<Item = (usize, u32, Said)> {
        let all = self.said.iter().enumerate();
        let each = all.flat_map(|(sender, said)| {
            said.iter().enumerate().map(move |(at, said)| (sender, at as u32, *said))
        });
        each.filter(|(_, _, said)| said.acked)
    }
}

impl Missing {
    fn count(&mut self, is_there: bool, what: impl FnOnce() -> String) {
        self.wanted += 1;
        if !is_there {
            self.lost += 1;
            if self.first.len() < FAULTS {
                self.first.push(what());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A phone and a laptop of one, and a phone of another that does not follow.
    fn ledger() -> Ledger {
        let ears = |account, follows| Ears { account, follows };
        Ledger::new(vec![ears(0, true), ears(0, true), ears(1, false)])
    }

    fn heard(number: u32, way: Way, archived: &str) -> Heard<'_> {
        Heard {
            name: Name { device: 0, stream: 1, number },
            way,
            archived: Some(archived),
            is_taken_back: false,
        }
    }

    #[test]
    fn what_was_acknowledged_and_came_to_nobody_is_lost() {
        let mut ledger = ledger();
        let number = ledger.say(0, Some(1));
        assert_eq!(ledger.missing().lost, 0, "not acknowledged");
        ledger.acked(0, number);
        assert_eq!((ledger.missing().wanted, ledger.missing().lost), (2, 2));
        ledger.came(2, heard(number, Way::Given, "a"));
        assert_eq!(ledger.missing().lost, 1, "the laptop follows");
        ledger.came(1, heard(number, Way::Page(Query::Missed), "b"));
        assert_eq!(ledger.missing().lost, 0);
        assert_eq!(ledger.unarchived().lost, 2);
        ledger.came(2, heard(number, Way::Page(Query::Whole), "a"));
        ledger.came(0, heard(number, Way::Page(Query::Whole), "b"));
        assert_eq!(ledger.unarchived().lost, 0);
        assert_eq!((ledger.counts.twice, ledger.counts.disordered, ledger.counts.wrong), (0, 0, 0));
    }

    #[test]
    fn what_comes_again_is_known_by_its_id_only() {
        let mut ledger = ledger();
        assert_eq!((ledger.say(0, Some(1)), ledger.say(0, Some(1))), (0, 1));
        ledger.came(2, heard(1, Way::Given, "b"));
        ledger.came(2, heard(0, Way::Given, "a"));
        assert_eq!(ledger.counts.disordered, 1);
        ledger.new_stream(2);
        ledger.came(2, heard(0, Way::Given, "a"));
        assert_eq!((ledger.counts.known, ledger.counts.twice, ledger.counts.disordered), (1, 0, 1));
        ledger.new_stream(2);
        ledger.came(2, heard(1, Way::Given, "c"));
        assert_eq!((ledger.counts.twice, ledger.counts.wrong), (1, 1));
        ledger.came(0, heard(0, Way::Page(Query::Whole), "d"));
        ledger.came(0, heard(0, Way::Page(Query::Whole), "d"));
        assert_eq!(ledger.counts.twice, 2);
    }

    #[test]
    fn what_goes_to_nobody_comes_back() {
        let mut ledger = ledger();
        let name = Name { device: 0, stream: 1, number: ledger.say(0, None) };
        ledger.acked(0, name.number);
        assert_eq!(ledger.missing().lost, 1);
        ledger.bounced(0, name, b"");
        assert_eq!((ledger.missing().lost, ledger.counts.bounced, ledger.counts.wrong), (0, 1, 0));
        ledger.bounced(0, name, b"");
        assert_eq!(ledger.counts.wrong, 1);
    }
}
