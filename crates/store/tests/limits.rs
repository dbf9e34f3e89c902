//! What the log takes: keys and texts that every engine can keep, and no more bytes than it has room for.

use store::{
    BEHIND_BYTES, Failed, Fate, KEY_BYTES_MAX, KeptLetter, Lsn, Rehearsal, RosterItem, WAITING_BYTES_MAX,
    Waiting, Write,
};

use crate::gate::Gate;
use crate::home::{at, jid, noise, note, on_both};

/// A key of alice's that is as long as it may be, and cannot be made shorter by an index.
fn longest_key() -> String {
    let room = KEY_BYTES_MAX - "alice@one.test".len() - "topic".len();
    noise(room).into_iter().map(|byte| char::from(b'!' + byte % 90)).collect()
}

#[test]
fn the_longest_key_is_kept() {
    on_both(async |home| {
        let opened = home.open().await;
        let key = longest_key();
        opened.write([note("topic", &key, "value")]).await;
        let found = opened.store.note(&jid("alice@one.test"), "topic", &key).await.unwrap();
        assert_eq!(found.as_deref(), Some(&b"value"[..]));
    });
}

/// Guarantees G15: in the writer's hand it would cost everybody's group.
#[test]
fn what_no_database_can_keep_is_refused_to_its_owner_alone() {
    let mut nul_in_name = RosterItem::new(jid("bob@one.test"));
    nul_in_name.name = Some("a\0b".to_owned());
    let mut nul_in_group = RosterItem::new(jid("bob@one.test"));
    nul_in_group.groups = vec!["good".to_owned(), "\0".to_owned()];
    // It stands between groups in their column, and would come back as two.
    let mut two_in_one = RosterItem::new(jid("bob@one.test"));
    two_in_one.groups = vec!["one\u{1f}two".to_owned()];
    let put = |item| Write::RosterPut { owner: jid("alice@one.test"), version: 1, item };
    let letter = |key: String| KeptLetter { key, to: jid("bob@one.test"), leaving: false, xml: Vec::new() };
    let status = Some("\0".to_owned());
    let impossible = [
        note("topic", &(longest_key() + "x"), "value"),
        note("topic", "a\0", "value"),
        put(nul_in_name),
        put(nul_in_group),
        put(two_in_one),
        Write::LetterKeep(letter("k\0".to_owned())),
        Write::LetterKeep(letter("k".repeat(KEY_BYTES_MAX + 1))),
        Write::LetterDrop { to: jid("alice@one.test"), key: "\0".to_owned() },
        Write::AccountSeen { account: jid("alice@one.test"), at: at(1), status },
    ];
    on_both(async |home| {
        let opened = home.open().await;
        let gate = Gate::new(&opened.log);
        gate.hold(&opened);
        let other = opened.log.append(Lsn::default(), vec![note("topic", "other", "")]).unwrap();
        for write in &impossible {
            let refused = opened.log.append(other, vec![note("topic", "beside", ""), write.clone()]);
            assert_eq!(refused, Err(Failed), "{write:?}");
        }
        gate.release();
        assert_eq!(opened.settled(other).await, Fate::Committed);
        let notes = opened.store.notes(&jid("alice@one.test"), "topic").await.unwrap();
        assert_eq!(notes.len(), 1, "an append is taken as a whole or not at all");
    });
}

const PIECE: usize = 1 << 20;

#[test]
fn a_log_that_is_behind_says_so_until_it_has_caught_up() {
    let (store, hand) = Rehearsal::new();
    let log = store.log();
    let piece = || log.append(Lsn::default(), vec![note("topic", "key", vec![0; PIECE])]);
    while log.waiting().bytes <= BEHIND_BYTES {
        assert!(!log.is_behind());
        piece().unwrap();
    }
    assert!(log.is_behind());
    let appended = log.last();
    let mut groups = 0;
    while hand.commit_next() {
        groups += 1;
    }
    assert_eq!((log.is_behind(), log.waiting()), (false, Waiting::default()));
    assert_eq!(log.fate(appended), Fate::Committed);
    assert!(groups > 1, "doors open one after another");
}

#[test]
fn a_log_that_is_full_takes_nothing_more_until_it_has_room() {
    let (store, hand) = Rehearsal::new();
    let log = store.log();
    let piece = || log.append(Lsn::default(), vec![note("topic", "key", vec![0; PIECE])]);
    let mut taken = 0;
    while piece().is_ok() {
        taken += 1;
        assert!(taken * PIECE <= WAITING_BYTES_MAX);
    }
    assert!(log.waiting().bytes > WAITING_BYTES_MAX - 2 * PIECE);
    let last = log.last();
    assert_eq!(log.append(last, Vec::new()), Ok(last), "nothing takes no room");
    // What the writer has in hand is still there.
    assert!(hand.begin());
    assert_eq!(piece(), Err(Failed));
    assert!(hand.commit_next());
    assert!(piece().is_ok());
    assert!(hand.fail_next());
    assert_eq!((log.waiting(), log.is_behind()), (Waiting::default(), false));
    assert_eq!(log.fate(last), Fate::Failed);
}
