//! The store in rehearsal: SQLite in memory, in one thread, where commits, failures and crashes happen when the
//! simulator says so.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use rusqlite::Connection;

use super::sqlite::{self, Journal};
use super::value::{Query, Row, Value};
use super::{About, Db};
use crate::error::StoreError;
use crate::log::{Append, Log, Next};
use crate::store::Store;

/// What survives a crash: everything committed. One process at a time has it.
pub(crate) struct Disk {
    platter: Arc<Mutex<Connection>>,
    /// What this process has committed and its tables do not show.
    journal: Mutex<Journal>,
    fails: Arc<AtomicBool>,
    /// The process that used it is gone.
    gone: AtomicBool,
}

impl Disk {
    /// As a process finds it when it starts. It cannot fail but for want of memory.
    #[allow(clippy::expect_used)]
    fn of(platter: Arc<Mutex<Connection>>, fails: Arc<AtomicBool>) -> Self {
        let journal = sqlite::prepare(&mut platter.lock()).expect("our own schema");
        Disk { platter, journal: Mutex::new(journal), fails, gone: AtomicBool::new(false) }
    }

    fn next_process(&self) -> Arc<Disk> {
        self.gone.store(true, Ordering::Release);
        Arc::new(Disk::of(self.platter.clone(), self.fails.clone()))
    }

    fn is_there(&self) -> Result<(), StoreError> {
        if self.gone.load(Ordering::Acquire) {
            return Err(StoreError::Closed);
        }
        if self.fails.load(Ordering::Acquire) {
            return Err(StoreError::Unavailable("as rehearsed".to_owned()));
        }
        Ok(())
    }

    fn commit(&self, group: Vec<Append>) -> Result<(), StoreError> {
        let (mut journal, mut platter) = (self.journal.lock(), self.platter.lock());
        journal.commit(&mut platter, group)?;
        if journal.is_due() {
            journal.follow(&mut platter)?;
        }
        Ok(())
    }

    pub(crate) fn read(&self, about: About<'_>, queries: &[Query]) -> Result<Vec<Vec<Row>>, StoreError> {
        self.is_there()?;
        let (mut journal, mut platter) = (self.journal.lock(), self.platter.lock());
        if journal.ahead().concerns(about) {
            journal.follow(&mut platter)?;
        }
        queries.iter().map(|Query { sql, values }| sqlite::query(&platter, sql, values)).collect()
    }

    pub(crate) fn write_beside(&self, sql: &str, values: &[Value<'_>]) -> Result<(), StoreError> {
        self.is_there()?;
        sqlite::execute(&self.platter.lock(), sql, values)
    }
}

/// The simulator's hand on a store. Clones are the same hand.
///
/// Reads are ready at once. Nothing is committed until [`Rehearsal::commit_next`]; what was appended until then is one
/// group, as with a busy writer.
#[derive(Clone)]
pub struct Rehearsal(Arc<Mutex<Stage>>);

struct Stage {
    disk: Arc<Disk>,
    log: Log,
    /// The group that the writer has in hand.
    in_work: Option<Vec<Append>>,
}

impl Rehearsal {
    /// An empty store and the hand on it.
    pub fn new() -> (Store, Rehearsal) {
        let platter = Arc::new(Mutex::new(empty()));
        let disk = Arc::new(Disk::of(platter, Arc::default()));
        let log = Log::new(0);
        let store = Store::new(Db::Rehearsal(disk.clone()), log.clone());
        (store, Rehearsal(Arc::new(Mutex::new(Stage { disk, log, in_work: None }))))
    }

    /// Has `wake` called when something is appended and the writer, as [`Rehearsal::begin`], found nothing before.
    /// To be said once in each life.
    pub fn wakes(&self, wake: impl Fn() + Send + Sync + 'static) {
        self.0.lock().log.wakes(wake);
    }

    /// How many appends are not yet committed.
    pub fn waiting(&self) -> usize {
        self.0.lock().log.waiting().appends
    }

    /// The writer takes what waits; appends from now on go into the next group. `false` if nothing waits or a group
    /// is already in work.
    pub fn begin(&self) -> bool {
        let mut stage = self.0.lock();
        stage.in_work.is_none() && stage.take()
    }

    /// Commits the group in work, or all that waits. `false` if nothing waits. A group that the database refuses
    /// fails, as it would in earnest.
    pub fn commit_next(&self) -> bool {
        let mut stage = self.0.lock();
        if stage.in_work.is_none() && !stage.take() {
            return false;
        }
        let (log, disk, group) = (stage.log.clone(), stage.disk.clone(), stage.in_work.take());
        // Listeners may look at this hand.
        drop(stage);
        let group = group.unwrap_or_default();
        // There is no empty group.
        let Some(last) = group.last().map(|append| append.lsn) else { return true };
        match disk.commit(group) {
            Ok(()) => log.succeed(last),
            Err(error) => {
                tracing::error!(%error, "a rehearsed group was refused");
                log.fail(error);
            }
        }
        true
    }

    /// The group in work, or all that waits, is lost, and all appended since with it. `false` if nothing waits.
    pub fn fail_next(&self) -> bool {
        let mut stage = self.0.lock();
        if stage.in_work.is_none() && !stage.take() {
            return false;
        }
        stage.in_work = None;
        let log = stage.log.clone();
        drop(stage);
        log.fail(StoreError::Unavailable("as rehearsed".to_owned()));
        true
    }

    /// Whether reads answer [`StoreError::Unavailable`] from now on.
    pub fn fail_reads(&self, fails: bool) {
        self.0.lock().disk.fails.store(fails, Ordering::Release);
    }

    /// The process dies: all that was not committed is gone. Returns the store as the next process opens it, on the
    /// same disk; this hand is on that one from now on. The old store refuses everything, and what was pending in it
    /// stays so for ever. Numbers of its log begin anew.
    pub fn crash(&self) -> Store {
        let mut stage = self.0.lock();
        stage.log.crash();
        stage.in_work = None;
        stage.disk = stage.disk.next_process();
        stage.log = Log::new(0);
        Store::new(Db::Rehearsal(stage.disk.clone()), stage.log.clone())
    }
}

impl Stage {
    fn take(&mut self) -> bool {
        match self.log.next() {
            Next::Group(group) => {
                self.in_work = Some(group);
                true
            }
            // The simulator says when.
            Next::Pause => {
                self.log.lose_patience();
                self.take()
            }
            Next::Sleep | Next::End => false,
        }
    }
}

/// A database in memory. It cannot fail but for want of memory.
#[allow(clippy::expect_used)]
fn empty() -> Connection {
    Connection::open_in_memory().expect("a database in memory")
}

impl fmt::Debug for Rehearsal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Rehearsal({} waiting)", self.waiting())
    }
}
