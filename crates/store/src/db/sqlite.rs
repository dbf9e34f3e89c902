//! SQLite, one file: a writer thread that commits everything that waits together, readers beside it, and a thread
//! that folds the write-ahead log back into the file.

mod readers;
mod values;
mod writer;

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use parking_lot::Mutex;
use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::oneshot;

use super::migrate::{self, Dialect};
use super::value::{Row, Value};
use crate::error::StoreError;
use crate::log::Log;
use readers::{Question, Reads};
pub(super) use values::{classify, execute, query};
pub(super) use writer::commit;
use writer::{Writing, start_checkpoints};

/// How long a statement waits for another program that holds the file (a backup, the operator's shell).
const BUSY_WAIT: Duration = Duration::from_secs(10);

/// If that thread does not keep up, the writer folds at this many pages of 4 KiB itself, which bounds the log.
const WRITER_CHECKPOINT_PAGES: u32 = 32_768;

/// Prepared statements kept by each connection; all of ours fit.
const STATEMENTS_KEPT: usize = 128;

/// The file and its threads.
pub(crate) struct Sqlite {
    path: PathBuf,
    reads: Arc<Reads>,
    pages_max: Arc<AtomicU32>,
    /// Ends when the writer has.
    writer: Mutex<Option<JoinHandle<()>>>,
    /// Told by the writer's end.
    ended: Mutex<Option<oneshot::Receiver<()>>>,
}

impl Sqlite {
    /// Opens or makes the file and starts the threads.
    pub(crate) fn open(path: &Path) -> Result<(Sqlite, Log), StoreError> {
        let lock = lock(path)?;
        make_private(path)?;
        let mut writer = connect(path)?;
        prepare_file(&mut writer)?;
        let log = Log::new(0);
        let reads = Arc::new(Reads::default());
        for number in 0..reader_count() {
            let connection = connect(path)?;
            connection.pragma_update(None, "query_only", true).map_err(classify)?;
            let reads = reads.clone();
            spawn(format!("store-read-{number}"), move || reads.answer_all(&connection))?;
        }
        let checkpoints = start_checkpoints(connect(path)?)?;
        let pages_max = Arc::new(AtomicU32::new(0));
        let (told, ended) = oneshot::channel();
        let writing = Writing {
            connection: writer,
            log: log.clone(),
            checkpoints,
            statements: 0,
            pages_max: pages_max.clone(),
            pages_max_now: 0,
            // Held until the last statement has been written.
            lock,
        };
        let closing = reads.clone();
        let handle = spawn("store-write".to_owned(), move || {
            writing.run();
            closing.close();
            let _ = told.send(());
        })?;
        let thread = handle.thread().clone();
        log.wakes(move || thread.unpark());
        let sqlite = Sqlite {
            path: path.to_owned(),
            reads,
            pages_max,
            writer: Mutex::new(Some(handle)),
            ended: Mutex::new(Some(ended)),
        };
        Ok((sqlite, log))
    }

    pub(crate) async fn read(
        &self,
        sql: &'static str,
        values: Vec<Value<'static>>,
    ) -> Result<Vec<Row>, StoreError> {
        let (answer, answered) = oneshot::channel();
        self.reads.ask(Question { sql, values, answer })?;
        answered.await.unwrap_or(Err(StoreError::Closed))
    }

    pub(crate) fn write_beside(&self, sql: &str, values: &[Value<'_>]) -> Result<(), StoreError> {
        let connection = connect(&self.path)?;
        execute(&connection, sql, values).map_err(classify)
    }

    pub(crate) async fn close(&self) {
        let ended = self.ended.lock().take();
        if let Some(ended) = ended {
            let _ = ended.await;
        }
        let writer = self.writer.lock().take();
        if let Some(writer) = writer {
            let _ = writer.join();
        }
    }

    /// As if the disk had so many pages; 0 for no bound.
    #[cfg_attr(not(feature = "fixture"), allow(dead_code))]
    pub(crate) fn limit_pages(&self, pages: u32) {
        self.pages_max.store(pages, Ordering::Release);
    }
}

/// A few: reads are short, and the writer needs its share.
fn reader_count() -> usize {
    thread::available_parallelism().map_or(2, |cores| cores.get()).clamp(2, 8)
}

fn spawn(name: String, run: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, StoreError> {
    let failed = |error: std::io::Error| StoreError::Io(format!("no thread: {error}"));
    thread::Builder::new().name(name).spawn(run).map_err(failed)
}

/// Two servers never open the same file. The operating system lets go of the lock when its holder ends, however it
/// ends, so a lock file that was left behind is no hindrance.
fn lock(path: &Path) -> Result<File, StoreError> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let name = PathBuf::from(name);
    let failed = |error: std::io::Error| StoreError::Io(format!("{}: {error}", name.display()));
    let mut file =
        OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&name).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(std::fs::TryLockError::WouldBlock) => {
            let mut holder = String::new();
            let _ = file.read_to_string(&mut holder);
            return Err(StoreError::InUse { lock: name, pid: holder.trim().parse().ok() });
        }
        Err(std::fs::TryLockError::Error(error)) => return Err(failed(error)),
    }
    file.set_len(0).and_then(|()| file.rewind()).map_err(failed)?;
    writeln!(file, "{}", std::process::id()).map_err(failed)?;
    Ok(file)
}

/// The file holds keys and messages: nobody else on the machine may read it.
fn make_private(path: &Path) -> Result<(), StoreError> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let failed = |error: std::io::Error| StoreError::Io(format!("{}: {error}", path.display()));
    options.open(path).map(drop).map_err(failed)
}

fn connect(path: &Path) -> Result<Connection, StoreError> {
    let connection = Connection::open(path).map_err(classify)?;
    connection.busy_timeout(BUSY_WAIT).map_err(classify)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_KEPT);
    connection
        .execute_batch("PRAGMA page_size = 4096; PRAGMA foreign_keys = OFF; PRAGMA synchronous = FULL;")
        .map_err(classify)?;
    Ok(connection)
}

/// What every connection relies on: the write-ahead log and the newest schema.
fn prepare_file(writer: &mut Connection) -> Result<(), StoreError> {
    let mode: String =
        writer.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0)).map_err(classify)?;
    if mode != "wal" {
        return Err(StoreError::Io(format!("no write-ahead log on this file system (journal mode {mode})")));
    }
    writer.pragma_update(None, "wal_autocheckpoint", WRITER_CHECKPOINT_PAGES).map_err(classify)?;
    migrate(writer)
}

/// Brings the schema up to date, in one transaction.
pub(super) fn migrate(connection: &mut Connection) -> Result<(), StoreError> {
    let transaction =
        connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(classify)?;
    transaction.execute_batch(migrate::PREPARE).map_err(classify)?;
    let found: i64 = transaction.query_row(migrate::FOUND, [], |row| row.get(0)).map_err(classify)?;
    if let Some(script) = migrate::script(found, Dialect::Sqlite)? {
        tracing::info!(found, newest = migrate::NEWEST, "bringing the database's schema up to date");
        transaction.execute_batch(&script).map_err(classify)?;
    }
    transaction.commit().map_err(classify)
}
