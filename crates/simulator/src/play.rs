//! One rehearsal: a small world of people and devices, from one seed, in which things go wrong; and what came of it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use server::Config;
use xmpp::jid::{BareJid, FullJid, Jid};

use crate::checkers::{self, Checker};
use crate::clockwork::{Clockwork, Trace};
use crate::deeds::{self, Deed};
use crate::device::Device;
use crate::disk::Mood;
use crate::event::{Event, MessageNo, StreamNo};
use crate::house::House;
use crate::link::Weather;
use crate::misfortune::{self, Faults};
use crate::records;

/// How long two people wait before they change their subscription again. Appendix A of RFC 6121 does not survive that
/// an answer crosses a change of mind: nothing in `subscribed` says which request it grants.
const SUBSCRIPTION_PAUSE: Duration = Duration::from_secs(8);
/// How long everything may take to come to rest once nothing goes wrong any more.
const REST: Duration = Duration::from_secs(120);
/// Percent of the memory at which it is short.
const SHORT: u8 = 90;
/// Complaints that are kept; more would say the same.
const COMPLAINTS_MAX: usize = 20;

/// What a rehearsal is to be like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// How many people there are.
    pub people: usize,
    /// How many devices each has.
    pub devices: usize,
    /// How long they live before everything comes to rest.
    pub time: Duration,
    /// What goes wrong.
    pub faults: Faults,
}

impl Plan {
    /// A small world in which everything goes wrong that can.
    pub fn small() -> Self {
        Plan { people: 4, devices: 2, time: Duration::from_secs(40), faults: Faults::ALL }
    }
}

/// What came of a rehearsal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The same in every replay of the seed.
    pub trace: Trace,
    /// What broke a rule.
    pub complaints: Vec<String>,
    /// How often what happened.
    pub counts: BTreeMap<&'static str, u64>,
}

/// A rehearsal that is going on. Clones are the same one.
#[derive(Clone)]
pub struct Play(Arc<Shared>);

struct Shared {
    clockwork: Clockwork,
    house: House,
    accounts: Vec<BareJid>,
    devices: Vec<Jid>,
    state: Mutex<State>,
}

struct State {
    checkers: Vec<Box<dyn Checker>>,
    complaints: Vec<String>,
    counts: BTreeMap<&'static str, u64>,
    streams: StreamNo,
    messages: MessageNo,
    settling: bool,
    subscribed: BTreeMap<(BareJid, BareJid), Duration>,
    /// How often memory has become short, or has been so no more.
    shortages: u64,
}

/// Rehearses one seed.
///
/// # Errors
/// When the node does not start.
pub fn rehearse(seed: u64, plan: &Plan) -> Result<Report, String> {
    let clockwork = Clockwork::new(seed);
    let played = play(&clockwork, plan);
    clockwork.end();
    played
}

fn play(clockwork: &Clockwork, plan: &Plan) -> Result<Report, String> {
    let (accounts, devices) = people(plan);
    let config = Config {
        domains: vec!["one.test".to_owned(), "two.test".to_owned()],
        iterations: 4096,
        ..Config::default()
    };
    let house = House::new(clockwork, config, &accounts);
    house.start()?;
    let play = Play(Arc::new(Shared {
        clockwork: clockwork.clone(),
        house: house.clone(),
        accounts: accounts.clone(),
        devices: devices.iter().cloned().map(Jid::from).collect(),
        state: Mutex::new(State {
            checkers: checkers::all(),
            complaints: Vec::new(),
            counts: BTreeMap::new(),
            streams: 0,
            messages: 0,
            settling: false,
            subscribed: BTreeMap::new(),
            shortages: 0,
        }),
    }));
    for device in devices {
        clockwork.spawn(Device::new(play.clone(), device).live());
    }
    clockwork.spawn(misfortune::befall(play.clone(), plan.faults));
    clockwork.run_for(plan.time);

    play.0.state.lock().settling = true;
    house.set_mood(Mood::GOOD);
    house.fail_reads(false);
    play.fill_memory(0);
    clockwork.run_for(REST);
    play.look();
    // What is in memory must be what is in the store: after a restart everybody sees the same.
    play.restart()?;
    clockwork.run_for(REST);
    play.look();

    let state = play.0.state.lock();
    Ok(Report {
        trace: clockwork.trace(),
        complaints: state.complaints.clone(),
        counts: state.counts.clone(),
    })
}

/// Accounts on two domains, and their devices.
fn people(plan: &Plan) -> (Vec<BareJid>, Vec<FullJid>) {
    let (mut accounts, mut devices) = (Vec::new(), Vec::new());
    for person in 0..plan.people {
        let domain = if person % 3 == 2 { "two.test" } else { "one.test" };
        let Ok(account) = BareJid::new(&format!("p{person}@{domain}")) else { continue };
        let own = (0..plan.devices).filter_map(|device| account.with_resource(&format!("d{device}")).ok());
        devices.extend(own);
        accounts.push(account);
    }
    (accounts, devices)
}

impl Play {
    /// Time and chance.
    pub fn clockwork(&self) -> &Clockwork {
        &self.0.clockwork
    }

    /// Where the node is.
    pub fn house(&self) -> &House {
        &self.0.house
    }

    /// How a new connection behaves.
    pub fn weather(&self) -> Weather {
        self.0.clockwork.draw(|chance| Weather {
            delay: Duration::from_millis([1, 20, 300][chance.below(3)]),
            pieces: 1 + chance.below(3),
        })
    }

    /// Something happened: every rule looks at it.
    pub fn see(&self, event: &Event<'_>) {
        tracing::debug!(at_s = self.0.clockwork.elapsed().as_secs_f64(), ?event);
        let mut guard = self.0.state.lock();
        let state = &mut *guard;
        *state.counts.entry(event.name()).or_default() += 1;
        let mut complaints = Vec::new();
        for checker in &mut state.checkers {
            checker.see(event, &mut complaints);
        }
        drop(guard);
        complaints.into_iter().for_each(|complaint| self.complain(complaint));
    }

    /// A rule is broken.
    pub fn complain(&self, what: String) {
        tracing::error!(%what);
        let at = self.0.clockwork.elapsed();
        let mut state = self.0.state.lock();
        if state.complaints.len() < COMPLAINTS_MAX {
            state.complaints.push(format!("{:.3} s: {what}", at.as_secs_f64()));
        }
    }

    /// Counts something that no checker looks at.
    pub fn count(&self, what: &'static str) {
        *self.0.state.lock().counts.entry(what).or_default() += 1;
    }

    /// A device has bound its resource.
    pub fn bound(&self, jid: &FullJid) -> StreamNo {
        let stream = {
            let mut state = self.0.state.lock();
            state.streams += 1;
            state.streams
        };
        self.see(&Event::Bound { stream, jid });
        stream
    }

    /// A message is sent.
    pub fn sent(&self, stream: StreamNo, to: &Jid) -> MessageNo {
        let number = {
            let mut state = self.0.state.lock();
            state.messages += 1;
            state.messages
        };
        self.see(&Event::Sent { stream, number, to });
        number
    }

    /// So many percent of the memory are taken from now on. At [`SHORT`] nobody waits for those who have lost their
    /// connections.
    pub fn fill_memory(&self, percent: u8) {
        self.count(match percent {
            0 => "memories freed",
            SHORT.. => "short memories",
            _ => "scarce memories",
        });
        self.0.clockwork.fill_memory(percent);
        let mut state = self.0.state.lock();
        let was_short = state.shortages % 2 == 1;
        state.shortages += u64::from(was_short != (percent >= SHORT));
    }

    /// How often memory has become short, or has been so no more: it is short while that is odd.
    pub fn shortages(&self) -> u64 {
        self.0.state.lock().shortages
    }

    /// Whether nothing more is drawn and everything comes to rest.
    pub fn is_settling(&self) -> bool {
        self.0.state.lock().settling
    }

    /// Whether the two have not changed their subscription just now; if so, one of them does it now.
    pub fn may_subscribe(&self, one: &BareJid, other: &BareJid) -> bool {
        let now = self.0.clockwork.elapsed();
        let pair = if one < other { (one.clone(), other.clone()) } else { (other.clone(), one.clone()) };
        let mut state = self.0.state.lock();
        let last = state.subscribed.get(&pair).copied();
        if last.is_some_and(|last| now < last + SUBSCRIPTION_PAUSE) {
            return false;
        }
        state.subscribed.insert(pair, now);
        true
    }

    /// What a device does next.
    pub fn draw_deed(&self) -> Deed {
        self.0.clockwork.draw(|chance| deeds::next(chance, &self.0.accounts, &self.0.devices))
    }

    /// The node is killed, and started again after a while.
    pub fn kill(&self) {
        self.count("kills");
        self.0.clockwork.note(b"kill");
        let undelivered = self.0.house.kill();
        self.see(&Event::Killed { undelivered: &undelivered });
    }

    /// Everything is at rest: the node ends and comes back.
    fn restart(&self) -> Result<(), String> {
        self.0.house.stop();
        self.0.house.start()
    }

    /// Everything is at rest: the rules look at what there is.
    fn look(&self) {
        match records::of(&self.0.house, &self.0.accounts) {
            Ok(kept) => {
                let written = self.0.house.written();
                self.see(&Event::AtRest { kept: &kept, written: &written });
            }
            Err(error) => self.complain(format!("the store cannot be read: {error}")),
        }
    }
}
