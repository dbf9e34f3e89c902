//! Nodes and their items: as they were put last, in the order of publication, in pages that fit.

use store::{Capabilities, ItemsFound, ItemsWanted, NodeItem, NodeRecord, Write};

use crate::home::{Opened, at, jid, on_both, until};

const OWNER: &str = "alice@one.test";
/// More than all that is put here.
const ROOM: u64 = 1_000_000;

fn node(owner: &str, node: &str, state: &str) -> Write {
    let (owner, node, state) = (jid(owner), node.to_owned(), state.as_bytes().to_vec());
    Write::NodePut { owner, node, created: at(7), state }
}

fn put(node: &str, id: &str, seq: u64, xml: &str) -> Write {
    let item = NodeItem { id: id.to_owned(), seq, at: at(seq), xml: xml.as_bytes().to_vec() };
    Write::ItemPut { owner: jid(OWNER), node: node.to_owned(), item }
}

async fn ids(
    opened: &Opened,
    node: &str,
    wanted: ItemsWanted,
    bytes_max: u64,
) -> (String, usize, usize, bool) {
    let found = opened.store.items(&jid(OWNER), node, &wanted, bytes_max).await.unwrap();
    let ItemsFound { items, index, count, complete } = found.expect("the end of the page is there");
    let ids: Vec<_> = items.into_iter().map(|item| item.id).collect();
    (ids.join(" "), index, count, complete)
}

#[test]
fn a_node_is_as_it_was_put_last_and_takes_its_items_along() {
    on_both(async |home| {
        let opened = home.open().await;
        opened
            .write([node(OWNER, "b", "<old/>"), node(OWNER, "a", "<a/>"), node("bob@one.test", "b", "")])
            .await;
        opened
            .write([put("b", "1", 1, "<x/>"), put("b", "2", 2, "<long/>"), node(OWNER, "b", "<new/>")])
            .await;
        let record = |name: &str, state: &str, bytes, last| NodeRecord {
            name: name.to_owned(),
            created: at(7),
            state: state.as_bytes().to_vec(),
            bytes,
            last,
        };
        let nodes = opened.store.nodes(&jid(OWNER)).await.unwrap();
        assert_eq!(nodes, [record("a", "<a/>", 0, 0), record("b", "<new/>", 11, 2)]);

        let purge = Write::NodePurge { owner: jid(OWNER), node: "b".to_owned() };
        opened.write([put("a", "1", 3, "<x/>"), purge]).await;
        let nodes = opened.store.nodes(&jid(OWNER)).await.unwrap();
        assert_eq!(nodes, [record("a", "<a/>", 4, 3), record("b", "<new/>", 0, 0)]);

        opened.write([Write::NodeRemove { owner: jid(OWNER), node: "a".to_owned() }]).await;
        assert_eq!(opened.store.nodes(&jid(OWNER)).await.unwrap(), [record("b", "<new/>", 0, 0)]);
        assert!(home.ask("SELECT id FROM node_items").await.is_empty());
        assert_eq!(opened.store.nodes(&jid("bob@one.test")).await.unwrap().len(), 1);
    });
}

#[test]
fn items_are_in_the_order_in_which_they_were_published() {
    on_both(async |home| {
        let opened = home.open().await;
        opened.write([put("n", "c", 1, "<c/>"), put("n", "a", 2, "<a/>"), put("n", "b", 3, "<b/>")]).await;
        opened.write([put("n", "c", 4, "<other/>"), put("m", "c", 5, "<m/>")]).await;
        let sizes = opened.store.item_sizes(&jid(OWNER), "n").await.unwrap();
        assert_eq!(sizes, [("a".to_owned(), 4), ("b".to_owned(), 4), ("c".to_owned(), 8)]);
        let names = ["m".to_owned(), "none".to_owned(), "n".to_owned()];
        let last = opened.store.last_items(&jid(OWNER), &names).await.unwrap();
        let shown: Vec<_> =
            last.iter().map(|(node, item)| (node.as_str(), item.id.as_str(), item.seq)).collect();
        assert_eq!(shown, [("m", "c", 5), ("n", "c", 4)]);
        assert_eq!(last[1].1, NodeItem { id: "c".to_owned(), seq: 4, at: at(4), xml: b"<other/>".to_vec() });

        let remove = Write::ItemRemove { owner: jid(OWNER), node: "n".to_owned(), id: "b".to_owned() };
        opened.write([remove.clone(), remove]).await;
        assert_eq!(ids(&opened, "n", ItemsWanted::Newest(9), ROOM).await, ("a c".to_owned(), 0, 2, true));
    });
}

#[test]
fn pages_are_what_was_asked_for_as_far_as_it_fits() {
    on_both(async |home| {
        let opened = home.open().await;
        opened
            .write(
                ["a", "b", "c", "d", "e"]
                    .iter()
                    .zip(1..)
                    .map(|(id, seq)| put("n", id, seq, "<x/>"))
                    .collect::<Vec<_>>(),
            )
            .await;
        let some = |id: &str| Some(id.to_owned());
        let asked = [
            (ItemsWanted::Newest(2), ROOM, ("d e", 3, true)),
            (ItemsWanted::Newest(0), ROOM, ("", 5, true)),
            (ItemsWanted::Newest(usize::MAX), ROOM, ("a b c d e", 0, true)),
            (ItemsWanted::Newest(9), 9, ("d e", 3, false)),
            (ItemsWanted::After(None, 2), ROOM, ("a b", 0, true)),
            (ItemsWanted::After(some("b"), 2), ROOM, ("c d", 2, true)),
            (ItemsWanted::After(some("e"), usize::MAX), ROOM, ("", 5, true)),
            (ItemsWanted::After(None, 5), 1, ("a", 0, false)),
            (ItemsWanted::Before(None, 2), ROOM, ("d e", 3, true)),
            (ItemsWanted::Before(some("c"), 1), ROOM, ("b", 1, true)),
            (ItemsWanted::Before(some("d"), 9), 8, ("b c", 1, false)),
            (ItemsWanted::From(3, usize::MAX), ROOM, ("d e", 3, true)),
            (ItemsWanted::From(9, 1), ROOM, ("", 5, true)),
            (
                ItemsWanted::Named(vec!["d".to_owned(), "x".to_owned(), "a".to_owned()]),
                ROOM,
                ("a d", 0, true),
            ),
            (ItemsWanted::Named(vec!["d".to_owned(), "a".to_owned()]), 4, ("a", 0, false)),
        ];
        for (wanted, bytes_max, (shown, index, complete)) in asked {
            let found = ids(&opened, "n", wanted.clone(), bytes_max).await;
            assert_eq!(found, (shown.to_owned(), index, 5, complete), "{wanted:?}");
        }
        let gone = ItemsWanted::After(some("x"), 1);
        assert_eq!(opened.store.items(&jid(OWNER), "n", &gone, ROOM).await.unwrap(), None);
    });
}

/// Of a client that is as many things as it wants news of.
fn shown(wants: &[&str]) -> Capabilities {
    let identity = |node: &&str| (format!("a category of {node}"), String::new());
    Capabilities {
        wants: wants.iter().map(|node| (*node).to_owned()).collect(),
        identities: wants.iter().map(identity).collect(),
    }
}

#[test]
fn capabilities_are_known_once_one_has_proven_them() {
    on_both(async |home| {
        let opened = home.open().await;
        let keep = |ver: &str, wants: &[&str]| Write::CapabilitiesKeep {
            by: jid(OWNER),
            hash: "sha-1".to_owned(),
            ver: ver.to_owned(),
            at: at(1),
            shown: shown(wants),
        };
        opened.write([keep("a", &["urn:x", "urn:y"]), keep("b", &["old"]), keep("b", &[])]).await;
        let known = async |hash: &str, ver: &str| opened.store.capabilities(hash, ver).await.unwrap();
        until(async || known("sha-1", "b").await).await;
        assert_eq!(known("sha-1", "a").await, Some(shown(&["urn:x", "urn:y"])));
        assert_eq!(known("sha-1", "b").await, Some(Capabilities::default()));
        assert_eq!(known("sha-256", "a").await, None);
        assert_eq!(known("sha-1", "c").await, None);
    });
}

#[test]
fn capabilities_that_were_learnt_first_make_room() {
    on_both(async |home| {
        let opened = home.open().await;
        let keep = |number: u64| Write::CapabilitiesKeep {
            by: jid(OWNER),
            hash: "sha-1".to_owned(),
            ver: number.to_string(),
            at: at(number),
            shown: Capabilities::default(),
        };
        let last = store::CAPABILITIES_MAX + 2;
        opened.write((1..=last).map(keep).collect::<Vec<_>>()).await;
        let known =
            async |number: u64| opened.store.capabilities("sha-1", &number.to_string()).await.unwrap();
        until(async || known(last).await).await;
        assert!(known(1).await.is_none() && known(2).await.is_none());
        assert!(known(3).await.is_some() && known(last).await.is_some());
        let count = home.ask("SELECT CAST(COUNT(*) AS TEXT) FROM capabilities").await;
        assert_eq!(count, [[store::CAPABILITIES_MAX.to_string()]]);
    });
}
