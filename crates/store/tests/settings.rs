//! A PostgreSQL that is set up in its own way: what must be as we need it is, what cannot be is told at the start.

use std::net::TcpListener;

use store::{StoreError, StoreUrl};

use crate::home::{note, on_postgres, open};

async fn refusal(url: &str) -> StoreError {
    open(&StoreUrl::Postgres(url.to_owned())).await.err().expect("this cannot be opened")
}

/// Guarantees G3, whatever the database's owner thinks of it.
#[test]
fn commits_are_synced_although_the_default_is_not_to() {
    on_postgres(async |home| {
        let name = home.database().rsplit('/').next().unwrap();
        home.run(&format!(
            "ALTER DATABASE {name} SET synchronous_commit = off; ALTER DATABASE {name} SET lock_timeout = '7s'"
        ))
        .await;
        let opened = home.open().await;
        home.run(
            "CREATE TABLE seen (name TEXT, setting TEXT); CREATE FUNCTION look() RETURNS trigger LANGUAGE plpgsql \
             AS 'BEGIN INSERT INTO seen SELECT s.name, s.setting FROM pg_settings s; RETURN NEW; END'; \
             CREATE TRIGGER look BEFORE INSERT ON notes FOR EACH ROW EXECUTE FUNCTION look()",
        )
        .await;
        opened.write([note("topic", "key", "value")]).await;
        let seen =
            async |name: &str| home.ask(&format!("SELECT setting FROM seen WHERE name = '{name}'")).await;
        assert_eq!(seen("synchronous_commit").await, [["on"]]);
        assert_eq!(seen("lock_timeout").await, [["0"]], "how long is too long is our decision");
        assert_eq!(seen("application_name").await, [[format!("waxwing, process {}", std::process::id())]]);
    });
}

#[test]
fn a_database_that_cannot_hold_every_text_is_refused() {
    on_postgres(async |home| {
        home.run("CREATE DATABASE latin ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0")
            .await;
        let url = home.database().rsplit_once('/').unwrap().0.to_owned() + "/latin";
        match refusal(&url).await {
            StoreError::Refused(text) => {
                assert!(text.contains("LATIN1") && text.contains("createdb --encoding=UTF8"), "{text}");
            }
            other => panic!("{other:?}"),
        }
        home.run("DROP DATABASE latin WITH (FORCE)").await;
    });
}

#[test]
fn a_database_that_is_not_there_is_named() {
    on_postgres(async |home| {
        let url = home.database().rsplit_once('/').unwrap().0.to_owned() + "/atlantis";
        match refusal(&url).await {
            StoreError::Refused(text) => assert!(text.contains("atlantis") && !text.contains('\n'), "{text}"),
            other => panic!("{other:?}"),
        }
    });
}

#[test]
fn a_server_that_is_not_there_does_not_answer() {
    on_postgres(async |_| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        // Somebody listens and says nothing.
        let silent = refusal(&format!("postgres://waxwing@127.0.0.1:{port}/x?connect_timeout=1")).await;
        assert!(matches!(&silent, StoreError::Unavailable(_)), "{silent:?}");
        drop(listener);
        let nobody = refusal(&format!("postgres://waxwing@127.0.0.1:{port}/x")).await;
        assert!(matches!(&nobody, StoreError::Unavailable(text) if text.contains("refused")), "{nobody:?}");
    });
}

#[test]
fn an_url_that_asks_for_too_much_is_refused() {
    on_postgres(async |home| {
        let encrypted = refusal(&format!("{}?sslmode=require", home.database())).await;
        assert!(matches!(&encrypted, StoreError::Refused(text) if text.contains("TLS")), "{encrypted:?}");
        let nonsense = refusal("postgres://waxwing@127.0.0.1:port/x").await;
        assert!(matches!(&nonsense, StoreError::Refused(text) if text.contains("port")), "{nonsense:?}");
    });
}
