//! Streams that can be resumed (XEP-0198 §5): how each session is, how far both sides have counted, and what it is
//! owed.

use std::time::SystemTime;

use xmpp::jid::BareJid;

use crate::accounts::{address, owned};
use crate::db::{About, Row, Sink, instant, micros, number, signed};
use crate::error::StoreError;
use crate::store::Store;

/// Between the keys of sessions that share a stanza; no key holds it.
const BETWEEN_KEYS: char = ' ';

/// A session that can be resumed, or that is over and remembered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptSession {
    /// The stream's id, which nobody can guess.
    pub key: String,
    /// How the session is, in the words of whoever keeps it.
    pub state: Vec<u8>,
    /// How many of the client's stanzas have been handled.
    pub handled: u64,
    /// How many stanzas the client has acknowledged.
    pub acked: u64,
    /// When it was over; nothing is owed to it any more.
    pub over_at: Option<SystemTime>,
}

/// A stanza that a session was sent, or is to be sent, and has not acknowledged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwedStanza {
    /// Its number among all stanzas for the session.
    pub number: u64,
    /// When it came.
    pub at: SystemTime,
    /// The keys of other sessions that have it, too.
    pub shared: Vec<String>,
    /// The stanza.
    pub xml: Vec<u8>,
}

impl Store {
    /// The sessions of an account, in the order of their keys.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn sessions(&self, owner: &BareJid) -> Result<Vec<KeptSession>, StoreError> {
        sessions(self.db().read(About::Account(owner), SESSIONS, vec![owned(owner)]).await?)
    }

    /// What a session is owed, in order.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn owed(&self, owner: &BareJid, key: &str) -> Result<Vec<OwedStanza>, StoreError> {
        const SQL: &str =
            "SELECT number, at, shared, xml FROM owed WHERE owner = $1 AND session = $2 ORDER BY number";
        let rows =
            self.db().read(About::Account(owner), SQL, vec![owned(owner), key.to_owned().into()]).await?;
        rows.into_iter()
            .map(|mut row| {
                let shared = row.text(2)?;
                Ok(OwedStanza {
                    number: number(row.integer(0)?)?,
                    at: instant(row.integer(1)?)?,
                    shared: shared.split_terminator(BETWEEN_KEYS).map(str::to_owned).collect(),
                    xml: row.blob(3)?,
                })
            })
            .collect()
    }

    /// Everybody who has a session that can be resumed.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn session_owners(&self) -> Result<Vec<BareJid>, StoreError> {
        const SQL: &str = "SELECT DISTINCT owner FROM sessions WHERE over_at IS NULL ORDER BY owner";
        let rows = self.db().read(About::Everybody, SQL, Vec::new()).await?;
        rows.into_iter().map(|mut row| address(&row.text(0)?)).collect()
    }
}

pub(crate) const SESSIONS: &str =
    "SELECT key, state, handled, acked, over_at FROM sessions WHERE owner = $1 ORDER BY key";

pub(crate) fn sessions(rows: Vec<Row>) -> Result<Vec<KeptSession>, StoreError> {
    let session = |mut row: Row| {
        Ok(KeptSession {
            key: row.text(0)?,
            state: row.blob(1)?,
            handled: number(row.integer(2)?)?,
            acked: number(row.integer(3)?)?,
            over_at: row.maybe_integer(4)?.map(instant).transpose()?,
        })
    };
    rows.into_iter().map(session).collect()
}

pub(crate) fn put(owner: &BareJid, session: &KeptSession, sink: &mut dyn Sink) {
    const SQL: &str = "INSERT INTO sessions (owner, key, state, handled, acked, over_at) \
         VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (owner, key) DO UPDATE SET state = excluded.state, \
         handled = excluded.handled, acked = excluded.acked, over_at = excluded.over_at";
    let KeptSession { key, state, handled, acked, over_at } = session;
    let over_at = over_at.map(micros);
    sink.run(
        SQL,
        &[
            owner.as_str().into(),
            key.as_str().into(),
            state.as_slice().into(),
            signed(*handled).into(),
            signed(*acked).into(),
            over_at.into(),
        ],
    );
}

pub(crate) fn counted(owner: &BareJid, key: &str, handled: u64, acked: u64, sink: &mut dyn Sink) {
    const COUNT: &str = "UPDATE sessions SET handled = $1, acked = $2 WHERE owner = $3 AND key = $4";
    const DROP: &str = "DELETE FROM owed WHERE owner = $1 AND session = $2 AND number <= $3";
    sink.run(COUNT, &[signed(handled).into(), signed(acked).into(), owner.as_str().into(), key.into()]);
    sink.run(DROP, &[owner.as_str().into(), key.into(), signed(acked).into()]);
}

pub(crate) fn owe(owner: &BareJid, key: &str, owed: &OwedStanza, sink: &mut dyn Sink) {
    const SQL: &str = "INSERT INTO owed (owner, session, number, at, shared, xml) VALUES ($1, $2, $3, $4, $5, $6) \
         ON CONFLICT (owner, session, number) DO UPDATE SET at = excluded.at, shared = excluded.shared, \
         xml = excluded.xml";
    let shared = owed.shared.join(&BETWEEN_KEYS.to_string());
    sink.run(
        SQL,
        &[
            owner.as_str().into(),
            key.into(),
            signed(owed.number).into(),
            micros(owed.at).into(),
            shared.as_str().into(),
            owed.xml.as_slice().into(),
        ],
    );
}

pub(crate) fn owe_nothing(owner: &BareJid, key: &str, sink: &mut dyn Sink) {
    const SQL: &str = "DELETE FROM owed WHERE owner = $1 AND session = $2";
    sink.run(SQL, &[owner.as_str().into(), key.into()]);
}

pub(crate) fn forget(owner: &BareJid, key: &str, sink: &mut dyn Sink) {
    owe_nothing(owner, key, sink);
    const SQL: &str = "DELETE FROM sessions WHERE owner = $1 AND key = $2";
    sink.run(SQL, &[owner.as_str().into(), key.into()]);
}

pub(crate) fn erase(account: &BareJid, sink: &mut dyn Sink) {
    sink.run("DELETE FROM owed WHERE owner = $1", &[account.as_str().into()]);
    sink.run("DELETE FROM sessions WHERE owner = $1", &[account.as_str().into()]);
}
