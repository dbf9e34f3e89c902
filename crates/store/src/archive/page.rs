//! Pages of an archive: what was asked for, the part that was wanted, and whether there is more.

use std::time::SystemTime;

use xmpp::jid::{BareJid, Jid};
use xmpp::stanza::Stanza;

use super::ways::{ALL, WITH, WORDS_POSTGRES, WORDS_SQLITE, Way};
use super::{OWNER, RETRACTABLE, number_of, words};
use crate::accounts::owned;
use crate::db::{About, Dialect, Query, Row, Value, instant, micros, number, signed};
use crate::error::StoreError;
use crate::store::Store;

/// Bytes of messages in one page; it ends early when there are more, but has one at least.
const PAGE_BYTES_MAX: usize = 1 << 20;

/// Which messages are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ArchiveQuery {
    /// Only with this account, or with this device.
    pub with: Option<Jid>,
    /// Only from then on.
    pub start: Option<SystemTime>,
    /// Only until then.
    pub end: Option<SystemTime>,
    /// Only after this number.
    pub after: Option<u64>,
    /// Only before this number.
    pub before: Option<u64>,
    /// Only these numbers; empty: all.
    pub ids: Vec<u64>,
    /// Only with all of these words, from [`words`].
    pub words: String,
    /// Which part of them.
    pub page: Page,
    /// At most so many.
    pub max: usize,
    /// Whether to count all of them.
    pub count: bool,
}

/// A part of what was found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Page {
    /// The beginning.
    #[default]
    First,
    /// The end.
    Last,
    /// What follows this number.
    After(u64),
    /// What comes right before this number.
    Before(u64),
}

/// A page.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ArchivePage {
    /// In their order.
    pub messages: Vec<ArchivedMessage>,
    /// Whether nothing more is there in the direction of the page.
    pub complete: bool,
    /// How many there are in all, if that was asked for.
    pub count: Option<u64>,
}

/// An archived message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArchivedMessage {
    /// Its number.
    pub seq: u64,
    /// When it came.
    pub at: SystemTime,
    /// The stanza.
    pub xml: Vec<u8>,
}

/// A query as the statements take it.
pub(super) struct Search<'a> {
    pub(super) owner: i64,
    pub(super) query: &'a ArchiveQuery,
    /// Numbers between these two.
    pub(super) between: (i64, i64),
    pub(super) at: (i64, i64),
}

impl Store {
    /// A page of an archive; `None` when a number that the query names is not in it (XEP-0313 §4.1.3, §4.3.2).
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn archive_page(
        &self,
        owner: &BareJid,
        query: &ArchiveQuery,
    ) -> Result<Option<ArchivePage>, StoreError> {
        let of_page = match query.page {
            Page::After(seq) | Page::Before(seq) => Some(seq),
            Page::First | Page::Last => None,
        };
        let named: Vec<u64> =
            query.ids.iter().copied().chain(query.after).chain(query.before).chain(of_page).collect();
        let (known, rows) = self.archive_rows(owner, &named).await?;
        let Some((owner, bent)) = known else {
            let empty = ArchivePage { complete: true, count: query.count.then_some(0), ..Default::default() };
            return Ok(named.is_empty().then_some(empty));
        };
        let Some(mut rows) = rows.into_iter().collect::<Option<Vec<Found>>>() else { return Ok(None) };
        if !query.ids.is_empty() {
            rows.truncate(query.ids.len());
            return Ok(Some(chosen(query, rows)));
        }
        let search = self.bounded(owner, bent, query).await?;
        let count = match query.count {
            true => Some(self.count(&search).await?),
            false => None,
        };
        if query.max == 0 {
            let complete = count == Some(0);
            return Ok(Some(ArchivePage { complete, count, ..ArchivePage::default() }));
        }
        let (messages, complete) = self.part(&search).await?;
        Ok(Some(ArchivePage { messages, complete, count }))
    }

    /// The first and the last message of an archive: their numbers and times.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn archive_ends(&self, owner: &BareJid) -> Result<Option<[(u64, SystemTime); 2]>, StoreError> {
        const FIRST: &str = "SELECT seq, at FROM archive \
             WHERE owner = (SELECT id FROM archive_owners WHERE owner = $1) ORDER BY seq LIMIT 1";
        const LAST: &str = "SELECT seq, at FROM archive \
             WHERE owner = (SELECT id FROM archive_owners WHERE owner = $1) ORDER BY seq DESC LIMIT 1";
        let queries = [FIRST, LAST].map(|sql| Query { sql, values: vec![owned(owner)] });
        let ends = self.db().read_all(About::Account(owner), queries.into()).await?.into_iter().flatten();
        let end = |mut row: Row| Ok((number(row.integer(0)?)?, instant(row.integer(1)?)?));
        let ends: Vec<(u64, SystemTime)> = ends.map(end).collect::<Result<_, StoreError>>()?;
        Ok(ends.try_into().ok())
    }

    /// The latest message with somebody that has this id and was sent, or received; among the last
    /// [`RETRACTABLE`].
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn archived_by_id(
        &self,
        owner: &BareJid,
        with: &BareJid,
        sent: bool,
        id: &str,
    ) -> Result<Option<ArchivedMessage>, StoreError> {
        const SQL: &str = "SELECT r.seq, r.at, b.xml FROM (SELECT seq, at, body, sent, id FROM archive \
             WHERE owner = $1 AND peer = $2 ORDER BY seq DESC LIMIT $3) r JOIN archive_bodies b ON b.place = r.body \
             WHERE r.sent = $4 AND r.id = $5 ORDER BY r.seq DESC LIMIT 1";
        let Some((owner, _)) = self.archive_owner(owner).await? else { return Ok(None) };
        let values = vec![
            owner.into(),
            with.as_str().to_owned().into(),
            signed(RETRACTABLE as u64).into(),
            i64::from(sent).into(),
            id.to_owned().into(),
        ];
        self.db().read(About::TheSame, SQL, values).await?.into_iter().next().map(message).transpose()
    }

    /// By which number an archive is known inside, whether its times do not follow its numbers, and its messages of
    /// these numbers: asked for at once, as the way there and back costs more than what is found.
    async fn archive_rows(
        &self,
        owner: &BareJid,
        named: &[u64],
    ) -> Result<(Known, Vec<Option<Found>>), StoreError> {
        const ROW: &str = "SELECT a.seq, a.at, b.xml, a.peer, a.device FROM archive a \
             JOIN archive_bodies b ON b.place = a.body \
             WHERE a.owner = (SELECT id FROM archive_owners WHERE owner = $1) AND a.seq = $2";
        let row = |seq: &u64| Query { sql: ROW, values: vec![owned(owner), signed(*seq).into()] };
        let mut queries = vec![Query { sql: OWNER, values: vec![owned(owner)] }];
        queries.extend(named.iter().map(row));
        let mut answers = self.db().read_all(About::Account(owner), queries).await?.into_iter();
        let known = number_of(answers.next().unwrap_or_default())?;
        Ok((known, answers.map(found).collect::<Result<_, _>>()?))
    }

    /// Times become numbers where they follow them, so that what lies outside is not even looked at.
    async fn bounded<'a>(
        &self,
        owner: i64,
        bent: bool,
        query: &'a ArchiveQuery,
    ) -> Result<Search<'a>, StoreError> {
        let (mut after, mut before) = (query.after.unwrap_or(0), query.before.unwrap_or(i64::MAX as u64));
        match query.page {
            Page::After(seq) => after = after.max(seq),
            Page::Before(seq) => before = before.min(seq),
            Page::First | Page::Last => {}
        }
        let at = (query.start.map_or(i64::MIN, micros), query.end.map_or(i64::MAX, micros));
        let (mut after, mut before) = (signed(after), signed(before));
        if query.start.is_some() {
            after = after.max(self.first_from(owner, at.0).await?.saturating_sub(1));
        }
        if query.end.is_some() && !bent {
            before = before.min(self.first_from(owner, at.1.saturating_add(1)).await?);
        }
        Ok(Search { owner, query, between: (after, before), at })
    }

    /// The number of the first message of which, or of one before it, the time is not before this.
    async fn first_from(&self, owner: i64, at: i64) -> Result<i64, StoreError> {
        // SQLite looks at all rows for two ends in one, and at one row for each by itself.
        const ENDS: &str = "SELECT (SELECT MIN(seq) FROM archive WHERE owner = $1), \
             (SELECT MAX(seq) FROM archive WHERE owner = $1)";
        const NEXT: &str =
            "SELECT seq, peak FROM archive WHERE owner = $1 AND seq >= $2 ORDER BY seq LIMIT 1";
        let ends = self.db().read(About::TheSame, ENDS, vec![owner.into()]).await?;
        let Some(mut row) = ends.into_iter().next() else { return Ok(i64::MAX) };
        let (Some(mut low), Some(last)) = (row.maybe_integer(0)?, row.maybe_integer(1)?) else {
            return Ok(i64::MAX);
        };
        // The latest time up to a message only grows with its number: half of what is left each time.
        let mut high = last + 1;
        while low < high {
            let middle = low + (high - low) / 2;
            let next = self
                .db()
                .read(About::TheSame, NEXT, vec![owner.into(), middle.into()])
                .await?
                .into_iter()
                .next();
            let Some(mut row) = next else { break };
            let (seq, peak) = (row.integer(0)?, row.integer(1)?);
            if peak < at {
                low = seq + 1;
            } else {
                high = middle;
            }
        }
        Ok(if low > last { i64::MAX } else { low })
    }

    async fn part(&self, search: &Search<'_>) -> Result<(Vec<ArchivedMessage>, bool), StoreError> {
        let query = search.query;
        let backwards = matches!(query.page, Page::Last | Page::Before(_));
        let rows = match (self.db().dialect(), query.words.is_empty()) {
            (Dialect::Postgres, false) => self.walked(search, backwards).await?,
            _ => None,
        };
        let rows = match rows {
            Some(rows) => rows,
            None => {
                let (way, mut values) = search.prepared(self.db().dialect());
                values.push(search.limit());
                self.db()
                    .read(About::TheSame, if backwards { way.backwards } else { way.forwards }, values)
                    .await?
            }
        };
        let mut messages = rows.into_iter().map(message).collect::<Result<Vec<_>, _>>()?;
        let found = messages.len();
        messages.truncate(query.max);
        let mut bytes = 0;
        let fits = |message: &ArchivedMessage| {
            bytes += message.xml.len();
            bytes <= PAGE_BYTES_MAX
        };
        let fitting = messages.iter().map(fits).take_while(|fits| *fits).count();
        messages.truncate(fitting.max(1));
        let complete = messages.len() == found;
        if backwards {
            messages.reverse();
        }
        Ok((messages, complete))
    }

    async fn count(&self, search: &Search<'_>) -> Result<u64, StoreError> {
        let (way, values) = search.prepared(self.db().dialect());
        let rows = self.db().read(About::TheSame, way.count, values).await?;
        rows.into_iter().next().map_or(Ok(0), |mut row| number(row.integer(0)?))
    }
}

/// See [`Store::archive_owner`].
type Known = Option<(i64, bool)>;

fn found(rows: Vec<Row>) -> Result<Option<Found>, StoreError> {
    let Some(mut row) = rows.into_iter().next() else { return Ok(None) };
    let (peer, device) = (row.text(3)?, row.maybe_text(4)?);
    Ok(Some(Found { message: message(row)?, peer, device }))
}

impl Search<'_> {
    /// The statements, and all their values but the limit.
    fn prepared(&self, dialect: Dialect) -> (&'static Way, Vec<Value<'static>>) {
        let query = self.query;
        let mut values: Vec<Value<'static>> = Vec::with_capacity(9);
        if !query.words.is_empty() {
            values.push(match_all(self.owner, &query.words, dialect).into());
        }
        values.extend(self.filters());
        let way = match (query.words.is_empty(), &query.with, dialect) {
            (true, None, _) => return (&ALL, values),
            (true, Some(_), _) => &WITH,
            (false, with, dialect) => {
                if with.is_none() {
                    values.extend([None::<String>, None].map(Value::from));
                }
                match dialect {
                    Dialect::Sqlite => &WORDS_SQLITE,
                    Dialect::Postgres => &WORDS_POSTGRES,
                }
            }
        };
        (way, values)
    }

    /// The archive and its ends, and with whom.
    pub(super) fn filters(&self) -> Vec<Value<'static>> {
        let numbers = [self.owner, self.between.0, self.between.1, self.at.0, self.at.1];
        let mut values: Vec<Value<'static>> = numbers.map(Value::from).into();
        if let Some(with) = &self.query.with {
            values.push(with.bare().as_str().to_owned().into());
            values.push(with.resource().map(str::to_owned).into());
        }
        values
    }

    /// One more than the page has, which tells whether there are more.
    pub(super) fn limit(&self) -> Value<'static> {
        signed(self.query.max as u64 + 1).into()
    }
}

/// All of these words, in messages of this archive: its number is among the words of each of its messages. Words
/// consist of letters and digits alone, so that nothing in them means anything to an engine.
pub(super) fn match_all(owner: i64, words: &str, dialect: Dialect) -> String {
    let (quote, and) = match dialect {
        Dialect::Sqlite => ('"', " AND "),
        Dialect::Postgres => ('\'', " & "),
    };
    let mut all = format!("{quote}_{owner}{quote}");
    for word in words.split(' ') {
        all.push_str(&format!("{and}{quote}{word}{quote}"));
    }
    all
}

/// A message that was asked for by its number, and what else it could have been asked for by.
struct Found {
    message: ArchivedMessage,
    peer: String,
    device: Option<String>,
}

/// Of messages that were asked for by their numbers, those that fit the rest of the query.
fn chosen(query: &ArchiveQuery, mut found: Vec<Found>) -> ArchivePage {
    found.sort_by_key(|found| found.message.seq);
    found.dedup_by_key(|found| found.message.seq);
    let fits = |found: &Found| {
        let seq = found.message.seq;
        let (after, before) = match query.page {
            Page::After(after) => (after, u64::MAX),
            Page::Before(before) => (0, before),
            Page::First | Page::Last => (0, u64::MAX),
        };
        let with = query.with.as_ref().is_none_or(|with| {
            with.bare().as_str() == found.peer
                && with.resource().is_none_or(|device| found.device.as_deref() == Some(device))
        });
        let says = || {
            let body =
                Stanza::read(&found.message.xml).ok().and_then(|stanza| stanza.body()).unwrap_or_default();
            let said = words(&body);
            query.words.split(' ').all(|word| said.split(' ').any(|other| other == word))
        };
        seq > after.max(query.after.unwrap_or(0))
            && seq < before.min(query.before.unwrap_or(u64::MAX))
            && query.start.is_none_or(|start| found.message.at >= start)
            && query.end.is_none_or(|end| found.message.at <= end)
            && with
            && (query.words.is_empty() || says())
    };
    let mut messages: Vec<_> = found.into_iter().filter(fits).map(|found| found.message).collect();
    let (all, count) = (messages.len(), query.count.then_some(messages.len() as u64));
    match query.page {
        Page::Last | Page::Before(_) => drop(messages.drain(..all.saturating_sub(query.max))),
        Page::First | Page::After(_) => messages.truncate(query.max),
    }
    ArchivePage { complete: messages.len() == all, messages, count }
}

fn message(mut row: Row) -> Result<ArchivedMessage, StoreError> {
    Ok(ArchivedMessage { seq: number(row.integer(0)?)?, at: instant(row.integer(1)?)?, xml: row.blob(2)? })
}
