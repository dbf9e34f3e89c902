//! Small things of an account, by topic and key: blocklists, cards, private XML. Most features need no other table.

use std::collections::BTreeMap;

use xmpp::jid::BareJid;

use crate::accounts::{address, owned};
use crate::db::{About, Query, Row, Sink, Value};
use crate::error::StoreError;
use crate::store::Store;

/// Notes of one topic: keys and values, in the order of keys.
pub type Notes = Vec<(String, Vec<u8>)>;

impl Store {
    /// All notes of one topic: key and value, in the order of keys.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn notes(&self, owner: &BareJid, topic: &str) -> Result<Notes, StoreError> {
        const SQL: &str = "SELECT key, value FROM notes WHERE owner = $1 AND topic = $2 ORDER BY key";
        let rows =
            self.db().read(About::Account(owner), SQL, vec![owned(owner), topic.to_owned().into()]).await?;
        rows.into_iter().map(|mut row| Ok((row.text(0)?, row.blob(1)?))).collect()
    }

    /// All notes of an account: topic, key and value, in the order of topics and keys.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn all_notes(&self, owner: &BareJid) -> Result<Vec<(String, String, Vec<u8>)>, StoreError> {
        const SQL: &str = "SELECT topic, key, value FROM notes WHERE owner = $1 ORDER BY topic, key";
        let rows = self.db().read(About::Account(owner), SQL, vec![owned(owner)]).await?;
        rows.into_iter().map(|mut row| Ok((row.text(0)?, row.text(1)?, row.blob(2)?))).collect()
    }

    /// All notes of one topic, whoever owns them: owner, key and value. Every note is looked at: it is for the desk.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn notes_of_all(&self, topic: &str) -> Result<Vec<(BareJid, String, Vec<u8>)>, StoreError> {
        const SQL: &str = "SELECT owner, key, value FROM notes WHERE topic = $1 ORDER BY owner, key";
        let rows = self.db().read(About::Everybody, SQL, vec![topic.to_owned().into()]).await?;
        rows.into_iter().map(|mut row| Ok((address(&row.text(0)?)?, row.text(1)?, row.blob(2)?))).collect()
    }

    /// One note, if there is one.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn note(&self, owner: &BareJid, topic: &str, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        const SQL: &str = "SELECT value FROM notes WHERE owner = $1 AND topic = $2 AND key = $3";
        let values = vec![owned(owner), topic.to_owned().into(), key.to_owned().into()];
        let rows = self.db().read(About::Account(owner), SQL, values).await?;
        rows.into_iter().next().map(|mut row| row.blob(0)).transpose()
    }
}

/// How many topics are asked for at once.
pub(crate) const TOPICS: usize = 6;

pub(crate) fn of_topics(owner: &BareJid, topics: [&'static str; TOPICS]) -> Query {
    const SQL: &str = "SELECT topic, key, value FROM notes WHERE owner = $1 AND topic IN ($2, $3, $4, $5, $6, $7) \
         ORDER BY topic, key";
    let values = std::iter::once(owned(owner)).chain(topics.map(Value::from)).collect();
    Query { sql: SQL, values }
}

/// By their topics.
pub(crate) fn by_topic(rows: Vec<Row>) -> Result<BTreeMap<String, Notes>, StoreError> {
    let mut topics = BTreeMap::<_, Notes>::new();
    for mut row in rows {
        topics.entry(row.text(0)?).or_default().push((row.text(1)?, row.blob(2)?));
    }
    Ok(topics)
}

pub(crate) fn note(owner: &BareJid, topic: &str, key: &str, value: Option<&[u8]>, sink: &mut dyn Sink) {
    const PUT: &str = "INSERT INTO notes (owner, topic, key, value) VALUES ($1, $2, $3, $4) \
         ON CONFLICT (owner, topic, key) DO UPDATE SET value = excluded.value";
    const REMOVE: &str = "DELETE FROM notes WHERE owner = $1 AND topic = $2 AND key = $3";
    let (owner, topic, key) = (owner.as_str().into(), topic.into(), key.into());
    match value {
        Some(value) => sink.run(PUT, &[owner, topic, key, value.into()]),
        None => sink.run(REMOVE, &[owner, topic, key]),
    }
}

pub(crate) fn erase(account: &BareJid, sink: &mut dyn Sink) {
    sink.run("DELETE FROM notes WHERE owner = $1", &[account.as_str().into()]);
}
