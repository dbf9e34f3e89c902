//! The server is killed at random moments while people write to others who are not there. What a sender could take as
//! accepted, since the server answered a later request, is there after the restart, once and in order.
//!
//! `KILLS=20 cargo test --release --test crashes -- --nocapture` kills it twenty times, in 10,000 messages each.
#![allow(clippy::unwrap_used, clippy::disallowed_methods)] // real processes, real time

use std::collections::BTreeMap;
use std::hash::{BuildHasher, Hasher};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use simulator::conversation::{Scene, Setting};
use support::person::Person;
use support::sockets::{Addresses, House};
use support::waxwing::Waxwing;
use xmpp::jid::BareJid;
use xmpp::ns;
use xmpp::stanza::{Stanza, Type};
use xmpp::xml::Element;

mod support;

const SENDERS: usize = 5;
const RECEIVERS: usize = 10;
const MESSAGES: usize = 10_000;
/// How long held messages may take to come.
const PATIENCE: Duration = Duration::from_secs(60);
/// Messages between two requests that tell a sender how far it has come.
const BETWEEN_REQUESTS: usize = 20;

#[test]
fn what_was_accepted_is_there_after_a_kill() {
    let kills = std::env::var("KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(3);
    let (mut accepted, mut found) = (0, 0);
    for round in 1..=kills {
        let (a, f) = kill_once();
        println!("kill {round}: {a} of {MESSAGES} accepted before it, {f} there after it");
        accepted += a;
        found += f;
    }
    println!(
        "{kills} kills: {accepted} accepted, {found} found, none missing, none twice, none out of order"
    );
    assert!(accepted > 0, "the server was always killed before it accepted anything");
}

/// Returns how many messages were accepted, and how many were there afterwards.
fn kill_once() -> (usize, usize) {
    let mut house = Waxwing::new(None);
    let addresses = house.set(&scene()).unwrap();
    // A moment somewhere in the middle of it all.
    let moment = random() % MESSAGES;
    let count = AtomicUsize::new(0);
    let accepted = Mutex::new(BTreeMap::new());
    std::thread::scope(|scope| {
        for sender in 0..SENDERS {
            let (count, accepted) = (&count, &accepted);
            scope.spawn(move || {
                let up_to = send(addresses, sender, count);
                accepted.lock().unwrap().insert(sender, up_to);
            });
        }
        while count.load(Ordering::Relaxed) < moment {
            std::thread::sleep(Duration::from_micros(200));
        }
        std::thread::sleep(Duration::from_micros((random() % 3_000) as u64));
        house.kill();
    });
    let addresses = house.restart().unwrap();
    let accepted = accepted.into_inner().unwrap();
    let found = (0..RECEIVERS).map(|receiver| check(addresses, receiver, &accepted)).sum();
    (accepted.values().sum(), found)
}

fn scene() -> Scene {
    let senders = (0..SENDERS).map(sender_name);
    let accounts = senders.chain((0..RECEIVERS).map(receiver_name)).map(|name| (name, "secret".to_owned()));
    let settings = vec![
        Setting::PlaintextAllowed,
        Setting::Limit("offline_messages".to_owned(), MESSAGES as u64),
        Setting::Limit("inbound_bytes_per_second".to_owned(), 0),
    ];
    Scene { accounts: accounts.collect(), settings }
}

fn sender_name(number: usize) -> String {
    format!("sender{number}@one.test")
}

fn receiver_name(number: usize) -> String {
    format!("receiver{number}@two.test")
}

/// Writes messages to the receivers in turn until the server is gone or all are written. Returns how many were
/// accepted.
fn send(addresses: Addresses, sender: usize, count: &AtomicUsize) -> usize {
    let mut accepted = 0;
    let Ok(mut person) = Person::log_in(addresses.plain, &sender_name(sender), "secret") else {
        return accepted;
    };
    for number in 0..MESSAGES / SENDERS {
        let receiver = BareJid::new(&receiver_name(number % RECEIVERS)).unwrap();
        let body = Element::new(ns::CLIENT, "body").with_text(&format!("{sender} {number}"));
        person.say(&Stanza::message(Type::Chat).with_to(receiver).with_child(&body));
        if (number + 1) % BETWEEN_REQUESTS != 0 {
            continue;
        }
        let ping = Stanza::iq(Type::Get, &number.to_string()).with_child(&Element::new(ns::PING, "ping"));
        person.say(&ping);
        match person.hear() {
            Ok(answer) if answer.attr("id") == Some(&number.to_string()) => {
                assert_eq!(answer.attr("type"), Some("result"), "{answer:?}");
                accepted = number + 1;
                count.fetch_add(BETWEEN_REQUESTS, Ordering::Relaxed);
            }
            Ok(other) => panic!("sender {sender} heard {other:?}"),
            Err(_) => return accepted,
        }
    }
    accepted
}

/// Reads what a receiver finds: in order, nothing twice, nothing accepted missing. Returns how much it is.
fn check(addresses: Addresses, receiver: usize, accepted: &BTreeMap<usize, usize>) -> usize {
    let mut person = Person::log_in(addresses.plain, &receiver_name(receiver), "secret").unwrap();
    person.say(&Stanza::presence(Type::Available));
    let mut found = BTreeMap::<usize, Vec<usize>>::new();
    let missing = |found: &BTreeMap<usize, Vec<usize>>| -> Vec<String> {
        let due = |(sender, up_to): (&usize, &usize)| {
            let found = found.get(sender).map_or(&[][..], Vec::as_slice);
            let numbers = (0..*up_to).filter(move |number| number % RECEIVERS == receiver);
            let missing = numbers.filter(|number| !found.contains(number));
            missing.map(|number| format!("{sender} {number}")).collect::<Vec<_>>()
        };
        accepted.iter().flat_map(due).collect()
    };
    // Held messages come in batches, so what was not accepted may still follow when all that was is there.
    let (mut unheard, begun) = (3, Instant::now());
    while unheard > 0 {
        person.say(&Stanza::iq(Type::Get, "ping").with_child(&Element::new(ns::PING, "ping")));
        let before = found.values().map(Vec::len).sum::<usize>();
        loop {
            let heard = person.hear().unwrap_or_else(|why| {
                panic!("receiver {receiver}: {why}; missing are {:?}", missing(&found));
            });
            match heard.name() {
                "message" => {
                    let body = heard.child(ns::CLIENT, "body").unwrap().text();
                    let (sender, number) = body.split_once(' ').unwrap();
                    found.entry(sender.parse().unwrap()).or_default().push(number.parse().unwrap());
                }
                "iq" if missing(&found).is_empty() => break,
                "iq" => {
                    assert!(begun.elapsed() < PATIENCE, "receiver {receiver} misses {:?}", missing(&found));
                    person.say(&Stanza::iq(Type::Get, "ping").with_child(&Element::new(ns::PING, "ping")));
                }
                _ => {}
            }
        }
        let more = found.values().map(Vec::len).sum::<usize>() > before;
        unheard = if more { 3 } else { unheard - 1 };
    }
    for (sender, numbers) in &found {
        assert!(numbers.is_sorted_by(|a, b| a < b), "receiver {receiver}, from sender {sender}: {numbers:?}");
    }
    found.values().map(Vec::len).sum()
}

fn random() -> usize {
    std::hash::RandomState::new().build_hasher().finish() as usize
}
