//! Rosters (RFC 6121 §2): contacts, their groups and subscriptions, and the version that each change makes.

use xmpp::jid::BareJid;

use crate::accounts::{address, owned};
use crate::db::{About, Row, Sink, number, signed};
use crate::error::StoreError;
use crate::store::Store;

/// Between the groups of a contact. XML cannot hold it, so no group has it in its name.
pub(crate) const BETWEEN_GROUPS: char = '\u{1f}';

/// A contact of an account. Requests that wait for the owner's answer are no contacts (RFC 6121 §3.1.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RosterItem {
    /// Its address.
    pub jid: BareJid,
    /// What the owner calls it.
    pub name: Option<String>,
    /// The owner's groups it is in.
    pub groups: Vec<String>,
    /// Who hears whose presence.
    pub subscription: Subscription,
    /// We asked to hear its presence and wait for the answer (RFC 6121 §3.1.2).
    pub ask: bool,
    /// We have agreed before it asks (RFC 6121 §3.4).
    pub approved: bool,
}

impl RosterItem {
    /// A contact without name, groups or subscription.
    pub fn new(jid: BareJid) -> Self {
        RosterItem {
            jid,
            name: None,
            groups: Vec::new(),
            subscription: Subscription::None,
            ask: false,
            approved: false,
        }
    }
}

/// Who hears whose presence (RFC 6121 §2.1.2.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Subscription {
    /// Nobody.
    #[default]
    None,
    /// The owner hears the contact's.
    To,
    /// The contact hears the owner's.
    From,
    /// Each hears the other's.
    Both,
}

impl Subscription {
    /// The attribute's value.
    pub fn as_str(self) -> &'static str {
        match self {
            Subscription::None => "none",
            Subscription::To => "to",
            Subscription::From => "from",
            Subscription::Both => "both",
        }
    }

    fn read(text: &str) -> Result<Self, StoreError> {
        match text {
            "none" => Ok(Subscription::None),
            "to" => Ok(Subscription::To),
            "from" => Ok(Subscription::From),
            "both" => Ok(Subscription::Both),
            _ => Err(StoreError::Corrupt(format!("{text:?} is no subscription"))),
        }
    }
}

impl Store {
    /// The roster's version (0 before the first change) and its contacts, in the order of their addresses.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn roster(&self, owner: &BareJid) -> Result<(u64, Vec<RosterItem>), StoreError> {
        roster(self.db().read(About::Account(owner), ROSTER, vec![owned(owner)]).await?)
    }
}

/// One query, so that version and contacts are of one moment.
pub(crate) const ROSTER: &str = "SELECT r.version, i.jid, i.name, i.groups, i.subscription, i.ask, i.approved \
     FROM rosters r LEFT JOIN roster_items i ON i.owner = r.owner WHERE r.owner = $1 ORDER BY i.jid";

pub(crate) fn roster(rows: Vec<Row>) -> Result<(u64, Vec<RosterItem>), StoreError> {
    let mut version = 0;
    let mut items = Vec::new();
    for mut row in rows {
        version = number(row.integer(0)?)?;
        if let Some(jid) = row.maybe_text(1)? {
            items.push(item(address(&jid)?, row)?);
        }
    }
    Ok((version, items))
}

fn item(jid: BareJid, mut row: Row) -> Result<RosterItem, StoreError> {
    let groups = row.maybe_text(3)?;
    Ok(RosterItem {
        jid,
        name: row.maybe_text(2)?,
        groups: groups
            .map(|groups| groups.split(BETWEEN_GROUPS).map(str::to_owned).collect())
            .unwrap_or_default(),
        subscription: Subscription::read(&row.text(4)?)?,
        ask: row.integer(5)? != 0,
        approved: row.integer(6)? != 0,
    })
}

pub(crate) fn put(owner: &BareJid, version: u64, item: &RosterItem, sink: &mut dyn Sink) {
    const SQL: &str = "INSERT INTO roster_items \
         (owner, jid, name, groups, subscription, ask, approved) \
         VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (owner, jid) DO UPDATE SET \
         name = excluded.name, groups = excluded.groups, subscription = excluded.subscription, \
         ask = excluded.ask, approved = excluded.approved";
    let groups = (!item.groups.is_empty()).then(|| item.groups.join(&BETWEEN_GROUPS.to_string()));
    sink.run(
        SQL,
        &[
            owner.as_str().into(),
            item.jid.as_str().into(),
            item.name.as_deref().into(),
            groups.as_deref().into(),
            item.subscription.as_str().into(),
            i64::from(item.ask).into(),
            i64::from(item.approved).into(),
        ],
    );
    set_version(owner, version, sink);
}

pub(crate) fn remove(owner: &BareJid, version: u64, jid: &BareJid, sink: &mut dyn Sink) {
    const SQL: &str = "DELETE FROM roster_items WHERE owner = $1 AND jid = $2";
    sink.run(SQL, &[owner.as_str().into(), jid.as_str().into()]);
    set_version(owner, version, sink);
}

fn set_version(owner: &BareJid, version: u64, sink: &mut dyn Sink) {
    const SQL: &str = "INSERT INTO rosters (owner, version) VALUES ($1, $2) \
         ON CONFLICT (owner) DO UPDATE SET version = excluded.version";
    sink.run(SQL, &[owner.as_str().into(), signed(version).into()]);
}

pub(crate) fn erase(account: &BareJid, sink: &mut dyn Sink) {
    sink.run("DELETE FROM roster_items WHERE owner = $1", &[account.as_str().into()]);
    sink.run("DELETE FROM rosters WHERE owner = $1", &[account.as_str().into()]);
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn subscriptions_are_read_as_they_are_written() {
        for subscription in [Subscription::None, Subscription::To, Subscription::From, Subscription::Both] {
            assert_eq!(Subscription::read(subscription.as_str()).unwrap(), subscription);
        }
        assert!(Subscription::read("remove").is_err());
    }
}
