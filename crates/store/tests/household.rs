//! What is asked for at once is what each question says.

use store::{
    ArchiveMessage, ClientRecord, Credentials, ItemsSaying, KeptLetter, KeptSession, NodeItem, RosterItem,
    Write,
};
use xmpp::jid::Jid;

use crate::home::{at, jid, note, on_both};

const TOPICS: [&str; 6] = ["one", "two", "three", "four", "five", "six"];
const SAYING: ItemsSaying = ItemsSaying { node: "a node", text: "urn:said:1", bytes_max: 30, items_max: 2 };

fn item(id: &str, seq: u64, xml: &str) -> NodeItem {
    NodeItem { id: id.to_owned(), seq, at: at(seq), xml: xml.as_bytes().to_vec() }
}

fn publish(node: &str, item: NodeItem) -> Write {
    Write::ItemPut { owner: jid("alice@one.test"), node: node.to_owned(), item }
}

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
            words: String::new(),
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

        let household = store.household(&alice, TOPICS, &SAYING).await.unwrap();
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
        assert_eq!(household.items, []);
        assert_eq!((household.roster.0, household.held.count, household.archive.last), (7, 1, 1));
        assert_eq!((household.letters.len(), household.sessions.len()), (1, 1));
        let topics: Vec<&str> = household.notes.keys().map(String::as_str).collect();
        assert_eq!(topics, ["six", "two"]);
        assert_eq!(household.notes["two"], store.notes(&alice, "two").await.unwrap());

        let nobody = store.household(&jid("nobody@one.test"), TOPICS, &SAYING).await.unwrap();
        assert!(nobody.record.is_none() && nobody.notes.is_empty() && nobody.letters.is_empty());
    });
}

#[test]
fn of_its_items_those_come_that_say_something() {
    on_both(async |home| {
        let opened = home.open().await;
        let alice = jid("alice@one.test");
        let items = async || opened.store.household(&alice, TOPICS, &SAYING).await.unwrap().items;
        let said = |id: &str, seq| item(id, seq, "<é xmlns='urn:said:1'/>");
        opened
            .write([
                publish("a node", said("oldest", 1)),
                publish("a node", said("old", 2)),
                publish("a node", item("silent", 3, "<a xmlns='urn:said:2'/>")),
                publish("another", said("elsewhere", 4)),
                publish("a node", said("new", 5)),
                publish("a node", item("empty", 6, "")),
                publish("a node", item("large", 7, "<a xmlns='urn:said:1'>more</a>.")),
            ])
            .await;
        assert_eq!(items().await, [said("new", 5), said("old", 2)]);

        // One says it no more, one says it again, and one is gone.
        let (owner, node) = (alice.clone(), "a node".to_owned());
        opened
            .write([
                publish("a node", item("new", 8, "<a/>")),
                publish("a node", said("oldest", 9)),
                Write::ItemRemove { owner: owner.clone(), node: node.clone(), id: "old".to_owned() },
            ])
            .await;
        assert_eq!(items().await, [said("oldest", 9)]);
        opened.write([Write::NodePurge { owner, node }]).await;
        assert_eq!(items().await, []);
    });
}
