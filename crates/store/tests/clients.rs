//! Clients and their tokens: kept as they are, gone with what they rest on.

use store::{ClientRecord, Credentials, TokenRecord, Write};

use crate::home::{Opened, at, jid, on_both};

/// A client with all that one can have.
pub fn record(id: &str) -> ClientRecord {
    ClientRecord {
        id: id.to_owned(),
        handle: format!("handle of {id}"),
        first_seen: at(1),
        last_seen: at(2),
        software: Some("Swift\u{1F44B}".to_owned()),
        device: Some("phone".to_owned()),
        by_password: true,
        by_certificate: true,
        current: Some(token("current", Some(u32::MAX))),
        next: Some(token("next", None)),
    }
}

fn token(seed: &str, count: Option<u32>) -> TokenRecord {
    TokenRecord { seed: seed.to_owned(), mechanism: "HT-SHA-256-NONE".to_owned(), expires: at(99), count }
}

fn put(account: &str, client: &ClientRecord) -> Write {
    Write::ClientPut { account: jid(account), client: Box::new(client.clone()) }
}

fn create(account: &str) -> Write {
    Write::AccountCreate { account: jid(account), credentials: Credentials::default(), at: at(1) }
}

async fn kept(opened: &Opened, account: &str) -> Vec<ClientRecord> {
    opened.store.clients(&jid(account)).await.unwrap()
}

#[test]
fn a_client_is_as_it_was_put_last() {
    on_both(async |home| {
        let opened = home.open().await;
        opened.write([create("alice@one.test"), create("bob@one.test")]).await;
        let full = record("phone");
        let bare = ClientRecord {
            software: None,
            device: None,
            by_password: false,
            by_certificate: false,
            current: None,
            next: None,
            ..record("laptop")
        };
        opened.write([put("alice@one.test", &full), put("alice@one.test", &bare)]).await;
        opened.write([put("bob@one.test", &full)]).await;
        assert_eq!(kept(&opened, "alice@one.test").await, [bare.clone(), full.clone()]);

        let turned = ClientRecord { current: None, last_seen: at(7), ..full.clone() };
        opened.write([put("alice@one.test", &turned)]).await;
        assert_eq!(kept(&opened, "alice@one.test").await, [bare.clone(), turned]);
        assert_eq!(kept(&opened, "bob@one.test").await, [full]);

        let remove = Write::ClientRemove { account: jid("alice@one.test"), client: "phone".to_owned() };
        opened.write([remove]).await;
        assert_eq!(kept(&opened, "alice@one.test").await, [bare]);
        assert_eq!(kept(&opened, "bob@one.test").await.len(), 1);
    });
}

#[test]
fn a_client_needs_an_account() {
    on_both(async |home| {
        let opened = home.open().await;
        opened.write([put("nobody@one.test", &record("phone"))]).await;
        assert!(home.ask("SELECT * FROM clients").await.is_empty());
    });
}

#[test]
fn another_password_takes_the_tokens_away() {
    on_both(async |home| {
        let opened = home.open().await;
        opened.write([create("alice@one.test"), create("bob@one.test")]).await;
        opened.write([put("alice@one.test", &record("phone")), put("bob@one.test", &record("phone"))]).await;
        let credentials = Credentials::default();
        opened.write([Write::AccountCredentials { account: jid("alice@one.test"), credentials }]).await;
        let left = ClientRecord { by_password: false, current: None, next: None, ..record("phone") };
        assert_eq!(kept(&opened, "alice@one.test").await, [left]);
        assert_eq!(kept(&opened, "bob@one.test").await, [record("phone")]);
    });
}
