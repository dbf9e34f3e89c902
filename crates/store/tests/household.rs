//! What is asked for at once is what each question says.

use store::{ArchiveMessage, ClientRecord, Credentials, KeptLetter, KeptSession, RosterItem, Write};
use xmpp::jid::Jid;

use crate::home::{at, jid, note, on_both};

const TOPICS: [&str; 6] = ["one", "two", "three", "four", "five", "six"];

#[test]
fn all_of_an_account_is_as_if_asked_one_by_one() {
    on_both(async |home| {
        let opened = home.open().await;
        let (store, alice) = (&opened.store, jid("alice@one.test"));
        let session = KeptSession {
            key: "a stream".to_owned(),
            state: b"<session/>".to_vec(),
            handled: 3,
            acked: 2,
            over_at: None,
        };
        let letter = KeptLetter {
            key: "a".to_owned(),
            to: alice.clone(),
            leaving: false,
            xml: b"<presence/>".to_vec(),
        };
        let client = ClientRecord {
            id: "a client".to_owned(),
            handle: "its handle".to_owned(),
            first_seen: at(4),
            last_seen: at(5),
            software: None,
            device: None,
            by_password: true,
            by_certificate: false,
            current: None,
            next: None,
        };
        let message = ArchiveMessage {
            owner: alice.clone(),
            seq: 1,
            first: true,
            at: at(6),
            peak: at(6),
            with: Jid::new("bob@two.test/phone").unwrap(),
            sent: true,
            id: None,
            xml: b"<message/>".to_vec(),
            same_as: None,
            words: Vec::new(),
        };
        opened
            .write([
                Write::AccountCreate {
                    account: alice.clone(),
                    credentials: Credentials::default(),
                    at: at(1),
                },
                Write::AccountSeen { account: alice.clone(), at: at(2), status: Some("bye".to_owned()) },
                Write::RosterPut {
                    owner: alice.clone(),
                    version: 7,
                    item: RosterItem::new(jid("bob@two.test")),
                },
                Write::OfflineKeep { owner: alice.clone(), id: 4, at: at(3), xml: b"<message/>".to_vec() },
                Write::ClientPut { account: alice.clone(), client: Box::new(client.clone()) },
                Write::ArchiveKeep(Box::new(message)),
                Write::NodePut {
                    owner: alice.clone(),
                    node: "a node".to_owned(),
                    created: at(7),
                    state: b"<node/>".to_vec(),
                },
                Write::LetterKeep(letter),
                Write::SessionPut { owner: alice.clone(), session },
                note("two", "a", "first"),
                note("two", "b", "second"),
                note("six", "a", "third"),
                note("seven", "a", "not asked for"),
            ])
            .await;

        let household = store.household(&alice, TOPICS).await.unwrap();
        assert!(household.record.is_some());
        assert_eq!(household.record, store.account(&alice).await.unwrap());
        assert_eq!(household.roster, store.roster(&alice).await.unwrap());
        assert_eq!(household.held, store.offline_size(&alice).await.unwrap());
        assert_eq!(household.letters, store.letters(&alice).await.unwrap());
        assert_eq!(household.sessions, store.sessions(&alice).await.unwrap());
        assert_eq!(household.archive, store.archive_state(&alice).await.unwrap());
        assert_eq!(household.clients, [client]);
        assert_eq!(household.nodes, store.nodes(&alice).await.unwrap());
        assert_eq!(household.nodes.len(), 1);
        assert_eq!((household.roster.0, household.held.count, household.archive.last), (7, 1, 1));
        assert_eq!((household.letters.len(), household.sessions.len()), (1, 1));
        let topics: Vec<&str> = household.notes.keys().map(String::as_str).collect();
        assert_eq!(topics, ["six", "two"]);
        assert_eq!(household.notes["two"], store.notes(&alice, "two").await.unwrap());

        let nobody = store.household(&jid("nobody@one.test"), TOPICS).await.unwrap();
        assert!(nobody.record.is_none() && nobody.notes.is_empty() && nobody.letters.is_empty());
    });
}
