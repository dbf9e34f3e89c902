//! The journal of SQLite: what is committed stands there before it is in its table, and is read, and outlives a crash,
//! as if it were there.

use std::path::Path;

use store::{ArchiveMessage, StoreError, StoreUrl, Write, words};
use xmpp::jid::Jid;

use crate::gate::Gate;
use crate::home::{Home, Opened, ask_sqlite, at, jid, note, on_sqlite, open, said};

/// A store whose writer stands still with notes of the topic "topic" that are in the journal alone.
async fn ahead(home: &Home, keys: &[&str]) -> (Opened, Gate) {
    let opened = home.open().await;
    let gate = Gate::new(&opened.log);
    gate.hold_after(&opened, keys.iter().map(|key| note("topic", key, "value")).collect());
    (opened, gate)
}

fn rows(connection: &rusqlite::Connection, table: &str) -> i64 {
    connection.query_row(&format!("SELECT COUNT(*) FROM {table}"), [], |row| row.get(0)).unwrap()
}

/// The disk as a crash leaves it at this moment.
fn crashed(home: &Home, into: &Path) -> StoreUrl {
    for file in ["store.db", "store.db-wal"] {
        std::fs::copy(home.dir.path().join(file), into.join(file)).unwrap();
    }
    StoreUrl::Sqlite(into.join("store.db"))
}

/// A message in somebody's archive, with the text that another has under this number. The clock goes back at the fifth.
fn archived(owner: &str, seq: u64, same_as: Option<(&str, u64)>) -> Write {
    let peak = at(seq * 1_000_000);
    let (text, same_as) = match same_as {
        Some((other, of)) => (format!("{other} {of}"), Some((jid(other), of))),
        None => (format!("{owner} {seq}"), None),
    };
    Write::ArchiveKeep(Box::new(ArchiveMessage {
        owner: jid(owner),
        seq,
        first: seq == 1,
        at: if seq == 5 { at(0) } else { peak },
        peak,
        with: Jid::new("frank@two.test/phone").unwrap(),
        sent: same_as.is_none(),
        id: None,
        words: words(&text),
        xml: text.into_bytes(),
        same_as,
    }))
}

async fn keys(opened: &Opened) -> Vec<String> {
    let notes = opened.store.notes(&jid("alice@one.test"), "topic").await.unwrap();
    notes.into_iter().map(|(key, _)| key).collect()
}

#[test]
fn it_is_carried_out_after_a_crash() {
    on_sqlite(async |home| {
        let (opened, gate) = ahead(home, &["a", "b"]).await;
        let look = rusqlite::Connection::open(home.file()).unwrap();
        assert_eq!((rows(&look, "journal"), rows(&look, "notes")), (1, 0));
        let dir = tempfile::tempdir().unwrap();
        let after = open(&crashed(home, dir.path())).await.unwrap();
        assert_eq!(keys(&after).await, ["a", "b"]);
        after.write([note("topic", "c", "value")]).await;
        after.close().await;
        let look_after = rusqlite::Connection::open(dir.path().join("store.db")).unwrap();
        assert_eq!((rows(&look_after, "journal"), rows(&look_after, "notes")), (0, 3));

        gate.release();
        assert_eq!(keys(&opened).await, ["a", "b"], "who asks is shown all");
        assert_eq!(rows(&look, "journal"), 0);
    });
}

/// Messages of many archives are put into their tables together; after a crash, one by one. They are the same.
#[test]
fn archives_are_the_same_put_together_and_one_by_one() {
    const ALL: &str = "SELECT o.owner, o.bent, a.seq, a.at, a.peak, a.peer, a.device, a.sent, a.id, b.xml, \
         a.body = a.place, (SELECT COUNT(*) FROM archive_words \
         WHERE archive_words MATCH '\"_' || o.id || '\" AND \"alice\"' AND rowid = a.place) \
         FROM archive a JOIN archive_owners o ON o.id = a.owner JOIN archive_bodies b ON b.place = a.body \
         ORDER BY o.owner, a.seq";
    on_sqlite(async |home| {
        let opened = home.open().await;
        let alices = |seq| archived("alice@one.test", seq, None);
        let bobs = |seq, of: u64| archived("bob@two.test", seq, Some(("alice@one.test", of)));
        opened.write([alices(1), alices(2)]).await;
        opened.store.archive_state(&jid("alice@one.test")).await.unwrap();
        let replaced =
            Write::ArchiveReplace { owner: jid("alice@one.test"), seq: 3, xml: b"<gone/>".to_vec() };
        let gone = Write::AccountRemove { account: jid("carol@one.test") };
        let writes = vec![
            // The text of one that stands in its table already.
            bobs(1, 1),
            alices(3),
            bobs(2, 3),
            archived("carol@one.test", 1, Some(("alice@one.test", 3))),
            // Of one that is in none.
            bobs(3, 9),
            archived("dan@one.test", 1, None),
            replaced,
            alices(4),
            gone,
            archived("alice@one.test", 5, Some(("dan@one.test", 1))),
            // Nobody has opened this archive.
            archived("erin@one.test", 2, None),
            bobs(4, 4),
        ];
        let gate = Gate::new(&opened.log);
        gate.hold_after(&opened, writes);
        let dir = tempfile::tempdir().unwrap();
        let url = crashed(home, dir.path());
        open(&url).await.unwrap().close().await;
        gate.release();
        let together = home.ask(ALL).await;
        let one_by_one = ask_sqlite(&rusqlite::Connection::open(dir.path().join("store.db")).unwrap(), ALL);
        assert_eq!(together.len(), 11, "{together:#?}");
        assert_eq!(together, one_by_one);
        assert_eq!(home.ask("SELECT COUNT(*) FROM archive_bodies").await, [["7"]], "each text once");
    });
}

/// What a large group writes is in more rows than one, and all of it is there after a crash.
#[test]
fn a_large_group_is_more_rows_than_one() {
    on_sqlite(async |home| {
        let opened = home.open().await;
        let (gate, large) = (Gate::new(&opened.log), "x".repeat(200_000));
        let all = ["a", "b", "c", "d", "e"];
        gate.hold_after(&opened, all.iter().map(|key| note("topic", key, large.clone())).collect());
        let look = rusqlite::Connection::open(home.file()).unwrap();
        assert_eq!(rows(&look, "journal"), 3, "a row ends with the second");
        let dir = tempfile::tempdir().unwrap();
        let after = open(&crashed(home, dir.path())).await.unwrap();
        assert_eq!(keys(&after).await, all);
        after.close().await;
        gate.release();
    });
}

/// Nothing is kept for speed while memory is scarce: the tables follow each commit.
#[test]
fn a_frugal_store_is_ahead_by_one_group() {
    on_sqlite(async |home| {
        for (is_frugal, expected) in [(false, (2, 0)), (true, (1, 3))] {
            let opened = home.open().await;
            opened.store.be_frugal(is_frugal);
            let key = |number| note("topic", &format!("{is_frugal} {number}"), "value");
            opened.write([key(1)]).await;
            let gate = Gate::new(&opened.log);
            gate.hold_after(&opened, vec![key(2)]);
            let look = rusqlite::Connection::open(home.file()).unwrap();
            assert_eq!((rows(&look, "journal"), rows(&look, "notes")), expected);
            gate.release();
            opened.close().await;
        }
    });
}

/// Its statements are kept with it, as the server had them that wrote it.
#[test]
fn what_an_older_server_has_left_is_carried_out() {
    on_sqlite(async |home| {
        home.open().await.close().await;
        let look = rusqlite::Connection::open(home.file()).unwrap();
        look.execute_batch(
            "INSERT INTO journal_statements
             VALUES (300, 'INSERT INTO notes (key, owner, topic, value) VALUES ($1, $2, ''topic'', x''76'')');
             INSERT INTO journal (writes) VALUES (x'ac020202016f020e616c696365406f6e652e74657374');",
        )
        .unwrap();
        let opened = home.open().await;
        assert_eq!(keys(&opened).await, ["o"]);
        assert_eq!((rows(&look, "journal"), rows(&look, "journal_statements")), (0, 0));
    });
}

#[test]
fn a_row_that_cannot_be_is_damage_and_stays() {
    on_sqlite(async |home| {
        home.open().await.close().await;
        let look = rusqlite::Connection::open(home.file()).unwrap();
        for damaged in ["x'0101'", "x'0100'"] {
            look.execute_batch(&format!(
                "DELETE FROM journal; INSERT INTO journal (writes) VALUES ({damaged})"
            ))
            .unwrap();
            assert!(matches!(open(&home.url).await, Err(StoreError::Corrupt(_))), "{damaged}");
            assert_eq!(rows(&look, "journal"), 1);
        }
    });
}

/// The mistake of one is not that of all whose things stand in the journal with it.
#[test]
fn what_a_table_refuses_is_left_out_alone() {
    on_sqlite(async |home| {
        let opened = home.open().await;
        home.run(
            "CREATE TRIGGER refuse BEFORE INSERT ON notes WHEN NEW.key = 'bad' \
             BEGIN SELECT RAISE(ABORT, 'not this one'); END",
        )
        .await;
        opened.write([note("topic", "a", "value")]).await;
        opened.write([note("topic", "b", "value"), note("topic", "bad", "value")]).await;
        opened.write([note("topic", "c", "value")]).await;
        assert_eq!(keys(&opened).await, ["a", "b", "c"]);
        opened.write([note("topic", "d", "value")]).await;
        assert_eq!(keys(&opened).await, ["a", "b", "c", "d"]);
    });
}

/// Tables that cannot follow are tried again all the time; the operator reads of it once, and again once they could.
#[test]
fn that_tables_cannot_follow_is_said_once() {
    said();
    on_sqlite(async |home| {
        let opened = home.open().await;
        for times in 1..=2 {
            home.run(
                "CREATE TRIGGER hold BEFORE DELETE ON journal BEGIN SELECT RAISE(ABORT, 'no table follows'); END",
            )
            .await;
            opened.write([note("topic", "a", "value")]).await;
            for _ in 0..3 {
                assert!(opened.store.notes(&jid("alice@one.test"), "topic").await.is_err());
            }
            let said = said();
            let is_it =
                |line: &&String| line.contains("into its tables") && line.contains("no table follows");
            assert_eq!(said.iter().filter(is_it).count(), times, "{said:#?}");
            let look = rusqlite::Connection::open(home.file()).unwrap();
            look.execute_batch("DROP TRIGGER hold").unwrap();
            assert_eq!(keys(&opened).await, ["a"]);
        }
    });
}
