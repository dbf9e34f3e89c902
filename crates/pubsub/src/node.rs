//! The nodes of an account, without their items: how each is configured, who has a word in it, how much is in it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::SystemTime;

use step::domain::Limits;
use store::{NodeRecord, Write};
use xmpp::form::{Form, FormType};
use xmpp::jid::{BareJid, Jid};
use xmpp::ns;
use xmpp::xml::{self, Element};

use crate::config::Config;

/// The namespace of a node's state in the store; it is seen nowhere else.
const STATE: &str = "urn:waxwing:node:0";

/// The largest state that is read: a configuration, and all addresses that there may be.
const STATE_LIMITS: xml::Limits = xml::Limits {
    stanza_bytes: 16 << 20,
    tag_bytes: 64 << 10,
    depth: 8,
    attributes: 16,
    elements: 10_000,
    namespaces: 16,
};

/// Addresses that have an affiliation with one node.
pub const AFFILIATIONS_MAX: usize = 1_000;
/// Addresses that have subscribed to one node.
pub const SUBSCRIBERS_MAX: usize = 1_000;
/// Of these, addresses of one account: nobody alone takes the place of others.
pub const SUBSCRIBERS_OF_ONE: usize = 10;

/// Bytes of what is kept of all nodes of one account besides their items: names, configurations, addresses. All of it
/// is in memory as long as the account is, and the part of one node is written anew with each change.
pub const STATES_BYTES_MAX: usize = 1 << 20;
/// Bytes that each address costs besides its text.
const ADDRESS_BYTES: usize = 64;

/// What somebody other than the owner is to a node (XEP-0060 §4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Affiliation {
    /// May see it, whoever else may.
    Member,
    /// May not, whoever else may.
    Outcast,
}

impl Affiliation {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Affiliation::Member => "member",
            Affiliation::Outcast => "outcast",
        }
    }

    pub(crate) fn read(name: &str) -> Option<Affiliation> {
        [Affiliation::Member, Affiliation::Outcast].into_iter().find(|known| known.name() == name)
    }
}

/// A node.
#[derive(Debug, Clone)]
pub struct Node {
    /// When it was made.
    pub created: SystemTime,
    /// How it is configured.
    pub config: Config,
    /// Who is what to it, besides the owner.
    pub affiliations: BTreeMap<BareJid, Affiliation>,
    /// Who has subscribed to it.
    pub subscribers: BTreeSet<Jid>,
    /// Bytes of its items.
    pub bytes: u64,
}

impl Node {
    /// A node without items.
    pub fn new(created: SystemTime, config: Config) -> Self {
        Node { created, config, affiliations: BTreeMap::new(), subscribers: BTreeSet::new(), bytes: 0 }
    }

    /// Bytes of what is kept of it besides its items.
    fn state_bytes(&self, name: &str) -> usize {
        let config = &self.config;
        let texts = [&config.title, &config.description, &config.type_].into_iter().chain(&config.groups);
        let members = self.affiliations.keys().map(|jid| jid.as_str().len() + ADDRESS_BYTES);
        let subscribers = self.subscribers.iter().map(|jid| jid.as_str().len() + ADDRESS_BYTES);
        name.len() + texts.map(String::len).sum::<usize>() + members.chain(subscribers).sum::<usize>()
    }

    /// As it is to be kept.
    pub fn put(&self, owner: &BareJid, name: &str) -> Write {
        let affiliations = self.affiliations.iter().map(|(jid, affiliation)| {
            Element::new(STATE, "affiliation")
                .with_attr("jid", jid.as_str())
                .with_attr("affiliation", affiliation.name())
        });
        let subscribers = self
            .subscribers
            .iter()
            .map(|jid| Element::new(STATE, "subscriber").with_attr("jid", jid.as_str()));
        let mut form = self.config.form(FormType::Submit);
        form.fields.iter_mut().for_each(|field| {
            (field.label, field.options) = (None, Vec::new());
        });
        let state = Element::new(STATE, "node")
            .with_child(form.to_element())
            .with_children(affiliations)
            .with_children(subscribers);
        Write::NodePut {
            owner: owner.clone(),
            node: name.to_owned(),
            created: self.created,
            state: state.to_xml().into_bytes(),
        }
    }

    /// As it was kept; what cannot be read of it is as it is by default.
    fn read(record: &NodeRecord, limits: &Limits) -> Node {
        let mut node = Node::new(record.created, Config::default());
        node.bytes = record.bytes;
        let Ok(state) = xml::parse(&record.state, STATE_LIMITS) else { return node };
        let form = state.child(ns::FORMS, "x").and_then(Form::read);
        for field in form.iter().flat_map(|form| &form.fields) {
            // A limit may have become narrower since.
            let _ = node.config.set(field, limits);
        }
        for child in state.children() {
            let (jid, affiliation) = (child.attr("jid"), child.attr("affiliation"));
            match (child.name(), jid, affiliation.and_then(Affiliation::read)) {
                ("affiliation", Some(jid), Some(affiliation)) => {
                    node.affiliations.extend(BareJid::new(jid).ok().map(|jid| (jid, affiliation)));
                }
                ("subscriber", Some(jid), _) => node.subscribers.extend(Jid::new(jid)),
                _ => {}
            }
        }
        node
    }
}

/// All nodes of an account.
#[derive(Debug, Default)]
pub struct Nodes {
    all: BTreeMap<Arc<str>, Node>,
    /// The number of the item that was published last.
    last: u64,
}

impl Nodes {
    /// As the store keeps them.
    pub fn load(records: Vec<NodeRecord>, limits: &Limits) -> Self {
        let last = records.iter().map(|record| record.last).max().unwrap_or_default();
        let all = records.iter().map(|record| (record.name.as_str().into(), Node::read(record, limits)));
        Nodes { all: all.collect(), last }
    }

    /// The node of this name.
    pub fn find(&self, name: &str) -> Option<&Node> {
        self.all.get(name)
    }

    /// The same, to be changed.
    pub fn find_mut(&mut self, name: &str) -> Option<&mut Node> {
        self.all.get_mut(name)
    }

    /// All of them, by their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Node)> {
        self.all.iter().map(|(name, node)| (name.as_ref(), node))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Bytes of all items.
    pub fn bytes(&self) -> u64 {
        self.all.values().map(|node| node.bytes).sum()
    }

    /// Whether a node may become like this one. What takes no more than it did always may.
    pub(crate) fn have_room(&self, name: &str, node: &Node) -> bool {
        let before = self.find(name).map_or(0, |node| node.state_bytes(name));
        let after = node.state_bytes(name);
        let all: usize = self.iter().map(|(name, node)| node.state_bytes(name)).sum();
        after <= before || all - before + after <= STATES_BYTES_MAX
    }

    pub(crate) fn add(&mut self, name: &str, node: Node) {
        self.all.insert(name.into(), node);
    }

    pub(crate) fn remove(&mut self, name: &str) -> Option<Node> {
        self.all.remove(name)
    }

    /// The number of the item that is published next.
    pub(crate) fn next(&mut self) -> u64 {
        self.last += 1;
        self.last
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_of_nodes_has_an_end() {
        let mut nodes = Nodes::default();
        let mut node = Node::new(SystemTime::UNIX_EPOCH, Config::default());
        let jid = |number: usize| BareJid::new(&format!("{number}@{}.test", "x".repeat(50)));
        for number in 0..AFFILIATIONS_MAX {
            node.affiliations.extend(jid(number).map(|jid| (jid, Affiliation::Outcast)));
        }
        while nodes.have_room(&nodes.len().to_string(), &node) {
            let name = nodes.len().to_string();
            nodes.add(&name, node.clone());
        }
        let bytes: usize = nodes.iter().map(|(name, node)| node.state_bytes(name)).sum();
        assert!(bytes <= STATES_BYTES_MAX && bytes + node.state_bytes("00") > STATES_BYTES_MAX);
        // What is there may stay and become less, but not more.
        let mut more = node.clone();
        more.config.title = "x".repeat(STATES_BYTES_MAX - bytes + 1);
        assert!(nodes.have_room("0", &node) && !nodes.have_room("0", &more));
        more.config.title.pop();
        assert!(nodes.have_room("0", &more));
        nodes.add("0", more.clone());
        assert!(nodes.have_room("0", &node) && nodes.have_room("0", &more));
        assert!(!nodes.have_room("new", &Node::new(SystemTime::UNIX_EPOCH, Config::default())));
    }
}
