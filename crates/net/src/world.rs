//! The real world: the clock on the wall, the system's chance, tokio's tasks and a few threads for costly work.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant, SystemTime};

use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use step::{Busy, Clock, Entropy, Spawn, World};

/// Costly computations that may wait for a thread (guarantee G17).
const COSTLY_QUEUE_MAX: usize = 256;

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
    World { clock: real.clone(), entropy: real.clone(), spawn: real }
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
        if aws_lc_rs::rand::fill(buffer).is_err() {
            // Without chance no secret is one: better to stop than to go on.
            tracing::error!("the system gives no random numbers");
            std::process::abort();
        }
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
    }
}
