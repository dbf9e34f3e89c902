//! Archives: pages in both directions, every filter, what is kept once, what is cleared away.

use store::{
    ArchiveMessage, ArchivePage, ArchiveQuery, ArchiveState, Clearing, Due, OfflineSize, Page, Write, words,
};
use xmpp::jid::Jid;

use crate::home::{Home, Opened, at, jid, on_both};

fn xml(owner: &str, seq: u64) -> Vec<u8> {
    format!("<message><body>{owner} {seq}</body></message>").into_bytes()
}

/// One of alice's messages, to or from bob; its time is its number in seconds.
fn message(seq: u64) -> ArchiveMessage {
    let time = at(seq * 1_000_000);
    ArchiveMessage {
        owner: jid("alice@one.test"),
        seq,
        first: seq == 1,
        at: time,
        peak: time,
        with: Jid::new("bob@two.test/phone").unwrap(),
        sent: seq.is_multiple_of(2),
        id: Some(format!("m{seq}")),
        xml: xml("alice", seq),
        same_as: None,
        // A word that comes twice is one for both engines.
        words: words(&format!("number {seq} of alice, number {seq}")),
    }
}

fn keep(message: ArchiveMessage) -> Write {
    Write::ArchiveKeep(Box::new(message))
}

/// The same conversation from bob's side, kept where alice's is.
fn other_side(message: &ArchiveMessage, seq: u64) -> ArchiveMessage {
    ArchiveMessage {
        owner: jid("bob@two.test"),
        seq,
        first: seq == 1,
        with: Jid::new("alice@one.test/desk").unwrap(),
        sent: !message.sent,
        same_as: Some((message.owner.clone(), message.seq)),
        ..message.clone()
    }
}

async fn page(opened: &Opened, owner: &str, query: &ArchiveQuery) -> Option<ArchivePage> {
    opened.store.archive_page(&jid(owner), query).await.unwrap()
}

/// The numbers on a page, and whether it is complete.
async fn numbers(opened: &Opened, query: ArchiveQuery) -> (Vec<u64>, bool) {
    let page = page(opened, "alice@one.test", &query).await.expect("a page");
    (page.messages.iter().map(|message| message.seq).collect(), page.complete)
}

fn query(page: Page, max: usize) -> ArchiveQuery {
    ArchiveQuery { page, max, ..ArchiveQuery::default() }
}

async fn count(home: &Home, table: &str) -> String {
    home.ask(&format!("SELECT COUNT(*) FROM {table}")).await[0][0].clone()
}

async fn clear_all(opened: &Opened, due: &Due) -> usize {
    let mut batches = 0;
    loop {
        let clearings: Vec<Clearing> = opened.store.archive_due(due).await.unwrap();
        if clearings.is_empty() {
            return batches;
        }
        batches += clearings.len();
        opened.write(clearings.into_iter().map(Write::ArchiveClear).collect::<Vec<_>>()).await;
    }
}

#[test]
fn pages_go_both_ways_and_say_when_they_are_complete() {
    on_both(async |home| {
        let opened = home.open().await;
        assert_eq!(numbers(&opened, query(Page::First, 10)).await, (vec![], true), "of nobody");
        assert_eq!(page(&opened, "alice@one.test", &query(Page::After(1), 10)).await, None);
        opened.write((1..=7).map(|seq| keep(message(seq))).collect::<Vec<_>>()).await;
        for (page, max, expected, complete) in [
            (Page::First, 3, vec![1, 2, 3], false),
            (Page::First, 7, vec![1, 2, 3, 4, 5, 6, 7], true),
            (Page::After(3), 3, vec![4, 5, 6], false),
            (Page::After(6), 3, vec![7], true),
            (Page::After(7), 3, vec![], true),
            (Page::Last, 3, vec![5, 6, 7], false),
            (Page::Before(5), 4, vec![1, 2, 3, 4], true),
            (Page::Before(5), 3, vec![2, 3, 4], false),
            (Page::Before(1), 3, vec![], true),
            (Page::First, 0, vec![], false),
        ] {
            assert_eq!(numbers(&opened, query(page, max)).await, (expected, complete), "{page:?} {max}");
        }
        for missing in [0, 8, u64::MAX] {
            assert_eq!(page(&opened, "alice@one.test", &query(Page::After(missing), 3)).await, None);
            assert_eq!(page(&opened, "alice@one.test", &query(Page::Before(missing), 3)).await, None);
        }
        let first = &page(&opened, "alice@one.test", &query(Page::First, 1)).await.unwrap().messages[0];
        assert_eq!((first.at, &first.xml), (at(1_000_000), &xml("alice", 1)));
        let ends = opened.store.archive_ends(&jid("alice@one.test")).await.unwrap();
        assert_eq!(ends, Some([(1, at(1_000_000)), (7, at(7_000_000))]));
        assert_eq!(opened.store.archive_ends(&jid("bob@two.test")).await.unwrap(), None);
    });
}

#[test]
fn every_filter_alone_and_with_others() {
    on_both(async |home| {
        let opened = home.open().await;
        let carol = |seq| ArchiveMessage { with: Jid::new("carol@one.test").unwrap(), ..message(seq) };
        let all = (1..=9).map(|seq| keep(if seq % 3 == 0 { carol(seq) } else { message(seq) }));
        opened.write(all.collect::<Vec<_>>()).await;
        let second = |seconds: u64| Some(at(seconds * 1_000_000));
        let with = |text: &str| Some(Jid::new(text).unwrap());
        let all = || query(Page::First, 100);
        for (query, expected) in [
            (ArchiveQuery { with: with("carol@one.test"), ..all() }, vec![3, 6, 9]),
            (ArchiveQuery { with: with("bob@two.test"), ..all() }, vec![1, 2, 4, 5, 7, 8]),
            (ArchiveQuery { with: with("bob@two.test/phone"), after: Some(4), ..all() }, vec![5, 7, 8]),
            (ArchiveQuery { with: with("bob@two.test/desk"), ..all() }, vec![]),
            (ArchiveQuery { with: with("dave@two.test"), ..all() }, vec![]),
            (ArchiveQuery { start: second(8), ..all() }, vec![8, 9]),
            (ArchiveQuery { start: second(10), ..all() }, vec![]),
            (ArchiveQuery { start: second(0), end: second(2), ..all() }, vec![1, 2]),
            (ArchiveQuery { end: second(0), ..all() }, vec![]),
            (
                ArchiveQuery { start: second(3), end: second(6), with: with("carol@one.test"), ..all() },
                vec![3, 6],
            ),
            (ArchiveQuery { after: Some(2), before: Some(5), ..all() }, vec![3, 4]),
            (ArchiveQuery { after: Some(5), before: Some(2), ..all() }, vec![]),
            (ArchiveQuery { ids: vec![7, 3, 7, 1], ..all() }, vec![1, 3, 7]),
            (ArchiveQuery { ids: vec![7, 3, 1], with: with("carol@one.test"), ..all() }, vec![3]),
            (ArchiveQuery { ids: vec![7, 3, 1], words: words("3"), ..all() }, vec![3]),
            (ArchiveQuery { ids: vec![7, 3, 1], words: words("2"), ..all() }, vec![]),
            (ArchiveQuery { words: words("NUMBER 4"), ..all() }, vec![4]),
            (ArchiveQuery { words: words("alice"), page: Page::Last, max: 2, ..all() }, vec![8, 9]),
            (ArchiveQuery { words: words("alice"), page: Page::After(2), max: 2, ..all() }, vec![3, 4]),
            (ArchiveQuery { words: words("alice"), with: with("carol@one.test"), ..all() }, vec![3, 6, 9]),
            (ArchiveQuery { words: words("alice and"), ..all() }, vec![]),
            (ArchiveQuery { words: words("ali"), ..all() }, vec![]),
        ] {
            assert_eq!(numbers(&opened, query.clone()).await.0, expected, "{query:?}");
        }
        for missing in [
            ArchiveQuery { ids: vec![1, 10], ..all() },
            ArchiveQuery { after: Some(10), ..all() },
            ArchiveQuery { before: Some(10), ..all() },
        ] {
            assert_eq!(page(&opened, "alice@one.test", &missing).await, None, "{missing:?}");
        }
        let counted = async |query| page(&opened, "alice@one.test", &query).await.unwrap().count;
        assert_eq!(counted(ArchiveQuery { count: true, max: 0, ..all() }).await, Some(9));
        assert_eq!(
            counted(ArchiveQuery { count: true, words: words("alice"), end: second(3), ..all() }).await,
            Some(3)
        );
        assert_eq!(
            counted(ArchiveQuery { count: true, with: with("carol@one.test"), ..all() }).await,
            Some(3)
        );
        assert_eq!(counted(all()).await, None);
    });
}

#[test]
fn words_are_found_however_many_messages_have_them() {
    const ALL: u64 = 12_000;
    on_both(async |home| {
        let opened = home.open().await;
        let said = |seq: u64| {
            let early = if seq <= 1_000 { "early" } else { "" };
            let late = if seq > ALL - 48 || seq <= 5 { "late" } else { "" };
            let often = if seq.is_multiple_of(21) { "often" } else { "" };
            let rare = if [2, 9_000].contains(&seq) { "rare" } else { "" };
            words(&format!("each {early} {late} {often} {rare}"))
        };
        let carol = |seq: u64| seq.is_multiple_of(4);
        let kept = |seq| {
            let with = if carol(seq) { "carol@one.test" } else { "bob@two.test/phone" };
            keep(ArchiveMessage { with: Jid::new(with).unwrap(), words: said(seq), ..message(seq) })
        };
        for chunk in (1..=ALL).collect::<Vec<_>>().chunks(500) {
            opened.write(chunk.iter().map(|seq| kept(*seq)).collect::<Vec<_>>()).await;
        }
        let everybody = |_: &u64| true;
        for sought in ["each", "early", "late", "often", "rare", "early often", "each rare"] {
            for (with, fits) in
                [(None, &everybody as &dyn Fn(&u64) -> bool), (Some("carol@one.test"), &|seq| carol(*seq))]
            {
                let with = with.map(|with| Jid::new(with).unwrap());
                let found: Vec<u64> = (1..=ALL)
                    .filter(fits)
                    .filter(|seq| words(sought).split(' ').all(|word| said(*seq).contains(word)))
                    .collect();
                for page in [Page::First, Page::Last, Page::After(4_000), Page::Before(8_000)] {
                    let (of_page, complete) = part(&found, page, 50);
                    let query = ArchiveQuery { words: words(sought), with: with.clone(), ..query(page, 50) };
                    assert_eq!(numbers(&opened, query.clone()).await, (of_page, complete), "{query:?}");
                }
            }
        }
    });
}

/// What a page has of so many numbers, and whether that is all in its direction.
fn part(all: &[u64], page: Page, max: usize) -> (Vec<u64>, bool) {
    let beyond: Vec<u64> = match page {
        Page::After(after) => all.iter().copied().filter(|seq| *seq > after).collect(),
        Page::Before(before) => all.iter().copied().filter(|seq| *seq < before).collect(),
        Page::First | Page::Last => all.to_vec(),
    };
    let (some, rest) = match page {
        Page::First | Page::After(_) => beyond.split_at(max.min(beyond.len())),
        Page::Last | Page::Before(_) => {
            let (rest, some) = beyond.split_at(beyond.len().saturating_sub(max));
            (some, rest)
        }
    };
    (some.to_vec(), rest.is_empty())
}

/// Guarantees G6, G13: a clock that goes back changes neither the order nor what is found by time.
#[test]
fn times_that_go_back_are_found_all_the_same() {
    on_both(async |home| {
        let opened = home.open().await;
        let times: [u64; 8] = [10, 20, 100, 110, 30, 40, 120, 50];
        let mut peak = at(0);
        let rows = times.iter().enumerate().map(|(place, time)| {
            peak = peak.max(at(*time));
            keep(ArchiveMessage { at: at(*time), peak, ..message(place as u64 + 1) })
        });
        let rows: Vec<Write> = rows.collect();
        opened.write(rows).await;
        for start in [0, 20, 21, 40, 105, 130] {
            for end in [0, 20, 45, 100, 110, 130] {
                let fits = |time: u64| time >= start && time <= end;
                let expected: Vec<u64> =
                    (1..).zip(times).filter(|(_, time)| fits(*time)).map(|(seq, _)| seq).collect();
                let query =
                    ArchiveQuery { start: Some(at(start)), end: Some(at(end)), ..query(Page::Last, 100) };
                assert_eq!(numbers(&opened, query).await.0, expected, "{start} to {end}");
            }
        }
        let state = opened.store.archive_state(&jid("alice@one.test")).await.unwrap();
        let ends = Some([(1, at(times[0])), (8, at(times[7]))]);
        assert_eq!(state, ArchiveState { is_new: false, last: 8, peak: at(120), ends });
        assert_eq!(opened.store.archive_ends(&jid("alice@one.test")).await.unwrap(), ends);
    });
}

#[test]
fn what_both_sides_have_is_kept_once() {
    on_both(async |home| {
        let opened = home.open().await;
        opened.write([keep(message(1)), keep(other_side(&message(1), 1)), keep(message(2))]).await;
        // A side that the other one has not archived brings its own.
        opened.write([keep(other_side(&message(7), 2))]).await;
        assert_eq!(
            (count(home, "archive").await, count(home, "archive_bodies").await),
            ("4".into(), "3".into())
        );
        let bobs = page(&opened, "bob@two.test", &query(Page::First, 9)).await.unwrap();
        let texts: Vec<_> = bobs.messages.iter().map(|message| message.xml.clone()).collect();
        assert_eq!(texts, [xml("alice", 1), xml("alice", 7)]);
        let found = ArchiveQuery { words: words("alice 1"), ..query(Page::First, 9) };
        assert_eq!(page(&opened, "bob@two.test", &found).await.unwrap().messages.len(), 1);

        // One of them goes: the other keeps what it has.
        opened.write([Write::AccountRemove { account: jid("alice@one.test") }]).await;
        assert!(numbers(&opened, query(Page::First, 9)).await.0.is_empty());
        clear_all(&opened, &Due::Gone).await;
        assert_eq!(
            (count(home, "archive").await, count(home, "archive_bodies").await),
            ("2".into(), "2".into())
        );
        let again = page(&opened, "bob@two.test", &query(Page::First, 9)).await.unwrap();
        assert_eq!(again, bobs);
        opened.write([Write::AccountRemove { account: jid("bob@two.test") }]).await;
        clear_all(&opened, &Due::Gone).await;
        for table in ["archive", "archive_bodies", "archive_owners"] {
            assert_eq!(count(home, table).await, "0", "{table}");
        }
        assert_eq!(count(home, "archive_words").await, "0");
    });
}

#[test]
fn whoever_is_gone_within_a_group_shares_nothing_with_those_behind() {
    on_both(async |home| {
        let opened = home.open().await;
        let gone = Write::AccountRemove { account: jid("alice@one.test") };
        opened.write([keep(message(1)), gone, keep(other_side(&message(1), 1))]).await;
        let bobs = page(&opened, "bob@two.test", &query(Page::First, 9)).await.unwrap();
        let texts: Vec<_> = bobs.messages.into_iter().map(|message| message.xml).collect();
        assert_eq!(texts, [xml("alice", 1)]);
    });
}

#[test]
fn what_is_retracted_is_replaced_on_one_side_at_a_time() {
    on_both(async |home| {
        let opened = home.open().await;
        let (alice, bob) = (jid("alice@one.test"), jid("bob@two.test"));
        opened.write([keep(message(1)), keep(other_side(&message(1), 1)), keep(message(2))]).await;
        let found = opened.store.archived_by_id(&alice, &bob, false, "m1").await.unwrap().expect("m1");
        assert_eq!((found.seq, found.xml), (1, xml("alice", 1)));
        for (sent, id) in [(true, "m1"), (false, "m2"), (false, "m9")] {
            assert_eq!(opened.store.archived_by_id(&alice, &bob, sent, id).await.unwrap(), None);
        }
        let replace = |owner: &xmpp::jid::BareJid, seq, text: &str| Write::ArchiveReplace {
            owner: owner.clone(),
            seq,
            xml: text.as_bytes().to_vec(),
        };
        opened
            .write([
                replace(&alice, 1, "<gone/>"),
                replace(&alice, 1, "<again/>"),
                replace(&alice, 9, "<no/>"),
            ])
            .await;
        let texts = async |owner: &str| -> Vec<String> {
            let page = page(&opened, owner, &query(Page::First, 9)).await.unwrap();
            page.messages.into_iter().map(|message| String::from_utf8(message.xml).unwrap()).collect()
        };
        let second = String::from_utf8(xml("alice", 2)).unwrap();
        assert_eq!(texts("alice@one.test").await, ["<again/>", &second]);
        assert_eq!(texts("bob@two.test").await[0].as_bytes(), xml("alice", 1));
        let found = ArchiveQuery { words: words("number"), ..query(Page::First, 9) };
        assert_eq!(numbers(&opened, found).await.0, [2], "its words are forgotten");
        opened.write([replace(&bob, 1, "<gone/>")]).await;
        assert_eq!(texts("bob@two.test").await, ["<gone/>"]);
        assert_eq!(count(home, "archive_bodies").await, "3", "nobody has the old one");
    });
}

#[test]
fn only_the_oldest_are_cleared_away_and_their_numbers_are_not_used_again() {
    on_both(async |home| {
        let opened = home.open().await;
        for seqs in (1..=1_200_u64).collect::<Vec<_>>().chunks(300) {
            opened.write(seqs.iter().map(|seq| keep(message(*seq))).collect::<Vec<_>>()).await;
        }
        // It is as old as those that go, but came later.
        opened.write([keep(ArchiveMessage { at: at(5), peak: at(1_200_000_000), ..message(1_201) })]).await;
        let alice = jid("alice@one.test");
        let whole = |id, archived, xml: &[u8]| Write::OfflineKeepArchived {
            owner: alice.clone(),
            id,
            at: at(9),
            archived,
            xml: xml.to_vec(),
        };
        opened.write([whole(1, 3, b""), whole(2, 4, b"<held/>"), whole(3, 1_200, b"")]).await;
        let before = |seconds: u64| Due::Before("one.test".to_owned(), at(seconds * 1_000_000));
        assert_eq!(clear_all(&opened, &Due::Before("two.test".to_owned(), at(u64::MAX >> 2))).await, 0);
        assert_eq!(clear_all(&opened, &before(1)).await, 0);
        assert_eq!(clear_all(&opened, &before(1_101)).await, 3, "in batches");
        let (left, _) = numbers(&opened, query(Page::First, 1_000)).await;
        assert_eq!(left, (1_101..=1_201).collect::<Vec<_>>());

        // What is held has not been delivered, and stays.
        let held = opened.store.offline(&alice, 0, 9).await.unwrap();
        let told: Vec<_> = held.into_iter().map(|held| (held.archived, held.xml)).collect();
        assert_eq!(
            told,
            [(None, xml("alice", 3)), (None, b"<held/>".to_vec()), (Some(1_200), xml("alice", 1_200))]
        );

        // One account's alone, whatever its domain keeps.
        let of = |who: &str, seconds: u64| Due::Of(jid(who), at(seconds * 1_000_000));
        assert_eq!(clear_all(&opened, &of("nobody@one.test", 5_000)).await, 0);
        assert_eq!(clear_all(&opened, &of("alice@one.test", 1_151)).await, 1);
        let (left, _) = numbers(&opened, query(Page::First, 1_000)).await;
        assert_eq!(left, (1_151..=1_201).collect::<Vec<_>>());

        clear_all(&opened, &before(5_000)).await;
        assert!(numbers(&opened, query(Page::First, 9)).await.0.is_empty());
        let state = opened.store.archive_state(&alice).await.unwrap();
        assert_eq!((state.is_new, state.last), (false, 1_201));
        opened.write([keep(message(1_202))]).await;
        assert_eq!(numbers(&opened, query(Page::First, 9)).await.0, [1_202]);
        assert_eq!(page(&opened, "alice@one.test", &query(Page::After(3), 9)).await, None);
    });
}

#[test]
fn what_is_archived_is_held_by_its_number() {
    on_both(async |home| {
        let opened = home.open().await;
        let alice = jid("alice@one.test");
        let held = |id, archived, xml: &str| Write::OfflineKeepArchived {
            owner: alice.clone(),
            id,
            at: at(id),
            archived,
            xml: xml.as_bytes().to_vec(),
        };
        let plain = Write::OfflineKeep { owner: alice.clone(), id: 2, at: at(2), xml: b"<plain/>".to_vec() };
        opened
            .write([keep(message(1)), held(1, 1, ""), plain, keep(message(2)), held(3, 2, "<whole/>")])
            .await;
        let texts = async || -> Vec<(u64, Option<u64>, Vec<u8>)> {
            let held = opened.store.offline(&alice, 0, 9).await.unwrap();
            held.into_iter().map(|held| (held.id, held.archived, held.xml)).collect()
        };
        assert_eq!(
            texts().await,
            [
                (1, Some(1), xml("alice", 1)),
                (2, None, b"<plain/>".to_vec()),
                (3, Some(2), b"<whole/>".to_vec())
            ]
        );
        let size = OfflineSize { count: 3, bytes: 16, archived: 2, last_id: 3 };
        assert_eq!(opened.store.offline_size(&alice).await.unwrap(), size);
        let held = opened.store.offline(&alice, 0, 9).await.unwrap();
        assert_eq!(held.iter().map(|held| held.held_bytes).collect::<Vec<_>>(), [0, 8, 8]);
        opened.write([Write::OfflineDrop { owner: alice.clone(), up_to: 2 }]).await;
        assert_eq!(texts().await, [(3, Some(2), b"<whole/>".to_vec())]);
    });
}

/// An archive of a thousand large messages comes in pages that fit into memory.
#[test]
fn a_page_of_large_messages_ends_early() {
    on_both(async |home| {
        let opened = home.open().await;
        let large = |seq| keep(ArchiveMessage { xml: vec![b'x'; 400_000], ..message(seq) });
        opened.write((1..=6).map(large).collect::<Vec<_>>()).await;
        assert_eq!(numbers(&opened, query(Page::First, 6)).await, (vec![1, 2], false));
        assert_eq!(numbers(&opened, query(Page::Last, 6)).await, (vec![5, 6], false));
        opened.write([keep(ArchiveMessage { xml: vec![b'x'; 2_000_000], ..message(7) })]).await;
        assert_eq!(numbers(&opened, query(Page::Last, 6)).await, (vec![7], false));
    });
}
