//! What the store would keep of nodes, in memory; written from what its questions say, not from how it answers them.

use std::collections::BTreeMap;
use std::time::SystemTime;

use step::{Read, Returned};
use store::{ItemSize, ItemsFound, ItemsWanted, NodeItem, NodeRecord, Write};

/// A node that is kept.
#[derive(Debug, Clone)]
struct Kept {
    created: SystemTime,
    state: Vec<u8>,
    items: Vec<NodeItem>,
}

/// All that is kept of one account.
#[derive(Debug, Clone, Default)]
pub struct Shelf(BTreeMap<String, Kept>);

impl Shelf {
    /// Keeps what was written.
    ///
    /// # Panics
    /// When something is written of a node that is not there, or something else than nodes and items.
    pub fn keep(&mut self, write: Write) {
        match write {
            Write::NodePut { node, created, state, .. } => {
                let kept =
                    self.0.entry(node).or_insert(Kept { created, state: Vec::new(), items: Vec::new() });
                kept.state = state;
            }
            Write::NodeRemove { node, .. } => assert!(self.0.remove(&node).is_some(), "{node} was not there"),
            Write::NodePurge { node, .. } => self.node(&node).items.clear(),
            Write::ItemPut { node, item, .. } => {
                let items = &mut self.node(&node).items;
                assert!(items.iter().all(|other| other.seq < item.seq), "{node}: the order of publication");
                items.retain(|other| other.id != item.id);
                items.push(item);
            }
            Write::ItemRemove { node, id, .. } => {
                let items = &mut self.node(&node).items;
                assert!(items.iter().any(|item| item.id == id), "{node}: {id} was not there");
                items.retain(|item| item.id != id);
            }
            other => panic!("what is this? {other:?}"),
        }
    }

    fn node(&mut self, name: &str) -> &mut Kept {
        self.0.get_mut(name).unwrap_or_else(|| panic!("{name} was not there"))
    }

    /// The nodes, as they are loaded.
    pub fn records(&self) -> Vec<NodeRecord> {
        let record = |(name, kept): (&String, &Kept)| NodeRecord {
            name: name.clone(),
            created: kept.created,
            state: kept.state.clone(),
            bytes: kept.items.iter().map(|item| item.xml.len() as u64).sum(),
            last: kept.items.iter().map(|item| item.seq).max().unwrap_or_default(),
        };
        self.0.iter().map(record).collect()
    }

    /// The items of a node, in the order of their publication.
    pub fn items(&self, node: &str) -> &[NodeItem] {
        self.0.get(node).map_or(&[], |kept| kept.items.as_slice())
    }

    /// Answers a question.
    ///
    /// # Panics
    /// When it is no question about nodes.
    pub fn answer(&self, read: &Read) -> Returned {
        match read {
            Read::ItemSizes { node, .. } => Returned::ItemSizes(self.items(node).iter().map(size).collect()),
            Read::Items { node, wanted, bytes_max, .. } => {
                Returned::Items(found(self.items(node), wanted, *bytes_max))
            }
            Read::LastItems { nodes, .. } => {
                let last = |node: &String| Some((node.clone(), self.items(node).last()?.clone()));
                Returned::LastItems(nodes.iter().filter_map(last).collect())
            }
            other => panic!("what is this? {other:?}"),
        }
    }
}

fn size(item: &NodeItem) -> ItemSize {
    (item.id.clone(), item.xml.len() as u64)
}

/// A page. Nothing here comes near the bytes of one.
fn found(all: &[NodeItem], wanted: &ItemsWanted, bytes_max: u64) -> Option<ItemsFound> {
    assert!(all.iter().map(|item| item.xml.len() as u64).sum::<u64>() <= bytes_max);
    let place = |id: &String| all.iter().position(|item| item.id == *id);
    let page = |items: &[NodeItem], index| ItemsFound {
        items: items.to_vec(),
        index,
        count: all.len(),
        complete: true,
    };
    let first = |from: usize, max: usize| {
        let rest = &all[from.min(all.len())..];
        page(&rest[..max.min(rest.len())], from.min(all.len()))
    };
    let last = |to: usize, max: usize| {
        let from = to.saturating_sub(max);
        page(&all[from..to], from)
    };
    Some(match wanted {
        ItemsWanted::Named(ids) => {
            let named: Vec<_> = all.iter().filter(|item| ids.contains(&item.id)).cloned().collect();
            page(&named, 0)
        }
        ItemsWanted::Newest(max) | ItemsWanted::Before(None, max) => last(all.len(), *max),
        ItemsWanted::Before(Some(id), max) => last(place(id)?, *max),
        ItemsWanted::After(None, max) => first(0, *max),
        ItemsWanted::After(Some(id), max) => first(place(id)? + 1, *max),
        ItemsWanted::From(from, max) => first(*from, *max),
    })
}
