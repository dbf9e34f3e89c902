//! Every schema that was ever released is brought up to date, with all that it holds.
//!
//! `tests/schemas/` has each of them as the server of its time wrote it. Before a release that changes the schema:
//! `cargo test -p store -- --ignored keep_this_schema`, and commit the two new files.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use store::{
    AccountRecord, Credentials, KeptLetter, OfflineMessage, OfflineSize, RosterItem, ScramHash, StoreError,
    StoredKeys, Subscription, Write,
};

use crate::home::{Home, Opened, at, jid, on_both, on_postgres, on_sqlite, open, said};

fn schemas() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/schemas")
}

/// The kept schemas of one engine, by number.
fn kept(engine: &str) -> BTreeMap<u64, String> {
    let end = format!(".{engine}.sql");
    let files = std::fs::read_dir(schemas()).unwrap().map(|entry| entry.unwrap().path());
    let kept: BTreeMap<u64, String> = files
        .filter_map(|file| {
            let number = file.file_name()?.to_str()?.strip_suffix(&end)?.parse().unwrap();
            Some((number, std::fs::read_to_string(file).unwrap()))
        })
        .collect();
    assert!(kept.keys().copied().eq(1..=kept.len() as u64) && !kept.is_empty(), "one file for each number");
    kept
}

fn bob() -> RosterItem {
    RosterItem {
        jid: jid("bob@two.test"),
        name: Some("Bob \u{1F426}".to_owned()),
        groups: vec!["friends".to_owned(), "Семья".to_owned()],
        subscription: Subscription::Both,
        ask: false,
        approved: true,
    }
}

fn credentials() -> Credentials {
    let keys = |seed: u8| StoredKeys {
        salt: vec![seed; 16],
        iterations: 10_000,
        stored_key: vec![seed + 1; 32],
        server_key: vec![seed + 2; 32],
    };
    Credentials { scram: vec![(ScramHash::Sha1, keys(1)), (ScramHash::Sha256, keys(5))] }
}

fn letter() -> KeptLetter {
    let xml = b"<presence type='subscribe'/>".to_vec();
    KeptLetter { key: "letter".to_owned(), to: jid("alice@one.test"), leaving: false, xml }
}

/// One of everything that schema 1 can hold.
async fn furnish(opened: &Opened) {
    let alice = jid("alice@one.test");
    let keep = |id: u64| Write::OfflineKeep {
        owner: alice.clone(),
        id,
        at: at(1_800_000_000_000_000 + id),
        xml: format!("<message id='{id}'>\u{FFFD}</message>").into_bytes(),
    };
    let create = |account: &str| Write::AccountCreate {
        account: jid(account),
        credentials: credentials(),
        at: at(1_700_000_000_123_456),
    };
    let status = Some("bis bald, äh".to_owned());
    opened
        .write([
            create("alice@one.test"),
            create("empty@one.test"),
            Write::AccountSeen { account: alice.clone(), at: at(1_750_000_000_000_001), status },
            Write::RosterPut { owner: alice.clone(), version: 7, item: bob() },
            keep(1),
            keep(2),
            Write::OfflineDrop { owner: alice.clone(), up_to: 1 },
            Write::LetterKeep(letter()),
            Write::Note {
                owner: alice,
                topic: "blocking",
                key: "troll@three.test".to_owned(),
                value: Some(vec![0, 1, 255]),
            },
        ])
        .await;
    assert_eq!(opened.store.secret([42; 32]).await.unwrap(), [42; 32]);
}

/// Whether it is all there.
async fn look_around(opened: &Opened) {
    let (store, alice) = (&opened.store, jid("alice@one.test"));
    let record = AccountRecord {
        created: at(1_700_000_000_123_456),
        seen_at: Some(at(1_750_000_000_000_001)),
        seen_status: Some("bis bald, äh".to_owned()),
    };
    assert_eq!(store.account(&alice).await.unwrap(), Some(record));
    assert_eq!(store.credentials(&alice).await.unwrap(), Some(credentials()));
    assert_eq!(store.accounts("one.test", None, 9).await.unwrap(), [alice.clone(), jid("empty@one.test")]);
    assert_eq!(store.roster(&alice).await.unwrap(), (7, vec![bob()]));
    let xml = "<message id='2'>\u{FFFD}</message>".as_bytes().to_vec();
    let size = OfflineSize { count: 1, bytes: xml.len(), archived: 0, last_id: 2 };
    assert_eq!(store.offline_size(&alice).await.unwrap(), size);
    let message =
        OfflineMessage { id: 2, at: at(1_800_000_000_000_002), archived: None, held_bytes: xml.len(), xml };
    assert_eq!(store.offline(&alice, 0, 9).await.unwrap(), [message]);
    assert_eq!(store.letters(&alice).await.unwrap(), [letter()]);
    let blocked = vec![("troll@three.test".to_owned(), vec![0, 1, 255])];
    assert_eq!(store.notes(&alice, "blocking").await.unwrap(), blocked);
    assert_eq!(store.secret([0; 32]).await.unwrap(), [42; 32]);
}

type Structure = Vec<Vec<String>>;

/// The schema's number, and everything of which it consists.
async fn structure(home: &Home) -> Structure {
    let mut all = home.ask("SELECT version FROM schema_version").await;
    let parts: &[&str] = match home.server {
        None => &["SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY type, name"],
        Some(_) => &[
            "SELECT table_name, column_name, data_type, collation_name, is_nullable, column_default \
             FROM information_schema.columns WHERE table_schema = 'public' ORDER BY 1, 2",
            "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1",
        ],
    };
    for part in parts {
        all.extend(home.ask(part).await);
    }
    // How a statement was laid out is not what it says.
    let words = |text: &String| text.split_whitespace().collect::<Vec<_>>().join(" ");
    all.iter().map(|row| row.iter().map(words).collect()).collect()
}

async fn is_brought_up_to_date(home: &Home, dump: &str, newest: &RefCell<Structure>) {
    home.run(dump).await;
    let opened = home.open().await;
    look_around(&opened).await;
    assert_eq!(structure(home).await, *newest.borrow());
    opened.write([Write::AccountRemove { account: jid("empty@one.test") }]).await;
    opened.close().await;
    let opened = home.open().await;
    assert_eq!(opened.store.account_count("one.test").await.unwrap(), 1);
    opened.close().await;
}

#[test]
fn every_released_schema_is_brought_up_to_date_on_sqlite() {
    let newest = RefCell::default();
    on_sqlite(async |home| {
        home.open().await.close().await;
        newest.replace(structure(home).await);
    });
    for dump in kept("sqlite").values() {
        on_sqlite(async |home| is_brought_up_to_date(home, dump, &newest).await);
    }
}

#[test]
fn every_released_schema_is_brought_up_to_date_on_postgresql() {
    let newest = RefCell::default();
    on_postgres(async |home| {
        home.open().await.close().await;
        newest.replace(structure(home).await);
    });
    for dump in kept("postgres").values() {
        on_postgres(async |home| is_brought_up_to_date(home, dump, &newest).await);
    }
}

#[test]
fn a_newer_schema_is_refused_and_left_as_it_is() {
    on_both(async |home| {
        let opened = home.open().await;
        furnish(&opened).await;
        opened.close().await;
        let known = home.ask("SELECT version FROM schema_version").await[0][0].parse().unwrap();
        home.run("UPDATE schema_version SET version = 9999").await;
        let refused = open(&home.url).await.err().unwrap();
        assert_eq!(refused, StoreError::Newer { found: 9999, known });
        let words = refused.to_string();
        assert!(words.contains("9999") && words.contains("use the version that wrote it"), "{words}");
        home.run(&format!("UPDATE schema_version SET version = {known}")).await;
        look_around(&home.open().await).await;
    });
}

/// Long work shows how far it is: each step is named as it begins.
#[test]
fn the_steps_are_named_to_whoever_waits() {
    const STEP: &str = "bringing the store's schema up to date step=1 of=";
    const NAME: &str = "name=\"accounts, rosters, held messages, letters, notes\"";
    let named = |thread: &str| {
        let said = said();
        said.iter().filter(|line| [thread, STEP, NAME].iter().all(|part| line.contains(part))).count()
    };
    assert_eq!(named("patient-operator"), 0);
    // SQLite's steps are taken by whoever opens it, PostgreSQL's by a thread of its own.
    let operator = || {
        on_sqlite(async |home| {
            home.open().await.close().await;
            home.open().await.close().await;
        });
    };
    std::thread::Builder::new().name("patient-operator".to_owned()).spawn(operator).unwrap().join().unwrap();
    assert_eq!(named("patient-operator"), 1, "once");
    on_postgres(async |home| {
        home.open().await.close().await;
        assert!(named("store-postgres") > 0);
    });
}

/// Writes what is to be kept of the schema that this version makes.
#[test]
#[ignore = "writes into tests/schemas"]
fn keep_this_schema() {
    let keep = async |home: &Home, engine: &str, dump: String| {
        let number: u64 = home.ask("SELECT version FROM schema_version").await[0][0].parse().unwrap();
        std::fs::create_dir_all(schemas()).unwrap();
        std::fs::write(schemas().join(format!("{number:04}.{engine}.sql")), dump).unwrap();
    };
    on_both(async |home| {
        let opened = home.open().await;
        furnish(&opened).await;
        look_around(&opened).await;
        opened.close().await;
        match &home.server {
            None => keep(home, "sqlite", dump_sqlite(home).await).await,
            Some(server) => keep(home, "postgres", server.dump(home.database()).unwrap()).await,
        }
    });
}

async fn dump_sqlite(home: &Home) -> String {
    const MAKE: &str = "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE 'archive_words_%' \
         ORDER BY type = 'index', name";
    let mut dump = String::new();
    for made in home.ask(MAKE).await {
        dump.push_str(&format!("{};\n", made[0]));
    }
    // An index of words tells nobody what is in it.
    for table in home.tables().await.iter().filter(|table| *table != "archive_words") {
        let columns = home.ask(&format!("SELECT name FROM pragma_table_info('{table}')")).await;
        let quoted: Vec<String> = columns.iter().map(|column| format!("quote(\"{}\")", column[0])).collect();
        for row in home.ask(&format!("SELECT {} FROM {table}", quoted.join(", "))).await {
            dump.push_str(&format!("INSERT INTO {table} VALUES ({});\n", row.join(", ")));
        }
    }
    dump
}
