//! The one place that knows the engine: a few verbs over SQLite, PostgreSQL and the rehearsal.
//!
//! All SQL text is shared. SQLite numbers `$n` by first appearance, so write placeholders in ascending order.

mod condense;
mod migrate;
pub(crate) mod postgres;
pub(crate) mod rehearsal;
pub(crate) mod sqlite;
mod value;

use std::sync::Arc;

pub(crate) use migrate::Dialect;
pub(crate) use value::{Query, Row, Value, instant, micros, number, signed};
use xmpp::jid::BareJid;

use crate::error::StoreError;

/// Takes the statements of writes, in order.
pub(crate) trait Sink {
    /// One statement and its values.
    fn run(&mut self, sql: &'static str, values: &[Value<'_>]);
}

/// Tables that writes go into at once, so that they can be asked how they are.
pub(crate) trait Tables: Sink {
    /// The one number that is asked for, if there is one.
    fn number(&mut self, sql: &'static str, values: &[Value<'_>]) -> Option<i64>;
}

/// What a question is about: the answer shows all that was committed of that before it was asked.
#[derive(Clone, Copy)]
pub(crate) enum About<'a> {
    /// An account, or a domain.
    Account(&'a BareJid),
    /// More than one.
    Everybody,
    /// What a question before this one was about: it shows at least what that did.
    TheSame,
}

/// The engine.
pub(crate) enum Db {
    Sqlite(sqlite::Sqlite),
    Postgres(postgres::Postgres),
    Rehearsal(Arc<rehearsal::Disk>),
}

impl Db {
    /// The rows of one query: one consistent picture.
    pub(crate) async fn read(
        &self,
        about: About<'_>,
        sql: &'static str,
        values: Vec<Value<'static>>,
    ) -> Result<Vec<Row>, StoreError> {
        let mut answers = self.read_all(about, vec![Query { sql, values }]).await?;
        Ok(answers.pop().unwrap_or_default())
    }

    /// The rows of each of these queries. Together they cost little more than one: it is the way there and back that
    /// takes time.
    pub(crate) async fn read_all(
        &self,
        about: About<'_>,
        queries: Vec<Query>,
    ) -> Result<Vec<Vec<Row>>, StoreError> {
        match self {
            Db::Sqlite(sqlite) => sqlite.read(about, queries).await,
            Db::Postgres(postgres) => postgres.run(queries).await,
            Db::Rehearsal(disk) => disk.read(about, &queries),
        }
    }

    /// One statement in a transaction of its own, beside the log: for what nobody's order depends on.
    pub(crate) async fn write_beside(
        &self,
        sql: &'static str,
        values: Vec<Value<'static>>,
    ) -> Result<(), StoreError> {
        match self {
            Db::Sqlite(sqlite) => sqlite.write_beside(sql, &values),
            Db::Postgres(postgres) => postgres.run(vec![Query { sql, values }]).await.map(|_| ()),
            Db::Rehearsal(disk) => disk.write_beside(sql, &values),
        }
    }

    /// Whether nothing is kept in memory only for speed.
    pub(crate) fn be_frugal(&self, is_frugal: bool) {
        match self {
            Db::Sqlite(sqlite) => sqlite.be_frugal(is_frugal),
            Db::Postgres(_) | Db::Rehearsal(_) => {}
        }
    }

    /// In whose words it is asked, where there are no common ones.
    pub(crate) fn dialect(&self) -> Dialect {
        match self {
            Db::Sqlite(_) | Db::Rehearsal(_) => Dialect::Sqlite,
            Db::Postgres(_) => Dialect::Postgres,
        }
    }

    /// Waits until the writer has written all that was appended, then lets go of the database.
    pub(crate) async fn close(&self) {
        match self {
            Db::Sqlite(sqlite) => sqlite.close().await,
            Db::Postgres(postgres) => postgres.close().await,
            Db::Rehearsal(_) => {}
        }
    }
}
