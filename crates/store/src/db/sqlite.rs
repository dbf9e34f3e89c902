//! SQLite, one file: a writer thread that commits everything that waits together to the journal and has the tables
//! follow, readers beside it, and a thread that folds the write-ahead log back into the file.

mod journal;
mod readers;
mod script;
mod values;
mod writer;

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread::{self, JoinHandle, Thread};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::{oneshot, watch};

use super::About;
use super::migrate::{self, Dialect, Step};
use super::value::{Query, Row, Value};
use crate::error::StoreError;
use crate::log::Log;
pub(super) use journal::{Ahead, Journal};
use readers::{Question, Questions, Reads};
pub(super) use values::{classify, execute, query};
use writer::{Writing, start_checkpoints};

/// How long a statement waits for another program that holds the file (a backup, the operator's shell).
const BUSY_WAIT: Duration = Duration::from_secs(10);

/// If that thread does not keep up, the writer folds at this many pages of 4 KiB itself, which bounds the log.
const WRITER_CHECKPOINT_PAGES: u32 = 32_768;

/// KiB of the file that the writer keeps in memory: a large group must not be written down before its time, nor the
/// pages in which archives grow be read again for each of them.
const WRITER_CACHE_KIB: i64 = 16 << 10;

/// Prepared statements kept by each connection; all of ours fit.
const STATEMENTS_KEPT: usize = 128;

/// The file and its threads.
pub(crate) struct Sqlite {
    path: PathBuf,
    reads: Arc<Reads>,
    /// What is committed and not in its tables.
    ahead: Ahead,
    /// Questions about that.
    questions: Arc<Questions>,
    writer: Thread,
    is_frugal: Arc<AtomicBool>,
    pages_max: Arc<AtomicU32>,
    /// Each thread that has the file open listens to this until it has let go of it.
    threads: watch::Sender<()>,
}

impl Sqlite {
    /// Opens or makes the file and starts the threads.
    pub(crate) fn open(path: &Path) -> Result<(Sqlite, Log), StoreError> {
        make_private(path)?;
        // Under whatever name it is opened, it is one file and has one lock.
        let path = path.canonicalize().map_err(|error| trouble(path, &error))?;
        let lock = lock(&path)?;
        let writer = connect_writer(&path)?;
        // By a connection of its own: what this takes of memory goes with it.
        let journal = prepare(&mut connect(&path)?)?;
        let checkpoints = start_checkpoints(path.clone())?;

        let (log, reads) = (Log::new(0), Arc::new(Reads::default()));
        let (ahead, questions) = (journal.ahead(), Arc::new(Questions::default()));
        let (is_frugal, pages_max) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU32::new(0)));
        let (threads, thread) = watch::channel(());
        // Whatever ends the writer, and if it is never begun.
        let ending = Ending { log: log.clone(), questions: questions.clone(), reads: reads.clone() };
        for number in 0..reader_count() {
            let (reads, path, open) = (reads.clone(), path.clone(), thread.clone());
            spawn(format!("store-read-{number}"), move || {
                reads.answer_all(|| connect_reader(&path));
                drop(open);
            })?;
        }
        let writing = Writing {
            connection: writer,
            log: log.clone(),
            journal,
            questions: questions.clone(),
            reads: reads.clone(),
            is_frugal: is_frugal.clone(),
            lags: false,
            checkpoints,
            written: 0,
            pages_max: pages_max.clone(),
            pages_max_now: 0,
            // Held until the last statement has been written.
            lock,
        };
        let handle = spawn("store-write".to_owned(), move || {
            let ending = ending;
            writing.run();
            drop(ending);
            drop(thread);
        })?;
        let writer = handle.thread().clone();
        log.wakes(move || handle.thread().unpark());
        Ok((Sqlite { path, reads, ahead, questions, writer, is_frugal, pages_max, threads }, log))
    }

    pub(crate) async fn read(
        &self,
        about: About<'_>,
        queries: Vec<Query>,
    ) -> Result<Vec<Vec<Row>>, StoreError> {
        let (answer, answered) = oneshot::channel();
        let question = Question { queries, answer };
        match self.ahead.concerns(about) {
            false => self.reads.ask(question).map_err(|(_, why)| why)?,
            true => {
                self.questions.ask(question).map_err(|(_, why)| why)?;
                self.writer.unpark();
            }
        }
        answered.await.unwrap_or(Err(StoreError::Closed))
    }

    pub(crate) fn write_beside(&self, sql: &str, values: &[Value<'_>]) -> Result<(), StoreError> {
        execute(&connect(&self.path)?, sql, values)
    }

    /// Whether the writer keeps neither what its tables do not show yet nor pages in memory.
    pub(crate) fn be_frugal(&self, is_frugal: bool) {
        if self.is_frugal.swap(is_frugal, Ordering::AcqRel) != is_frugal {
            self.writer.unpark();
        }
    }

    /// Waits until everything is written and no thread has the file open.
    pub(crate) async fn close(&self) {
        self.threads.closed().await;
    }

    /// As if the disk had so many pages; 0 for no bound.
    #[cfg_attr(not(feature = "fixture"), allow(dead_code))]
    pub(crate) fn limit_pages(&self, pages: u32) {
        self.pages_max.store(pages, Ordering::Release);
    }
}

/// The writer is no more: the log takes nothing, and readers end when they have answered what was asked.
struct Ending {
    log: Log,
    questions: Arc<Questions>,
    reads: Arc<Reads>,
}

impl Drop for Ending {
    fn drop(&mut self) {
        self.log.end();
        drop(self.questions.close());
        self.reads.close();
    }
}

/// A few: reads are short, and the writer needs its share.
fn reader_count() -> usize {
    thread::available_parallelism().map_or(2, |cores| cores.get()).clamp(2, 8)
}

fn spawn(name: String, run: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, StoreError> {
    let failed = |error: io::Error| StoreError::Io(format!("no thread: {error}"));
    thread::Builder::new().name(name).spawn(run).map_err(failed)
}

/// Two servers never open the same file. The operating system lets go of the lock when its holder ends, however it
/// ends, so a lock file that was left behind is no hindrance.
fn lock(path: &Path) -> Result<File, StoreError> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let name = PathBuf::from(name);
    let mut file = open_private(&name)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(std::fs::TryLockError::WouldBlock) => {
            let mut holder = String::new();
            let _ = file.read_to_string(&mut holder);
            return Err(StoreError::InUse { lock: name, pid: holder.trim().parse().ok() });
        }
        Err(std::fs::TryLockError::Error(error)) => return Err(trouble(&name, &error)),
    }
    // Only for whoever comes second: on a full disk the server starts without.
    let _ = file.set_len(0).and_then(|()| file.rewind());
    let _ = writeln!(file, "{}", std::process::id());
    Ok(file)
}

/// The file holds keys and messages: nobody else on the machine may read it.
fn make_private(path: &Path) -> Result<(), StoreError> {
    open_private(path).map(drop)
}

fn open_private(path: &Path) -> Result<File, StoreError> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map_err(|error| trouble(path, &error))
}

/// The operating system's error in the operator's words.
fn trouble(path: &Path, error: &io::Error) -> StoreError {
    let text = format!("{}: {error}", path.display());
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => StoreError::Full(text),
        _ => StoreError::Io(text),
    }
}

fn connect(path: &Path) -> Result<Connection, StoreError> {
    let connection = Connection::open(path).map_err(classify)?;
    connection.busy_timeout(BUSY_WAIT).map_err(classify)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_KEPT);
    // A plan does not depend on the values that are bound. Else a statement is prepared anew whenever others are: that
    // was a fifth of what it cost to archive a message.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).map_err(classify)?;
    connection
        .execute_batch("PRAGMA page_size = 4096; PRAGMA foreign_keys = OFF; PRAGMA synchronous = FULL;")
        .map_err(classify)?;
    Ok(connection)
}

fn connect_reader(path: &Path) -> Result<Connection, StoreError> {
    let connection = connect(path)?;
    connection.pragma_update(None, "query_only", true).map_err(classify)?;
    Ok(connection)
}

/// The one that has the write-ahead log made, on which all others rely.
fn connect_writer(path: &Path) -> Result<Connection, StoreError> {
    let writer = connect(path)?;
    let mode: String =
        writer.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0)).map_err(classify)?;
    if mode != "wal" {
        return Err(StoreError::Io(format!("no write-ahead log on this file system (journal mode {mode})")));
    }
    writer.pragma_update(None, "wal_autocheckpoint", WRITER_CHECKPOINT_PAGES).map_err(classify)?;
    // Negative: KiB instead of pages.
    writer.pragma_update(None, "cache_size", -WRITER_CACHE_KIB).map_err(classify)?;
    // What cannot be written down can still be looked at, see `Journal::look`.
    writer.pragma_update(None, "cache_spill", false).map_err(classify)?;
    Ok(writer)
}

/// Carries out what a crash has left, then brings the schema up to date.
pub(super) fn prepare(connection: &mut Connection) -> Result<Journal, StoreError> {
    journal::carry_out_left(connection)?;
    migrate(connection, migrate::STEPS)?;
    Ok(Journal::default())
}

/// Brings the schema up to date, in one transaction.
fn migrate(connection: &mut Connection, steps: &[Step]) -> Result<(), StoreError> {
    let transaction =
        connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(classify)?;
    transaction.execute_batch(migrate::PREPARE).map_err(classify)?;
    let found: i64 = transaction.query_row(migrate::FOUND, [], |row| row.get(0)).map_err(classify)?;
    for due in migrate::due(steps, found, Dialect::Sqlite)? {
        due.announce();
        transaction.execute_batch(&due.script).map_err(classify)?;
    }
    transaction.commit().map_err(classify)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const BEFORE: Step = Step { name: "words", text: "CREATE TABLE words (word TEXT NOT NULL);" };
    const GROWN: Step =
        Step { name: "lengths", text: "ALTER TABLE words ADD COLUMN length BIGINT NOT NULL DEFAULT 0;" };
    const FILLED: Step = Step { name: "counted", text: "UPDATE words SET length = length(word);" };
    const BROKEN: Step = Step { name: "broken", text: "DELETE FROM words; SELECT * FROM nowhere;" };

    fn version(connection: &Connection) -> i64 {
        connection.query_row(migrate::FOUND, [], |row| row.get(0)).unwrap()
    }

    /// Guarantees G3: what has been committed has been synced.
    #[test]
    fn every_connection_syncs_each_commit() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("store.db");
        let writer = connect_writer(&path).unwrap();
        for connection in [writer, connect(&path).unwrap(), connect_reader(&path).unwrap()] {
            let setting = |name: &str| -> String {
                let sql = format!("SELECT CAST(\"{name}\" AS TEXT) FROM pragma_{name}");
                connection.query_row(&sql, [], |row| row.get(0)).unwrap()
            };
            assert_eq!(setting("synchronous"), "2", "FULL");
            assert_eq!(setting("journal_mode"), "wal");
        }
    }

    #[test]
    fn steps_are_taken_from_where_the_file_stands() {
        let mut connection = Connection::open_in_memory().unwrap();
        migrate(&mut connection, &[BEFORE]).unwrap();
        connection.execute("INSERT INTO words (word) VALUES ('wing')", []).unwrap();
        migrate(&mut connection, &[BEFORE, GROWN, FILLED]).unwrap();
        assert_eq!(version(&connection), 3);
        let length: i64 = connection.query_row("SELECT length FROM words", [], |row| row.get(0)).unwrap();
        assert_eq!(length, 4);
    }

    #[test]
    fn a_step_that_fails_leaves_everything_as_it_was() {
        let mut connection = Connection::open_in_memory().unwrap();
        migrate(&mut connection, &[BEFORE]).unwrap();
        connection.execute("INSERT INTO words (word) VALUES ('wing')", []).unwrap();
        assert!(migrate(&mut connection, &[BEFORE, GROWN, BROKEN]).is_err());
        assert_eq!(version(&connection), 1);
        let words: i64 = connection.query_row("SELECT COUNT(*) FROM words", [], |row| row.get(0)).unwrap();
        assert_eq!(words, 1);
        assert!(connection.prepare("SELECT length FROM words").is_err());
    }
}
