//! PostgreSQL goes away and comes back: what is lost is told, what is told as safe is there, and it goes on by itself.

use store::{Fate, Lsn, StoreError, StoreUrl};

use crate::home::{Home, Opened, jid, note, on_postgres, on_postgres_of_its_own, open, until};
use crate::wire::{Next, Wire};

async fn keys(opened: &Opened, topic: &str) -> Result<Vec<String>, StoreError> {
    let notes = opened.store.notes(&jid("alice@one.test"), topic).await?;
    Ok(notes.into_iter().map(|(key, _)| key).collect())
}

fn unavailable<T: std::fmt::Debug>(answer: &Result<T, StoreError>) -> bool {
    matches!(answer, Err(StoreError::Unavailable(_)))
}

/// PostgreSQL's process behind the writing connection: it holds the lock.
async fn writer(admin: &tokio_postgres::Client) -> Option<i32> {
    const WRITER: &str = "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted \
         AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
    admin.query_opt(WRITER, &[]).await.unwrap().map(|row| row.get(0))
}

async fn end(admin: &tokio_postgres::Client, backend: i32) {
    admin.query_one("SELECT pg_terminate_backend($1, 10000)", &[&backend]).await.unwrap();
}

#[test]
fn a_server_that_stops_takes_a_group_with_it_and_comes_back() {
    on_postgres_of_its_own(async |home| {
        let server = home.server.clone().unwrap();
        let opened = home.open().await;
        let safe = opened.write([note("topic", "before", "")]).await;
        assert_eq!(keys(&opened, "topic").await.unwrap(), ["before"]);
        server.stop().unwrap();
        let lost = opened.lose([note("topic", "lost", "")]).await;
        assert!(matches!(opened.log.trouble(), Some(StoreError::Unavailable(_))));
        let read = keys(&opened, "topic").await;
        assert!(unavailable(&read), "{read:?}");

        server.resume().unwrap();
        opened.write_at_last(note("topic", "after", "")).await;
        assert_eq!(opened.log.trouble(), None);
        assert_eq!(keys(&opened, "topic").await.unwrap(), ["after", "before"]);
        assert_eq!((opened.log.fate(safe), opened.log.fate(lost)), (Fate::Committed, Fate::Failed));

        // Nobody notices a restart between two writes.
        server.stop().unwrap();
        server.resume().unwrap();
        assert_eq!(keys(&opened, "topic").await.unwrap(), ["after", "before"]);
        opened.write([note("topic", "later", "")]).await;
        opened.close().await;
    });
}

#[test]
fn a_lost_connection_is_replaced_before_anybody_else_gets_the_lock() {
    on_postgres(async |home| {
        let opened = home.open().await;
        let admin = home.admin().await;
        let first = writer(&admin).await.unwrap();
        end(&admin, first).await;
        // Although nothing is written.
        let second = until(async || writer(&admin).await.filter(|second| *second != first)).await;
        assert_ne!(first, second);
        opened.write([note("topic", "key", "")]).await;
        assert_eq!(opened.log.failures(), 0);
    });
}

/// The connection that is ended in the middle of a group: the group has not been committed, so it is sent again.
#[test]
fn a_group_whose_connection_is_ended_is_committed_over_another() {
    on_postgres(async |home| {
        let opened = home.open().await;
        let (admin, blocker) = (home.admin().await, home.admin().await);
        blocker.batch_execute("BEGIN; LOCK TABLE notes IN ACCESS EXCLUSIVE MODE").await.unwrap();
        let lsn = opened.log.append(Lsn::default(), vec![note("topic", "key", "")]).unwrap();
        let backend = writer(&admin).await.unwrap();
        let waits = "SELECT 1 FROM pg_locks WHERE NOT granted AND pid = $1";
        until(async || admin.query_opt(waits, &[&backend]).await.unwrap()).await;
        end(&admin, backend).await;
        blocker.batch_execute("COMMIT").await.unwrap();
        assert_eq!(opened.settled(lsn).await, Fate::Committed);
        assert_eq!(keys(&opened, "topic").await.unwrap(), ["key"]);
    });
}

#[test]
fn readers_whose_connections_are_ended_take_others() {
    on_postgres(async |home| {
        let opened = home.open().await;
        opened.write([note("topic", "key", "")]).await;
        let ask = async || keys(&opened, "topic").await.unwrap();
        futures_util::future::join_all((0..20).map(|_| ask())).await;
        let admin = home.admin().await;
        const READERS: &str = "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity \
             WHERE datname = current_database() AND pid NOT IN (SELECT pid FROM pg_locks WHERE locktype = 'advisory') \
             AND pid <> pg_backend_pid()";
        let ended = admin.query(READERS, &[]).await.unwrap().len();
        assert!(ended > 0);
        for _ in 0..20 {
            assert_eq!(keys(&opened, "topic").await.unwrap(), ["key"]);
        }
    });
}

#[test]
fn a_question_whose_connection_is_ended_is_asked_over_another() {
    on_postgres(async |home| {
        let opened = home.open().await;
        opened.write([note("topic", "key", "")]).await;
        let (admin, blocker) = (home.admin().await, home.admin().await);
        blocker.batch_execute("BEGIN; LOCK TABLE notes IN ACCESS EXCLUSIVE MODE").await.unwrap();
        let interfere = async {
            let waits = "SELECT pid FROM pg_locks WHERE NOT granted AND relation = 'notes'::regclass";
            let backend = until(async || admin.query_opt(waits, &[]).await.unwrap()).await.get(0);
            end(&admin, backend).await;
            blocker.batch_execute("COMMIT").await.unwrap();
        };
        let (found, ()) = tokio::join!(keys(&opened, "topic"), interfere);
        assert_eq!(found.unwrap(), ["key"]);
    });
}

async fn over(home: &Home) -> (Wire, Opened) {
    let wire = Wire::new(home.server.as_ref().unwrap().port());
    let opened = open(&StoreUrl::Postgres(wire.url(home.database()))).await.unwrap();
    (wire, opened)
}

/// How often a note with this key was put into the database.
async fn count_puts(home: &Home) {
    home.run(
        "CREATE TABLE puts (key TEXT); CREATE FUNCTION count_put() RETURNS trigger LANGUAGE plpgsql \
         AS 'BEGIN INSERT INTO puts VALUES (NEW.key); RETURN NEW; END'; \
         CREATE TRIGGER count_put BEFORE INSERT ON notes FOR EACH ROW EXECUTE FUNCTION count_put()",
    )
    .await;
}

/// The marker in the database decides: what went in is not sent again, what did not is.
#[test]
fn a_commit_whose_answer_is_lost_is_done_once() {
    on_postgres(async |home| {
        let (wire, opened) = over(home).await;
        count_puts(home).await;
        for next in [Next::CutAfter, Next::CutBefore, Next::SilenceAfter, Next::SilenceBefore] {
            let key = format!("{next:?}");
            wire.next(next);
            opened.write([note("topic", &key, "")]).await;
            let puts = home.ask(&format!("SELECT key FROM puts WHERE key = '{key}'")).await;
            assert_eq!(puts.len(), 1, "{key}");
            opened.write([note("topic", &format!("after {key}"), "")]).await;
        }
        assert_eq!(opened.log.failures(), 0);
        assert_eq!(keys(&opened, "topic").await.unwrap().len(), 8);
    });
}

/// Nobody can wait for ever to learn what became of a commit: at last it counts as lost. Should it turn out to be there
/// after all, nobody may have read what was before it in the meantime, or memory and store would differ.
#[test]
fn while_a_lost_group_may_yet_be_there_nothing_is_read() {
    on_postgres(async |home| {
        let (wire, opened) = over(home).await;
        opened.write([note("topic", "before", "")]).await;
        assert_eq!(keys(&opened, "topic").await.unwrap(), ["before"], "a reader has its connection");
        wire.next(Next::CutAfter);
        wire.takes_more(false);
        let lost = opened.lose([note("topic", "ghost", "")]).await;
        let read = keys(&opened, "topic").await;
        assert!(unavailable(&read), "{read:?}");

        // Once it is known, without anybody writing, it is read as it is.
        wire.takes_more(true);
        let found = until(async || keys(&opened, "topic").await.ok()).await;
        assert_eq!(found, ["before", "ghost"]);
        assert_eq!(opened.log.fate(lost), Fate::Failed, "its sender was told so");
        let next = opened.write([note("topic", "next", "")]).await;
        assert!(next > lost);
    });
}

#[test]
fn numbers_go_on_where_the_database_is() {
    on_postgres(async |home| {
        let opened = home.open().await;
        let last = opened.write([note("topic", "key", "")]).await;
        opened.close().await;
        let opened = home.open().await;
        assert_eq!((opened.log.last(), opened.log.committed()), (last, last));
        assert_eq!(opened.write([note("topic", "key", "")]).await.number(), last.number() + 1);
    });
}

#[test]
fn a_marker_that_is_gone_is_damage() {
    on_postgres(async |home| {
        home.open().await.close().await;
        home.run("DELETE FROM log").await;
        let opened = open(&home.url).await;
        assert!(matches!(opened.err(), Some(StoreError::Corrupt(_))));
    });
}
