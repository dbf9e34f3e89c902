//! SQLite's writer: commits everything that waits together, and has the write-ahead log folded back into the file.

use std::collections::VecDeque;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rusqlite::Connection;

use super::journal::Journal;
use super::readers::{Question, Questions, Reads};
use super::values::classify;
use super::{connect, spawn};
use crate::error::StoreError;
use crate::log::{Append, Log, Next, PATIENCE};

/// The write-ahead log is folded into the file about every so many bytes, by a thread of its own.
const BYTES_PER_CHECKPOINT: u64 = 4 << 20;

/// What a commit writes besides what is in it, roughly: pages that it touches.
const COMMIT_BYTES: u64 = 8 << 10;

/// What a statement writes, roughly.
const STATEMENT_BYTES: u64 = 400;

/// Tables follow when nothing has been written for so long.
const PAUSE: Duration = Duration::from_millis(250);

/// The writer's own things.
pub(super) struct Writing {
    pub(super) connection: Connection,
    pub(super) log: Log,
    pub(super) journal: Journal,
    pub(super) questions: Arc<Questions>,
    pub(super) reads: Arc<Reads>,
    /// Memory is scarce: nothing is kept in it for speed.
    pub(super) is_frugal: Arc<AtomicBool>,
    /// The tables could not follow; said once.
    pub(super) lags: bool,
    pub(super) checkpoints: Checkpoints,
    /// Bytes since the last checkpoint was asked for, roughly.
    pub(super) written: u64,
    pub(super) pages_max: Arc<AtomicU32>,
    pub(super) pages_max_now: u32,
    pub(super) lock: File,
}

impl Writing {
    pub(super) fn run(mut self) {
        loop {
            match self.log.next() {
                Next::Group(group) => self.commit(group),
                Next::Pause => {
                    thread::park_timeout(PATIENCE);
                    self.log.lose_patience();
                }
                Next::Sleep => self.rest(),
                Next::End => break,
            }
            let (questions, is_frugal) = (self.questions.take(), self.is_frugal.load(Ordering::Acquire));
            if self.journal.is_due() || is_frugal || !questions.is_empty() {
                self.follow(questions);
            }
            if is_frugal {
                let _ = self.connection.execute_batch("PRAGMA shrink_memory");
            }
        }
        self.follow(self.questions.close());
        // It must be over: two cannot fold at once.
        self.checkpoints.end();
        // The file alone is then the whole database.
        let _ = self.connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)");
        drop(self.connection);
        // Not merely dropped: a program that this process is just starting has it as well, for a moment.
        let _ = self.lock.unlock();
    }

    /// Until something is to be done. Tables follow when nothing has been for a while.
    fn rest(&mut self) {
        if self.journal.is_empty() {
            return thread::park();
        }
        thread::park_timeout(PAUSE);
        if self.log.waiting().appends == 0 {
            self.follow(Vec::new());
        }
    }

    fn commit(&mut self, group: Vec<Append>) {
        self.set_bound();
        let (appends, Some(last)) = (group.len(), group.last().map(|append| append.lsn)) else { return };
        match self.journal.commit(&mut self.connection, group) {
            Ok(bytes) => {
                self.log.succeed(last);
                self.count(COMMIT_BYTES + bytes as u64);
            }
            Err(error) => {
                tracing::error!(%error, appends, "a group could not be committed and is lost");
                self.log.fail(error);
            }
        }
    }

    /// The tables follow; then these questions can be answered.
    fn follow(&mut self, questions: Vec<Question>) {
        match self.journal.follow(&mut self.connection) {
            Ok(statements) => {
                self.lags = false;
                self.count(statements * STATEMENT_BYTES);
                for question in questions {
                    if let Err((question, error)) = self.reads.ask(question) {
                        let _ = question.answer.send(Err(error));
                    }
                }
            }
            Err(error) => {
                if !std::mem::replace(&mut self.lags, true) {
                    tracing::error!(%error, "what is committed cannot be put into its tables; it is tried again");
                }
                self.answer(questions, &error);
            }
        }
    }

    /// Answers all the same, of tables as they will be.
    fn answer(&mut self, questions: Vec<Question>, trouble: &StoreError) {
        if questions.is_empty() {
            return;
        }
        let mut questions = VecDeque::from(questions);
        let looked = self.journal.look(&mut self.connection, |tables| {
            questions.drain(..).for_each(|question| question.answer_from(tables));
        });
        if let Err(error) = looked {
            tracing::error!(%error, %trouble, "nor can it be looked at");
        }
        for question in questions {
            let _ = question.answer.send(Err(trouble.clone()));
        }
    }

    fn count(&mut self, bytes: u64) {
        self.written += bytes;
        if self.written >= BYTES_PER_CHECKPOINT {
            self.written = 0;
            self.checkpoints.ask();
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

/// The thread that folds the write-ahead log into the file.
pub(super) struct Checkpoints {
    wished: Arc<AtomicU64>,
    thread: JoinHandle<()>,
}

/// What is wished of the checkpoint thread.
const NOTHING: u64 = 0;
const CHECKPOINT: u64 = 1;
const END: u64 = 2;

pub(super) fn start_checkpoints(path: PathBuf) -> Result<Checkpoints, StoreError> {
    let wished = Arc::new(AtomicU64::new(NOTHING));
    let told = wished.clone();
    let thread = spawn("store-checkpoint".to_owned(), move || {
        let mut connection = None;
        loop {
            match told.swap(NOTHING, Ordering::AcqRel) {
                CHECKPOINT => connection = fold(connection, &path),
                END => return,
                _ => thread::park(),
            }
        }
    })?;
    Ok(Checkpoints { wished, thread })
}

/// Returns the connection, if there is one: a small server may never need it.
fn fold(connection: Option<Connection>, path: &Path) -> Option<Connection> {
    let folded = connection.map_or_else(|| connect(path), Ok).and_then(|connection| {
        // PASSIVE never makes the writer wait.
        connection.execute_batch("PRAGMA wal_checkpoint(PASSIVE)").map_err(classify)?;
        Ok(connection)
    });
    folded
        .inspect_err(
            |error| tracing::warn!(%error, "the write-ahead log could not be folded into the file; later"),
        )
        .ok()
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
