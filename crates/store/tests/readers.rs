//! Reading beside the writer: whole groups only, and everything that was committed before the question.

use std::cell::Cell;

use futures_util::FutureExt as _;
use store::{Fate, Lsn, Write};

use crate::home::{Opened, at, jid, note, on_both};

async fn numbers(opened: &Opened) -> Vec<Vec<u8>> {
    let notes = opened.store.notes(&jid("alice@one.test"), "pair").await.unwrap();
    notes.into_iter().map(|(_, value)| value).collect()
}

#[test]
fn readers_see_a_group_whole_or_not_at_all() {
    on_both(async |home| {
        let opened = home.open().await;
        let pair =
            |number: u32| vec![note("pair", "a", number.to_string()), note("pair", "b", number.to_string())];
        opened.write(pair(0)).await;
        let done = Cell::new(false);
        let write = async {
            for number in 1..=300 {
                // Two appends in turn, so that a reader between two statements would see them apart.
                opened.write(pair(number)).await;
            }
            done.set(true);
        };
        let read = async || {
            let (mut seen, mut highest) = (0, 0);
            while !done.get() {
                let found = numbers(&opened).await;
                assert_eq!(found.len(), 2);
                assert_eq!(found[0], found[1]);
                let number: u32 = String::from_utf8(found[0].clone()).unwrap().parse().unwrap();
                assert!(number >= highest, "what has been seen does not go away");
                (seen, highest) = (seen + 1, number);
            }
            seen
        };
        let (_, one, two, three) = tokio::join!(write, read(), read(), read());
        assert!(one > 0 && two > 0 && three > 0);
    });
}

#[test]
fn a_question_sees_all_that_was_committed_before_it() {
    on_both(async |home| {
        let opened = home.open().await;
        for number in 0..200_u32 {
            opened.write([note("topic", "key", number.to_string())]).await;
            let value = opened.store.note(&jid("alice@one.test"), "topic", "key").await.unwrap();
            assert_eq!(value, Some(number.to_string().into_bytes()));
        }
    });
}

#[test]
fn many_may_ask_at_once() {
    on_both(async |home| {
        let opened = home.open().await;
        let writes: Vec<Write> = (0..50)
            .map(|id| Write::OfflineKeep {
                owner: jid("alice@one.test"),
                id,
                at: at(id),
                xml: vec![b'x'; 100],
            })
            .collect();
        let lsn = opened.log.append(Lsn::default(), writes).unwrap();
        assert_eq!(opened.settled(lsn).await, Fate::Committed);
        let ask = async |after: u64| {
            let page = opened.store.offline(&jid("alice@one.test"), after, 100).await.unwrap();
            assert_eq!(page.len() as u64, 49 - after);
        };
        let all = (0..1_000).map(|number| ask(number % 50));
        futures_util::future::join_all(all).await;
    });
}

#[test]
fn a_question_that_nobody_waits_for_harms_nobody() {
    on_both(async |home| {
        let opened = home.open().await;
        opened.write([note("topic", "key", "value")]).await;
        let alice = jid("alice@one.test");
        for _ in 0..200 {
            // It is asked when it is first polled.
            let _ = opened.store.notes(&alice, "topic").now_or_never();
        }
        assert_eq!(opened.store.notes(&alice, "topic").await.unwrap().len(), 1);
    });
}
