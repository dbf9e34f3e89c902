//! SQLite's writer: commits everything that waits together, and has the write-ahead log folded back into the file.

use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};

use rusqlite::{Connection, TransactionBehavior};

use super::spawn;
use super::values::{classify, execute};
use crate::db::Sink;
use crate::db::condense::condense;
use crate::db::value::Value;
use crate::error::StoreError;
use crate::log::{Append, Log, Next};

/// The write-ahead log is folded into the file about every so many statements, by a thread of its own.
const STATEMENTS_PER_CHECKPOINT: u64 = 10_000;

/// The writer's own things.
pub(super) struct Writing {
    pub(super) connection: Connection,
    pub(super) log: Log,
    pub(super) checkpoints: Checkpoints,
    /// Since the last checkpoint was asked for.
    pub(super) statements: u64,
    pub(super) pages_max: Arc<AtomicU32>,
    pub(super) pages_max_now: u32,
    pub(super) lock: File,
}

impl Writing {
    pub(super) fn run(mut self) {
        loop {
            match self.log.next() {
                Next::Group(group) => self.commit(&group),
                Next::Sleep => thread::park(),
                Next::End => break,
            }
        }
        // It must be over: two cannot fold at once.
        self.checkpoints.end();
        // The file alone is then the whole database.
        let _ = self.connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)");
        drop(self.connection);
        // Not merely dropped: a program that this process is just starting has it as well, for a moment.
        let _ = self.lock.unlock();
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
                self.log.fail(error);
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
pub(in crate::db) fn commit(connection: &mut Connection, group: &[Append]) -> Result<u64, StoreError> {
    let transaction =
        connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(classify)?;
    let mut runner = Runner { connection: &transaction, error: None, statements: 0 };
    for write in condense(group) {
        write.run(&mut runner);
    }
    let Runner { error, statements, .. } = runner;
    if let Some(error) = error {
        // Dropping the transaction rolls it back.
        return Err(error);
    }
    transaction.commit().map_err(classify)?;
    Ok(statements)
}

/// Runs statements until one fails.
struct Runner<'a> {
    connection: &'a Connection,
    error: Option<StoreError>,
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
pub(super) struct Checkpoints {
    wished: Arc<AtomicU64>,
    thread: JoinHandle<()>,
}

/// What is wished of the checkpoint thread.
const NOTHING: u64 = 0;
const CHECKPOINT: u64 = 1;
const END: u64 = 2;

pub(super) fn start_checkpoints(connection: Connection) -> Result<Checkpoints, StoreError> {
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

    fn end(self) {
        self.wished.store(END, Ordering::Release);
        self.thread.thread().unpark();
        let _ = self.thread.join();
    }
}
