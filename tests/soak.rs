//! Everything at once, for long, at half of what the machine can do: clients' connections break, the server is stopped
//! and killed, nothing that was acknowledged is lost, and memory settles.
//!
//! `SOAK_MINUTES=30 cargo test --release --test soak -- --nocapture` does so for half an hour (docs/build/soak.md).
#![allow(clippy::unwrap_used, clippy::disallowed_methods)] // a real process, real time

use std::time::{Duration, Instant};

use bench::crowd::Crowd;
use bench::manner::{Manner, Peer};
use bench::measured::{Server, slope};
use bench::scenes::presence;
use bench::soak::ledger::Missing;
use bench::soak::pace::{Pace, Walk};
use bench::soak::{CIRCLE, Soak};
use simulator::conversation::{Scene, Setting};
use support::sockets::{Addresses, House};
use support::waxwing::Waxwing;

mod support;

const DOMAIN: &str = "one.test";
/// The server's lives: it is stopped after the first, and killed after the second.
const LIVES: u32 = 3;
/// The part of a life in which the server is driven as fast as it goes, to learn how fast that is.
const MEASURING: f64 = 0.05;
const MEASURING_AT_LEAST: Duration = Duration::from_millis(300);
const HALF: f64 = 0.5;
/// From one look at memory to the next, and to the next line of progress.
const LOOK: Duration = Duration::from_secs(5);
const TELL: Duration = Duration::from_secs(10);
/// What may wait for a device: at the pace of the soak more comes in the seconds in which somebody is away than the
/// default lets wait, and its stream would be given up.
const OUTBOUND_BYTES: u64 = 16 * 1024 * 1024;
/// How long it may take in the end until all that was acknowledged is with everybody.
const PATIENCE: Duration = Duration::from_secs(60);
/// Memory is judged in lives of at least this length: it takes minutes until all pools are filled.
const JUDGED: Duration = Duration::from_secs(180);
/// Memory has not settled that grows by more than both of these in a third of a life, at the pace of its last half.
const GROWTH_SHARE: f64 = 0.05;
const GROWTH_KIB: f64 = 2048.0;

/// How much.
struct Extent {
    time: Duration,
    people: u32,
    away: Duration,
    seed: u64,
}

impl Extent {
    fn wanted() -> Self {
        let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<f64>().ok());
        let seed = number("SOAK_SEED").map_or(1, |seed| seed as u64);
        match number("SOAK_MINUTES") {
            Some(minutes) => Extent {
                time: Duration::from_secs_f64(minutes * 60.0),
                people: 48,
                away: Duration::from_secs(8),
                seed,
            },
            None => {
                Extent { time: Duration::from_secs(3), people: 8, away: Duration::from_millis(200), seed }
            }
        }
    }
}

/// One life of the server.
#[derive(Default)]
struct Life {
    capacity: f64,
    time: Duration,
    acked: u64,
    held: Duration,
    cpu: Duration,
    own_cpu: Duration,
    /// Seconds since it began, and KiB of resident memory.
    memory: Vec<(f64, f64)>,
}

impl Life {
    /// KiB a minute, and the growth in a third of a life at that pace.
    fn slope(&self) -> (f64, f64) {
        let half = &self.memory[self.memory.len() / 2..];
        let second = slope(half);
        (second * 60.0, second * self.time.as_secs_f64() / 3.0)
    }

    fn has_settled(&self) -> bool {
        let most = self.memory.iter().map(|(_, kib)| *kib).fold(0.0, f64::max);
        let (_, growth) = self.slope();
        self.time < JUDGED || growth < GROWTH_KIB.max(GROWTH_SHARE * most)
    }
}

struct Run {
    house: Waxwing,
    crowd: Crowd,
    soak: Soak,
    lives: Vec<Life>,
    begun: Instant,
    told: Instant,
    told_acked: u64,
    told_faults: usize,
}

#[test]
fn nothing_is_lost_and_memory_settles() {
    let extent = Extent::wanted();
    let mut run = Run::new(&extent);
    let each = extent.time / LIVES;
    for life in 0..LIVES {
        run.live(each);
        match life {
            0 => run.restart(House::restart),
            1 => run.restart(House::crash),
            _ => {}
        }
    }
    run.soak.end();
    let ended = Instant::now();
    run.go_on(PATIENCE, |soak| soak.is_complete());
    println!("all that was acknowledged was there {:.1} s after the end", ended.elapsed().as_secs_f64());
    let missing = run.soak.ledger.missing();
    let unsettled = run.soak.unsettled();
    run.soak.read_everything(run.crowd.wishes());
    run.go_on(Duration::MAX, |soak| soak.unread() == 0);
    let unarchived = run.soak.ledger.unarchived();
    run.report(&extent, &missing, &unarchived);
    assert!(unsettled.is_empty(), "not all came to an end: {unsettled:#?}");
    run.judge(&missing, &unarchived);
}

impl Run {
    fn new(extent: &Extent) -> Self {
        let accounts = (0..extent.people).map(|number| (format!("u{number}@{DOMAIN}"), "secret".to_owned()));
        let limits = ["connections_per_address", "inbound_bytes_per_second"];
        let mut settings = limits.map(|name| Setting::Limit(name.to_owned(), 0)).to_vec();
        settings.push(Setting::Limit("outbound_bytes".to_owned(), OUTBOUND_BYTES));
        let mut house = Waxwing::new(None);
        let addresses = house.set(&Scene { accounts: accounts.collect(), settings }).unwrap();
        let mut manner =
            Manner::new(Peer::DirectTls, addresses.tls.unwrap(), DOMAIN, "secret").with_tickets();
        presence::acquaint(&mut Crowd::new(manner.clone()).unwrap(), DOMAIN, extent.people, CIRCLE).unwrap();
        manner.managed = true;
        manner.carbons = true;
        // They say themselves when they are.
        manner.available = false;
        Run {
            house,
            crowd: Crowd::new(manner).unwrap(),
            soak: Soak::new(DOMAIN, extent.people, extent.away, extent.seed),
            lives: Vec::new(),
            begun: Instant::now(),
            told: Instant::now(),
            told_acked: 0,
            told_faults: 0,
        }
    }

    /// A life of the server: as fast as it goes, then at half of that.
    fn live(&mut self, time: Duration) {
        self.lives.push(Life::default());
        let (begun, server) = (Instant::now(), Server { pid: self.house.process().unwrap() });
        let (cpu, own) = (server.cpu(), Server { pid: std::process::id() }.cpu());
        let before = self.soak.ledger.counts.acked;
        let measuring = time.mul_f64(MEASURING).max(MEASURING_AT_LEAST);
        self.walk(Pace::Closed, begun, measuring / 2);
        let (from, at) = (self.soak.ledger.counts.acked, Instant::now());
        self.walk(Pace::Closed, begun, measuring);
        let capacity = (self.soak.ledger.counts.acked - from) as f64 / at.elapsed().as_secs_f64();
        println!(
            "life {}: {capacity:.0} messages a second as fast as it goes; half of it from here",
            self.lives.len()
        );
        let held = self.walk(Pace::Open((capacity * HALF).max(10.0)), begun, time);
        let acked = self.soak.ledger.counts.acked - before;
        let life = self.lives.last_mut().unwrap();
        life.capacity = capacity;
        life.time = begun.elapsed();
        life.held = held;
        life.acked = acked;
        life.cpu = server.cpu() - cpu;
        life.own_cpu = Server { pid: std::process::id() }.cpu() - own;
    }

    /// At a pace, until so long after a life's beginning. Returns for how long nothing could be said.
    fn walk(&mut self, pace: Pace, begun: Instant, until: Duration) -> Duration {
        let mut walk = Walk::new(pace);
        let look = LOOK.min(until / 20);
        let mut looked = Instant::now();
        while begun.elapsed() < until {
            walk.turn(&mut self.crowd, &mut self.soak).unwrap();
            if looked.elapsed() >= look {
                looked = Instant::now();
                let sample = (begun.elapsed().as_secs_f64(), self.house.resident_kib() as f64);
                self.lives.last_mut().unwrap().memory.push(sample);
            }
            if self.told.elapsed() >= TELL {
                self.tell();
            }
        }
        walk.held
    }

    fn tell(&mut self) {
        let (time, acked) = (self.told.elapsed().as_secs_f64(), self.soak.ledger.counts.acked);
        let (devices, inside) = self.soak.attendance();
        let (waits, counts) = (&mut self.soak.waits, &self.soak.ledger.counts);
        println!(
            "{:5.0} s  {:5.0}/s acknowledged after {:.1} ms (p99 {:.1})  {inside}/{devices} in  {} KiB  load {}  \
             twice {} disordered {} wrong {}",
            self.begun.elapsed().as_secs_f64(),
            (acked - self.told_acked) as f64 / time,
            waits.at(0.5),
            waits.at(0.99),
            self.house.resident_kib(),
            load_average(),
            counts.twice,
            counts.disordered,
            counts.wrong,
        );
        waits.clear();
        let faults = &self.soak.ledger.faults;
        faults[self.told_faults..].iter().for_each(|fault| println!("        {fault}"));
        self.told_faults = faults.len();
        (self.told, self.told_acked) = (Instant::now(), acked);
    }

    /// The server goes and comes back while people go on.
    fn restart(&mut self, how: fn(&mut Waxwing) -> Result<Addresses, String>) {
        self.soak.server_goes();
        let Run { house, crowd, soak, .. } = self;
        let begun = Instant::now();
        std::thread::scope(|scope| {
            let restart = scope.spawn(|| how(house));
            let mut walk = Walk::new(Pace::Silent);
            while !restart.is_finished() {
                walk.turn(crowd, soak).unwrap();
            }
            restart.join().unwrap().unwrap();
        });
        self.soak.server_is_back();
        println!("the server is back after {:.2} s", begun.elapsed().as_secs_f64());
    }

    /// In silence, until it is so or for this time.
    fn go_on(&mut self, time: Duration, is_so: impl Fn(&Soak) -> bool) {
        let (begun, mut looked) = (Instant::now(), Instant::now());
        let mut walk = Walk::new(Pace::Silent);
        while begun.elapsed() < time {
            walk.turn(&mut self.crowd, &mut self.soak).unwrap();
            // Looking through all that was said takes its time.
            if looked.elapsed() > Duration::from_millis(300) {
                if is_so(&self.soak) {
                    return;
                }
                looked = Instant::now();
            }
        }
    }

    fn report(&self, extent: &Extent, missing: &Missing, unarchived: &Missing) {
        let (counts, deeds) = (self.soak.ledger.counts, self.soak.deeds);
        println!(
            "\nseed {}, {} s, load average {}",
            extent.seed,
            self.begun.elapsed().as_secs(),
            load_average()
        );
        println!(
            "\n| life | capacity/s | pace/s | acknowledged | held for s | server cores | load cores \
             | KiB at first | at most | at last | KiB a minute | a third at that pace |\n{}|",
            "|---".repeat(12)
        );
        for (number, life) in self.lives.iter().enumerate() {
            let kib = |at: Option<&(f64, f64)>| at.map_or(0.0, |(_, kib)| *kib);
            let most = life.memory.iter().map(|(_, kib)| *kib).fold(0.0, f64::max);
            let ((minute, third), seconds) = (life.slope(), life.time.as_secs_f64());
            println!(
                "| {} | {:.0} | {:.0} | {} | {:.1} | {:.2} | {:.2} | {:.0} | {most:.0} | {:.0} | {minute:+.1} \
                 | {third:+.0} |",
                number + 1,
                life.capacity,
                life.capacity * HALF,
                life.acked,
                life.held.as_secs_f64(),
                life.cpu.as_secs_f64() / seconds,
                life.own_cpu.as_secs_f64() / seconds,
                kib(life.memory.first()),
                kib(life.memory.last()),
            );
        }
        println!("\n{counts:#?}\n{deeds:#?}");
        println!("with devices: {} wanted, {} lost {:?}", missing.wanted, missing.lost, missing.first);
        println!(
            "in archives: {} wanted, {} lost {:?}",
            unarchived.wanted, unarchived.lost, unarchived.first
        );
    }

    fn judge(&self, missing: &Missing, unarchived: &Missing) {
        let (counts, deeds) = (self.soak.ledger.counts, self.soak.deeds);
        assert_eq!(
            (counts.twice, counts.disordered, counts.wrong),
            (0, 0, 0),
            "{:#?}",
            self.soak.ledger.faults
        );
        assert!(missing.wanted > 0 && missing.lost == 0, "lost: {:?}", missing.first);
        assert!(unarchived.wanted > 0 && unarchived.lost == 0, "not in archives: {:?}", unarchived.first);
        assert!(counts.given > 0 && counts.copied > 0 && deeds.presences > 0, "{counts:?} {deeds:?}");
        assert!(deeds.resumed > 0 && deeds.pages > 0, "{deeds:?}");
        let log = self.house.log();
        let complaints: Vec<&str> =
            log.lines().filter(|line| line.contains("ERROR") || line.contains("panicked")).take(5).collect();
        assert!(complaints.is_empty(), "the server logged {complaints:?}");
        for (number, life) in self.lives.iter().enumerate() {
            assert!(
                life.has_settled(),
                "memory grows in life {}: {:?} KiB a minute, in a third",
                number + 1,
                life.slope()
            );
        }
    }
}

fn load_average() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().unwrap_or_default().to_owned()
}
