//! Held messages: in order, page by page, and a number that is never used twice.

use store::{OfflineMessage, OfflineSize, Write};

use crate::home::{at, jid, noise, on_both};

fn keep(id: u64, xml: impl Into<Vec<u8>>) -> Write {
    Write::OfflineKeep { owner: jid("alice@one.test"), id, at: at(1_000 + id), xml: xml.into() }
}

fn drop_up_to(up_to: u64) -> Write {
    Write::OfflineDrop { owner: jid("alice@one.test"), up_to }
}

fn message(id: u64, xml: impl Into<Vec<u8>>) -> OfflineMessage {
    let xml = xml.into();
    OfflineMessage { id, at: at(1_000 + id), archived: None, held_bytes: xml.len(), xml }
}

#[test]
fn messages_come_back_in_order_page_by_page() {
    on_both(async |home| {
        let opened = home.open().await;
        let alice = jid("alice@one.test");
        assert!(opened.store.offline(&alice, 0, 10).await.unwrap().is_empty());
        // Their numbers say the order, not the time at which they were written.
        for id in [3, 1, 2, 10, 9] {
            opened.write([keep(id, format!("<message id='{id}'/>"))]).await;
        }
        let ids = async |after, limit| -> Vec<u64> {
            let page = opened.store.offline(&alice, after, limit).await.unwrap();
            page.iter().map(|message| message.id).collect()
        };
        assert_eq!(ids(0, usize::MAX).await, [1, 2, 3, 9, 10]);
        assert_eq!(ids(0, 2).await, [1, 2]);
        assert_eq!(ids(2, 2).await, [3, 9]);
        assert_eq!(ids(10, 2).await, [0; 0]);
        assert_eq!(ids(0, 0).await, [0; 0]);
        let page = opened.store.offline(&alice, 2, 1).await.unwrap();
        assert_eq!(page, [message(3, "<message id='3'/>")]);
        assert!(opened.store.offline(&jid("bob@one.test"), 0, 10).await.unwrap().is_empty());
    });
}

#[test]
fn messages_may_hold_any_byte_and_be_large() {
    on_both(async |home| {
        let opened = home.open().await;
        let all: Vec<u8> = (0..=255).collect();
        let large = noise(3 << 20);
        opened.write([keep(1, all.clone()), keep(2, large.clone()), keep(3, Vec::new())]).await;
        let alice = jid("alice@one.test");
        let held = opened.store.offline(&alice, 0, 10).await.unwrap();
        assert_eq!(held, [message(1, all), message(2, large), message(3, Vec::new())]);
        let size = opened.store.offline_size(&alice).await.unwrap();
        assert_eq!(size, OfflineSize { count: 3, bytes: 256 + (3 << 20), archived: 0, last_id: 3 });
    });
}

#[test]
fn keeping_and_dropping_twice_is_as_good_as_once() {
    on_both(async |home| {
        let opened = home.open().await;
        let alice = jid("alice@one.test");
        opened.write([keep(1, "<a/>"), keep(1, "<a/>"), keep(2, "<b/>")]).await;
        opened.write([keep(2, "<b/>")]).await;
        assert_eq!(opened.store.offline_size(&alice).await.unwrap().count, 2);
        opened.write([drop_up_to(1), drop_up_to(1)]).await;
        opened.write([drop_up_to(1)]).await;
        assert_eq!(opened.store.offline(&alice, 0, 10).await.unwrap(), [message(2, "<b/>")]);
    });
}

/// A drop that comes late must never meet a message that came after it was meant.
#[test]
fn a_number_is_not_used_again() {
    on_both(async |home| {
        let opened = home.open().await;
        let alice = jid("alice@one.test");
        let last_id = async || opened.store.offline_size(&alice).await.unwrap().last_id;
        assert_eq!(last_id().await, 0);
        opened.write([keep(7, "<a/>"), keep(8, "<b/>")]).await;
        opened.write([drop_up_to(8)]).await;
        assert_eq!(
            opened.store.offline_size(&alice).await.unwrap(),
            OfflineSize { count: 0, bytes: 0, archived: 0, last_id: 8 }
        );
        // Nothing to drop, nothing to remember.
        opened.write([drop_up_to(3), drop_up_to(u64::MAX)]).await;
        assert_eq!(last_id().await, 8);
        opened.write([keep(9, "<c/>")]).await;
        opened.write([drop_up_to(8)]).await;
        assert_eq!(opened.store.offline(&alice, 0, 10).await.unwrap(), [message(9, "<c/>")]);
        opened.write([drop_up_to(9)]).await;
        opened.close().await;
        let opened = home.open().await;
        assert_eq!(opened.store.offline_size(&alice).await.unwrap().last_id, 9, "also after a restart");
    });
}

#[test]
fn dropping_touches_nobody_else() {
    on_both(async |home| {
        let opened = home.open().await;
        let other =
            Write::OfflineKeep { owner: jid("bob@one.test"), id: 1, at: at(1), xml: b"<b/>".to_vec() };
        opened.write([keep(1, "<a/>"), other, drop_up_to(5)]).await;
        assert_eq!(opened.store.offline_size(&jid("alice@one.test")).await.unwrap().count, 0);
        assert_eq!(opened.store.offline_size(&jid("bob@one.test")).await.unwrap().count, 1);
    });
}
