//! Archives of messages (XEP-0313): each account has its own, in the order of its own numbers. What two accounts here
//! say to each other is in both, and kept once.
//!
//! Rows are grouped by owner, so that a page is read in one piece however large the archive is; texts are only ever
//! appended (docs/build/stepping.md). Nothing is ever counted, unless somebody asks how many there are.

mod batch;
mod clear;
mod page;
mod walk;
mod ways;
mod words;

use std::time::SystemTime;

use xmpp::jid::{BareJid, Jid};

pub(crate) use batch::keep_all;
pub(crate) use clear::clear;
pub use clear::{Clearing, Due};
pub use page::{ArchivePage, ArchiveQuery, ArchivedMessage, Page};
pub use words::{WORD_BYTES_MAX, WORDS_MAX, words};

use crate::accounts::owned;
use crate::db::{About, Row, Sink, Value, instant, micros, number, signed};
use crate::error::StoreError;
use crate::store::Store;

/// Of this many messages with somebody, the latest, one that is to be retracted is looked for.
pub const RETRACTABLE: usize = 10_000;

/// A message that goes into an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArchiveMessage {
    /// Whose archive.
    pub owner: BareJid,
    /// Its number there: higher than any before.
    pub seq: u64,
    /// Whether it is the first that this archive has ever had.
    pub first: bool,
    /// When it came.
    pub at: SystemTime,
    /// The latest time of all messages in this archive up to it.
    pub peak: SystemTime,
    /// With whom the conversation is.
    pub with: Jid,
    /// Whether the owner has sent it.
    pub sent: bool,
    /// The id that its sender gave it.
    pub id: Option<String>,
    /// The stanza.
    pub xml: Vec<u8>,
    /// The owner and number under which another archive has the same stanza, letter for letter: it is kept once.
    pub same_as: Option<(BareJid, u64)>,
    /// The words by which it is found, from [`words`].
    pub words: String,
}

/// How an archive stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ArchiveState {
    /// Whether it has never had a message.
    pub is_new: bool,
    /// The highest number ever used; 0 before the first.
    pub last: u64,
    /// The latest time of all its messages.
    pub peak: SystemTime,
    /// Its first and its last message: their numbers and times.
    pub ends: Option<[(u64, SystemTime); 2]>,
}

impl Default for ArchiveState {
    fn default() -> Self {
        ArchiveState { is_new: true, last: 0, peak: SystemTime::UNIX_EPOCH, ends: None }
    }
}

impl Store {
    /// How an account's archive stands.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn archive_state(&self, owner: &BareJid) -> Result<ArchiveState, StoreError> {
        state(self.db().read(About::Account(owner), STATE, vec![owned(owner)]).await?)
    }

    /// The number by which an archive is known inside; `None` before its first message. With it, whether its times
    /// do not follow its numbers.
    pub(crate) async fn archive_owner(&self, owner: &BareJid) -> Result<Option<(i64, bool)>, StoreError> {
        number_of(self.db().read(About::Account(owner), OWNER, vec![owned(owner)]).await?)
    }
}

const OWNER: &str = "SELECT id, bent FROM archive_owners WHERE owner = $1";

fn number_of(rows: Vec<Row>) -> Result<Option<(i64, bool)>, StoreError> {
    let Some(mut row) = rows.into_iter().next() else { return Ok(None) };
    Ok(Some((row.integer(0)?, row.integer(1)? != 0)))
}

pub(crate) const STATE: &str = "SELECT o.cleared, l.peak, l.seq, l.at, f.seq, f.at FROM archive_owners o \
     LEFT JOIN archive l ON l.owner = o.id AND l.seq = (SELECT MAX(seq) FROM archive WHERE owner = o.id) \
     LEFT JOIN archive f ON f.owner = o.id AND f.seq = (SELECT MIN(seq) FROM archive WHERE owner = o.id) \
     WHERE o.owner = $1";

pub(crate) fn state(rows: Vec<Row>) -> Result<ArchiveState, StoreError> {
    let Some(mut row) = rows.into_iter().next() else { return Ok(ArchiveState::default()) };
    let cleared = number(row.integer(0)?)?;
    let Some(peak) = row.maybe_integer(1)? else {
        return Ok(ArchiveState { is_new: false, last: cleared, ..ArchiveState::default() });
    };
    let mut end = |column| -> Result<_, StoreError> {
        Ok((number(row.integer(column)?)?, instant(row.integer(column + 1)?)?))
    };
    let ends = [end(4)?, end(2)?];
    Ok(ArchiveState { is_new: false, last: cleared.max(ends[1].0), peak: instant(peak)?, ends: Some(ends) })
}

/// A message goes into an archive, and its text beside it.
pub(crate) fn keep(message: &ArchiveMessage, sink: &mut dyn Sink) {
    // Each writes one row of VALUES (docs/build/stepping.md, trap 11).
    const BODY: &str = "INSERT INTO archive_bodies (place, xml) \
         VALUES ((SELECT COALESCE(MAX(place), 0) + 1 FROM archive), $1)";
    // Unless the other archive has it still, as it almost always has.
    const SHARED_BODY: &str = "INSERT INTO archive_bodies (place, xml) VALUES (COALESCE((SELECT body FROM archive \
         WHERE owner = (SELECT id FROM archive_owners WHERE owner = $1) AND seq = $2), \
         (SELECT COALESCE(MAX(place), 0) + 1 FROM archive)), $3) ON CONFLICT (place) DO NOTHING";
    let xml = message.xml.as_slice().into();
    match &message.same_as {
        None => sink.run(BODY, &[xml]),
        Some((other, seq)) => sink.run(SHARED_BODY, &[other.as_str().into(), signed(*seq).into(), xml]),
    }
    share(message, sink);
}

/// A message goes into an archive; its text has been kept.
pub(crate) fn share(message: &ArchiveMessage, sink: &mut dyn Sink) {
    const ROW: &str = "INSERT INTO archive (owner, seq, at, peak, peer, device, sent, id, place, body) \
         VALUES ((SELECT id FROM archive_owners WHERE owner = $1), $2, $3, $4, $5, $6, $7, $8, \
         (SELECT COALESCE(MAX(place), 0) + 1 FROM archive), (SELECT COALESCE(MAX(place), 0) + 1 FROM archive)) \
         ON CONFLICT (owner, seq) DO NOTHING";
    const SHARED_ROW: &str = "INSERT INTO archive (owner, seq, at, peak, peer, device, sent, id, place, body) \
         VALUES ((SELECT id FROM archive_owners WHERE owner = $1), $2, $3, $4, $5, $6, $7, $8, \
         (SELECT COALESCE(MAX(place), 0) + 1 FROM archive), COALESCE((SELECT body FROM archive \
         WHERE owner = (SELECT id FROM archive_owners WHERE owner = $9) AND seq = $10), \
         (SELECT COALESCE(MAX(place), 0) + 1 FROM archive))) ON CONFLICT (owner, seq) DO NOTHING";
    const WORDS: &str = "INSERT INTO archive_words (rowid, words) VALUES ((SELECT place FROM archive \
         WHERE owner = (SELECT id FROM archive_owners WHERE owner = $1) AND seq = $2), \
         '_' || CAST((SELECT id FROM archive_owners WHERE owner = $3) AS TEXT) || ' ' || CAST($4 AS TEXT))";

    let owner = || message.owner.as_str().into();
    if message.first {
        open(message, sink);
    }
    let peer = message.with.bare();
    let mut row = vec![owner()];
    row.extend(columns(message, &peer));
    match &message.same_as {
        None => sink.run(ROW, &row),
        Some((other, seq)) => {
            row.extend([other.as_str().into(), signed(*seq).into()]);
            sink.run(SHARED_ROW, &row);
        }
    }
    if !message.words.is_empty() {
        let words = message.words.as_str().into();
        sink.run(WORDS, &[owner(), signed(message.seq).into(), owner(), words]);
    }
    if message.at < message.peak {
        mark_bent(message, sink);
    }
}

/// What the columns `seq` to `id` say of a message with this person.
fn columns<'a>(message: &'a ArchiveMessage, peer: &'a BareJid) -> [Value<'a>; 7] {
    [
        signed(message.seq).into(),
        micros(message.at).into(),
        micros(message.peak).into(),
        peer.as_str().into(),
        message.with.resource().into(),
        i64::from(message.sent).into(),
        message.id.as_deref().into(),
    ]
}

/// The archive that has this as its first message comes to be.
fn open(message: &ArchiveMessage, sink: &mut dyn Sink) {
    const SQL: &str = "INSERT INTO archive_owners (id, owner, domain, cleared, bent) \
         SELECT COALESCE(MAX(id), 0) + 1, $1, $2, 0, 0 FROM archive_owners WHERE true ON CONFLICT (owner) DO NOTHING";
    sink.run(SQL, &[message.owner.as_str().into(), message.owner.domain().into()]);
}

/// This message came earlier than one before it.
fn mark_bent(message: &ArchiveMessage, sink: &mut dyn Sink) {
    const SQL: &str = "UPDATE archive_owners SET bent = 1 WHERE owner = $1";
    sink.run(SQL, &[message.owner.as_str().into()]);
}

/// Another stanza stands in the place of one that was archived. Whoever else has the old one keeps it.
pub(crate) fn replace(owner: &BareJid, seq: u64, xml: &[u8], sink: &mut dyn Sink) {
    // No message has a place below zero.
    const BODY: &str = "INSERT INTO archive_bodies (place, xml) SELECT -place, $1 FROM archive \
         WHERE owner = (SELECT id FROM archive_owners WHERE owner = $2) AND seq = $3 \
         ON CONFLICT (place) DO UPDATE SET xml = excluded.xml";
    const WORDS: &str = "DELETE FROM archive_words WHERE rowid IN (SELECT place FROM archive \
         WHERE owner = (SELECT id FROM archive_owners WHERE owner = $1) AND seq = $2)";
    const OLD: &str = "DELETE FROM archive_bodies WHERE place IN (SELECT body FROM archive \
         WHERE owner = (SELECT id FROM archive_owners WHERE owner = $1) AND seq = $2 AND body > 0) \
         AND (SELECT COUNT(*) FROM archive WHERE place = archive_bodies.place AND body = place) \
         + (SELECT COUNT(*) FROM archive WHERE body = archive_bodies.place AND body <> place) = 1";
    const ROW: &str = "UPDATE archive SET body = -place \
         WHERE owner = (SELECT id FROM archive_owners WHERE owner = $1) AND seq = $2";
    let (owner, seq) = (owner.as_str(), signed(seq));
    sink.run(BODY, &[xml.into(), owner.into(), seq.into()]);
    for sql in [WORDS, OLD, ROW] {
        sink.run(sql, &[owner.into(), seq.into()]);
    }
}

/// Nobody comes at it any more; [`Store::archive_due`] finds what is left.
pub(crate) fn erase(account: &BareJid, sink: &mut dyn Sink) {
    sink.run("UPDATE archive_owners SET owner = NULL WHERE owner = $1", &[account.as_str().into()]);
}
