//! The one log of the writer: numbers what is written, and tells how far it is safe and what was lost.

use std::fmt;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::{Mutex, RwLock};

use crate::write::Write;

/// Log sequence number: the place of one append in the log. The default rests on nothing and is always committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Lsn(u64);

impl Lsn {
    /// The number, for logs and traces.
    pub fn number(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Lsn {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// What became of everything up to a number on which it rests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Not yet known.
    Pending,
    /// Safe on disk.
    Committed,
    /// Lost for ever: its group could not be committed. Whoever rests on it must be read anew.
    Failed,
}

/// What the append rests on has been lost, or the store is closed: nothing was appended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failed;

impl fmt::Display for Failed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the store could not keep what this rests on")
    }
}

impl std::error::Error for Failed {}

/// Told after every commit and every failure.
type Listener = Arc<dyn Fn() + Send + Sync>;

/// The log. Clones are the same log.
#[derive(Clone)]
pub struct Log(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    /// The highest committed number. It is stored after the failures below it.
    committed: AtomicU64,
    /// How many groups have failed.
    failures: AtomicU64,
    /// The highest number that was lost.
    last_failed: AtomicU64,
    listeners: RwLock<Vec<Listener>>,
    wake_writer: OnceLock<Box<dyn Fn() + Send + Sync>>,
}

struct State {
    queue: Vec<Append>,
    /// The last number given out.
    last: u64,
    /// Lost ranges (after, up to], in order, not touching.
    failed: Vec<(u64, u64)>,
    /// The writer found nothing to do and must be woken.
    asleep: bool,
    /// Nothing more is taken; the writer ends when the queue is empty.
    closed: bool,
}

/// The writes of one append.
pub(crate) struct Append {
    pub(crate) lsn: u64,
    pub(crate) writes: Vec<Write>,
}

/// What the writer does next.
pub(crate) enum Next {
    /// Commit these, in order, together.
    Group(Vec<Append>),
    /// Sleep until woken.
    Sleep,
    /// The log is closed and all is written.
    End,
}

impl Log {
    /// A log whose numbers begin after `last`.
    pub(crate) fn new(last: u64) -> Self {
        let state = State { queue: Vec::new(), last, failed: Vec::new(), asleep: false, closed: false };
        Log(Arc::new(Shared {
            state: Mutex::new(state),
            committed: AtomicU64::new(last),
            failures: AtomicU64::new(0),
            last_failed: AtomicU64::new(0),
            listeners: RwLock::new(Vec::new()),
            wake_writer: OnceLock::new(),
        }))
    }

    /// Takes writes, to be committed in the order of appends, and numbers them. Never waits. Without writes it is
    /// the number it rests on.
    ///
    /// # Errors
    /// When what they rest on has been lost, or the store is closed.
    pub fn append(&self, rests_on: Lsn, writes: Vec<Write>) -> Result<Lsn, Failed> {
        let mut state = self.0.state.lock();
        if state.closed || state.has_failed(rests_on.0) {
            return Err(Failed);
        }
        if writes.is_empty() {
            return Ok(rests_on);
        }
        state.last += 1;
        let lsn = state.last;
        state.queue.push(Append { lsn, writes });
        let wake = std::mem::take(&mut state.asleep);
        drop(state);
        if wake {
            self.wake();
        }
        Ok(Lsn(lsn))
    }

    /// The highest committed number. Numbers below it may have failed: ask [`Log::fate`].
    pub fn committed(&self) -> Lsn {
        Lsn(self.0.committed.load(Ordering::Acquire))
    }

    /// The last number given out.
    pub fn last(&self) -> Lsn {
        Lsn(self.0.state.lock().last)
    }

    /// What became of this append. Cheap: two loads, unless something failed after it.
    pub fn fate(&self, lsn: Lsn) -> Fate {
        // First how far it is committed: a failure is recorded before the committed number moves past it.
        let committed = self.0.committed.load(Ordering::Acquire);
        if lsn.0 != 0
            && lsn.0 <= self.0.last_failed.load(Ordering::Acquire)
            && self.0.state.lock().has_failed(lsn.0)
        {
            return Fate::Failed;
        }
        if lsn.0 <= committed { Fate::Committed } else { Fate::Pending }
    }

    /// How many groups have failed since the store was opened.
    pub fn failures(&self) -> u64 {
        self.0.failures.load(Ordering::Acquire)
    }

    /// Has `listener` called by the writer after every commit and every failure. It must be quick and must not append.
    pub fn on_change(&self, listener: Arc<dyn Fn() + Send + Sync>) {
        self.0.listeners.write().push(listener);
    }

    /// How the writer is woken when it sleeps.
    pub(crate) fn wakes(&self, wake: impl Fn() + Send + Sync + 'static) {
        let _ = self.0.wake_writer.set(Box::new(wake));
    }

    /// All that waits, for the writer.
    pub(crate) fn next(&self) -> Next {
        let mut state = self.0.state.lock();
        if !state.queue.is_empty() {
            return Next::Group(std::mem::take(&mut state.queue));
        }
        if state.closed {
            return Next::End;
        }
        state.asleep = true;
        Next::Sleep
    }

    /// How many appends wait.
    pub(crate) fn waiting(&self) -> usize {
        self.0.state.lock().queue.len()
    }

    /// The group that ends with this number is safe.
    pub(crate) fn succeed(&self, up_to: u64) {
        self.0.committed.store(up_to, Ordering::Release);
        self.tell();
    }

    /// The group taken could not be committed: it is lost, and everything appended since with it, since it may
    /// rest on it.
    pub(crate) fn fail(&self) {
        let mut state = self.0.state.lock();
        let lost = std::mem::take(&mut state.queue);
        let after = self.0.committed.load(Ordering::Acquire);
        let up_to = state.last;
        match state.failed.last_mut() {
            // Nothing was committed in between: one range.
            Some(range) if range.1 >= after => range.1 = up_to,
            _ => state.failed.push((after, up_to)),
        }
        self.0.last_failed.store(up_to, Ordering::Release);
        self.0.failures.fetch_add(1, Ordering::AcqRel);
        drop(state);
        drop(lost);
        self.tell();
    }

    /// Takes nothing more. The writer still commits what waits, then ends.
    pub(crate) fn close(&self) {
        let mut state = self.0.state.lock();
        state.closed = true;
        state.asleep = false;
        drop(state);
        self.wake();
    }

    /// As a crash does: what waits is gone without a word, and nothing more is taken.
    pub(crate) fn crash(&self) {
        let mut state = self.0.state.lock();
        state.closed = true;
        state.queue.clear();
    }

    fn wake(&self) {
        if let Some(wake) = self.0.wake_writer.get() {
            wake();
        }
    }

    fn tell(&self) {
        for listener in self.0.listeners.read().iter() {
            listener();
        }
    }
}

impl State {
    fn has_failed(&self, lsn: u64) -> bool {
        let at = self.failed.partition_point(|(_, up_to)| *up_to < lsn);
        self.failed.get(at).is_some_and(|(after, _)| lsn > *after)
    }
}

impl fmt::Debug for Log {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Log")
            .field("committed", &self.committed().0)
            .field("last", &self.last().0)
            .field("failures", &self.failures())
            .finish()
    }
}
