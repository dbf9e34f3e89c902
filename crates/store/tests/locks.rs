//! One server at a time: a second one is refused and told by whom, and what is kept is nobody else's to read.

use std::os::unix::fs::PermissionsExt as _;

use store::{StoreError, StoreUrl};

use crate::child::{self, Child};
use crate::home::{Home, note, on_both, on_postgres, on_sqlite, open, until};

fn in_use(opened: Result<crate::home::Opened, StoreError>) -> (String, Option<u32>) {
    match opened.err() {
        Some(StoreError::InUse { lock, pid }) => (lock.display().to_string(), pid),
        other => panic!("in use expected: {other:?}"),
    }
}

/// What the refusal must name.
fn lock_of(home: &Home) -> String {
    match &home.url {
        StoreUrl::Sqlite(path) => format!("{}.lock", path.canonicalize().unwrap().display()),
        StoreUrl::Postgres(url) => format!("database {}", url.rsplit('/').next().unwrap()),
    }
}

#[test]
fn a_store_is_opened_once() {
    on_both(async |home| {
        let opened = home.open().await;
        let (lock, pid) = in_use(open(&home.url).await);
        assert!(lock.starts_with(&lock_of(home)), "{lock}");
        assert_eq!(pid, Some(std::process::id()));
        opened.write([note("topic", "key", "the first one goes on")]).await;
        opened.close().await;
        home.open().await.close().await;
        home.open().await.close().await;
    });
}

/// Holds the store until it is killed.
#[test]
fn holder() {
    child::play(async |url| {
        let _opened = open(&url).await.unwrap();
        child::say("open");
        std::future::pending().await
    });
}

#[test]
fn another_process_is_named_and_may_be_killed() {
    on_both(async |home| {
        let mut holder = Child::start("locks::holder", &home.url);
        assert_eq!(holder.hear().as_deref(), Some("open"));
        let refused = open(&home.url).await;
        let words = refused.as_ref().map(|_| ()).unwrap_err().to_string();
        let (lock, pid) = in_use(refused);
        assert!(lock.starts_with(&lock_of(home)), "{lock}");
        assert_eq!(pid, Some(holder.id()));
        assert!(words.contains(&format!("process {} ", holder.id())) && words.contains("stop it"), "{words}");
        holder.kill();
        until(async || open(&home.url).await.ok()).await.close().await;
    });
}

/// Elsewhere, the number of a process says nothing; where to look does.
#[test]
fn whoever_holds_the_database_is_described() {
    on_postgres(async |home| {
        let other = home.admin().await;
        other.execute("SET application_name = 'somebody''s tool'", &[]).await.unwrap();
        let lock = i64::from_be_bytes(*b"\0waxwing");
        other.execute("SELECT pg_advisory_lock($1)", &[&lock]).await.unwrap();
        let backend: i32 = other.query_one("SELECT pg_backend_pid()", &[]).await.unwrap().get(0);
        let (lock, pid) = in_use(open(&home.url).await);
        assert_eq!(pid, None);
        assert!(lock.contains(&format!("PostgreSQL's process {backend}, from 127.0.0.1")), "{lock}");
    });
}

#[test]
fn a_file_has_one_lock_under_all_its_names() {
    on_sqlite(async |home| {
        let opened = home.open().await;
        let other = home.dir.path().join("other-name.db");
        std::os::unix::fs::symlink(home.file(), &other).unwrap();
        in_use(open(&StoreUrl::Sqlite(other)).await);
        std::fs::create_dir(home.dir.path().join("below")).unwrap();
        in_use(open(&StoreUrl::Sqlite(home.dir.path().join("below/../store.db"))).await);
        opened.close().await;
    });
}

#[test]
fn nobody_else_on_the_machine_may_read_it() {
    on_sqlite(async |home| {
        let opened = home.open().await;
        opened.write([note("topic", "key", "value")]).await;
        let mut files = Vec::new();
        for entry in std::fs::read_dir(home.dir.path()).unwrap() {
            let entry = entry.unwrap();
            let mode = entry.metadata().unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{:?}", entry.path());
            files.push(entry.file_name().into_string().unwrap());
        }
        files.sort();
        assert_eq!(files, ["store.db", "store.db-shm", "store.db-wal", "store.db.lock"]);
        opened.close().await;
        // SQLite removes it with the last connection, unless two end at once; then it is empty.
        let left = std::fs::metadata(home.dir.path().join("store.db-wal")).map_or(0, |wal| wal.len());
        assert_eq!(left, 0, "the file alone is the whole database");
    });
}

#[test]
fn a_place_that_is_none_is_named() {
    on_sqlite(async |home| {
        let nowhere = home.dir.path().join("no/such/directory/store.db");
        match open(&StoreUrl::Sqlite(nowhere.clone())).await.err() {
            Some(StoreError::Io(text)) => assert!(text.contains(nowhere.to_str().unwrap()), "{text}"),
            other => panic!("{other:?}"),
        }
        let text = home.dir.path().join("letter.txt");
        std::fs::write(&text, "Dear Sir or Madam, this is not a database. ".repeat(100)).unwrap();
        let opened = open(&StoreUrl::Sqlite(text)).await;
        assert!(matches!(opened.err(), Some(StoreError::Corrupt(_))));
    });
}
