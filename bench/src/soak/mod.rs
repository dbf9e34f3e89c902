//! Everything at once, for long: people chat, come and go, lose their connections, and nothing may be lost.
//!
//! Who talks is chosen by chance from a seed. What follows from it is written into a ledger, which says in the end
//! whether everything that the server acknowledged came to every device that was to have it.

mod device;
pub mod heard;
pub mod ledger;
pub mod pace;

use std::io::Write as _;
use std::time::{Duration, Instant};

use simulator::chance::Chance;

use crate::crowd::{Scene, Wishes};
use crate::entry::Client;
use crate::measured::Waits;
use crate::scenes::chat::BODY;
use crate::scenes::wrong;
use crate::session::Session;
use crate::text::{attribute, contains, inside};
use device::{Back, Device, Place, Said};
use heard::{Heard, Name, Query};
use ledger::{Ears, Ledger};

/// People of one circle, who are contacts of one another; one in a circle takes only what is given.
pub const CIRCLE: u32 = 4;
/// Messages on a page.
const PAGE: u32 = 100;
/// Messages on a page of those who read everything.
const WHOLE_PAGE: u32 = 250;
/// Stanzas of one device that may wait for their acknowledgement.
const UNACKED: usize = 256;
/// After so long an acknowledgement is asked for once more.
const ASK_AGAIN: Duration = Duration::from_millis(500);
/// So long after a restart connections may still be found lost.
const AFTERMATH: Duration = Duration::from_secs(10);

/// Once in so many messages:
mod once_in {
    /// the sender asks how many have been handled;
    pub const REQUEST: usize = 5;
    /// it goes to another of the circle than the partner;
    pub const OTHER: usize = 8;
    /// the sender's presence changes;
    pub const PRESENCE: usize = 20;
    /// it goes to nobody;
    pub const NOBODY: usize = 100;
    /// the sender reads a page before what it has, if it follows;
    pub const PAGE: usize = 200;
    /// somebody's connection breaks;
    pub const BREAK: usize = 400;
    /// somebody says goodbye.
    pub const GOODBYE: usize = 800;
}

/// What people did besides talking.
#[derive(Debug, Clone, Copy, Default)]
pub struct Deeds {
    /// Connections that were broken.
    pub broken: u64,
    /// Connections that went with the server.
    pub dropped: u64,
    /// Streams that went on.
    pub resumed: u64,
    /// Streams that began.
    pub begun: u64,
    /// Goodbyes.
    pub goodbyes: u64,
    /// Presences that reached somebody.
    pub presences: u64,
    /// Pages that were read.
    pub pages: u64,
    /// Messages that were never acknowledged, as their stream was given up.
    pub unknown: u64,
}

/// The soak.
#[derive(Debug)]
pub struct Soak {
    domain: String,
    chance: Chance,
    devices: Vec<Device>,
    /// How long somebody is away, at most.
    away: Duration,
    up_since: Option<Instant>,
    ends: bool,
    swept: Instant,
    whole: u32,
    /// Who has what.
    pub ledger: Ledger,
    /// How long acknowledgements took.
    pub waits: Waits,
    /// What else was done.
    pub deeds: Deeds,
}

impl Soak {
    /// So many people, in circles; who is away is so for this long at most.
    pub fn new(domain: &str, people: u32, away: Duration, seed: u64) -> Self {
        let now = Instant::now();
        let devices: Vec<Device> = (0..people).flat_map(|account| devices(account, now)).collect();
        let ears = |device: &Device| Ears { account: device.client.account, follows: device.follows };
        Soak {
            domain: domain.to_owned(),
            chance: Chance::new(seed),
            ledger: Ledger::new(devices.iter().map(ears).collect()),
            devices,
            away,
            up_since: Some(now),
            ends: false,
            swept: now,
            whole: 0,
            waits: Waits::default(),
            deeds: Deeds::default(),
        }
    }

    /// Devices, and how many of them are in.
    pub fn attendance(&self) -> (usize, usize) {
        (self.devices.len(), self.devices.iter().filter(|device| device.session().is_some()).count())
    }

    /// Stanzas that wait for their acknowledgement.
    pub fn unacked(&self) -> usize {
        self.devices.iter().map(|device| device.unacked.len()).sum()
    }

    /// The server goes: until it is there again, nobody knocks.
    pub fn server_goes(&mut self) {
        self.up_since = None;
    }

    /// The server is there again.
    pub fn server_is_back(&mut self) {
        self.up_since = Some(Instant::now());
    }

    /// Nobody says anything any more, and all come back.
    pub fn end(&mut self) {
        self.ends = true;
    }

    /// Whether all are in, everything is acknowledged, all have caught up, and nothing is missing.
    pub fn is_complete(&self) -> bool {
        self.devices.iter().all(Device::is_settled) && self.ledger.missing().lost == 0
    }

    /// Devices that have more to do, for people who look for what went wrong.
    pub fn unsettled(&self) -> Vec<String> {
        let unsettled = self.devices.iter().enumerate().filter(|(_, device)| !device.is_settled());
        unsettled
            .map(|(place, device)| {
                format!("device {place} ({:?}), {} unacknowledged", device.place, device.unacked.len())
            })
            .collect()
    }

    /// One device of each account reads all of its archive.
    pub fn read_everything(&mut self, wishes: &mut Wishes) {
        for place in 0..self.devices.len() {
            if self.devices[place].client.number == 0 {
                self.whole += 1;
                self.ask(place, Query::Whole, "", wishes);
            }
        }
    }

    /// Archives that are not read to their end yet.
    pub fn unread(&self) -> u32 {
        self.whole
    }

    /// What time brings: people come back, and ask once more for acknowledgements.
    pub fn look_at_the_clock(&mut self, wishes: &mut Wishes) {
        let now = Instant::now();
        let sweeps = now.duration_since(self.swept) > ASK_AGAIN;
        if sweeps {
            self.swept = now;
        }
        for device in &mut self.devices {
            match device.place {
                Place::Away(until, back) if self.up_since.is_some() && (until <= now || self.ends) => {
                    let way = device.come(back);
                    wishes.enter(device.client, way);
                }
                Place::Leaving(who) if device.unacked.is_empty() => {
                    wishes.leave(who);
                    self.deeds.goodbyes += 1;
                    let back = if self.chance.once_in(2) { Back::Token } else { Back::Password };
                    device.go(now, within(&mut self.chance, self.away), back);
                }
                Place::In(who) | Place::Leaving(who) if sweeps && !device.unacked.is_empty() => {
                    wishes.say(who, b"<r xmlns='urn:xmpp:sm:3'/>");
                }
                _ => {}
            }
        }
    }

    /// Somebody who has less unacknowledged than this says something, and does once in a while what else people do.
    /// Whether there was anybody.
    pub fn act(&mut self, unacked: usize, wishes: &mut Wishes) -> bool {
        let Some((place, who)) = self.somebody(unacked.min(UNACKED)) else { return false };
        let account = self.devices[place].client.account;
        let circle = account / CIRCLE * CIRCLE;
        let to = if self.chance.once_in(once_in::NOBODY) {
            None
        } else if self.chance.once_in(once_in::OTHER) {
            let others: Vec<u32> = (circle..circle + CIRCLE).filter(|other| *other != account).collect();
            Some(*self.chance.pick(&others))
        } else {
            Some(account ^ 1)
        };
        self.talk(place, to, wishes);
        if self.chance.once_in(once_in::REQUEST) {
            wishes.say(who, b"<r xmlns='urn:xmpp:sm:3'/>");
        }
        if self.chance.once_in(once_in::PRESENCE) {
            let show =
                *self.chance.pick(&["", "<show>away</show>", "<show>dnd</show><status>writing</status>"]);
            self.say(place, None, format!("<presence>{show}</presence>").into_bytes(), wishes);
        }
        let until = self.devices[place].until();
        if !until.is_empty() && self.chance.once_in(once_in::PAGE) {
            let until = until.to_owned();
            self.ask(place, Query::Earlier, &until, wishes);
        }
        if self.chance.once_in(once_in::BREAK) {
            self.somebody_breaks(wishes);
        }
        if self.chance.once_in(once_in::GOODBYE)
            && let Some((place, who)) = self.somebody(usize::MAX)
        {
            self.devices[place].place = Place::Leaving(who);
        }
        true
    }

    /// Somebody's connection breaks, without a word. Mostly the stream goes on later; sometimes it is given up.
    fn somebody_breaks(&mut self, wishes: &mut Wishes) {
        let Some((place, who)) = self.somebody(usize::MAX) else { return };
        wishes.vanish(who);
        self.deeds.broken += 1;
        let back =
            *self.chance.pick(&[Back::Stream, Back::Stream, Back::Stream, Back::Token, Back::Password]);
        let time = within(&mut self.chance, self.away);
        self.devices[place].go(Instant::now(), time, back);
    }

    /// A device that is in and has less unacknowledged than this.
    fn somebody(&mut self, unacked: usize) -> Option<(usize, usize)> {
        let first = self.chance.below(self.devices.len());
        let all = (first..self.devices.len()).chain(0..first);
        all.into_iter().find_map(|place| {
            let device = &self.devices[place];
            Some((place, device.session().filter(|_| device.unacked.len() < unacked)?))
        })
    }

    fn talk(&mut self, place: usize, to: Option<u32>, wishes: &mut Wishes) {
        let number = self.ledger.say(place, to);
        let id = Name { device: place, stream: self.devices[place].stream, number }.write();
        let to = to.map_or("nobody".to_owned(), |to| format!("u{to}"));
        let domain = &self.domain;
        let xml = format!("<message to='{to}@{domain}' type='chat' id='{id}'><body>{BODY}</body></message>");
        self.say(place, Some(number), xml.into_bytes(), wishes);
    }

    fn ask(&mut self, place: usize, query: Query, until: &str, wishes: &mut Wishes) {
        let (id, mut page) = (query.id(), Vec::new());
        let max = if query == Query::Whole { WHOLE_PAGE } else { PAGE };
        let _ = match (query, until) {
            (_, "") => Ok(()),
            (Query::Earlier, until) => write!(page, "<before>{until}</before>"),
            (_, until) => write!(page, "<after>{until}</after>"),
        };
        let page = String::from_utf8_lossy(&page);
        let xml = format!(
            "<iq type='set' id='{id}'><query xmlns='urn:xmpp:mam:2' queryid='{id}'>\
             <set xmlns='http://jabber.org/protocol/rsm'><max>{max}</max>{page}</set></query></iq>"
        );
        self.say(place, None, xml.into_bytes(), wishes);
    }

    /// Says a stanza; whoever is not in says it later, as part of a stream that goes on.
    fn say(&mut self, place: usize, message: Option<u32>, xml: Vec<u8>, wishes: &mut Wishes) {
        let device = &mut self.devices[place];
        if let Place::In(who) | Place::Leaving(who) = device.place {
            wishes.say(who, &xml);
        }
        device.unacked.push_back(Said { message, xml, at: Instant::now() });
    }

    fn place(&self, session: &Session) -> usize {
        let client = Client { account: session.account, number: session.client };
        self.devices.iter().position(|device| device.client == client).unwrap_or_default()
    }

    fn acknowledged(&mut self, place: usize, handled: u32) -> Result<(), String> {
        for said in self.devices[place].acknowledged(handled)? {
            if let Some(number) = said.message {
                self.ledger.acked(place, number);
                self.waits.note(said.at.elapsed());
            }
        }
        Ok(())
    }

    fn message(&mut self, place: usize, session: &Session, xml: &[u8]) {
        if attribute(xml, "type") == Some("error") {
            // Copies of errors go to those who had copies of what they answer.
            if contains(xml, "urn:xmpp:carbons:2") {
                return;
            }
            match attribute(xml, "id").and_then(Name::read) {
                Some(name) => self.ledger.bounced(place, name, xml),
                None => self.ledger.fault(wrong(xml)),
            }
            return;
        }
        let own = format!("u{}@{}", session.account, self.domain);
        let Some(heard) = heard::read(xml, &own) else { return self.ledger.fault(wrong(xml)) };
        // Copies come as soon as there is a resource.
        if !session.is_in() {
            self.devices[place].fall_behind();
        }
        self.ledger.came(place, heard);
        match heard {
            Heard { way: heard::Way::Page(Query::Missed), archived: Some(id), .. } => {
                self.devices[place].paged(id)
            }
            Heard { way: heard::Way::Given | heard::Way::Copied, archived: Some(id), .. } => {
                self.devices[place].came(id);
            }
            _ => {}
        }
    }

    fn answer(&mut self, place: usize, xml: &[u8], wishes: &mut Wishes) {
        let (kind, id) = (attribute(xml, "type"), attribute(xml, "id").unwrap_or_default());
        match (kind, Query::of(id)) {
            (Some("get" | "set"), _) => {
                self.say(place, None, format!("<iq type='result' id='{id}'/>").into_bytes(), wishes);
            }
            (Some("result"), Some(query)) => {
                self.deeds.pages += 1;
                let (last, is_complete) = (inside(xml, "last"), attribute(xml, "complete") == Some("true"));
                match query {
                    Query::Missed if self.devices[place].turned(last, is_complete) => {
                        let until = self.devices[place].until().to_owned();
                        self.ask(place, query, &until, wishes);
                    }
                    Query::Whole if !is_complete => self.ask(place, query, last.unwrap_or_default(), wishes),
                    Query::Whole => self.whole -= 1,
                    _ => {}
                }
            }
            (Some("error"), _) => self.ledger.fault(wrong(xml)),
            _ => {}
        }
    }
}

impl Scene for Soak {
    fn entered(&mut self, who: usize, session: &Session, wishes: &mut Wishes) {
        let place = self.place(session);
        self.devices[place].remember(session);
        let was_to_go_on = self.devices[place].place == Place::Coming(Back::Stream);
        if let Some(handled) = session.resumed {
            self.deeds.resumed += 1;
            self.devices[place].place = Place::In(who);
            if let Err(why) = self.acknowledged(place, handled) {
                self.ledger.fault(why);
            }
            self.devices[place].unacked.iter().for_each(|said| wishes.say(who, &said.xml));
            return;
        }
        if was_to_go_on {
            self.ledger.fault(format!("the stream of device {place} did not go on"));
        }
        self.deeds.begun += 1;
        self.deeds.unknown += self.devices[place].begin(who, Instant::now()) as u64;
        self.ledger.new_stream(place);
        // Whoever reads the archive before it is available is not given the same again (docs/decisions/0012).
        if self.devices[place].follows {
            let until = self.devices[place].until().to_owned();
            self.ask(place, Query::Missed, &until, wishes);
        }
        self.say(place, None, b"<presence/>".to_vec(), wishes);
    }

    fn heard(
        &mut self,
        _: usize,
        session: &Session,
        name: &str,
        xml: &[u8],
        wishes: &mut Wishes,
    ) -> Result<(), String> {
        let place = self.place(session);
        match name {
            "message" => self.message(place, session, xml),
            "presence" => self.deeds.presences += 1,
            "iq" => self.answer(place, xml, wishes),
            "a" => {
                let handled = attribute(xml, "h").and_then(|handled| handled.parse().ok());
                self.acknowledged(place, handled.ok_or_else(|| wrong(xml))?)?;
            }
            "error" if contains(xml, "<system-shutdown") => {}
            "error" | "failed" | "failure" => self.ledger.fault(wrong(xml)),
            _ => {}
        }
        if session.is_in() {
            self.devices[place].remember(session);
        }
        Ok(())
    }

    fn lost(&mut self, session: &Session, why: String) -> Result<(), String> {
        let place = self.place(session);
        let is_told = why.contains("the server says") && !why.contains("<system-shutdown");
        let is_expected = self.up_since.is_none_or(|since| since.elapsed() < AFTERMATH);
        if is_told || !is_expected {
            self.ledger.fault(format!("device {place}: {why}"));
        }
        self.deeds.dropped += 1;
        let back = match self.devices[place].place {
            Place::Coming(Back::Stream) | Place::In(_) | Place::Leaving(_) => Back::Stream,
            // A token that was asked for may have taken the place of the one that is known.
            _ => Back::Password,
        };
        let time = within(&mut self.chance, self.away / 8);
        self.devices[place].go(Instant::now(), time, back);
        Ok(())
    }
}

/// Three of a circle follow, two of them with two devices; the fourth has a phone that does not know of archives.
fn devices(account: u32, now: Instant) -> Vec<Device> {
    let place = account % CIRCLE;
    let numbers = if place.is_multiple_of(2) { 0..2 } else { 0..1 };
    numbers.map(|number| Device::new(Client { account, number }, place != CIRCLE - 1, now)).collect()
}

fn within(chance: &mut Chance, time: Duration) -> Duration {
    time.mul_f64(chance.below(1000) as f64 / 1000.0)
}
