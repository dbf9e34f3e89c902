//! The server's secret: the first seed, for ever.

use store::StoreError;

use crate::home::on_both;

#[test]
fn the_first_seed_is_the_secret_for_ever() {
    on_both(async |home| {
        let opened = home.open().await;
        let store = &opened.store;
        assert_eq!(store.secret([1; 32]).await.unwrap(), [1; 32]);
        assert_eq!(store.secret([2; 32]).await.unwrap(), [1; 32]);
        opened.close().await;
        assert_eq!(home.open().await.store.secret([3; 32]).await.unwrap(), [1; 32]);
    });
}

#[test]
fn whoever_asks_at_the_same_time_gets_the_same() {
    on_both(async |home| {
        let opened = home.open().await;
        let store = &opened.store;
        let (one, two, three) =
            tokio::join!(store.secret([1; 32]), store.secret([2; 32]), store.secret([3; 32]));
        let first = one.unwrap();
        assert_eq!((two.unwrap(), three.unwrap()), (first, first));
    });
}

#[test]
fn a_secret_that_is_none_is_damage() {
    on_both(async |home| {
        let opened = home.open().await;
        opened.store.secret([1; 32]).await.unwrap();
        let short = if home.server.is_some() { "'\\x0102'" } else { "x'0102'" };
        home.run(&format!("UPDATE meta SET value = {short} WHERE key = 'secret'")).await;
        let secret = opened.store.secret([1; 32]).await;
        assert!(matches!(secret, Err(StoreError::Corrupt(_))), "{secret:?}");
    });
}
