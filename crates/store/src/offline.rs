//! Messages that wait for their account (XEP-0160), in the order of the numbers that the account gave them.
//!
//! The table is a plain one: rows are appended, and an index (owner, id) finds them. At the volume of held messages
//! the index's random leaf in the commit is cheap enough. What is in the owner's archive as well is kept there alone.

use std::time::SystemTime;

use xmpp::jid::BareJid;

use crate::accounts::owned;
use crate::db::{About, Row, Sink, instant, micros, number, signed};
use crate::error::StoreError;
use crate::store::Store;

/// A message that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OfflineMessage {
    /// Its number in the owner's sequence.
    pub id: u64,
    /// When it came.
    pub at: SystemTime,
    /// Its number in the owner's archive, if it is there.
    pub archived: Option<u64>,
    /// The stanza; as it was archived, if it is kept there alone.
    pub xml: Vec<u8>,
    /// How many bytes it takes where it is held; 0 if it is kept in the archive alone.
    pub held_bytes: usize,
}

/// How much waits for an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OfflineSize {
    /// Messages.
    pub count: usize,
    /// Bytes of XML, without what is kept in the archive alone.
    pub bytes: usize,
    /// Messages that are in the archive.
    pub archived: usize,
    /// The highest number ever used, delivered or not; 0 before the first. The next message gets a higher one, so
    /// that a late [`crate::Write::OfflineDrop`] never meets a message it does not mean.
    pub last_id: u64,
}

impl Store {
    /// Messages that wait, after this number, in order, at most `limit`.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn offline(
        &self,
        owner: &BareJid,
        after: u64,
        limit: usize,
    ) -> Result<Vec<OfflineMessage>, StoreError> {
        // What a device did not take is held later than it came: the archive knows when that was.
        const SQL: &str = "SELECT o.id, COALESCE(a.at, o.at), o.archived, o.xml, b.xml FROM offline o \
             LEFT JOIN archive_owners w ON w.owner = o.owner \
             LEFT JOIN archive a ON a.owner = w.id AND a.seq = o.archived \
             LEFT JOIN archive_bodies b ON b.place = a.body AND length(o.xml) = 0 \
             WHERE o.owner = $1 AND o.id > $2 ORDER BY o.id LIMIT $3";
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let values = vec![owned(owner), signed(after).into(), limit.into()];
        let rows = self.db().read(About::Account(owner), SQL, values).await?;
        rows.into_iter()
            .map(|mut row| {
                let archived = row.maybe_integer(2)?.map(number).transpose()?;
                let (held, in_archive) = (row.blob(3)?, row.maybe_blob(4)?);
                Ok(OfflineMessage {
                    id: number(row.integer(0)?)?,
                    at: instant(row.integer(1)?)?,
                    archived,
                    held_bytes: held.len(),
                    xml: in_archive.unwrap_or(held),
                })
            })
            .collect()
    }

    /// How much waits.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn offline_size(&self, owner: &BareJid) -> Result<OfflineSize, StoreError> {
        size(self.db().read(About::Account(owner), SIZE, vec![owned(owner)]).await?)
    }
}

pub(crate) const SIZE: &str = "SELECT COUNT(*), CAST(COALESCE(SUM(length(xml)), 0) AS BIGINT), \
     COALESCE(MAX(id), 0), COALESCE((SELECT last_id FROM offline_last WHERE owner = $1), 0), COUNT(archived) \
     FROM offline WHERE owner = $1";

pub(crate) fn size(rows: Vec<Row>) -> Result<OfflineSize, StoreError> {
    let Some(mut row) = rows.into_iter().next() else { return Ok(OfflineSize::default()) };
    let held = |signed: i64| number(signed).map(|held| usize::try_from(held).unwrap_or(usize::MAX));
    Ok(OfflineSize {
        count: held(row.integer(0)?)?,
        bytes: held(row.integer(1)?)?,
        last_id: number(row.integer(2)?.max(row.integer(3)?))?,
        archived: held(row.integer(4)?)?,
    })
}

pub(crate) fn keep(owner: &BareJid, id: u64, at: SystemTime, xml: &[u8], sink: &mut dyn Sink) {
    const SQL: &str = "INSERT INTO offline (owner, id, at, xml) VALUES ($1, $2, $3, $4) \
         ON CONFLICT (owner, id) DO UPDATE SET at = excluded.at, xml = excluded.xml";
    sink.run(SQL, &[owner.as_str().into(), signed(id).into(), micros(at).into(), xml.into()]);
}

pub(crate) fn keep_archived(
    owner: &BareJid,
    id: u64,
    at: SystemTime,
    archived: u64,
    xml: &[u8],
    sink: &mut dyn Sink,
) {
    const SQL: &str = "INSERT INTO offline (owner, id, at, xml, archived) VALUES ($1, $2, $3, $4, $5) \
         ON CONFLICT (owner, id) DO UPDATE SET at = excluded.at, xml = excluded.xml, archived = excluded.archived";
    let values =
        [owner.as_str().into(), signed(id).into(), micros(at).into(), xml.into(), signed(archived).into()];
    sink.run(SQL, &values);
}

pub(crate) fn drop_up_to(owner: &BareJid, up_to: u64, sink: &mut dyn Sink) {
    // The highest number survives its message, or it would be given out again.
    // docs/build/stepping.md, trap 11.
    const REMEMBER: &str = "INSERT INTO offline_last (owner, last_id) \
         VALUES ($1, COALESCE((SELECT MAX(id) FROM offline WHERE owner = $2 AND id <= $3), 0)) \
         ON CONFLICT (owner) DO UPDATE SET last_id = excluded.last_id WHERE excluded.last_id > offline_last.last_id";
    const DROP: &str = "DELETE FROM offline WHERE owner = $1 AND id <= $2";
    let values = [owner.as_str().into(), owner.as_str().into(), signed(up_to).into()];
    sink.run(REMEMBER, &values);
    sink.run(DROP, &values[1..]);
}

pub(crate) fn erase(account: &BareJid, sink: &mut dyn Sink) {
    sink.run("DELETE FROM offline WHERE owner = $1", &[account.as_str().into()]);
    sink.run("DELETE FROM offline_last WHERE owner = $1", &[account.as_str().into()]);
}
