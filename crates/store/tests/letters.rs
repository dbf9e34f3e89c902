//! Letters: kept in the order of the log until they are read, over restarts as well.

use store::{KeptLetter, Write};

use crate::home::{jid, on_both};

fn letter(key: &str, to: &str) -> KeptLetter {
    KeptLetter {
        key: key.to_owned(),
        to: jid(to),
        leaving: key.starts_with("own"),
        xml: format!("<presence id='{key}'/>\0").into_bytes(),
    }
}

fn keep(key: &str, to: &str) -> Write {
    Write::LetterKeep(letter(key, to))
}

fn read(key: &str, by: &str) -> Write {
    Write::LetterDrop { to: jid(by), key: key.to_owned() }
}

#[test]
fn letters_wait_in_order_until_they_are_read() {
    on_both(async |home| {
        let opened = home.open().await;
        let bob = jid("bob@one.test");
        opened.write([keep("z", "bob@one.test"), keep("m", "carol@one.test")]).await;
        opened.write([keep("a", "bob@one.test")]).await;
        let both = [letter("z", "bob@one.test"), letter("a", "bob@one.test")];
        assert_eq!(opened.store.letters(&bob).await.unwrap(), both);
        opened.write([read("z", "bob@one.test"), read("never", "bob@one.test")]).await;
        opened.close().await;

        let opened = home.open().await;
        assert_eq!(opened.store.letters(&bob).await.unwrap(), both[1..]);
        // Behind those that are left, whatever was read.
        opened.write([keep("b", "bob@one.test"), read("m", "carol@one.test")]).await;
        let left = [letter("a", "bob@one.test"), letter("b", "bob@one.test")];
        assert_eq!(opened.store.letters(&bob).await.unwrap(), left);
        assert!(opened.store.letters(&jid("carol@one.test")).await.unwrap().is_empty());
    });
}

#[test]
fn whoever_has_letters_is_known_once() {
    on_both(async |home| {
        let opened = home.open().await;
        assert!(opened.store.letter_recipients().await.unwrap().is_empty());
        opened.write([keep("1", "bob@one.test"), keep("2", "one.test"), keep("3", "bob@one.test")]).await;
        let recipients = [jid("bob@one.test"), jid("one.test")];
        assert_eq!(opened.store.letter_recipients().await.unwrap(), recipients);
        opened.write([read("1", "bob@one.test"), read("2", "bob@one.test")]).await;
        assert_eq!(opened.store.letter_recipients().await.unwrap(), recipients[..1]);
    });
}

#[test]
fn a_letter_is_kept_once() {
    on_both(async |home| {
        let opened = home.open().await;
        opened.write([keep("1", "bob@one.test")]).await;
        opened.write([keep("1", "bob@one.test"), keep("2", "bob@one.test")]).await;
        let both = [letter("1", "bob@one.test"), letter("2", "bob@one.test")];
        assert_eq!(opened.store.letters(&jid("bob@one.test")).await.unwrap(), both);
    });
}

#[test]
fn a_letter_that_is_read_in_the_group_that_keeps_it_is_not_kept() {
    on_both(async |home| {
        let opened = home.open().await;
        opened
            .write([keep("a", "bob@one.test"), keep("own", "bob@one.test"), read("a", "bob@one.test")])
            .await;
        assert_eq!(
            opened.store.letters(&jid("bob@one.test")).await.unwrap(),
            [letter("own", "bob@one.test")]
        );
        opened.write([read("own", "bob@one.test"), keep("c", "bob@one.test")]).await;
        assert_eq!(opened.store.letters(&jid("bob@one.test")).await.unwrap(), [letter("c", "bob@one.test")]);
    });
}
