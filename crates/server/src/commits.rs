//! Who waits for the log: doors and reads are woken when it has committed, or failed, as far as they rest on.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Poll, Waker};

use futures_util::task::AtomicWaker;
use parking_lot::Mutex;
use store::{Fate, Log, Lsn};

/// The waiting room before the log.
pub struct Commits {
    log: Log,
    waiting: Mutex<Vec<(Lsn, Waker)>>,
    changed: AtomicBool,
    opener: AtomicWaker,
    healer: AtomicWaker,
}

impl Commits {
    /// A waiting room for this log. Somebody must run [`Commits::open_doors`].
    pub fn new(log: Log) -> Arc<Self> {
        let commits = Arc::new(Commits {
            log: log.clone(),
            waiting: Mutex::new(Vec::new()),
            changed: AtomicBool::new(false),
            opener: AtomicWaker::new(),
            healer: AtomicWaker::new(),
        });
        let told = Arc::downgrade(&commits);
        log.on_change(Arc::new(move || {
            if let Some(commits) = told.upgrade() {
                commits.changed.store(true, Ordering::Release);
                commits.opener.wake();
                commits.healer.wake();
            }
        }));
        commits
    }

    /// The log itself.
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// What became of everything up to this number.
    pub fn fate(&self, lsn: Lsn) -> Fate {
        self.log.fate(lsn)
    }

    /// Wakes when the log's word on `lsn` is known; returns it if it is known by now.
    pub fn wait(&self, lsn: Lsn, waker: &Waker) -> Fate {
        match self.fate(lsn) {
            Fate::Pending => {}
            known => return known,
        }
        self.waiting.lock().push((lsn, waker.clone()));
        self.log.hurry();
        // The group may have gone through in between (docs/build/stepping.md, trap 6); then the waker is merely early.
        self.fate(lsn)
    }

    /// Ready when the log's word on `lsn` is known.
    pub async fn settled(&self, lsn: Lsn) -> Fate {
        poll_fn(|context| match self.wait(lsn, context.waker()) {
            Fate::Pending => Poll::Pending,
            known => Poll::Ready(known),
        })
        .await
    }

    /// Ready when more groups have failed than `seen`; returns how many.
    pub async fn next_failure(&self, seen: u64) -> u64 {
        poll_fn(|context| {
            self.healer.register(context.waker());
            match self.log.failures() {
                failures if failures > seen => Poll::Ready(failures),
                _ => Poll::Pending,
            }
        })
        .await
    }

    /// Opens doors for ever: a task of its own, so that the writer only writes (docs/build/stepping.md, trap 9).
    pub async fn open_doors(self: Arc<Self>) {
        loop {
            poll_fn(|context| {
                self.opener.register(context.waker());
                match self.changed.swap(false, Ordering::Acquire) {
                    true => Poll::Ready(()),
                    false => Poll::Pending,
                }
            })
            .await;
            self.wake_settled();
        }
    }

    fn wake_settled(&self) {
        let is_known = |(lsn, _): &mut (Lsn, Waker)| self.fate(*lsn) != Fate::Pending;
        let settled: Vec<_> = self.waiting.lock().extract_if(.., is_known).collect();
        for (_, waker) in settled {
            waker.wake();
        }
    }
}
