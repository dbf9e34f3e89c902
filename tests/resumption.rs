//! The server is killed, or stopped, again and again while people chat over streams that they resume (XEP-0198): every
//! message comes once and in order, and none is lost.
//!
//! `KILLS=100 cargo test --release --test resumption -- --nocapture` does so a hundred times.
#![allow(clippy::unwrap_used, clippy::disallowed_methods)] // real processes, real time

use std::hash::{BuildHasher, Hasher};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use simulator::conversation::{Scene, Setting};
use support::chatter::{Chatter, Heard};
use support::sockets::{Addresses, House};
use support::waxwing::Waxwing;

mod support;

const PEOPLE: usize = 8;
/// How long the last messages may take to come.
const PATIENCE: Duration = Duration::from_secs(60);
/// Messages of one person that the server has not acknowledged.
const UNACKED: u32 = 100;

/// What everybody knows of everybody.
#[derive(Default)]
struct Shared {
    over: AtomicBool,
    sent: [AtomicU32; PEOPLE],
    received: [AtomicU32; PEOPLE],
    resumed: AtomicU32,
}

#[test]
fn streams_go_on_over_kills() {
    let kills = std::env::var("KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(4);
    let mut house = Waxwing::new(None);
    let addresses = house.set(&scene()).unwrap();
    let shared = Shared::default();
    std::thread::scope(|scope| {
        for person in 0..PEOPLE {
            let shared = &shared;
            scope.spawn(move || chat(addresses, person, shared));
        }
        for round in 1..=kills {
            std::thread::sleep(Duration::from_millis(100 + random(400)));
            // Every fourth time it is stopped as an operator stops it.
            match round % 4 {
                0 => drop(house.restart().unwrap()),
                _ => drop(house.crash().unwrap()),
            }
        }
        std::thread::sleep(Duration::from_millis(300));
        shared.over.store(true, Ordering::SeqCst);
    });
    let total =
        |numbers: &[AtomicU32]| numbers.iter().map(|number| number.load(Ordering::SeqCst)).sum::<u32>();
    let (sent, received, resumed) =
        (total(&shared.sent), total(&shared.received), shared.resumed.load(Ordering::SeqCst));
    println!(
        "{kills} kills and stops: {sent} messages sent, {received} received, none lost, none twice, none out of order; \
         streams resumed {resumed} times"
    );
    assert!(sent > 0 && received == sent);
    assert!(resumed > 0, "nobody ever had to go on");
}

fn scene() -> Scene {
    let accounts = (0..PEOPLE).map(|person| (account(person), "secret".to_owned())).collect();
    let settings = vec![Setting::PlaintextAllowed, Setting::Limit("inbound_bytes_per_second".to_owned(), 0)];
    Scene { accounts, settings }
}

fn account(person: usize) -> String {
    format!("p{person}@one.test")
}

/// One person writes to another, and hears from them, until all is over and everything has come.
fn chat(addresses: Addresses, person: usize, shared: &Shared) {
    let partner = person ^ 1;
    let mut chatter = Chatter::new(addresses.plain, &account(person));
    let (mut next, mut expected, mut unacked) = (0, 0, 0);
    let mut ends_by = None;
    loop {
        let over = shared.over.load(Ordering::SeqCst);
        let complete = over
            && unacked == 0
            && shared.received[partner].load(Ordering::SeqCst) == next
            && shared.sent[partner].load(Ordering::SeqCst) == expected;
        if complete {
            return chatter.say_goodbye();
        }
        if over {
            let ends_by = *ends_by.get_or_insert_with(|| Instant::now() + PATIENCE);
            assert!(
                Instant::now() < ends_by,
                "{person}: {unacked} unacknowledged of {next}, {expected} received"
            );
        }
        if !over && unacked < UNACKED && chatter.is_connected() {
            // Sent as far as the sender can know; what is not acknowledged is said again.
            shared.sent[person].store(next + 1, Ordering::SeqCst);
            chatter.message(&account(partner), next);
            next += 1;
            unacked += 1;
        }
        if !over && random(2_000) == 0 {
            chatter.vanish();
            std::thread::sleep(Duration::from_millis(random(300)));
        }
        match chatter.hear() {
            Heard::Message(number) => {
                assert_eq!(number, expected, "person {person} hears from {partner}");
                expected += 1;
                shared.received[person].store(expected, Ordering::SeqCst);
            }
            Heard::Acked(count) => unacked -= count,
            Heard::Resumed(count) => {
                unacked -= count;
                shared.resumed.fetch_add(1, Ordering::SeqCst);
            }
            Heard::Nothing => {}
        }
    }
}

fn random(below: u64) -> u64 {
    std::hash::RandomState::new().build_hasher().finish() % below
}
