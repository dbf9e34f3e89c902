//! The load of `bench/run` against our own server: whatever is said is heard, once, and counted.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use bench::crowd::Crowd;
use bench::manner::{Manner, Peer};
use bench::measured::Server;
use bench::scenes::login::Again;
use bench::scenes::{Span, archive, chat, idle, login, offline, presence};
use serde_json::Value;
use simulator::conversation::{Scene, Setting};
use support::sockets::House;
use support::waxwing::Waxwing;

mod support;

const SPAN: Span = Span { settle: Duration::from_millis(50), time: Duration::from_millis(200) };
const DOMAIN: &str = "one.test";
const PEOPLE: u32 = 6;

fn house() -> (Waxwing, Manner, Manner) {
    let accounts = (0..PEOPLE).map(|number| (format!("u{number}@{DOMAIN}"), "secret".to_owned())).collect();
    let limits = ["connections_per_address", "inbound_bytes_per_second"];
    let settings = limits.map(|name| Setting::Limit(name.to_owned(), 0)).to_vec();
    let mut house = Waxwing::new(None);
    let addresses = house.set(&Scene { accounts, settings }).unwrap();
    let direct = Manner::new(Peer::DirectTls, addresses.tls.unwrap(), DOMAIN, "secret");
    let turning = Manner::new(Peer::StartTls, addresses.plain, DOMAIN, "secret");
    (house, direct, turning)
}

fn count(found: &Value, name: &str) -> u64 {
    found[name].as_u64().unwrap_or_else(|| panic!("no {name} in {found}"))
}

/// The accounting is tested by itself; here any process will do.
fn server() -> Server {
    Server { pid: std::process::id() }
}

#[test]
fn who_chats_is_heard_once() {
    let (_house, direct, turning) = house();
    for (mut manner, managed) in [(direct.clone(), false), (turning, true), (direct, true)] {
        manner.managed = managed;
        manner.carbons = managed;
        for window in [1, 5] {
            let chat = chat::Chat { pairs: 2, window, background: 2, asks: managed };
            let mut crowd = Crowd::new(manner.clone()).unwrap();
            let found = chat::run(&mut crowd, server(), DOMAIN, chat, SPAN).unwrap();
            assert!(count(&found, "said") >= 2 * u64::from(window), "{found}");
            assert_eq!(count(&found, "came"), count(&found, "said"), "{found}");
            assert_eq!((count(&found, "lost"), count(&found, "unacked")), (0, 0), "{found}");
        }
    }
}

#[test]
fn who_comes_in_again_is_known() {
    let (_house, direct, _) = house();
    let mut manner = direct.with_tickets();
    manner.managed = true;
    for again in [Again::Password, Again::Token, Again::Stream] {
        let mut crowd = Crowd::new(manner.clone()).unwrap();
        let found = login::run(&mut crowd, server(), again, PEOPLE, SPAN).unwrap();
        assert!(count(&found, "units") > 0, "{found}");
        let resumed = count(&found, "resumed");
        assert_eq!(again == Again::Stream, resumed > 0, "{found}");
    }
    let found = idle::run(&mut Crowd::new(manner).unwrap(), server(), 1, 3, SPAN).unwrap();
    assert_eq!(count(&found, "units"), 3);
}

#[test]
fn who_was_absent_reads_all_of_it() {
    let (_house, mut manner, _) = house();
    manner.managed = true;
    let found = offline::run(&mut Crowd::new(manner).unwrap(), server(), DOMAIN, 3, 7, SPAN).unwrap();
    assert_eq!(
        (count(&found, "units"), count(&found, "lost"), count(&found, "twice")),
        (21, 0, 0),
        "{found}"
    );
}

#[test]
fn contacts_are_told() {
    let (_house, mut manner, _) = house();
    manner.group = 3;
    presence::acquaint(&mut Crowd::new(manner.clone()).unwrap(), DOMAIN, 6, 3).unwrap();
    let found = presence::run(&mut Crowd::new(manner).unwrap(), server(), 6, 3, SPAN).unwrap();
    assert!(count(&found, "units") > 0, "{found}");
}

#[test]
fn pages_are_full() {
    let (_house, mut manner, _) = house();
    manner.managed = true;
    let filled = archive::fill(&mut Crowd::new(manner.clone()).unwrap(), DOMAIN, 0, 500).unwrap();
    assert_eq!(count(&filled, "units"), 500);
    let found = archive::run(&mut Crowd::new(manner).unwrap(), server(), 0, 2, SPAN).unwrap();
    assert!(count(&found, "units") > 0, "{found}");
    assert_eq!(count(&found, "short"), 0, "{found}");
}
