//! Clients that have logged in to an account, and the tokens that let them in again.

use std::time::SystemTime;

use xmpp::jid::BareJid;

use crate::accounts::owned;
use crate::db::{About, Row, Sink, Value, instant, micros, number, signed};
use crate::error::StoreError;
use crate::store::Store;

/// A client on one device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientRecord {
    /// The id of its user agent (XEP-0388 §2.3).
    pub id: String,
    /// What it is called towards others (XEP-0494 §3.1).
    pub handle: String,
    /// When it logged in for the first time.
    pub first_seen: SystemTime,
    /// When it was last seen to log in.
    pub last_seen: SystemTime,
    /// The software, if it is known.
    pub software: Option<String>,
    /// The device, if it is known.
    pub device: Option<String>,
    /// Whether it has shown the account's present password.
    pub by_password: bool,
    /// Whether it has shown a certificate.
    pub by_certificate: bool,
    /// The token that it uses.
    pub current: Option<TokenRecord>,
    /// The token that takes its place once it is used (XEP-0484 §5.1).
    pub next: Option<TokenRecord>,
}

/// What is kept of a token: not the token itself, but what it can be derived from with the server's secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenRecord {
    /// What it is derived from.
    pub seed: String,
    /// The mechanism that it was given for, by its name.
    pub mechanism: String,
    /// When its time is over.
    pub expires: SystemTime,
    /// The greatest count with which it has been used, if its client counts (XEP-0484 §3.4).
    pub count: Option<u32>,
}

const COLUMNS: usize = 8;

impl Store {
    /// The clients of an account, in the order of their ids.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn clients(&self, account: &BareJid) -> Result<Vec<ClientRecord>, StoreError> {
        clients(self.db().read(About::Account(account), CLIENTS, vec![owned(account)]).await?)
    }
}

pub(crate) const CLIENTS: &str = "SELECT client, handle, first_seen, last_seen, software, device, by_password, \
     by_certificate, current_seed, current_mechanism, current_expires, current_count, next_seed, \
     next_mechanism, next_expires, next_count FROM clients WHERE account = $1 ORDER BY client";

pub(crate) fn clients(rows: Vec<Row>) -> Result<Vec<ClientRecord>, StoreError> {
    rows.into_iter().map(client).collect()
}

fn client(mut row: Row) -> Result<ClientRecord, StoreError> {
    Ok(ClientRecord {
        id: row.text(0)?,
        handle: row.text(1)?,
        first_seen: instant(row.integer(2)?)?,
        last_seen: instant(row.integer(3)?)?,
        software: row.maybe_text(4)?,
        device: row.maybe_text(5)?,
        by_password: row.integer(6)? != 0,
        by_certificate: row.integer(7)? != 0,
        current: token(&mut row, COLUMNS)?,
        next: token(&mut row, COLUMNS + 4)?,
    })
}

/// The token in the four columns from this one on.
fn token(row: &mut Row, at: usize) -> Result<Option<TokenRecord>, StoreError> {
    let Some(seed) = row.maybe_text(at)? else { return Ok(None) };
    let count = row.maybe_integer(at + 3)?.map(number).transpose()?.map(u32::try_from).transpose();
    Ok(Some(TokenRecord {
        seed,
        mechanism: row.text(at + 1)?,
        expires: instant(row.integer(at + 2)?)?,
        count: count.map_err(|_| StoreError::Corrupt("a token was used too often".to_owned()))?,
    }))
}

/// A client is as it says here. It is one of an account: without that, nothing is kept.
pub(crate) fn put(account: &BareJid, client: &ClientRecord, sink: &mut dyn Sink) {
    const SQL: &str = "INSERT INTO clients (account, client, handle, first_seen, last_seen, software, device, \
         by_password, by_certificate, current_seed, current_mechanism, current_expires, current_count, next_seed, \
         next_mechanism, next_expires, next_count) \
         SELECT CAST($1 AS TEXT), $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17 \
         WHERE EXISTS (SELECT 1 FROM accounts WHERE account = $1) \
         ON CONFLICT (account, client) DO UPDATE SET handle = excluded.handle, \
         first_seen = excluded.first_seen, last_seen = excluded.last_seen, software = excluded.software, \
         device = excluded.device, by_password = excluded.by_password, by_certificate = excluded.by_certificate, \
         current_seed = excluded.current_seed, current_mechanism = excluded.current_mechanism, \
         current_expires = excluded.current_expires, current_count = excluded.current_count, \
         next_seed = excluded.next_seed, next_mechanism = excluded.next_mechanism, \
         next_expires = excluded.next_expires, next_count = excluded.next_count";
    let [current_seed, current_mechanism, current_expires, current_count] = columns(client.current.as_ref());
    let [next_seed, next_mechanism, next_expires, next_count] = columns(client.next.as_ref());
    let values = [
        account.as_str().into(),
        client.id.as_str().into(),
        client.handle.as_str().into(),
        micros(client.first_seen).into(),
        micros(client.last_seen).into(),
        client.software.as_deref().into(),
        client.device.as_deref().into(),
        i64::from(client.by_password).into(),
        i64::from(client.by_certificate).into(),
        current_seed,
        current_mechanism,
        current_expires,
        current_count,
        next_seed,
        next_mechanism,
        next_expires,
        next_count,
    ];
    sink.run(SQL, &values);
}

fn columns(token: Option<&TokenRecord>) -> [Value<'_>; 4] {
    [
        token.map(|token| token.seed.as_str()).into(),
        token.map(|token| token.mechanism.as_str()).into(),
        token.map(|token| micros(token.expires)).into(),
        token.and_then(|token| token.count).map(|count| signed(count.into())).into(),
    ]
}

pub(crate) fn remove(account: &BareJid, client: &str, sink: &mut dyn Sink) {
    const SQL: &str = "DELETE FROM clients WHERE account = $1 AND client = $2";
    sink.run(SQL, &[account.as_str().into(), client.into()]);
}

/// The account has another password, which no client has shown yet; its tokens came of the old one.
pub(crate) fn forget_proofs(account: &BareJid, sink: &mut dyn Sink) {
    const SQL: &str = "UPDATE clients SET by_password = 0, current_seed = NULL, current_mechanism = NULL, \
         current_expires = NULL, current_count = NULL, next_seed = NULL, next_mechanism = NULL, \
         next_expires = NULL, next_count = NULL WHERE account = $1";
    sink.run(SQL, &[account.as_str().into()]);
}

pub(crate) fn erase(account: &BareJid, sink: &mut dyn Sink) {
    sink.run("DELETE FROM clients WHERE account = $1", &[account.as_str().into()]);
}
