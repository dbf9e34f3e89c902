//! Sessions that can be resumed: how they are, what they are owed, and what a group need not write of it.

use store::{KeptSession, OwedStanza, Write};

use crate::home::{Opened, at, jid, on_both};

const OWNER: &str = "alice@one.test";

fn session(key: &str, handled: u64) -> KeptSession {
    KeptSession { key: key.to_owned(), state: b"\0as it is".to_vec(), handled, acked: 0, over_at: None }
}

fn put(session: KeptSession) -> Write {
    Write::SessionPut { owner: jid(OWNER), session }
}

fn owed(number: u64) -> OwedStanza {
    let shared = ["one", "two"][..number as usize % 3].iter().map(|key| (*key).to_owned()).collect();
    OwedStanza { number, at: at(number), shared, xml: format!("<message id='{number}'/>").into_bytes() }
}

fn owe(key: &str, number: u64) -> Write {
    Write::Owe { owner: jid(OWNER), key: key.to_owned(), owed: owed(number) }
}

fn counted(key: &str, handled: u64, acked: u64) -> Write {
    Write::SessionCounted { owner: jid(OWNER), key: key.to_owned(), handled, acked }
}

async fn numbers(opened: &Opened, key: &str) -> Vec<u64> {
    let owed = opened.store.owed(&jid(OWNER), key).await.unwrap();
    owed.into_iter().map(|owed| owed.number).collect()
}

async fn counts(opened: &Opened) -> Vec<(String, u64, u64)> {
    let sessions = opened.store.sessions(&jid(OWNER)).await.unwrap();
    sessions.into_iter().map(|session| (session.key, session.handled, session.acked)).collect()
}

#[test]
fn a_session_is_as_it_was_put() {
    on_both(async |home| {
        let opened = home.open().await;
        let over = KeptSession { over_at: Some(at(7)), acked: 4, ..session("over", 1 << 40) };
        opened.write([put(session("a", 1)), put(over.clone()), owe("a", 1), owe("a", 3), owe("a", 2)]).await;
        opened.close().await;

        let opened = home.open().await;
        assert_eq!(opened.store.sessions(&jid(OWNER)).await.unwrap(), [session("a", 1), over.clone()]);
        assert_eq!(opened.store.owed(&jid(OWNER), "a").await.unwrap(), [owed(1), owed(2), owed(3)]);
        assert_eq!(opened.store.session_owners().await.unwrap(), [jid(OWNER)]);
        assert!(opened.store.sessions(&jid("bob@one.test")).await.unwrap().is_empty());

        opened.write([put(KeptSession { over_at: Some(at(8)), ..session("a", 9) })]).await;
        assert!(opened.store.session_owners().await.unwrap().is_empty(), "nobody waits for it");
        opened.write([Write::SessionForget { owner: jid(OWNER), key: "a".to_owned() }]).await;
        assert_eq!(opened.store.sessions(&jid(OWNER)).await.unwrap(), [over]);
        assert!(numbers(&opened, "a").await.is_empty());
    });
}

#[test]
fn what_is_acknowledged_is_not_owed() {
    on_both(async |home| {
        let opened = home.open().await;
        opened.write([put(session("a", 0)), put(session("b", 0)), owe("b", 1)]).await;
        opened.write([owe("a", 1), owe("a", 2), owe("a", 5)]).await;
        opened.write([counted("a", 7, 2)]).await;
        assert_eq!(numbers(&opened, "a").await, [5]);
        assert_eq!(numbers(&opened, "b").await, [1], "of another session");
        assert_eq!(counts(&opened).await, [("a".to_owned(), 7, 2), ("b".to_owned(), 0, 0)]);
        opened.write([Write::OweNothing { owner: jid(OWNER), key: "a".to_owned() }, owe("a", 3)]).await;
        assert_eq!(numbers(&opened, "a").await, [3]);
    });
}

/// Within one append as within one group.
#[test]
fn what_later_writes_make_void_leaves_the_same_behind() {
    on_both(async |home| {
        let opened = home.open().await;
        let again = Write::OweNothing { owner: jid(OWNER), key: "a".to_owned() };
        opened
            .write([
                put(session("a", 0)),
                put(session("b", 0)),
                owe("a", 1),
                owe("b", 1),
                counted("a", 1, 0),
                counted("b", 1, 0),
                counted("a", 1, 1),
                owe("a", 2),
                counted("a", 2, 1),
                owe("a", 3),
                counted("a", 2, 2),
            ])
            .await;
        assert_eq!(numbers(&opened, "a").await, [3]);
        assert_eq!(numbers(&opened, "b").await, [1]);
        assert_eq!(counts(&opened).await, [("a".to_owned(), 2, 2), ("b".to_owned(), 1, 0)]);

        opened.write([owe("a", 4), again, owe("a", 1), owe("a", 2), counted("a", 2, 1)]).await;
        assert_eq!(numbers(&opened, "a").await, [2], "numbered anew");
        let forget = Write::SessionForget { owner: jid(OWNER), key: "a".to_owned() };
        opened.write([forget, put(session("a", 5)), owe("a", 1), counted("a", 5, 1)]).await;
        assert_eq!(counts(&opened).await[0], ("a".to_owned(), 5, 1));
        assert!(numbers(&opened, "a").await.is_empty());
    });
}
