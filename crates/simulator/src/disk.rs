//! The store's writer in rehearsal: takes groups, commits them after a while, or loses them, as the seed says.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Duration;

use futures_util::task::AtomicWaker;
use parking_lot::Mutex;
use store::Rehearsal;

use crate::clockwork::Clockwork;

/// How the disk behaves.
#[derive(Debug, Clone, Copy)]
pub struct Mood {
    /// A commit takes up to this long.
    pub commit: Duration,
    /// Once in so many times it takes a hundred times as long; 0: never.
    pub slow_once_in: usize,
    /// Once in so many times a group is lost; 0: never, 1: always, as on a full disk.
    pub fails_once_in: usize,
}

impl Mood {
    /// Quick and sound.
    pub const GOOD: Mood = Mood { commit: Duration::from_millis(1), slow_once_in: 0, fails_once_in: 0 };
}

/// The mood, which changes in the course of a rehearsal.
pub type Moods = Arc<Mutex<Mood>>;

/// Commits, or loses, what the node appends, as long as it lives.
pub async fn write(clockwork: Clockwork, hand: Rehearsal, moods: Moods) {
    let appended = Arc::new((AtomicBool::new(false), AtomicWaker::new()));
    let told = appended.clone();
    hand.wakes(move || {
        told.0.store(true, Ordering::Release);
        told.1.wake();
    });
    loop {
        if !hand.begin() {
            poll_fn(|context| {
                appended.1.register(context.waker());
                match appended.0.swap(false, Ordering::AcqRel) {
                    true => Poll::Ready(()),
                    false => Poll::Pending,
                }
            })
            .await;
            continue;
        }
        let mood = *moods.lock();
        let once_in = |times: usize| times > 0 && clockwork.draw(|chance| chance.once_in(times));
        let limit = mood.commit * if once_in(mood.slow_once_in) { 100 } else { 1 };
        let micros = clockwork.draw(|chance| chance.below(limit.as_micros() as usize + 1));
        clockwork.sleep(Duration::from_micros(micros as u64)).await;
        let fails = once_in(mood.fails_once_in);
        clockwork.note(if fails { b"lost" } else { b"safe" });
        match fails {
            true => hand.fail_next(),
            false => hand.commit_next(),
        };
    }
}
