//! What an idle session costs: resident memory of the server for each of 5,000 clients over TLS that have logged in,
//! fetched their roster, sent presence, and then say nothing.
//!
//! `cargo bench --bench idle_sessions`; `SESSIONS=1000` for fewer.
#![allow(clippy::unwrap_used)]

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use simulator::conversation::{Scene, Setting};
use support::person::Person;
use support::sockets::House;
use support::waxwing::Waxwing;
use xmpp::ns;
use xmpp::stanza::{Stanza, Type};
use xmpp::xml::Element;

#[path = "../tests/support/mod.rs"]
mod support;

/// Devices of one account.
const DEVICES: usize = 20;

fn main() {
    // `cargo test` builds benchmarks and starts them with no wish to measure.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let sessions = std::env::var("SESSIONS").ok().and_then(|count| count.parse().ok()).unwrap_or(5_000_usize);
    let accounts = sessions.div_ceil(DEVICES);
    let mut house = Waxwing::new(None);
    let addresses = house.set(&scene(accounts)).unwrap();
    let tls = addresses.tls.unwrap();
    // What the first logins load is not theirs.
    drop(enter(tls, 0));
    let before = house.resident_kib();
    let (next, people) = (AtomicUsize::new(0), Mutex::new(Vec::with_capacity(sessions)));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= sessions {
                        return;
                    }
                    let person = enter(tls, number / DEVICES);
                    people.lock().unwrap().push(person);
                }
            });
        }
    });
    let after = house.resident_kib();
    let each = (after - before) as f64 / sessions as f64;
    println!("{sessions} idle sessions over TLS 1.3, {accounts} accounts:");
    println!("{before} KiB before, {after} KiB after: {each:.1} KiB resident each");
}

fn scene(accounts: usize) -> Scene {
    let accounts = (0..accounts).map(|number| (name(number), "secret".to_owned())).collect();
    let settings = vec![Setting::Limit("connections_per_address".to_owned(), 100_000)];
    Scene { accounts, settings }
}

fn name(number: usize) -> String {
    format!("person{number}@one.test")
}

fn enter(address: std::net::SocketAddr, account: usize) -> Person {
    let mut person = Person::log_in_over_tls(address, &name(account), "secret").unwrap();
    person.say(&Stanza::iq(Type::Get, "r").with_child(&Element::new(ns::ROSTER, "query")));
    person.say(&Stanza::presence(Type::Available));
    while person.hear().unwrap().name() != "iq" {}
    person
}
