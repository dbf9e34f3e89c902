//! Clearing archives away: what is older than a domain keeps it, what accounts have left that are gone, and what an
//! operator wants to be gone of one.

use std::time::SystemTime;

use xmpp::jid::BareJid;

use crate::accounts::address;
use crate::db::{About, Sink, micros, number, signed};
use crate::error::StoreError;
use crate::store::Store;

/// Messages of one archive that are cleared away in one write, so that nobody waits long for the writer.
const BATCH: i64 = 500;
/// Archives that are looked at in one read.
const ARCHIVES: i64 = 200;

/// What is to be cleared away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Due {
    /// What accounts have left that are gone.
    Gone,
    /// Messages of a domain that are older.
    Before(String, SystemTime),
    /// Messages of an account that are older.
    Of(BareJid, SystemTime),
}

/// The oldest messages of one archive, up to one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clearing {
    owner: i64,
    /// Whose archive it is, unless the account is gone.
    account: Option<BareJid>,
    up_to: u64,
    messages: usize,
    /// The archive goes with them.
    whole: bool,
}

impl Clearing {
    /// Whose archive it is; nobody's if the account is gone.
    pub fn account(&self) -> Option<&BareJid> {
        self.account.as_ref()
    }

    /// How many messages there are, where that is known: of accounts that are gone nobody counts them.
    pub fn messages(&self) -> usize {
        self.messages
    }
}

impl Store {
    /// What can be cleared away next, a batch of each archive, at most of so many archives; empty: nothing more.
    /// Only ever the oldest of an archive goes (XEP-0313 §3.2).
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn archive_due(&self, due: &Due) -> Result<Vec<Clearing>, StoreError> {
        match due {
            Due::Gone => self.archives_gone().await,
            Due::Before(domain, before) => self.archives_before(domain, micros(*before)).await,
            Due::Of(account, before) => match self.archive_owner(account).await? {
                Some((owner, _)) => {
                    let oldest = self.oldest(owner, account, micros(*before), BATCH).await?;
                    Ok(oldest.into_iter().collect())
                }
                None => Ok(Vec::new()),
            },
        }
    }

    async fn archives_gone(&self) -> Result<Vec<Clearing>, StoreError> {
        const GONE: &str = "SELECT id FROM archive_owners WHERE owner IS NULL ORDER BY id LIMIT $1";
        const LAST: &str =
            "SELECT seq FROM archive WHERE owner = $1 ORDER BY seq LIMIT 1 OFFSET CAST($2 AS BIGINT) - 1";
        let mut clearings = Vec::new();
        for mut row in self.db().read(About::Everybody, GONE, vec![ARCHIVES.into()]).await? {
            let owner = row.integer(0)?;
            let last = self.db().read(About::TheSame, LAST, vec![owner.into(), BATCH.into()]).await?;
            let (up_to, whole) = match last.into_iter().next() {
                Some(mut row) => (number(row.integer(0)?)?, false),
                None => (i64::MAX as u64, true),
            };
            clearings.push(Clearing { owner, account: None, up_to, messages: 0, whole });
        }
        Ok(clearings)
    }

    async fn archives_before(&self, domain: &str, before: i64) -> Result<Vec<Clearing>, StoreError> {
        const OWNERS: &str = "SELECT id, owner FROM archive_owners WHERE domain = $1 AND id > $2 AND owner IS NOT NULL \
             ORDER BY id LIMIT $3";
        let (mut clearings, mut after) = (Vec::new(), 0);
        loop {
            let values = vec![domain.to_owned().into(), after.into(), ARCHIVES.into()];
            let owners = self.db().read(About::Everybody, OWNERS, values).await?;
            if owners.is_empty() {
                return Ok(clearings);
            }
            for mut row in owners {
                after = row.integer(0)?;
                let account = address(&row.text(1)?)?;
                // Most archives have nothing that is old enough.
                if self.oldest(after, &account, before, 1).await?.is_some() {
                    clearings.extend(self.oldest(after, &account, before, BATCH).await?);
                }
            }
            if clearings.len() as i64 >= ARCHIVES {
                return Ok(clearings);
            }
        }
    }

    /// The oldest messages of an archive that came before, so many at most.
    async fn oldest(
        &self,
        owner: i64,
        account: &BareJid,
        before: i64,
        limit: i64,
    ) -> Result<Option<Clearing>, StoreError> {
        const OLDEST: &str = "SELECT seq, at FROM archive WHERE owner = $1 ORDER BY seq LIMIT $2";
        let (mut up_to, mut messages) = (None, 0);
        for mut row in self.db().read(About::TheSame, OLDEST, vec![owner.into(), limit.into()]).await? {
            if row.integer(1)? >= before {
                break;
            }
            (up_to, messages) = (Some(number(row.integer(0)?)?), messages + 1);
        }
        let account = Some(account.clone());
        Ok(up_to.map(|up_to| Clearing { owner, account, up_to, messages, whole: false }))
    }
}

pub(crate) fn clear(clearing: &Clearing, sink: &mut dyn Sink) {
    // What is held for the account is kept whole from here on: it has not been delivered.
    const HELD: &str = "UPDATE offline SET archived = NULL, xml = COALESCE((SELECT b.xml FROM archive a \
         JOIN archive_bodies b ON b.place = a.body WHERE a.owner = $1 AND a.seq = offline.archived), xml) \
         WHERE owner = (SELECT owner FROM archive_owners WHERE id = $1) AND archived <= $2 AND length(xml) = 0";
    const WHOLE: &str = "UPDATE offline SET archived = NULL \
         WHERE owner = (SELECT owner FROM archive_owners WHERE id = $1) AND archived <= $2";
    const CLEARED: &str = "UPDATE archive_owners SET cleared = (SELECT MAX(seq) FROM archive \
         WHERE owner = $1 AND seq <= $2) WHERE id = $1 \
         AND EXISTS (SELECT 1 FROM archive WHERE owner = $1 AND seq <= $2)";
    const WORDS: &str =
        "DELETE FROM archive_words WHERE rowid IN (SELECT place FROM archive WHERE owner = $1 AND seq <= $2)";
    // Whose message it is and who shares it are found by different indexes.
    const BODIES: &str = "DELETE FROM archive_bodies WHERE place IN (SELECT body FROM archive \
         WHERE owner = $1 AND seq <= $2) AND NOT EXISTS (SELECT 1 FROM archive a \
         WHERE a.place = archive_bodies.place AND a.body = a.place AND NOT (a.owner = $1 AND a.seq <= $2)) \
         AND NOT EXISTS (SELECT 1 FROM archive a \
         WHERE a.body = archive_bodies.place AND a.body <> a.place AND NOT (a.owner = $1 AND a.seq <= $2))";
    const ROWS: &str = "DELETE FROM archive WHERE owner = $1 AND seq <= $2";
    for sql in [HELD, WHOLE, CLEARED, WORDS, BODIES, ROWS] {
        sink.run(sql, &[clearing.owner.into(), signed(clearing.up_to).into()]);
    }
    if clearing.whole {
        sink.run("DELETE FROM archive_owners WHERE id = $1 AND owner IS NULL", &[clearing.owner.into()]);
    }
}
