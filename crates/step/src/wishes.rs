//! What a session's client has shown that it can do (XEP-0115): what it is, and what news it wants (XEP-0060 §9.2).

use std::sync::Arc;

/// Names of nodes whose news are wanted, sorted. All that tell the same capabilities share one list.
pub type Wanted = Arc<[Arc<str>]>;

/// What a client's presence says of its capabilities (XEP-0115 §4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// The name of the hash function.
    pub hash: String,
    /// The node, which names the software.
    pub node: String,
    /// The hash.
    pub ver: String,
}

/// What a client is (XEP-0030 §3.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Its category, such as `client`.
    pub category: String,
    /// Its type in that, such as `phone`.
    pub type_: String,
}

/// What clients have shown; all that tell the same capabilities share it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Shown {
    /// What news they want.
    pub wanted: Wanted,
    /// What they are.
    pub identities: Arc<[Identity]>,
}

/// What is known of a session's wishes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Wishes {
    /// It has told nothing, or nothing that holds.
    #[default]
    None,
    /// The store is asked whether what it tells is known.
    Looked(Box<Told>),
    /// Its client is asked, with a request of this id.
    Asked(Box<Told>, String),
    /// It has shown this.
    Known(Box<Told>, Shown),
}

impl Wishes {
    /// What its presence has told.
    pub fn told(&self) -> Option<&Told> {
        match self {
            Wishes::None => None,
            Wishes::Looked(told) | Wishes::Asked(told, _) | Wishes::Known(told, _) => Some(told),
        }
    }

    /// What it wants.
    pub fn wanted(&self) -> Option<&Wanted> {
        match self {
            Wishes::Known(_, shown) => Some(&shown.wanted),
            _ => None,
        }
    }

    /// What its client is; nothing if that is not known.
    pub fn identities(&self) -> &[Identity] {
        match self {
            Wishes::Known(_, shown) => &shown.identities,
            _ => &[],
        }
    }

    /// Whether it wants news of this node.
    pub fn wants(&self, node: &str) -> bool {
        self.wanted().is_some_and(|wanted| wanted.binary_search_by(|other| (**other).cmp(node)).is_ok())
    }
}

/// Somebody's session, new or with new wishes, wants the last news of nodes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    /// Its address.
    pub from: xmpp::jid::FullJid,
    /// The nodes.
    pub wanted: Wanted,
}
