//! Who has an account, the keys that prove it, and when it was last available.

use std::fmt;
use std::time::SystemTime;

use xmpp::jid::BareJid;

use crate::db::{About, Row, Sink, Value, instant, micros, number};
use crate::error::StoreError;
use crate::store::Store;

/// What is known of an account besides its keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountRecord {
    /// When it was made.
    pub created: SystemTime,
    /// When it was last available (XEP-0012 §4); never so far.
    pub seen_at: Option<SystemTime>,
    /// The text of its last unavailable presence.
    pub seen_status: Option<String>,
}

/// What proves that somebody owns an account: SCRAM keys, never a password (RFC 5802 §9).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Credentials {
    /// At most one set of keys for each hash.
    pub scram: Vec<(ScramHash, StoredKeys)>,
}

/// The hash of a SCRAM mechanism.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ScramHash {
    /// SCRAM-SHA-1 (RFC 5802).
    Sha1,
    /// SCRAM-SHA-256 (RFC 7677).
    Sha256,
    /// SCRAM-SHA-512 (XEP-0438).
    Sha512,
}

impl ScramHash {
    const ALL: [(ScramHash, &'static str); 3] = [
        (ScramHash::Sha1, "SCRAM-SHA-1"),
        (ScramHash::Sha256, "SCRAM-SHA-256"),
        (ScramHash::Sha512, "SCRAM-SHA-512"),
    ];

    /// The mechanism's name, which is also what the database holds.
    pub fn mechanism(self) -> &'static str {
        match self {
            ScramHash::Sha1 => "SCRAM-SHA-1",
            ScramHash::Sha256 => "SCRAM-SHA-256",
            ScramHash::Sha512 => "SCRAM-SHA-512",
        }
    }
}

/// One set of SCRAM keys (RFC 5802 §3).
#[derive(Clone, PartialEq, Eq)]
pub struct StoredKeys {
    /// The salt, as bytes.
    pub salt: Vec<u8>,
    /// Rounds of PBKDF2.
    pub iterations: u32,
    /// StoredKey.
    pub stored_key: Vec<u8>,
    /// ServerKey.
    pub server_key: Vec<u8>,
}

/// Without the keys.
impl fmt::Debug for StoredKeys {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "StoredKeys({} iterations)", self.iterations)
    }
}

pub(crate) const RECORD: &str = "SELECT created, seen_at, seen_status FROM accounts WHERE account = $1";

pub(crate) fn record(rows: Vec<Row>) -> Result<Option<AccountRecord>, StoreError> {
    let Some(mut row) = rows.into_iter().next() else { return Ok(None) };
    Ok(Some(AccountRecord {
        created: instant(row.integer(0)?)?,
        seen_at: row.maybe_integer(1)?.map(instant).transpose()?,
        seen_status: row.maybe_text(2)?,
    }))
}

impl Store {
    /// The account, if there is one.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn account(&self, account: &BareJid) -> Result<Option<AccountRecord>, StoreError> {
        record(self.db().read(About::Account(account), RECORD, vec![owned(account)]).await?)
    }

    /// The account's keys; `None` without such an account.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn credentials(&self, account: &BareJid) -> Result<Option<Credentials>, StoreError> {
        const SQL: &str = "SELECT k.hash, k.salt, k.iterations, k.stored_key, k.server_key \
             FROM accounts a LEFT JOIN account_keys k ON k.account = a.account \
             WHERE a.account = $1 ORDER BY k.hash";
        let rows = self.db().read(About::Account(account), SQL, vec![owned(account)]).await?;
        if rows.is_empty() {
            return Ok(None);
        }
        let mut scram = Vec::new();
        for mut row in rows {
            let Some(name) = row.maybe_text(0)? else { continue };
            // Keys for a mechanism of a later version are left alone.
            let Some((hash, _)) = ScramHash::ALL.iter().find(|(_, known)| *known == name) else { continue };
            let keys = StoredKeys {
                salt: row.blob(1)?,
                iterations: number(row.integer(2)?)?
                    .try_into()
                    .map_err(|_| StoreError::Corrupt("too many iterations".to_owned()))?,
                stored_key: row.blob(3)?,
                server_key: row.blob(4)?,
            };
            scram.push((*hash, keys));
        }
        scram.sort_by_key(|(hash, _)| *hash);
        Ok(Some(Credentials { scram }))
    }

    /// Addresses of a domain's accounts, in the order of their text: those after `after`, at most `limit`.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn accounts(
        &self,
        domain: &str,
        after: Option<&BareJid>,
        limit: usize,
    ) -> Result<Vec<BareJid>, StoreError> {
        const SQL: &str = "SELECT account FROM accounts WHERE domain = $1 AND account > $2 \
             ORDER BY account LIMIT $3";
        let after = after.map_or("", |after| after.as_str());
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let values = vec![domain.to_owned().into(), after.to_owned().into(), limit.into()];
        let rows = self.db().read(About::Everybody, SQL, values).await?;
        rows.into_iter().map(|mut row| address(&row.text(0)?)).collect()
    }

    /// How many accounts a domain has.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn account_count(&self, domain: &str) -> Result<u64, StoreError> {
        const SQL: &str = "SELECT COUNT(*) FROM accounts WHERE domain = $1";
        let rows = self.db().read(About::Everybody, SQL, vec![domain.to_owned().into()]).await?;
        match rows.into_iter().next() {
            Some(mut row) => number(row.integer(0)?),
            None => Ok(0),
        }
    }
}

/// An address as the key of a row.
pub(crate) fn owned(address: &BareJid) -> Value<'static> {
    address.as_str().to_owned().into()
}

/// An address out of a row.
pub(crate) fn address(text: &str) -> Result<BareJid, StoreError> {
    BareJid::new(text).map_err(|error| StoreError::Corrupt(format!("{text:?} is no address: {error}")))
}

/// Whoever creates an account has looked whether there is one; its entity's order keeps others from doing the same. A
/// second creation is a mistake in the server, then. It must neither overwrite a password nor cost everybody the group
/// that it is in, so it changes nothing.
pub(crate) fn create(account: &BareJid, credentials: &Credentials, at: SystemTime, sink: &mut dyn Sink) {
    // The keys first: the account that is there already is how they know.
    const KEYS: &str = "INSERT INTO account_keys (account, hash, salt, iterations, stored_key, server_key) \
         SELECT CAST($1 AS TEXT), $2, $3, $4, $5, $6 WHERE NOT EXISTS \
         (SELECT 1 FROM accounts WHERE account = $1) ON CONFLICT (account, hash) DO UPDATE SET \
         salt = excluded.salt, iterations = excluded.iterations, stored_key = excluded.stored_key, \
         server_key = excluded.server_key";
    const SQL: &str = "INSERT INTO accounts (account, domain, created) VALUES ($1, $2, $3) \
         ON CONFLICT (account) DO NOTHING";
    keep_keys(account, credentials, KEYS, sink);
    sink.run(SQL, &[account.as_str().into(), account.domain().into(), micros(at).into()]);
}

/// Keys are those of an account: without one, none are kept.
pub(crate) fn change_credentials(account: &BareJid, credentials: &Credentials, sink: &mut dyn Sink) {
    const FORGET: &str = "DELETE FROM account_keys WHERE account = $1";
    const KEYS: &str = "INSERT INTO account_keys (account, hash, salt, iterations, stored_key, server_key) \
         SELECT CAST($1 AS TEXT), $2, $3, $4, $5, $6 WHERE EXISTS \
         (SELECT 1 FROM accounts WHERE account = $1) ON CONFLICT (account, hash) DO UPDATE SET \
         salt = excluded.salt, iterations = excluded.iterations, stored_key = excluded.stored_key, \
         server_key = excluded.server_key";
    sink.run(FORGET, &[account.as_str().into()]);
    keep_keys(account, credentials, KEYS, sink);
}

/// Keys of the password that the account still has.
pub(crate) fn add_keys(
    account: &BareJid,
    credentials: &Credentials,
    proven: &(ScramHash, Vec<u8>),
    sink: &mut dyn Sink,
) {
    const SQL: &str = "INSERT INTO account_keys (account, hash, salt, iterations, stored_key, server_key) \
         SELECT CAST($1 AS TEXT), $2, $3, $4, $5, $6 WHERE EXISTS \
         (SELECT 1 FROM account_keys WHERE account = $1 AND hash = $7 AND stored_key = $8) \
         ON CONFLICT (account, hash) DO UPDATE SET \
         salt = excluded.salt, iterations = excluded.iterations, stored_key = excluded.stored_key, \
         server_key = excluded.server_key";
    let (hash, stored_key) = proven;
    // Those that prove it go last: they may be replaced as well.
    let (last, first): (Vec<_>, Vec<_>) = credentials.scram.iter().partition(|(other, _)| other == hash);
    for (other, keys) in first.into_iter().chain(last) {
        sink.run(
            SQL,
            &[
                account.as_str().into(),
                other.mechanism().into(),
                keys.salt.as_slice().into(),
                i64::from(keys.iterations).into(),
                keys.stored_key.as_slice().into(),
                keys.server_key.as_slice().into(),
                hash.mechanism().into(),
                stored_key.as_slice().into(),
            ],
        );
    }
}

fn keep_keys(account: &BareJid, credentials: &Credentials, sql: &'static str, sink: &mut dyn Sink) {
    for (hash, keys) in &credentials.scram {
        sink.run(
            sql,
            &[
                account.as_str().into(),
                hash.mechanism().into(),
                keys.salt.as_slice().into(),
                i64::from(keys.iterations).into(),
                keys.stored_key.as_slice().into(),
                keys.server_key.as_slice().into(),
            ],
        );
    }
}

pub(crate) fn seen(account: &BareJid, at: SystemTime, status: Option<&str>, sink: &mut dyn Sink) {
    const SQL: &str = "UPDATE accounts SET seen_at = $1, seen_status = $2 WHERE account = $3";
    sink.run(SQL, &[micros(at).into(), status.into(), account.as_str().into()]);
}

pub(crate) fn erase(account: &BareJid, sink: &mut dyn Sink) {
    sink.run("DELETE FROM account_keys WHERE account = $1", &[account.as_str().into()]);
    sink.run("DELETE FROM accounts WHERE account = $1", &[account.as_str().into()]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_hash_has_its_own_name() {
        for (hash, name) in ScramHash::ALL {
            assert_eq!(hash.mechanism(), name);
        }
    }

    #[test]
    fn keys_are_not_shown() {
        let keys = StoredKeys { salt: vec![1], iterations: 2, stored_key: vec![3], server_key: vec![4] };
        assert_eq!(format!("{keys:?}"), "StoredKeys(2 iterations)");
    }
}
