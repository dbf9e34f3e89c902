//! Accounts: who has one, with which keys, in which order they are listed, and that nothing stays of one that goes.

use store::{
    AccountRecord, ArchiveMessage, Credentials, Due, Fate, KeptLetter, KeptSession, Lsn, NodeItem,
    OwedStanza, RosterItem, ScramHash, StoredKeys, Write,
};

use crate::clients::record;
use crate::home::{Home, Opened, at, hex, jid, note, on_both};

fn keys(seed: u8) -> StoredKeys {
    StoredKeys {
        salt: vec![seed; 16],
        iterations: 10_000 + u32::from(seed),
        stored_key: vec![0, seed, 255],
        server_key: (0..=255).collect(),
    }
}

fn credentials(seed: u8) -> Credentials {
    Credentials { scram: vec![(ScramHash::Sha1, keys(seed)), (ScramHash::Sha256, keys(seed + 1))] }
}

fn create(account: &str, seed: u8) -> Write {
    Write::AccountCreate { account: jid(account), credentials: credentials(seed), at: at(u64::from(seed)) }
}

async fn stored(opened: &Opened, account: &str) -> Option<Credentials> {
    opened.store.credentials(&jid(account)).await.unwrap()
}

#[test]
fn an_account_is_as_it_was_created() {
    on_both(async |home| {
        let opened = home.open().await;
        assert_eq!(opened.store.account(&jid("alice@one.test")).await.unwrap(), None);
        assert_eq!(stored(&opened, "alice@one.test").await, None);
        opened.write([create("alice@one.test", 7)]).await;
        let record = AccountRecord { created: at(7), seen_at: None, seen_status: None };
        assert_eq!(opened.store.account(&jid("alice@one.test")).await.unwrap(), Some(record));
        assert_eq!(stored(&opened, "alice@one.test").await, Some(credentials(7)));
        assert_eq!(stored(&opened, "bob@one.test").await, None);
    });
}

#[test]
fn an_account_may_have_no_keys() {
    on_both(async |home| {
        let opened = home.open().await;
        let bare = Write::AccountCreate {
            account: jid("alice@one.test"),
            credentials: Credentials::default(),
            at: at(1),
        };
        opened.write([bare]).await;
        assert_eq!(stored(&opened, "alice@one.test").await, Some(Credentials::default()));
    });
}

#[test]
fn new_keys_replace_all_old_ones() {
    on_both(async |home| {
        let opened = home.open().await;
        opened.write([create("alice@one.test", 1), create("bob@one.test", 1)]).await;
        let only = Credentials { scram: vec![(ScramHash::Sha512, keys(9))] };
        let change = Write::AccountCredentials { account: jid("alice@one.test"), credentials: only.clone() };
        opened.write([change.clone(), change]).await;
        assert_eq!(stored(&opened, "alice@one.test").await, Some(only));
        assert_eq!(stored(&opened, "bob@one.test").await, Some(credentials(1)));
    });
}

#[test]
fn keys_are_added_while_the_password_is_the_same() {
    on_both(async |home| {
        let opened = home.open().await;
        opened.write([create("alice@one.test", 1), create("bob@one.test", 5)]).await;
        let add = |added: &[(ScramHash, u8)], proven: u8| Write::AccountKeys {
            account: jid("alice@one.test"),
            credentials: Credentials {
                scram: added.iter().map(|(hash, seed)| (*hash, keys(*seed))).collect(),
            },
            proven: (ScramHash::Sha1, keys(proven).stored_key),
        };
        opened.write([add(&[(ScramHash::Sha512, 9)], 1)]).await;
        let mut all = credentials(1);
        all.scram.push((ScramHash::Sha512, keys(9)));
        assert_eq!(stored(&opened, "alice@one.test").await, Some(all));
        // The keys that prove it may be among them.
        opened.write([add(&[(ScramHash::Sha1, 20), (ScramHash::Sha256, 21)], 1)]).await;
        let mut all = credentials(20);
        all.scram.push((ScramHash::Sha512, keys(9)));
        assert_eq!(stored(&opened, "alice@one.test").await, Some(all.clone()));
        // They are not the account's any more.
        opened.write([add(&[(ScramHash::Sha256, 30)], 1)]).await;
        assert_eq!(stored(&opened, "alice@one.test").await, Some(all));
        assert_eq!(stored(&opened, "bob@one.test").await, Some(credentials(5)));
    });
}

#[test]
fn keys_need_an_account() {
    on_both(async |home| {
        let opened = home.open().await;
        let nobody =
            Write::AccountCredentials { account: jid("nobody@one.test"), credentials: credentials(1) };
        opened.write([nobody]).await;
        assert_eq!(stored(&opened, "nobody@one.test").await, None);
        assert!(home.ask("SELECT * FROM account_keys").await.is_empty());
    });
}

#[test]
fn keys_of_a_later_version_are_left_alone() {
    on_both(async |home| {
        let opened = home.open().await;
        opened.write([create("alice@one.test", 1)]).await;
        home.run("UPDATE account_keys SET hash = 'SCRAM-SHA3-512' WHERE hash = 'SCRAM-SHA-1'").await;
        let known = Credentials { scram: vec![(ScramHash::Sha256, keys(2))] };
        assert_eq!(stored(&opened, "alice@one.test").await, Some(known));
    });
}

/// A mistake of one entity costs neither the first password nor anybody else's writes.
#[test]
fn a_second_creation_changes_nothing() {
    on_both(async |home| {
        let opened = home.open().await;
        opened.write([create("alice@one.test", 1)]).await;
        opened.write([create("alice@one.test", 50), note("topic", "in the same append", "kept")]).await;
        opened.write([create("bob@one.test", 3), create("bob@one.test", 60)]).await;
        assert_eq!(stored(&opened, "alice@one.test").await, Some(credentials(1)));
        assert_eq!(stored(&opened, "bob@one.test").await, Some(credentials(3)));
        let alice = opened.store.account(&jid("alice@one.test")).await.unwrap().unwrap();
        assert_eq!(alice.created, at(1));
        assert_eq!(opened.store.notes(&jid("alice@one.test"), "topic").await.unwrap().len(), 1);
        assert_eq!(opened.log.failures(), 0);
    });
}

#[test]
fn the_last_time_it_was_seen_is_kept() {
    on_both(async |home| {
        let opened = home.open().await;
        opened.write([create("alice@one.test", 1)]).await;
        let seen = |micros, status: Option<&str>| Write::AccountSeen {
            account: jid("alice@one.test"),
            at: at(micros),
            status: status.map(str::to_owned),
        };
        for (micros, status) in [
            (1_800_000_000_123_456, Some("до свидания \u{1F44B}\u{FFFD}\u{10FFFF}")),
            (2, None),
            (3, Some("")),
        ] {
            opened.write([seen(micros, status)]).await;
            let record = opened.store.account(&jid("alice@one.test")).await.unwrap().unwrap();
            assert_eq!((record.seen_at, record.seen_status.as_deref()), (Some(at(micros)), status));
        }
        let stranger = Write::AccountSeen { account: jid("bob@one.test"), at: at(4), status: None };
        opened.write([stranger]).await;
        assert_eq!(opened.store.account(&jid("bob@one.test")).await.unwrap(), None);
    });
}

#[test]
fn accounts_are_listed_page_by_page_in_the_order_of_their_bytes() {
    // As bytes; a dictionary would put ä beside a.
    const NAMES: [&str; 7] = ["a-b", "a.b", "a1", "ab", "b", "ä", "\u{10400}x"];
    on_both(async |home| {
        let opened = home.open().await;
        for (number, name) in NAMES.iter().rev().enumerate() {
            opened.write([create(&format!("{name}@one.test"), number as u8)]).await;
        }
        opened.write([create("a@two.test", 1)]).await;
        let all: Vec<_> = NAMES.iter().map(|name| jid(&format!("{name}@one.test"))).collect();
        let mut sorted = all.clone();
        sorted.sort_by(|one, other| one.as_str().as_bytes().cmp(other.as_str().as_bytes()));
        for size in [1, 2, 3, 7, 8, usize::MAX] {
            let mut listed = Vec::new();
            loop {
                let page = opened.store.accounts("one.test", listed.last(), size).await.unwrap();
                assert!(page.len() <= size);
                if page.is_empty() {
                    break;
                }
                listed.extend(page);
            }
            assert_eq!(listed, sorted, "in pages of {size}");
        }
        assert_eq!(opened.store.accounts("two.test", None, 10).await.unwrap(), [jid("a@two.test")]);
        assert!(opened.store.accounts("one.test", None, 0).await.unwrap().is_empty());
        assert_eq!(opened.store.account_count("one.test").await.unwrap(), 7);
        assert_eq!(opened.store.account_count("three.test").await.unwrap(), 0);
    });
}

/// Everything that is kept for an account, except letters.
fn everything_of(account: &str) -> Vec<Write> {
    let owner = jid(account);
    let mut contact = RosterItem::new(jid("carol@three.test"));
    contact.name = Some("Carol".to_owned());
    let (state, handled, acked) = (Vec::new(), 0, 0);
    let session = KeptSession { key: "session".to_owned(), state, handled, acked, over_at: None };
    let owed = OwedStanza { number: 1, at: at(1), shared: Vec::new(), xml: b"<message/>".to_vec() };
    let item = NodeItem { id: "item".to_owned(), seq: 1, at: at(1), xml: b"<x/>".to_vec() };
    let message = ArchiveMessage {
        owner: owner.clone(),
        seq: 1,
        first: true,
        at: at(1),
        peak: at(1),
        with: owner.clone().into(),
        sent: true,
        id: None,
        xml: format!("<message from='{account}'/>").into_bytes(),
        same_as: None,
        words: "word".to_owned(),
    };
    vec![
        create(account, 1),
        Write::AccountSeen { account: owner.clone(), at: at(1), status: Some("gone".to_owned()) },
        Write::RosterPut { owner: owner.clone(), version: 1, item: contact },
        Write::OfflineKeep { owner: owner.clone(), id: 1, at: at(1), xml: b"<message/>".to_vec() },
        Write::OfflineKeep { owner: owner.clone(), id: 2, at: at(1), xml: b"<message/>".to_vec() },
        Write::OfflineDrop { owner: owner.clone(), up_to: 1 },
        Write::ArchiveKeep(Box::new(message)),
        Write::ClientPut { account: owner.clone(), client: Box::new(record("phone")) },
        Write::Note { owner: owner.clone(), topic: "topic", key: "key".to_owned(), value: Some(vec![1]) },
        Write::SessionPut { owner: owner.clone(), session },
        Write::NodePut { owner: owner.clone(), node: "node".to_owned(), created: at(1), state: vec![1] },
        Write::ItemPut { owner: owner.clone(), node: "node".to_owned(), item },
        Write::Owe { owner, key: "session".to_owned(), owed },
    ]
}

/// Clears away what the archives of accounts that are gone have left.
async fn clear(opened: &Opened) {
    loop {
        let due = opened.store.archive_due(&Due::Gone).await.unwrap();
        if due.is_empty() {
            return;
        }
        opened.write(due.into_iter().map(Write::ArchiveClear).collect::<Vec<_>>()).await;
    }
}

/// Tables in which some value names an address.
async fn tables_that_name(home: &Home, address: &str) -> Vec<String> {
    let bytes = hex(address.as_bytes());
    let mut found = Vec::new();
    for table in home.tables().await {
        let rows = home.ask(&format!("SELECT * FROM {table}")).await;
        if rows.iter().flatten().any(|value| value.contains(address) || value.contains(&bytes)) {
            found.push(table);
        }
    }
    found
}

#[test]
fn of_an_account_that_goes_nothing_stays() {
    on_both(async |home| {
        let opened = home.open().await;
        for account in ["alice@one.test", "zalice@one.test", "alice@one.test.org"] {
            opened.write(everything_of(account)).await;
        }
        // Every table that can name an account does, or this test has become blind.
        let named = tables_that_name(home, "zalice@one.test").await;
        let all = [
            "account_keys",
            "accounts",
            "archive",
            "archive_bodies",
            "archive_owners",
            "clients",
            "node_items",
            "nodes",
            "notes",
            "offline",
            "offline_last",
            "owed",
            "roster_items",
            "rosters",
            "sessions",
        ];
        assert_eq!(named, all);

        opened.write([Write::AccountRemove { account: jid("zalice@one.test") }]).await;
        // What was said is cleared away behind it, in batches.
        assert_eq!(tables_that_name(home, "zalice@one.test").await, ["archive", "archive_bodies"]);
        clear(&opened).await;
        assert!(tables_that_name(home, "zalice@one.test").await.is_empty());
        assert_eq!(tables_that_name(home, "alice@one.test.org").await, all, "its neighbour");
        opened.write([Write::AccountRemove { account: jid("zalice@one.test") }]).await;

        // The address may be used again, by somebody new.
        opened.write([create("zalice@one.test", 9)]).await;
        assert_eq!(stored(&opened, "zalice@one.test").await, Some(credentials(9)));
        let size = opened.store.offline_size(&jid("zalice@one.test")).await.unwrap();
        assert_eq!(size.last_id, 0);
    });
}

/// Others wait for the answer to a letter, so whoever is at the address next reads it, and then it goes as well.
#[test]
fn a_letter_to_an_account_that_goes_waits_until_it_is_read() {
    on_both(async |home| {
        let opened = home.open().await;
        opened.write(everything_of("alice@one.test")).await;
        let letter = KeptLetter {
            key: "letter".to_owned(),
            to: jid("alice@one.test"),
            leaving: false,
            xml: b"<presence type='subscribe'/>".to_vec(),
        };
        opened.write([Write::LetterKeep(letter.clone())]).await;
        opened.write([Write::AccountRemove { account: jid("alice@one.test") }]).await;
        assert_eq!(opened.store.letters(&jid("alice@one.test")).await.unwrap(), [letter]);
        clear(&opened).await;
        assert_eq!(tables_that_name(home, "alice@one.test").await, ["letters"]);
        opened.write([Write::LetterDrop { to: jid("alice@one.test"), key: "letter".to_owned() }]).await;
        assert!(tables_that_name(home, "alice@one.test").await.is_empty());
    });
}

#[test]
fn writes_of_one_append_are_carried_out_in_their_order() {
    on_both(async |home| {
        let opened = home.open().await;
        let remove = Write::AccountRemove { account: jid("alice@one.test") };
        opened.write([create("alice@one.test", 1), remove.clone(), create("alice@one.test", 5)]).await;
        assert_eq!(stored(&opened, "alice@one.test").await, Some(credentials(5)));
        let lsn = opened.write([remove]).await;
        assert_eq!(stored(&opened, "alice@one.test").await, None);
        assert_eq!((lsn > Lsn::default(), opened.log.fate(lsn)), (true, Fate::Committed));
    });
}
