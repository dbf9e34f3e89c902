//! Guarantees G3: what was reported as committed is there after `kill -9`, whole, and nothing that rests on what is
//! not.

use store::{Fate, Lsn};

use crate::child::{self, Child};
use crate::home::{jid, noise, note, on_both, open, until};

/// Commits pairs of notes, each resting on the one before, and reports each, until it is killed.
#[test]
fn writer() {
    child::play(async |url| {
        let opened = open(&url).await.unwrap();
        let mut last = Lsn::default();
        let there = opened.store.notes(&jid("alice@one.test"), "one").await.unwrap().len();
        for number in there.. {
            let key = format!("{number:06}");
            let pair = vec![note("one", &key, noise(3_000)), note("two", &key, noise(3_000))];
            last = opened.log.append(last, pair).unwrap();
            // Every other append is not waited for, so that there is always something under way.
            if number % 2 == 0 {
                assert_eq!(opened.settled(last).await, Fate::Committed);
                child::say(number);
            }
        }
    });
}

#[test]
fn what_was_reported_outlives_kill_9() {
    on_both(async |home| {
        for round in 1..=3 {
            let mut writer = Child::start("durability::writer", &home.url);
            let mut reported: usize = 0;
            for _ in 0..20 * round {
                reported = writer.hear().expect("it writes").parse().unwrap();
            }
            writer.kill();
            while let Some(number) = writer.hear() {
                reported = number.parse().unwrap();
            }
            let opened = until(async || open(&home.url).await.ok()).await;
            let alice = jid("alice@one.test");
            let one = opened.store.notes(&alice, "one").await.unwrap();
            let two = opened.store.notes(&alice, "two").await.unwrap();
            assert!(one == two, "an append is there as a whole");
            assert!(one.len() > reported, "{reported} was reported, {} are there", one.len());
            for (number, (key, value)) in one.iter().enumerate() {
                assert_eq!(key, &format!("{number:06}"), "what others rest on is there");
                assert!(*value == noise(3_000));
            }
            opened.close().await;
        }
    });
}
