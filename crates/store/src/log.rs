//! The one log of the writer: numbers what is written, and tells how far it is safe and what was lost.

use std::collections::VecDeque;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use parking_lot::{Mutex, RwLock};

use crate::error::StoreError;
use crate::write::Write;

/// When more bytes than this wait for their commit, [`Log::is_behind`] says so: whoever brings work from outside
/// (a session that reads its socket) is to pause until the writer has caught up.
pub const BEHIND_BYTES: usize = 64 << 20;

/// When this many bytes wait, appends are refused: what keeps coming although the log is behind must not fill the
/// memory.
pub const WAITING_BYTES_MAX: usize = 256 << 20;

/// A group ends with the append that reaches this many bytes, so that doors open one after another while a backlog is
/// worked off.
const GROUP_BYTES: usize = 16 << 20;

/// What nobody waits for is committed along with what somebody does, or after so long by itself.
pub(crate) const PATIENCE: Duration = Duration::from_millis(100);

/// How many lost ranges are told apart. Beyond, the two oldest and what is between them become one: it counts as lost
/// then, committed or not, and whoever still rests on it reads anew.
const LOST_RANGES_MAX: usize = 65_536;

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

/// Nothing was appended: what the append rests on has been lost, the store is closed, too much waits already, or it
/// holds what no database can keep. Whoever wanted it has a state that the store will never have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failed;

/// What has been appended and is neither committed nor lost yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Waiting {
    /// Appends.
    pub appends: usize,
    /// The bytes that they take, roughly.
    pub bytes: usize,
}

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
    /// Bytes in the queue and in the writer's hand.
    bytes_waiting: AtomicUsize,
    /// There is something in the queue, and nobody waits for it.
    unhurried: AtomicBool,
    listeners: RwLock<Vec<Listener>>,
    wake_writer: OnceLock<Box<dyn Fn() + Send + Sync>>,
}

struct State {
    queue: VecDeque<Append>,
    /// Somebody waits for something in the queue.
    awaited: bool,
    /// What the writer has in hand.
    in_hand: Waiting,
    /// The last number given out.
    last: u64,
    /// Lost ranges (after, up to], in order, not touching.
    failed: VecDeque<(u64, u64)>,
    /// Why the last group failed, until one succeeds.
    trouble: Option<StoreError>,
    /// Appends are refused because too much waits; said once.
    overflowing: bool,
    /// The writer found nothing to do and must be woken.
    asleep: bool,
    /// Nothing more is taken; the writer ends when the queue is empty.
    closed: bool,
}

/// The writes of one append.
pub(crate) struct Append {
    pub(crate) lsn: u64,
    pub(crate) writes: Vec<Write>,
    pub(crate) bytes: usize,
}

/// What the writer does next.
pub(crate) enum Next {
    /// Commit these, in order, together.
    Group(Vec<Append>),
    /// Sleep until woken, or for [`PATIENCE`]; then [`Log::lose_patience`].
    Pause,
    /// Sleep until woken.
    Sleep,
    /// The log is closed and all is written.
    End,
}

impl Log {
    /// A log whose numbers begin after `last`.
    pub(crate) fn new(last: u64) -> Self {
        let state = State {
            queue: VecDeque::new(),
            awaited: false,
            in_hand: Waiting::default(),
            last,
            failed: VecDeque::new(),
            trouble: None,
            overflowing: false,
            asleep: false,
            closed: false,
        };
        Log(Arc::new(Shared {
            state: Mutex::new(state),
            committed: AtomicU64::new(last),
            failures: AtomicU64::new(0),
            last_failed: AtomicU64::new(0),
            bytes_waiting: AtomicUsize::new(0),
            unhurried: AtomicBool::new(false),
            listeners: RwLock::new(Vec::new()),
            wake_writer: OnceLock::new(),
        }))
    }

    /// Takes writes, to be committed in the order of appends, and numbers them. Never waits. Without writes it is
    /// the number it rests on.
    ///
    /// # Errors
    /// When what they rest on has been lost, the store is closed, more than [`WAITING_BYTES_MAX`] waits, or one of
    /// them is nothing that a database can keep.
    pub fn append(&self, rests_on: Lsn, writes: Vec<Write>) -> Result<Lsn, Failed> {
        let bytes = weigh(&writes)?;
        let mut state = self.0.state.lock();
        if state.closed || state.has_failed(rests_on.0) {
            return Err(Failed);
        }
        if writes.is_empty() {
            return Ok(rests_on);
        }
        if self.0.bytes_waiting.load(Ordering::Acquire) + bytes > WAITING_BYTES_MAX {
            if !std::mem::replace(&mut state.overflowing, true) {
                tracing::error!("more than {WAITING_BYTES_MAX} bytes wait for the store; it takes no more");
            }
            return Err(Failed);
        }
        state.last += 1;
        let lsn = state.last;
        let first = state.queue.is_empty();
        state.awaited |= !writes.iter().all(Write::is_patient);
        self.0.unhurried.store(!state.awaited, Ordering::Release);
        state.queue.push_back(Append { lsn, writes, bytes });
        self.0.bytes_waiting.fetch_add(bytes, Ordering::AcqRel);
        // The first has its patience from the writer.
        let wake = (first || state.awaited) && std::mem::take(&mut state.asleep);
        drop(state);
        if wake {
            self.wake();
        }
        Ok(Lsn(lsn))
    }

    /// Somebody waits for what has been appended. Cheap if that is known.
    pub fn hurry(&self) {
        if !self.0.unhurried.load(Ordering::Acquire) {
            return;
        }
        let mut state = self.0.state.lock();
        state.awaited = !state.queue.is_empty();
        self.0.unhurried.store(false, Ordering::Release);
        let wake = state.awaited && std::mem::take(&mut state.asleep);
        drop(state);
        if wake {
            self.wake();
        }
    }

    /// The writer has been patient for long enough.
    pub(crate) fn lose_patience(&self) {
        // It is awake; a wake kept for it would cut its next patience short.
        self.0.state.lock().asleep = false;
        self.hurry();
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

    /// Why the last group failed; `None` once one has succeeded.
    pub fn trouble(&self) -> Option<StoreError> {
        self.0.state.lock().trouble.clone()
    }

    /// What waits for its commit.
    pub fn waiting(&self) -> Waiting {
        let state = self.0.state.lock();
        Waiting {
            appends: state.queue.len() + state.in_hand.appends,
            bytes: self.0.bytes_waiting.load(Ordering::Acquire),
        }
    }

    /// Whether more than [`BEHIND_BYTES`] wait for their commit. Cheap. Listeners are told when it may have changed.
    pub fn is_behind(&self) -> bool {
        self.0.bytes_waiting.load(Ordering::Acquire) > BEHIND_BYTES
    }

    /// Has `listener` called by the writer after every commit and every failure. It must be quick and must not append.
    pub fn on_change(&self, listener: Arc<dyn Fn() + Send + Sync>) {
        self.0.listeners.write().push(listener);
    }

    /// How the writer is woken when it sleeps.
    pub(crate) fn wakes(&self, wake: impl Fn() + Send + Sync + 'static) {
        let _ = self.0.wake_writer.set(Box::new(wake));
    }

    /// What waits, for the writer.
    pub(crate) fn next(&self) -> Next {
        let mut state = self.0.state.lock();
        if state.awaited || (state.closed && !state.queue.is_empty()) {
            let group = state.take_group();
            state.asleep = false;
            self.0.unhurried.store(false, Ordering::Release);
            return Next::Group(group);
        }
        if state.closed {
            return Next::End;
        }
        state.asleep = true;
        if state.queue.is_empty() { Next::Sleep } else { Next::Pause }
    }

    /// The group that ends with this number is safe.
    pub(crate) fn succeed(&self, up_to: u64) {
        let mut state = self.0.state.lock();
        let done = std::mem::take(&mut state.in_hand);
        state.trouble = None;
        state.overflowing = false;
        self.0.committed.store(up_to, Ordering::Release);
        self.0.bytes_waiting.fetch_sub(done.bytes, Ordering::AcqRel);
        drop(state);
        self.tell();
    }

    /// The group taken could not be committed: it is lost, and everything appended since with it, since it may
    /// rest on it.
    pub(crate) fn fail(&self, trouble: StoreError) {
        let mut state = self.0.state.lock();
        let lost = std::mem::take(&mut state.queue);
        state.awaited = false;
        self.0.unhurried.store(false, Ordering::Release);
        state.in_hand = Waiting::default();
        state.trouble = Some(trouble);
        state.overflowing = false;
        let (after, up_to) = (self.0.committed.load(Ordering::Acquire), state.last);
        state.lose(after, up_to);
        self.0.bytes_waiting.store(0, Ordering::Release);
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

    /// The writer has ended. If it did so before its time, what it leaves undone is lost, and nothing more is taken.
    pub(crate) fn end(&self) {
        let mut state = self.0.state.lock();
        state.closed = true;
        let undone = state.in_hand.appends > 0 || !state.queue.is_empty();
        drop(state);
        if undone {
            self.fail(StoreError::Closed);
        }
    }

    /// As a crash does: what waits is gone without a word, and nothing more is taken.
    pub(crate) fn crash(&self) {
        let mut state = self.0.state.lock();
        state.closed = true;
        state.awaited = false;
        state.queue.clear();
    }

    fn wake(&self) {
        if let Some(wake) = self.0.wake_writer.get() {
            wake();
        }
    }

    fn tell(&self) {
        for listener in self.0.listeners.read().iter() {
            // A listener's mistake is not the writer's: it must go on writing.
            if catch_unwind(AssertUnwindSafe(|| listener())).is_err() {
                tracing::error!("somebody who was told of a commit failed over it");
            }
        }
    }
}

impl State {
    fn has_failed(&self, lsn: u64) -> bool {
        let at = self.failed.partition_point(|(_, up_to)| *up_to < lsn);
        self.failed.get(at).is_some_and(|(after, _)| lsn > *after)
    }

    fn lose(&mut self, after: u64, up_to: u64) {
        match self.failed.back_mut() {
            // Nothing was committed in between: one range.
            Some(range) if range.1 >= after => range.1 = up_to,
            _ => self.failed.push_back((after, up_to)),
        }
        if self.failed.len() > LOST_RANGES_MAX
            && let Some((after, _)) = self.failed.pop_front()
            && let Some(next) = self.failed.front_mut()
        {
            next.0 = after;
        }
    }

    fn take_group(&mut self) -> Vec<Append> {
        let mut bytes = 0;
        let mut group = Vec::with_capacity(self.queue.len());
        while let Some(append) = self.queue.pop_front_if(|_| bytes < GROUP_BYTES) {
            bytes += append.bytes;
            group.push(append);
        }
        // What is left has waited long enough.
        self.awaited = !self.queue.is_empty();
        self.in_hand = Waiting { appends: group.len(), bytes };
        group
    }
}

/// The bytes that writes take; an error if there is one that no database can keep. Found in time, it is the mistake
/// of one entity; in the writer's hand it would cost everybody's group.
fn weigh(writes: &[Write]) -> Result<usize, Failed> {
    let mut bytes = 0;
    for write in writes {
        bytes += write.weigh().map_err(|why| {
            tracing::error!(why, "what no database can keep was not appended");
            Failed
        })?;
    }
    Ok(bytes)
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
