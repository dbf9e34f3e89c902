//! SQLite, one file: a writer thread that commits everything that waits together, readers beside it, and a thread
//! that folds the write-ahead log back into the file.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, ErrorCode, ToSql, TransactionBehavior};
use tokio::sync::oneshot;

use super::Sink;
use super::migrate::{self, Dialect};
use super::value::{Row, Value};
use crate::error::StoreError;
use crate::log::{Append, Log, Next};

/// How long a statement waits for another program that holds the file (a backup, the operator's shell).
const BUSY_WAIT: Duration = Duration::from_secs(10);

/// The write-ahead log is folded into the file about every so many statements, by a thread of its own.
const STATEMENTS_PER_CHECKPOINT: u64 = 2_000;

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

/// Questions that wait for a reader.
#[derive(Default)]
struct Reads {
    state: Mutex<ReadState>,
    asked: Condvar,
}

#[derive(Default)]
struct ReadState {
    queue: VecDeque<Question>,
    closed: bool,
}

struct Question {
    sql: &'static str,
    values: Vec<Value<'static>>,
    answer: oneshot::Sender<Result<Vec<Row>, StoreError>>,
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

impl Reads {
    fn ask(&self, question: Question) -> Result<(), StoreError> {
        let mut state = self.state.lock();
        if state.closed {
            return Err(StoreError::Closed);
        }
        state.queue.push_back(question);
        drop(state);
        self.asked.notify_one();
        Ok(())
    }

    fn close(&self) {
        self.state.lock().closed = true;
        self.asked.notify_all();
    }

    /// A reader's life. What was asked before the end is still answered.
    fn answer_all(&self, connection: &Connection) {
        loop {
            let mut state = self.state.lock();
            let question = loop {
                if let Some(question) = state.queue.pop_front() {
                    break question;
                }
                if state.closed {
                    return;
                }
                self.asked.wait(&mut state);
            };
            drop(state);
            // Nobody waits for it any more.
            if question.answer.is_closed() {
                continue;
            }
            let rows = query(connection, question.sql, &question.values).map_err(classify);
            let _ = question.answer.send(rows);
        }
    }
}

/// The writer's own things.
struct Writing {
    connection: Connection,
    log: Log,
    checkpoints: Checkpoints,
    /// Since the last checkpoint was asked for.
    statements: u64,
    pages_max: Arc<AtomicU32>,
    pages_max_now: u32,
    lock: File,
}

impl Writing {
    fn run(mut self) {
        loop {
            match self.log.next() {
                Next::Group(group) => self.commit(&group),
                Next::Sleep => thread::park(),
                Next::End => break,
            }
        }
        self.checkpoints.end();
        // The file alone is then the whole database.
        let _ = self.connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)");
        drop(self.connection);
        drop(self.lock);
    }

    fn commit(&mut self, group: &[Append]) {
        self.set_bound();
        let Some(last) = group.last() else { return };
        match commit(&mut self.connection, group) {
            Ok(statements) => {
                self.log.succeed(last.lsn);
                self.statements += statements;
                if self.statements >= STATEMENTS_PER_CHECKPOINT {
                    self.statements = 0;
                    self.checkpoints.ask();
                }
            }
            Err(error) => {
                tracing::error!(%error, appends = group.len(), "a group could not be committed and is lost");
                self.log.fail();
            }
        }
    }

    fn set_bound(&mut self) {
        let wanted = self.pages_max.load(Ordering::Acquire);
        if wanted != self.pages_max_now {
            self.pages_max_now = wanted;
            let pages = if wanted == 0 { u32::MAX - 1 } else { wanted };
            let _ = self.connection.pragma_update(None, "max_page_count", pages);
        }
    }
}

/// Commits a group in one transaction and returns how many statements it had. On an error nothing of it is there.
pub(super) fn commit(connection: &mut Connection, group: &[Append]) -> Result<u64, StoreError> {
    let transaction =
        connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(classify)?;
    let mut runner = Runner { connection: &transaction, error: None, statements: 0 };
    for write in group.iter().flat_map(|append| &append.writes) {
        write.run(&mut runner);
    }
    let Runner { error, statements, .. } = runner;
    if let Some(error) = error {
        // Dropping the transaction rolls it back.
        return Err(classify(error));
    }
    transaction.commit().map_err(classify)?;
    Ok(statements)
}

/// Runs statements until one fails.
struct Runner<'a> {
    connection: &'a Connection,
    error: Option<rusqlite::Error>,
    statements: u64,
}

impl Sink for Runner<'_> {
    fn run(&mut self, sql: &'static str, values: &[Value<'_>]) {
        if self.error.is_none() {
            self.statements += 1;
            self.error = execute(self.connection, sql, values).err();
        }
    }
}

/// The thread that folds the write-ahead log into the file.
struct Checkpoints {
    wished: Arc<AtomicU64>,
    thread: JoinHandle<()>,
}

/// What is wished of the checkpoint thread.
const NOTHING: u64 = 0;
const CHECKPOINT: u64 = 1;
const END: u64 = 2;

fn start_checkpoints(connection: Connection) -> Result<Checkpoints, StoreError> {
    let wished = Arc::new(AtomicU64::new(NOTHING));
    let told = wished.clone();
    let thread = spawn("store-checkpoint".to_owned(), move || {
        loop {
            match told.swap(NOTHING, Ordering::AcqRel) {
                CHECKPOINT => fold(&connection),
                END => return,
                _ => thread::park(),
            }
        }
    })?;
    Ok(Checkpoints { wished, thread })
}

fn fold(connection: &Connection) {
    // PASSIVE never makes the writer wait.
    if let Err(error) = connection.execute_batch("PRAGMA wal_checkpoint(PASSIVE)") {
        tracing::warn!(error = %classify(error), "the write-ahead log could not be folded into the file; later");
    }
}

impl Checkpoints {
    fn ask(&self) {
        self.wished.store(CHECKPOINT, Ordering::Release);
        self.thread.thread().unpark();
    }

    fn end(&mut self) {
        self.wished.store(END, Ordering::Release);
        self.thread.thread().unpark();
    }
}

pub(super) fn execute(connection: &Connection, sql: &str, values: &[Value<'_>]) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(sql)?;
    bind(&mut statement, values)?;
    statement.raw_execute().map(|_| ())
}

pub(super) fn query(connection: &Connection, sql: &str, values: &[Value<'_>]) -> rusqlite::Result<Vec<Row>> {
    let mut statement = connection.prepare_cached(sql)?;
    bind(&mut statement, values)?;
    let columns = statement.column_count();
    let mut rows = statement.raw_query();
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let value = |column| row.get_ref(column).map(owned);
        found.push(Row((0..columns).map(value).collect::<rusqlite::Result<_>>()?));
    }
    Ok(found)
}

fn bind(statement: &mut rusqlite::Statement<'_>, values: &[Value<'_>]) -> rusqlite::Result<()> {
    for (number, value) in values.iter().enumerate() {
        statement.raw_bind_parameter(number + 1, value)?;
    }
    Ok(())
}

impl ToSql for Value<'_> {
    fn to_sql(&self) -> rusqlite::Result<rusqlite::types::ToSqlOutput<'_>> {
        let value = match self {
            Value::Null => ValueRef::Null,
            Value::Integer(number) => ValueRef::Integer(*number),
            Value::Text(text) => ValueRef::Text(text.as_bytes()),
            Value::Blob(bytes) => ValueRef::Blob(bytes),
        };
        Ok(rusqlite::types::ToSqlOutput::Borrowed(value))
    }
}

fn owned(value: ValueRef<'_>) -> Value<'static> {
    match value {
        ValueRef::Null | ValueRef::Real(_) => Value::Null,
        ValueRef::Integer(number) => number.into(),
        ValueRef::Text(text) => String::from_utf8_lossy(text).into_owned().into(),
        ValueRef::Blob(bytes) => Value::Blob(bytes.to_vec().into()),
    }
}

/// SQLite's error in the operator's words.
pub(super) fn classify(error: rusqlite::Error) -> StoreError {
    let text = error.to_string();
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => StoreError::Full(text),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => StoreError::Busy(text),
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => StoreError::Corrupt(text),
        Some(
            ErrorCode::SystemIoFailure
            | ErrorCode::CannotOpen
            | ErrorCode::ReadOnly
            | ErrorCode::PermissionDenied
            | ErrorCode::NoLargeFileSupport,
        ) => StoreError::Io(text),
        _ => StoreError::Refused(text),
    }
}
