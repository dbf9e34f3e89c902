//! All that the store has of an account and that its steps need, asked for at once.

use std::collections::BTreeMap;

use xmpp::jid::BareJid;

use crate::accounts::{self, AccountRecord, owned};
use crate::archive::{self, ArchiveState};
use crate::clients::{self, ClientRecord};
use crate::db::{About, Query, Row};
use crate::error::StoreError;
use crate::letters::{self, KeptLetter};
use crate::nodes::{self, ItemsSaying, NodeItem, NodeRecord};
use crate::notes::{self, Notes};
use crate::offline::{self, OfflineSize};
use crate::roster::{self, RosterItem};
use crate::sessions::{self, KeptSession};
use crate::store::Store;

/// What the store has of an address.
#[derive(Debug)]
pub struct Household {
    /// The account, if there is one.
    pub record: Option<AccountRecord>,
    /// The roster's version, and its contacts.
    pub roster: (u64, Vec<RosterItem>),
    /// Notes by their topics.
    pub notes: BTreeMap<String, Notes>,
    /// What it publishes.
    pub nodes: Vec<NodeRecord>,
    /// Those of its items that were asked for, the newest first.
    pub items: Vec<NodeItem>,
    /// How much waits.
    pub held: OfflineSize,
    /// Which clients have access.
    pub clients: Vec<ClientRecord>,
    /// How far the archive goes.
    pub archive: ArchiveState,
    /// Sessions that can be resumed, and those that are over.
    pub sessions: Vec<KeptSession>,
    /// Letters that have not been read.
    pub letters: Vec<KeptLetter>,
}

impl Store {
    /// All of an account, with its notes of these topics and these of its items.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn household(
        &self,
        owner: &BareJid,
        topics: [&'static str; notes::TOPICS],
        items: &ItemsSaying,
    ) -> Result<Household, StoreError> {
        let of = |sql| Query { sql, values: vec![owned(owner)] };
        let queries = vec![
            of(accounts::RECORD),
            of(roster::ROSTER),
            notes::of_topics(owner, topics),
            of(nodes::NODES),
            nodes::saying(owner, items),
            of(offline::SIZE),
            of(clients::CLIENTS),
            of(archive::STATE),
            of(sessions::SESSIONS),
            of(letters::LETTERS),
        ];
        let mut answers = self.db().read_all(About::Account(owner), queries).await?.into_iter();
        let mut next = || -> Vec<Row> { answers.next().unwrap_or_default() };
        Ok(Household {
            record: accounts::record(next())?,
            roster: roster::roster(next())?,
            notes: notes::by_topic(next())?,
            nodes: nodes::nodes(next())?,
            items: nodes::items(next())?,
            held: offline::size(next())?,
            clients: clients::clients(next())?,
            archive: archive::state(next())?,
            sessions: sessions::sessions(next())?,
            letters: letters::letters(owner, next())?,
        })
    }
}
