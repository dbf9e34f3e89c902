//! Words that many messages have, looked for in one message after the other.

use super::page::{Search, match_all};
use super::ways::{of_owner, with_peer};
use crate::db::{About, Dialect, Row, number};
use crate::error::StoreError;
use crate::store::Store;

/// The statements that look for words in one message after the other, among the next so many.
struct Walk {
    messages: u64,
    found: &'static str,
    /// Whether there is a message beyond them.
    beyond: &'static str,
}

// Of a limit that is a query the planner knows nothing, and so it does not read and sort all messages before it
// hands out the first.
macro_rules! walk {
    ($messages:literal, $filters:expr, $way:literal, $words:literal, $max:literal) => {
        Walk {
            messages: $messages,
            found: concat!(
                "SELECT a.seq, a.at, b.xml FROM (SELECT a.seq, a.at, a.place, a.body FROM archive a WHERE ",
                $filters,
                " ORDER BY a.seq",
                $way,
                " LIMIT (SELECT ",
                $messages,
                ")) a CROSS JOIN LATERAL (SELECT 1 FROM archive_words WHERE rowid = a.place \
                 AND array_to_tsvector(string_to_array(words, ' ')) @@ CAST(CAST(",
                $words,
                " AS TEXT) AS tsquery) OFFSET 0) w CROSS JOIN LATERAL (SELECT xml FROM archive_bodies \
                 WHERE place = a.body OFFSET 0) b LIMIT ",
                $max
            ),
            beyond: concat!("SELECT a.seq FROM archive a WHERE ", $filters, " LIMIT 1 OFFSET ", $messages),
        }
    };
    ($messages:literal) => {
        [
            walk!($messages, of_owner!(), "", "$6", "$7"),
            walk!($messages, of_owner!(), " DESC", "$6", "$7"),
            walk!($messages, with_peer!(), "", "$8", "$9"),
            walk!($messages, with_peer!(), " DESC", "$8", "$9"),
        ]
    };
}

/// Messages that are looked through before the index is asked: forwards and backwards, with all and with one.
const STEP: [Walk; 4] = walk!(1_000);
/// Messages that are looked through when a page is to be found among them, and the index would name more.
const STRIDE: [Walk; 4] = walk!(10_000);
/// Messages that are looked through while the index names one; as measured.
const LOOKS: u64 = 2;

impl Store {
    /// Messages with words, of which PostgreSQL names all before it can tell the first; so those that come next are
    /// looked through, as long as that promises to be cheaper. `None`: it does not.
    pub(super) async fn walked(
        &self,
        search: &Search<'_>,
        backwards: bool,
    ) -> Result<Option<Vec<Row>>, StoreError> {
        let way = usize::from(backwards) + 2 * usize::from(search.query.with.is_some());
        let (step, stride) = (&STEP[way], &STRIDE[way]);
        let found = self.looked_through(search, step).await?;
        if self.is_all(search, step, &found).await? {
            return Ok(Some(found));
        }
        // As many of the others have the words, if they are like these.
        let (have, page) = (found.len() as u64, search.query.max as u64);
        let walked = (page * step.messages).checked_div(have).unwrap_or(u64::MAX);
        let named = have * self.archived(search.owner).await? / step.messages;
        if walked > stride.messages || walked > named * LOOKS {
            return Ok(None);
        }
        let found = self.looked_through(search, stride).await?;
        Ok(self.is_all(search, stride, &found).await?.then_some(found))
    }

    /// How many messages an archive has, at most.
    async fn archived(&self, owner: i64) -> Result<u64, StoreError> {
        const SQL: &str = "SELECT (SELECT MAX(seq) FROM archive WHERE owner = $1) \
             - (SELECT MIN(seq) FROM archive WHERE owner = $1) + 1";
        let last = self.db().read(About::TheSame, SQL, vec![owner.into()]).await?.into_iter().next();
        number(last.map_or(Ok(None), |mut row| row.maybe_integer(0))?.unwrap_or_default())
    }

    async fn looked_through(&self, search: &Search<'_>, walk: &Walk) -> Result<Vec<Row>, StoreError> {
        let words = match_all(search.owner, &search.query.words, Dialect::Postgres);
        let mut values = search.filters();
        values.extend([words.into(), search.limit()]);
        self.db().read(About::TheSame, walk.found, values).await
    }

    /// Whether a page has no need of the messages beyond.
    async fn is_all(&self, search: &Search<'_>, walk: &Walk, found: &[Row]) -> Result<bool, StoreError> {
        Ok(found.len() > search.query.max
            || self.db().read(About::TheSame, walk.beyond, search.filters()).await?.is_empty())
    }
}
