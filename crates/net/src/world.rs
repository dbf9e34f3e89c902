//! The real world: the clock on the wall, the system's chance and memory, tokio's tasks, and a few threads for costly
//! work.

use std::cell::RefCell;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant, SystemTime};

use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use step::{Busy, Clock, Entropy, Memory, Spawn, World};

use crate::memory;

/// Costly computations that may wait for a thread (guarantee G17).
const COSTLY_QUEUE_MAX: usize = 256;

/// How often the memory is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Bytes of a block that has a place of its own with the allocator.
const LARGE_BYTES: usize = 8 << 20;

type Job = Box<dyn FnOnce() + Send>;

/// The world as it is. Costly work has half as many threads as there are cores, at least one.
///
/// # Panics
/// Outside a tokio runtime.
pub fn world() -> World {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let (jobs, waiting) = sync_channel(COSTLY_QUEUE_MAX);
    let waiting = Arc::new(Mutex::new(waiting));
    for number in 0..(cores / 2).max(1) {
        let waiting = waiting.clone();
        let name = format!("costly-{number}");
        // Without its threads the pool answers Busy, and the node refuses such work.
        let started = std::thread::Builder::new().name(name).spawn(move || work(&waiting));
        if let Err(error) = started {
            tracing::error!(%error, "a thread for passwords could not be started");
        }
    }
    let real = Arc::new(Real { jobs, tasks: tokio::runtime::Handle::current() });
    World { clock: real.clone(), entropy: real.clone(), spawn: real.clone(), memory: real }
}

fn work(waiting: &Mutex<Receiver<Job>>) {
    loop {
        // The lock is let go before the job runs, so that the next thread can wait.
        let job = waiting.lock().recv();
        let Ok(job) = job else { return };
        job();
    }
}

struct Real {
    jobs: SyncSender<Job>,
    tasks: tokio::runtime::Handle,
}

impl Clock for Real {
    fn now(&self) -> Instant {
        Instant::now()
    }

    fn wall(&self) -> SystemTime {
        SystemTime::now()
    }

    fn sleep(&self, delay: Duration) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(delay))
    }
}

impl Entropy for Real {
    fn fill(&self, buffer: &mut [u8]) {
        CHANCE.with_borrow_mut(|chance| chance.fill(buffer));
    }
}

/// Random bytes that are fetched at once: each fetch sets up two keys, which costs more than an id is worth.
const CHANCE_BYTES: usize = 512;

thread_local! {
    static CHANCE: RefCell<Chance> = const { RefCell::new(Chance { bytes: [0; CHANCE_BYTES], left: 0 }) };
}

/// Random bytes that nobody has had yet.
struct Chance {
    bytes: [u8; CHANCE_BYTES],
    /// So many of them, at the beginning.
    left: usize,
}

impl Chance {
    fn fill(&mut self, buffer: &mut [u8]) {
        if buffer.len() > CHANCE_BYTES {
            return fetch(buffer);
        }
        if buffer.len() > self.left {
            fetch(&mut self.bytes);
            self.left = CHANCE_BYTES;
        }
        let given = &mut self.bytes[self.left - buffer.len()..self.left];
        buffer.copy_from_slice(given);
        // What has become a secret is not kept here.
        given.fill(0);
        self.left -= buffer.len();
    }
}

fn fetch(buffer: &mut [u8]) {
    if aws_lc_rs::rand::fill(buffer).is_err() {
        // Without chance no secret is one: better to stop than to go on.
        tracing::error!("the system gives no random numbers");
        std::process::abort();
    }
}

impl Spawn for Real {
    fn spawn(&self, future: BoxFuture<'static, ()>) {
        self.tasks.spawn(future);
    }

    fn run(&self, job: Job) -> Result<(), Busy> {
        self.jobs.try_send(job).map_err(|_| Busy)
    }
}

impl Memory for Real {
    fn resident(&self) -> Option<u64> {
        memory::resident(Path::new("/"))
    }

    /// mimalloc gives back what has been free for a second when a large block is freed, and not by itself.
    fn give_back(&self) {
        drop(std::hint::black_box(Vec::<u8>::with_capacity(LARGE_BYTES)));
    }

    fn look_again(&self) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(LOOK_EVERY))
    }

    fn given(&self) -> Option<u64> {
        memory::given(Path::new("/"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn costly_work_is_bounded() {
        let world = world();
        let (done, finished) = sync_channel(1);
        assert!(world.spawn.run(Box::new(move || done.send(1).unwrap_or_default())).is_ok());
        assert_eq!(finished.recv(), Ok(1));

        let gate = Arc::new(Mutex::new(()));
        let closed = gate.lock();
        let mut refused = false;
        for _ in 0..COSTLY_QUEUE_MAX + 1_000 {
            let gate = gate.clone();
            refused |= world.spawn.run(Box::new(move || drop(gate.lock()))).is_err();
        }
        assert!(refused);
        drop(closed);
    }

    #[tokio::test]
    async fn chance_differs() {
        let world = world();
        assert_ne!(world.seed(), world.seed());
        let mut seen = std::collections::BTreeSet::new();
        for length in (16..CHANCE_BYTES + 16).step_by(7) {
            let mut bytes = vec![0; length];
            world.entropy.fill(&mut bytes);
            for piece in bytes.chunks_exact(8) {
                assert!(seen.insert(piece.to_vec()), "nothing is given twice");
            }
        }
    }
}
