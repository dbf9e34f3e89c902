//! Many messages that go into archives at once. What the statements of a single one look up is known here, and rows are
//! written in the order in which tables keep them: half of what it costs one by one.

use xmpp::map::Map;

use super::{ArchiveMessage, columns, mark_bent, open};
use crate::db::{Tables, signed};

/// Messages in the order of their archives and of their numbers there; their places follow one another.
struct Batch<'a> {
    rows: Vec<Row<'a>>,
    first_place: i64,
}

struct Row<'a> {
    owner: i64,
    message: &'a ArchiveMessage,
}

/// The tables, and the archives' numbers, each looked up once.
struct Archives<'a, 'tables> {
    tables: &'tables mut dyn Tables,
    numbers: Map<&'a str, Option<i64>>,
}

/// Puts messages, given in the order of the log, into their archives, as if each were put there alone.
pub(crate) fn keep_all(messages: &[&ArchiveMessage], tables: &mut dyn Tables) {
    for message in messages.iter().filter(|message| message.first) {
        open(message, tables);
    }
    let mut archives = Archives { tables, numbers: Map::default() };
    Batch::of(messages, &mut archives).put(&mut archives);
    for message in messages.iter().filter(|message| message.at < message.peak) {
        mark_bent(message, tables);
    }
}

impl<'a> Archives<'a, '_> {
    fn number(&mut self, owner: &'a str) -> Option<i64> {
        const SQL: &str = "SELECT id FROM archive_owners WHERE owner = $1";
        *self.numbers.entry(owner).or_insert_with(|| self.tables.number(SQL, &[owner.into()]))
    }
}

impl<'a> Batch<'a> {
    fn of(messages: &[&'a ArchiveMessage], archives: &mut Archives<'a, '_>) -> Self {
        const LAST: &str = "SELECT MAX(place) FROM archive";
        let mut rows = Vec::with_capacity(messages.len());
        for message in messages {
            match archives.number(message.owner.as_str()) {
                Some(owner) => rows.push(Row { owner, message }),
                None => tracing::error!(owner = %message.owner, "left out: there is no such archive"),
            }
        }
        rows.sort_by_key(Row::key);
        Batch { rows, first_place: archives.tables.number(LAST, &[]).unwrap_or_default() + 1 }
    }

    fn put(&self, archives: &mut Archives<'a, '_>) {
        const BODY: &str = "INSERT INTO archive_bodies (place, xml) VALUES ($1, $2)";
        const ROW: &str = "INSERT INTO archive (owner, seq, at, peak, peer, device, sent, id, place, body) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT (owner, seq) DO NOTHING";
        const WORDS: &str = "INSERT INTO archive_words (rowid, words) VALUES ($1, $2)";
        for (row, place) in self.rows.iter().zip(self.first_place..) {
            let Row { owner, message } = row;
            let body = self.shared(message, archives).unwrap_or(place);
            if body == place {
                archives.tables.run(BODY, &[place.into(), message.xml.as_slice().into()]);
            }
            let peer = message.with.bare();
            let mut values = vec![(*owner).into()];
            values.extend(columns(message, &peer));
            values.extend([place.into(), body.into()]);
            archives.tables.run(ROW, &values);
            if !message.words.is_empty() {
                archives.tables.run(WORDS, &[place.into(), format!("_{owner} {}", message.words).into()]);
            }
        }
    }

    /// Where another archive has the text of a message.
    fn shared(&self, message: &'a ArchiveMessage, archives: &mut Archives<'a, '_>) -> Option<i64> {
        const BODY: &str = "SELECT body FROM archive WHERE owner = $1 AND seq = $2";
        let (other, seq) = message.same_as.as_ref()?;
        let owner = archives.number(other.as_str())?;
        match self.rows.binary_search_by_key(&(owner, *seq), Row::key) {
            // One that shares a text itself is not looked through.
            Ok(at) => self.rows[at].message.same_as.is_none().then(|| self.first_place + at as i64),
            Err(_) => archives.tables.number(BODY, &[owner.into(), signed(*seq).into()]),
        }
    }
}

impl Row<'_> {
    fn key(&self) -> (i64, u64) {
        (self.owner, self.message.seq)
    }
}
