//! Notes: small things by topic and key.

use store::Write;

use crate::home::{jid, noise, note, on_both};

fn forget(topic: &'static str, key: &str) -> Write {
    Write::Note { owner: jid("alice@one.test"), topic, key: key.to_owned(), value: None }
}

#[test]
fn a_note_is_kept_changed_and_forgotten() {
    on_both(async |home| {
        let opened = home.open().await;
        let alice = jid("alice@one.test");
        let read = async |topic: &str, key: &str| opened.store.note(&alice, topic, key).await.unwrap();
        assert_eq!(read("one", "key").await, None);
        opened.write([note("one", "key", "first"), note("two", "key", "other")]).await;
        opened.write([note("one", "key", "second"), note("one", "key", "second")]).await;
        assert_eq!(read("one", "key").await.as_deref(), Some(&b"second"[..]));
        assert_eq!(read("two", "key").await.as_deref(), Some(&b"other"[..]));
        assert_eq!(opened.store.note(&jid("bob@one.test"), "one", "key").await.unwrap(), None);
        opened.write([forget("one", "key"), forget("one", "key"), forget("one", "never")]).await;
        assert_eq!(read("one", "key").await, None);
        assert_eq!(read("two", "key").await.as_deref(), Some(&b"other"[..]));
    });
}

#[test]
fn a_topic_is_read_in_the_order_of_the_bytes_of_its_keys() {
    on_both(async |home| {
        let opened = home.open().await;
        let keys = [
            "",
            "\u{1}",
            " ",
            "'; DROP TABLE notes; --",
            "Z",
            "a",
            "a\u{301}",
            "b",
            "é",
            "\u{FFFD}",
            "\u{10FFFF}",
        ];
        for key in keys.iter().rev() {
            opened.write([note("topic", key, key.as_bytes())]).await;
        }
        opened.write([note("another", "c", "")]).await;
        let notes = opened.store.notes(&jid("alice@one.test"), "topic").await.unwrap();
        assert!(notes.iter().map(|(key, _)| key.as_str()).eq(keys), "{notes:?}");
        for (key, value) in &notes {
            assert_eq!(key.as_bytes(), value);
            let one = opened.store.note(&jid("alice@one.test"), "topic", key).await.unwrap();
            assert_eq!(one.as_ref(), Some(value));
        }
    });
}

#[test]
fn all_of_an_account_and_all_of_a_topic_are_found() {
    on_both(async |home| {
        let opened = home.open().await;
        let bobs = Write::Note {
            owner: jid("bob@one.test"),
            topic: "two",
            key: "k".to_owned(),
            value: Some(vec![3]),
        };
        opened.write([note("two", "k", "2"), note("one", "b", "1"), note("one", "a", "0"), bobs]).await;
        let all = opened.store.all_notes(&jid("alice@one.test")).await.unwrap();
        let names: Vec<_> = all.iter().map(|(topic, key, _)| format!("{topic} {key}")).collect();
        assert_eq!(names, ["one a", "one b", "two k"]);
        let found = opened.store.notes_of_all("two").await.unwrap();
        let owners: Vec<_> = found.iter().map(|(owner, ..)| owner.as_str()).collect();
        assert_eq!(owners, ["alice@one.test", "bob@one.test"]);
        assert_eq!(found[1].2, [3]);
        assert!(opened.store.notes_of_all("three").await.unwrap().is_empty());
    });
}

#[test]
fn a_value_may_be_empty_large_and_hold_any_byte() {
    on_both(async |home| {
        let opened = home.open().await;
        for value in [Vec::new(), vec![0], (0..=255).collect(), noise(5 << 20)] {
            opened.write([note("topic", "key", value.clone())]).await;
            let found = opened.store.note(&jid("alice@one.test"), "topic", "key").await.unwrap();
            assert!(found == Some(value.clone()), "{} bytes", value.len());
        }
    });
}
