//! Rosters: contacts come back as they were put, in order, with the version that the last change made.

use store::{RosterItem, Subscription, Write};

use crate::home::{jid, on_both};

fn put(version: u64, item: &RosterItem) -> Write {
    Write::RosterPut { owner: jid("alice@one.test"), version, item: item.clone() }
}

fn remove(version: u64, contact: &str) -> Write {
    Write::RosterRemove { owner: jid("alice@one.test"), version, jid: jid(contact) }
}

fn contact(address: &str) -> RosterItem {
    RosterItem::new(jid(address))
}

#[test]
fn a_contact_comes_back_as_it_was_put() {
    on_both(async |home| {
        let opened = home.open().await;
        assert_eq!(opened.store.roster(&jid("alice@one.test")).await.unwrap(), (0, Vec::new()));
        let subscriptions = [Subscription::None, Subscription::To, Subscription::From, Subscription::Both];
        let groups: [&[&str]; 4] =
            [&[], &[""], &["Семья", "a,b;c 'd' \"e\" %_\\"], &["\u{1F426}\u{200D}\u{2B1B}", "\u{1}\u{7F}"]];
        let mut items = Vec::new();
        for (number, (subscription, groups)) in subscriptions.into_iter().zip(groups).enumerate() {
            let item = RosterItem {
                jid: jid(&format!("contact{number}@two.test")),
                name: (number > 0).then(|| format!("'; DROP TABLE rosters; -- \u{10FFFF}{number}")),
                groups: groups.iter().map(|group| (*group).to_owned()).collect(),
                subscription,
                ask: number % 2 == 1,
                approved: number >= 2,
            };
            opened.write([put(number as u64 + 1, &item)]).await;
            items.push(item);
        }
        assert_eq!(opened.store.roster(&jid("alice@one.test")).await.unwrap(), (4, items));
        assert_eq!(opened.store.roster(&jid("bob@one.test")).await.unwrap(), (0, Vec::new()));
    });
}

#[test]
fn a_change_replaces_the_contact_and_sets_the_version() {
    on_both(async |home| {
        let opened = home.open().await;
        let mut bob = contact("bob@two.test");
        bob.name = Some("Bob".to_owned());
        bob.groups = vec!["friends".to_owned()];
        opened.write([put(1, &bob)]).await;
        let plain = contact("bob@two.test");
        opened.write([put(2, &plain), put(2, &plain)]).await;
        assert_eq!(opened.store.roster(&jid("alice@one.test")).await.unwrap(), (2, vec![plain]));
    });
}

#[test]
fn a_contact_that_goes_leaves_the_version() {
    on_both(async |home| {
        let opened = home.open().await;
        opened.write([put(1, &contact("bob@two.test"))]).await;
        opened.write([remove(2, "bob@two.test")]).await;
        assert_eq!(opened.store.roster(&jid("alice@one.test")).await.unwrap(), (2, Vec::new()));
        opened.write([remove(3, "nobody@two.test")]).await;
        assert_eq!(opened.store.roster(&jid("alice@one.test")).await.unwrap(), (3, Vec::new()));
    });
}

#[test]
fn contacts_come_in_the_order_of_their_bytes() {
    on_both(async |home| {
        let opened = home.open().await;
        let mut addresses: Vec<String> =
            (0..500).map(|number| format!("contact{}@two.test", number * 7919 % 500)).collect();
        addresses.extend(["ärger@two.test".to_owned(), "two.test".to_owned(), "z@a.test".to_owned()]);
        let writes: Vec<Write> =
            addresses.iter().enumerate().map(|(at, address)| put(at as u64, &contact(address))).collect();
        opened.write(writes).await;
        addresses.sort();
        let (version, items) = opened.store.roster(&jid("alice@one.test")).await.unwrap();
        assert_eq!(version, 502);
        assert!(items.iter().map(|item| item.jid.as_str()).eq(addresses.iter().map(String::as_str)));
    });
}

/// RFC 7622 §3.1: the longest addresses there are, in one key.
#[test]
fn the_longest_addresses_fit() {
    on_both(async |home| {
        let opened = home.open().await;
        let domain =
            [["d"; 63].concat(), ["e"; 63].concat(), ["f"; 63].concat(), ["g"; 61].concat()].join(".");
        let long = |letters: &str| jid(&format!("{}@{domain}", noisy(letters)));
        let (owner, friend) = (long("abcdefghijklmnop"), long("qrstuvwxyz0123456"));
        let item = RosterItem::new(friend.clone());
        opened.write([Write::RosterPut { owner: owner.clone(), version: 1, item: item.clone() }]).await;
        assert_eq!(opened.store.roster(&owner).await.unwrap(), (1, vec![item]));
    });
}

/// A local part of full length that an index cannot make shorter.
fn noisy(letters: &str) -> String {
    let letters: Vec<char> = letters.chars().collect();
    crate::home::noise(1023).into_iter().map(|byte| letters[usize::from(byte) % letters.len()]).collect()
}
