//! The store: opened by its URL, read by questions, written through its log.

use std::fmt;
use std::sync::Arc;

use crate::db::Db;
use crate::db::postgres::Postgres;
use crate::db::sqlite::Sqlite;
use crate::error::StoreError;
use crate::log::Log;
use crate::url::StoreUrl;

/// The store. Clones are the same store; when the last one goes, what was appended is still written.
#[derive(Clone)]
pub struct Store(Arc<Open>);

struct Open {
    db: Db,
    log: Log,
}

impl Store {
    /// Opens the store, making or upgrading its tables if need be. It brings its own threads and needs no runtime.
    ///
    /// # Errors
    /// When another server has it open, it is of a newer version, cannot be reached, or the disk fails.
    pub async fn open(url: &StoreUrl) -> Result<Store, StoreError> {
        let (db, log) = match url {
            StoreUrl::Sqlite(path) => {
                let (sqlite, log) = Sqlite::open(path)?;
                (Db::Sqlite(sqlite), log)
            }
            StoreUrl::Postgres(config) => {
                let (postgres, log) = Postgres::open(config).await?;
                (Db::Postgres(postgres), log)
            }
        };
        Ok(Store::new(db, log))
    }

    pub(crate) fn new(db: Db, log: Log) -> Store {
        Store(Arc::new(Open { db, log }))
    }

    /// The log: everything is written through it.
    pub fn log(&self) -> Log {
        self.0.log.clone()
    }

    /// Whether memory is scarce, so that nothing is kept in it only for speed.
    pub fn be_frugal(&self, is_frugal: bool) {
        self.0.db.be_frugal(is_frugal);
    }

    /// Takes no more writes, waits until all that was appended is written, and lets go of the database.
    /// Afterwards appends are refused and reads answer [`StoreError::Closed`].
    pub async fn close(&self) {
        self.0.log.close();
        self.0.db.close().await;
    }

    /// As if the disk had so many pages of 4 KiB and no more (SQLite): appends beyond fail as on a full disk.
    #[cfg(feature = "fixture")]
    pub fn limit_pages(&self, pages: u32) {
        if let Db::Sqlite(sqlite) = &self.0.db {
            sqlite.limit_pages(pages);
        }
    }

    pub(crate) fn db(&self) -> &Db {
        &self.0.db
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.log.close();
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let engine = match self.0.db {
            Db::Sqlite(_) => "SQLite",
            Db::Postgres(_) => "PostgreSQL",
            Db::Rehearsal(_) => "rehearsal",
        };
        write!(formatter, "Store({engine}, {:?})", self.0.log)
    }
}
