//! What cannot be is called damage, and is not read as something else.

use store::{StoreError, Write};

use crate::home::{at, jid, note, on_both, on_sqlite};

fn is_damage<T: std::fmt::Debug>(answer: Result<T, StoreError>) {
    match answer {
        Err(StoreError::Corrupt(_)) => {}
        other => panic!("damage expected: {other:?}"),
    }
}

#[test]
fn a_value_that_cannot_be_is_damage() {
    on_both(async |home| {
        let opened = home.open().await;
        let (store, alice) = (&opened.store, jid("alice@one.test"));
        let item = store::RosterItem::new(jid("bob@two.test"));
        let create = Write::AccountCreate {
            account: alice.clone(),
            credentials: store::Credentials {
                scram: vec![(
                    store::ScramHash::Sha1,
                    store::StoredKeys {
                        salt: vec![1],
                        iterations: u32::MAX,
                        stored_key: vec![2],
                        server_key: vec![3],
                    },
                )],
            },
            at: at(1),
        };
        let put = Write::RosterPut { owner: alice.clone(), version: 1, item };
        let keep = |id| Write::OfflineKeep { owner: alice.clone(), id, at: at(1), xml: Vec::new() };
        let drop = Write::OfflineDrop { owner: alice.clone(), up_to: 1 };
        opened.write([create, put, keep(1), drop, keep(2)]).await;
        assert_eq!(store.credentials(&alice).await.unwrap().unwrap().scram[0].1.iterations, u32::MAX);

        home.run("UPDATE account_keys SET iterations = 4294967296").await;
        is_damage(store.credentials(&alice).await);
        home.run("UPDATE roster_items SET subscription = 'maybe'").await;
        is_damage(store.roster(&alice).await);
        home.run("UPDATE roster_items SET subscription = 'both', jid = 'a b@two.test'").await;
        is_damage(store.roster(&alice).await);
        home.run("UPDATE rosters SET version = -1; DELETE FROM roster_items").await;
        is_damage(store.roster(&alice).await);
        home.run("UPDATE offline_last SET last_id = -1; UPDATE offline SET id = -5").await;
        is_damage(store.offline_size(&alice).await);
        home.run("UPDATE accounts SET account = '@one.test'").await;
        is_damage(store.accounts("one.test", None, 9).await);
    });
}

/// PostgreSQL's columns have one type each; in SQLite's is what somebody put there.
#[test]
fn a_value_of_another_kind_is_damage() {
    on_sqlite(async |home| {
        let opened = home.open().await;
        let (store, alice) = (&opened.store, jid("alice@one.test"));
        opened.write([note("text", "key", "value"), note("real", "key", "value")]).await;
        home.run("UPDATE notes SET key = CAST(x'61ff' AS TEXT) WHERE topic = 'text'").await;
        is_damage(store.notes(&alice, "text").await);
        home.run("UPDATE notes SET value = 1.5 WHERE topic = 'real'").await;
        is_damage(store.notes(&alice, "real").await);
        home.run("UPDATE notes SET value = 'text' WHERE topic = 'real'").await;
        is_damage(store.notes(&alice, "real").await);
    });
}
