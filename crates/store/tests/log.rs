//! The log: numbers, groups, what is lost with a group that fails, and how it goes on.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use store::{Failed, Fate, Lsn, Rehearsal, StoreError, Waiting};

use crate::gate::Gate;
use crate::home::{Home, Opened, jid, noise, note, on_both, open, until};

async fn kept(opened: &Opened, topic: &str, key: &str) -> bool {
    opened.store.note(&jid("alice@one.test"), topic, key).await.unwrap().is_some()
}

#[test]
fn appends_are_numbered_one_by_one() {
    on_both(async |home| {
        let opened = home.open().await;
        let log = &opened.log;
        assert_eq!(log.fate(Lsn::default()), Fate::Committed);
        assert_eq!(log.append(Lsn::default(), Vec::new()), Ok(Lsn::default()), "nothing rests on nothing");
        let start = log.last().number();
        assert_eq!(log.committed(), log.last());
        let mut last = Lsn::default();
        for number in 1..=100 {
            last = log.append(last, vec![note("topic", "key", number.to_string())]).unwrap();
            assert_eq!(last.number(), start + number);
            assert_eq!(log.last(), last);
        }
        assert_eq!(log.append(last, Vec::new()), Ok(last), "nothing is as safe as what it rests on");
        assert_eq!(opened.settled(last).await, Fate::Committed);
        assert_eq!((log.committed(), log.failures(), log.trouble()), (last, 0, None));
        assert_eq!(log.waiting(), Waiting::default());
    });
}

#[test]
fn the_last_of_many_appends_has_the_last_word() {
    on_both(async |home| {
        let opened = home.open().await;
        let mut last = Lsn::default();
        for number in 0..2_000 {
            last = opened.log.append(last, vec![note("topic", "key", number.to_string())]).unwrap();
        }
        assert_eq!(opened.settled(last).await, Fate::Committed);
        let value = opened.store.note(&jid("alice@one.test"), "topic", "key").await.unwrap();
        assert_eq!(value.as_deref(), Some(&b"1999"[..]));
    });
}

/// What waits while the writer is busy goes with one transaction, of however many entities it is.
#[test]
fn all_that_waits_is_one_group() {
    on_both(async |home| {
        let opened = home.open().await;
        let gate = Gate::new(&opened.log);
        gate.hold(&opened);
        let before = gate.moves();
        let mut lsn = Lsn::default();
        for number in 0..500 {
            lsn = opened.log.append(lsn, vec![note("topic", &number.to_string(), "value")]).unwrap();
        }
        assert_eq!(opened.log.fate(lsn), Fate::Pending);
        assert_eq!(opened.log.waiting().appends, 500);
        gate.release();
        assert_eq!(opened.settled(lsn).await, Fate::Committed);
        assert_eq!(opened.store.notes(&jid("alice@one.test"), "topic").await.unwrap().len(), 500);
        // Then everybody has been told.
        opened.close().await;
        assert_eq!(gate.moves() - before, 1);
    });
}

/// Has the engine refuse the notes of the topic "bad", or take them again.
async fn refuse(home: &Home, opened: &Opened, refuses: bool) {
    match (&home.server, refuses) {
        // As on a full disk; a bad note is larger than what is left.
        (None, true) => opened.store.limit_pages(1),
        (None, false) => opened.store.limit_pages(0),
        (Some(_), true) => {
            home.run(
                "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql \
                 AS 'BEGIN RAISE EXCEPTION ''not this one'' USING DETAIL = ''today''; END'; \
                 CREATE TRIGGER refuse BEFORE INSERT ON notes FOR EACH ROW WHEN (NEW.topic = 'bad') \
                 EXECUTE FUNCTION refuse()",
            )
            .await;
        }
        (Some(_), false) => home.run("DROP TRIGGER refuse ON notes").await,
    }
}

#[test]
fn a_group_that_fails_is_lost_as_a_whole_and_the_log_goes_on() {
    on_both(async |home| {
        let opened = home.open().await;
        let log = &opened.log;
        let safe = opened.write([note("good", "before", "")]).await;
        refuse(home, &opened, true).await;
        let gate = Gate::new(log);
        gate.hold(&opened);
        let held = log.last();
        let first = log.append(safe, vec![note("good", "first", "")]).unwrap();
        let bad =
            log.append(first, vec![note("good", "with it", ""), note("bad", "", noise(200_000))]).unwrap();
        let after = log.append(Lsn::default(), vec![note("good", "after", "")]).unwrap();
        gate.release();

        for lost in [first, bad, after] {
            assert_eq!(opened.settled(lost).await, Fate::Failed);
            assert_eq!(log.append(lost, vec![note("good", "resting", "")]), Err(Failed));
            assert_eq!(log.append(lost, Vec::new()), Err(Failed));
        }
        for key in ["first", "with it", "after", "resting"] {
            assert!(!kept(&opened, "good", key).await, "{key}");
        }
        assert_eq!((log.fate(safe), log.fate(held)), (Fate::Committed, Fate::Committed));
        assert_eq!((log.committed(), log.failures()), (held, 1));
        let trouble = log.trouble();
        match home.server {
            None => assert!(matches!(trouble, Some(StoreError::Full(_))), "{trouble:?}"),
            Some(_) => assert!(
                matches!(&trouble, Some(StoreError::Refused(why)) if why.ends_with("not this one, DETAIL: today")),
                "{trouble:?}"
            ),
        }

        // The mistake goes on, others do as well.
        assert_eq!(opened.lose([note("bad", "again", noise(200_000))]).await.number(), after.number() + 1);
        assert_eq!(log.failures(), 2);
        refuse(home, &opened, false).await;
        let well = opened.write([note("good", "well", ""), note("bad", "", noise(200_000))]).await;
        assert!(kept(&opened, "good", "well").await);
        assert_eq!((log.committed(), log.trouble()), (well, None));
        for lost in [first, bad, after] {
            assert_eq!(log.fate(lost), Fate::Failed, "for ever");
        }
        assert_eq!(log.fate(safe), Fate::Committed);
    });
}

/// Whether a group is in work already or waits behind it: what was appended since may rest on it.
#[test]
fn with_a_group_goes_everything_appended_since() {
    let (store, hand) = Rehearsal::new();
    let log = store.log();
    let append = |key: &str| log.append(Lsn::default(), vec![note("topic", key, "")]).unwrap();
    let one = append("one");
    assert!(hand.begin());
    let two = append("two");
    assert_eq!(hand.waiting(), 2);
    assert!(hand.fail_next());
    assert_eq!((log.fate(one), log.fate(two), hand.waiting()), (Fate::Failed, Fate::Failed, 0));
    assert!(!hand.commit_next());
    let three = append("three");
    assert_eq!(log.fate(three), Fate::Pending);
    assert!(hand.commit_next());
    assert_eq!((log.fate(two), log.fate(three)), (Fate::Failed, Fate::Committed));
}

#[test]
fn fates_are_told_apart_over_many_failures() {
    let (store, hand) = Rehearsal::new();
    let log = store.log();
    let mut fates = Vec::new();
    for round in 0..3_000_u32 {
        let lsn = log.append(Lsn::default(), vec![note("topic", "key", "")]).unwrap();
        let fate = if round % 3 == 0 { Fate::Committed } else { Fate::Failed };
        assert!(if fate == Fate::Committed { hand.commit_next() } else { hand.fail_next() });
        fates.push((lsn, fate));
    }
    for (lsn, fate) in fates {
        assert_eq!(log.fate(lsn), fate, "{lsn}");
    }
    assert_eq!(log.failures(), 2_000);
}

#[test]
fn closing_writes_everything_and_takes_nothing_more() {
    on_both(async |home| {
        let opened = home.open().await;
        let gate = Gate::new(&opened.log);
        gate.hold(&opened);
        let mut last = Lsn::default();
        for number in 0..100 {
            last = opened.log.append(last, vec![note("topic", &number.to_string(), "")]).unwrap();
        }
        let (log, store) = (opened.log.clone(), opened.store.clone());
        let closing = async {
            gate.release();
            tokio::join!(opened.store.close(), opened.store.close());
        };
        closing.await;
        assert_eq!(log.fate(last), Fate::Committed);
        assert_eq!(log.append(Lsn::default(), vec![note("topic", "late", "")]), Err(Failed));
        assert_eq!(store.notes(&jid("alice@one.test"), "topic").await, Err(StoreError::Closed));
        assert_eq!(store.secret([0; 32]).await, Err(StoreError::Closed));

        let again = home.open().await;
        assert_eq!(again.store.notes(&jid("alice@one.test"), "topic").await.unwrap().len(), 100);
        assert_eq!(again.log.committed(), again.log.last());
    });
}

#[test]
fn what_was_appended_is_written_although_nobody_closes() {
    on_both(async |home| {
        let Opened { store, log, .. } = home.open().await;
        log.append(Lsn::default(), vec![note("topic", "key", "")]).unwrap();
        drop((store, log));
        // It lets go of the database once it is done.
        let again = until(async || open(&home.url).await.ok()).await;
        assert!(kept(&again, "topic", "key").await);
    });
}

#[test]
fn whoever_listens_cannot_stop_the_writer() {
    on_both(async |home| {
        let opened = home.open().await;
        let told = Arc::new(AtomicUsize::new(0));
        let counts = told.clone();
        opened.log.on_change(Arc::new(|| panic!("as planned")));
        opened.log.on_change(Arc::new(move || _ = counts.fetch_add(1, Ordering::SeqCst)));
        opened.write([note("topic", "one", "")]).await;
        opened.write([note("topic", "two", "")]).await;
        let store = opened.store.clone();
        store.close().await;
        assert_eq!(told.load(Ordering::SeqCst), 2);
    });
}

#[test]
fn a_crash_loses_what_was_not_committed() {
    let (store, hand) = Rehearsal::new();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let notes = |store: store::Store| {
        runtime.block_on(async move { store.notes(&jid("alice@one.test"), "topic").await })
    };
    store.log().append(Lsn::default(), vec![note("topic", "safe", "")]).unwrap();
    assert!(hand.commit_next());
    let lost = store.log().append(Lsn::default(), vec![note("topic", "lost", "")]).unwrap();
    let next = hand.crash();
    assert_eq!(notes(next.clone()).unwrap().len(), 1);
    assert_eq!(notes(store.clone()), Err(StoreError::Closed));
    assert_eq!(store.log().fate(lost), Fate::Pending, "for ever");
    assert_eq!(store.log().append(Lsn::default(), vec![note("topic", "late", "")]), Err(Failed));
    next.log().append(Lsn::default(), vec![note("topic", "next", "")]).unwrap();
    assert!(hand.commit_next());
    assert_eq!(notes(next).unwrap().len(), 2);
}
