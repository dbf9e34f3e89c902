//! What people publish (XEP-0060): nodes with their configuration, and items in the order of their publication.

use std::time::SystemTime;

use xmpp::jid::BareJid;

use crate::accounts::owned;
use crate::db::{About, Query, Row, Sink, Value, instant, micros, number, signed};
use crate::error::StoreError;
use crate::store::Store;

/// A node, and how much is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeRecord {
    /// Its name.
    pub name: String,
    /// When it was made.
    pub created: SystemTime,
    /// Its configuration and affiliations, as whoever wrote them reads them.
    pub state: Vec<u8>,
    /// Bytes of its items.
    pub bytes: u64,
    /// The number of the item that was published last; 0: there is none.
    pub last: u64,
}

/// An item of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeItem {
    /// Its id.
    pub id: String,
    /// Its place in the owner's order of publication.
    pub seq: u64,
    /// When it was published.
    pub at: SystemTime,
    /// What was published.
    pub xml: Vec<u8>,
}

/// Which items of a node are wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ItemsWanted {
    /// Those with these ids.
    Named(Vec<String>),
    /// At most so many: the ones that were published last.
    Newest(usize),
    /// At most so many behind the one with this id; from the first one if none is named.
    After(Option<String>, usize),
    /// At most so many before the one with this id; up to the last one if none is named.
    Before(Option<String>, usize),
    /// At most so many from this place on; the first one is at 0.
    From(usize, usize),
}

/// Items of a node, in the order of their publication.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ItemsFound {
    /// Those that were found, as far as they fit.
    pub items: Vec<NodeItem>,
    /// The place of the first one among all.
    pub index: usize,
    /// How many there are in all.
    pub count: usize,
    /// Whether all that was wanted is here.
    pub complete: bool,
}

/// Items that are read with an account: of one node, those in which something is said.
#[derive(Debug, Clone, Copy)]
pub struct ItemsSaying {
    /// The node's name.
    pub node: &'static str,
    /// What is said in them somewhere; it holds neither `%` nor `_` nor `\`.
    pub text: &'static str,
    /// Bytes of one; those that are larger are left out.
    pub bytes_max: u64,
    /// At most so many: the ones that were published last.
    pub items_max: u64,
}

/// How much there is of an item: its id, and its bytes.
pub type ItemSize = (String, u64);

impl Store {
    /// The nodes of an account by their names.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn nodes(&self, owner: &BareJid) -> Result<Vec<NodeRecord>, StoreError> {
        nodes(self.db().read(About::Account(owner), NODES, vec![owned(owner)]).await?)
    }

    /// The ids and bytes of all items of a node, in the order of their publication.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn item_sizes(&self, owner: &BareJid, node: &str) -> Result<Vec<ItemSize>, StoreError> {
        let sizes = self.index(owner, node).await?;
        Ok(sizes.into_iter().map(|(_, id, bytes)| (id, bytes)).collect())
    }

    /// Items of a node, of not much more than `bytes_max` bytes in all; nothing if the one that is named as the end of
    /// a page is not there.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn items(
        &self,
        owner: &BareJid,
        node: &str,
        wanted: &ItemsWanted,
        bytes_max: u64,
    ) -> Result<Option<ItemsFound>, StoreError> {
        const SQL: &str = "SELECT id, seq, at, xml FROM node_items \
             WHERE owner = $1 AND node = $2 AND seq >= $3 AND seq <= $4 ORDER BY seq";
        let index = self.index(owner, node).await?;
        if let ItemsWanted::Named(ids) = wanted {
            return Ok(Some(self.named(owner, node, ids, &index, bytes_max).await?));
        }
        let Some((mut from, mut to)) = window(&index, wanted) else { return Ok(None) };
        let from_the_end = matches!(wanted, ItemsWanted::Newest(_) | ItemsWanted::Before(..));
        let (all, mut bytes): (_, u64) = (to - from, index[from..to].iter().map(|(.., bytes)| bytes).sum());
        while bytes > bytes_max && to - from > 1 {
            let left_out = if from_the_end { from } else { to - 1 };
            bytes -= index[left_out].2;
            if from_the_end { from += 1 } else { to -= 1 }
        }
        let mut found = ItemsFound {
            index: from,
            count: index.len(),
            complete: to - from == all,
            ..ItemsFound::default()
        };
        if let [(first, ..), ..] = index[from..to] {
            let last = index[to - 1].0;
            let values =
                vec![owned(owner), node.to_owned().into(), signed(first).into(), signed(last).into()];
            let rows = self.db().read(About::TheSame, SQL, values).await?;
            found.items = rows.into_iter().map(item).collect::<Result<_, _>>()?;
        }
        Ok(Some(found))
    }

    /// Items by their ids; of the same id one only.
    async fn named(
        &self,
        owner: &BareJid,
        node: &str,
        ids: &[String],
        index: &[(u64, String, u64)],
        bytes_max: u64,
    ) -> Result<ItemsFound, StoreError> {
        const SQL: &str =
            "SELECT id, seq, at, xml FROM node_items WHERE owner = $1 AND node = $2 AND id = $3";
        let (mut bytes, mut queries, mut complete) = (0, Vec::new(), true);
        for (_, id, size) in index.iter().filter(|(_, id, _)| ids.contains(id)) {
            bytes += size;
            if bytes > bytes_max && !queries.is_empty() {
                complete = false;
                break;
            }
            let values = vec![owned(owner), node.to_owned().into(), id.clone().into()];
            queries.push(Query { sql: SQL, values });
        }
        let answers = self.db().read_all(About::TheSame, queries).await?;
        let items = answers.into_iter().flatten().map(item).collect::<Result<_, _>>()?;
        Ok(ItemsFound { items, index: 0, count: index.len(), complete })
    }

    /// The item that was published last in each of these nodes, with the node's name.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn last_items(
        &self,
        owner: &BareJid,
        nodes: &[String],
    ) -> Result<Vec<(String, NodeItem)>, StoreError> {
        const SQL: &str = "SELECT id, seq, at, xml FROM node_items WHERE owner = $1 AND node = $2 \
             ORDER BY seq DESC LIMIT 1";
        let query = |node: &String| Query { sql: SQL, values: vec![owned(owner), node.clone().into()] };
        let answers = self.db().read_all(About::Account(owner), nodes.iter().map(query).collect()).await?;
        let named = nodes.iter().cloned().zip(answers);
        named
            .filter_map(|(node, rows)| Some(rows.into_iter().next().map(item)?.map(|item| (node, item))))
            .collect()
    }

    /// The places, ids and bytes of all items of a node, in the order of their publication.
    async fn index(&self, owner: &BareJid, node: &str) -> Result<Vec<(u64, String, u64)>, StoreError> {
        const SQL: &str = "SELECT seq, id, bytes FROM node_items WHERE owner = $1 AND node = $2 ORDER BY seq";
        let rows =
            self.db().read(About::Account(owner), SQL, vec![owned(owner), node.to_owned().into()]).await?;
        let one = |mut row: Row| Ok((number(row.integer(0)?)?, row.text(1)?, number(row.integer(2)?)?));
        rows.into_iter().map(one).collect()
    }
}

/// From which place to which the wanted items are; nothing if the one that is named is not there.
fn window(index: &[(u64, String, u64)], wanted: &ItemsWanted) -> Option<(usize, usize)> {
    let count = index.len();
    let place = |id: &str| index.iter().position(|(_, other, _)| other == id);
    Some(match wanted {
        ItemsWanted::Named(_) => (0, 0),
        ItemsWanted::Newest(max) | ItemsWanted::Before(None, max) => (count.saturating_sub(*max), count),
        ItemsWanted::Before(Some(id), max) => {
            let to = place(id)?;
            (to.saturating_sub(*max), to)
        }
        ItemsWanted::After(None, max) => (0, count.min(*max)),
        ItemsWanted::After(Some(id), max) => {
            let from = place(id)? + 1;
            (from, count.min(from.saturating_add(*max)))
        }
        ItemsWanted::From(from, max) => {
            let from = count.min(*from);
            (from, count.min(from.saturating_add(*max)))
        }
    })
}

fn item(mut row: Row) -> Result<NodeItem, StoreError> {
    Ok(NodeItem {
        id: row.text(0)?,
        seq: number(row.integer(1)?)?,
        at: instant(row.integer(2)?)?,
        xml: row.blob(3)?,
    })
}

/// All nodes of an account, and how much is in each.
pub(crate) const NODES: &str = "SELECT n.node, n.created_at, n.state, \
     CAST(COALESCE((SELECT SUM(i.bytes) FROM node_items i WHERE i.owner = n.owner AND i.node = n.node), 0) AS BIGINT), \
     COALESCE((SELECT MAX(i.seq) FROM node_items i WHERE i.owner = n.owner AND i.node = n.node), 0) \
     FROM nodes n WHERE n.owner = $1 ORDER BY n.node";

pub(crate) fn nodes(rows: Vec<Row>) -> Result<Vec<NodeRecord>, StoreError> {
    let one = |mut row: Row| {
        Ok(NodeRecord {
            name: row.text(0)?,
            created: instant(row.integer(1)?)?,
            state: row.blob(2)?,
            bytes: number(row.integer(3)?)?,
            last: number(row.integer(4)?)?,
        })
    };
    rows.into_iter().map(one).collect()
}

pub(crate) fn saying(owner: &BareJid, wanted: &ItemsSaying) -> Query {
    const SQL: &str = "SELECT id, seq, at, xml FROM node_items \
         WHERE owner = $1 AND node = $2 AND bytes <= $3 AND xml LIKE $4 ORDER BY seq DESC LIMIT $5";
    let values = vec![
        owned(owner),
        wanted.node.into(),
        signed(wanted.bytes_max).into(),
        Value::Blob(format!("%{}%", wanted.text).into_bytes().into()),
        signed(wanted.items_max).into(),
    ];
    Query { sql: SQL, values }
}

pub(crate) fn items(rows: Vec<Row>) -> Result<Vec<NodeItem>, StoreError> {
    rows.into_iter().map(item).collect()
}

pub(crate) fn put(owner: &BareJid, node: &str, created: SystemTime, state: &[u8], sink: &mut dyn Sink) {
    const SQL: &str = "INSERT INTO nodes (owner, node, created_at, state) VALUES ($1, $2, $3, $4) \
         ON CONFLICT (owner, node) DO UPDATE SET state = excluded.state";
    sink.run(SQL, &[owner.as_str().into(), node.into(), micros(created).into(), state.into()]);
}

pub(crate) fn remove(owner: &BareJid, node: &str, sink: &mut dyn Sink) {
    let values: [Value<'_>; 2] = [owner.as_str().into(), node.into()];
    sink.run("DELETE FROM node_items WHERE owner = $1 AND node = $2", &values);
    sink.run("DELETE FROM nodes WHERE owner = $1 AND node = $2", &values);
}

pub(crate) fn purge(owner: &BareJid, node: &str, sink: &mut dyn Sink) {
    sink.run("DELETE FROM node_items WHERE owner = $1 AND node = $2", &[owner.as_str().into(), node.into()]);
}

pub(crate) fn put_item(owner: &BareJid, node: &str, item: &NodeItem, sink: &mut dyn Sink) {
    const SQL: &str = "INSERT INTO node_items (owner, node, id, seq, at, bytes, xml) \
         VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (owner, node, id) DO UPDATE SET seq = excluded.seq, \
         at = excluded.at, bytes = excluded.bytes, xml = excluded.xml";
    let values = [
        owner.as_str().into(),
        node.into(),
        item.id.as_str().into(),
        signed(item.seq).into(),
        micros(item.at).into(),
        signed(item.xml.len() as u64).into(),
        item.xml.as_slice().into(),
    ];
    sink.run(SQL, &values);
}

pub(crate) fn remove_item(owner: &BareJid, node: &str, id: &str, sink: &mut dyn Sink) {
    const SQL: &str = "DELETE FROM node_items WHERE owner = $1 AND node = $2 AND id = $3";
    sink.run(SQL, &[owner.as_str().into(), node.into(), id.into()]);
}

pub(crate) fn erase(account: &BareJid, sink: &mut dyn Sink) {
    sink.run("DELETE FROM node_items WHERE owner = $1", &[account.as_str().into()]);
    sink.run("DELETE FROM nodes WHERE owner = $1", &[account.as_str().into()]);
}
