//! The clockwork of a rehearsal: one thread, virtual time, chance from a seed, and tasks that run in a drawn but
//! repeatable order.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant, SystemTime};

use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use step::{Busy, Clock, Entropy, Memory, Spawn, World};

use crate::chance::Chance;

/// The day on which every rehearsal begins: 2026-01-01 00:00 UTC.
const FIRST_DAY: Duration = Duration::from_secs(1_767_225_600);

/// MiB that a node may take in memory; the machine has twice as many.
pub const MEMORY_MIB: u64 = 1 << 10;
const MEMORY: u64 = MEMORY_MIB << 20;
/// How often a node looks at it while some of it is taken.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Everything that happens in one rehearsal, on one thread.
#[derive(Clone)]
pub struct Clockwork(Arc<Shared>);

struct Shared {
    base: Instant,
    state: Mutex<State>,
}

struct State {
    elapsed: Duration,
    /// What the time of day shows at the beginning, by which it has been set since.
    day: Duration,
    chance: Chance,
    ready: Vec<u64>,
    tasks: BTreeMap<u64, Arc<Task>>,
    next_task: u64,
    timers: BinaryHeap<Reverse<(Duration, u64)>>,
    wakers: BTreeMap<u64, Waker>,
    next_timer: u64,
    /// Tasks of a life of the node that has ended are not run any more.
    life: u64,
    /// Percent of [`MEMORY`] that are taken.
    memory: u8,
    /// How often that has changed, and who waits for it to do so.
    fillings: u64,
    onlookers: Vec<Waker>,
    trace: Trace,
}

impl State {
    fn new_timer(&mut self, due: Duration) -> u64 {
        let timer = self.next_timer;
        self.next_timer += 1;
        self.timers.push(Reverse((due, timer)));
        timer
    }
}

/// One spawned future.
struct Task {
    id: u64,
    life: u64,
    clockwork: std::sync::Weak<Shared>,
    queued: AtomicBool,
    future: Mutex<Option<BoxFuture<'static, ()>>>,
}

/// A hash over everything that happened, in order: two runs of a seed are the same when their traces are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trace {
    hash: u64,
    events: u64,
}

impl Trace {
    fn note(&mut self, what: &[u8]) {
        for byte in what {
            self.hash = (self.hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01B3);
        }
        self.events += 1;
    }
}

impl Clockwork {
    /// At the first moment, with nothing to do.
    pub fn new(seed: u64) -> Self {
        Clockwork(Arc::new(Shared {
            base: an_instant(),
            state: Mutex::new(State {
                elapsed: Duration::ZERO,
                day: FIRST_DAY,
                chance: Chance::new(seed),
                ready: Vec::new(),
                tasks: BTreeMap::new(),
                next_task: 0,
                timers: BinaryHeap::new(),
                wakers: BTreeMap::new(),
                next_timer: 0,
                life: 0,
                memory: 0,
                fillings: 0,
                onlookers: Vec::new(),
                trace: Trace { hash: 0xCBF2_9CE4_8422_2325, events: 0 },
            }),
        }))
    }

    /// Time, chance and spawn as the node sees them. What is spawned through it ends with this life of the node.
    pub fn world(&self) -> World {
        let life = self.0.state.lock().life;
        let door = Arc::new(Life { clockwork: self.clone(), life });
        World { clock: door.clone(), entropy: door.clone(), spawn: door.clone(), memory: door }
    }

    /// The node dies at this instant: nothing that it had begun goes on.
    pub fn end_life(&self) {
        let mut state = self.0.state.lock();
        let ended = state.life;
        state.life += 1;
        let dead: Vec<_> = state.tasks.values().filter(|task| task.life == ended).cloned().collect();
        for task in &dead {
            state.tasks.remove(&task.id);
        }
        drop(state);
        dead.iter().for_each(|task| task.end());
    }

    /// Everything ends: nothing that was begun goes on, nothing that was arranged comes.
    pub fn end(&self) {
        let mut state = self.0.state.lock();
        state.life += 1;
        let (tasks, wakers) = (std::mem::take(&mut state.tasks), std::mem::take(&mut state.wakers));
        let onlookers = std::mem::take(&mut state.onlookers);
        state.ready.clear();
        state.timers.clear();
        drop(state);
        tasks.values().for_each(|task| task.end());
        drop((wakers, onlookers));
    }

    /// Runs a future of the rehearsal itself (a client, a fault); it outlives the node.
    pub fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) {
        self.start(Box::pin(future), u64::MAX);
    }

    /// Draws from the seed.
    pub fn draw<T>(&self, draw: impl FnOnce(&mut Chance) -> T) -> T {
        draw(&mut self.0.state.lock().chance)
    }

    /// Virtual time.
    pub fn now(&self) -> Instant {
        self.0.base + self.0.state.lock().elapsed
    }

    /// Virtual time since the beginning.
    pub fn elapsed(&self) -> Duration {
        self.0.state.lock().elapsed
    }

    /// The time of day; it need not go on with what passes.
    pub fn wall(&self) -> SystemTime {
        let state = self.0.state.lock();
        SystemTime::UNIX_EPOCH + state.day + state.elapsed
    }

    /// Sets the time of day on, or back.
    pub fn set_day(&self, set: impl FnOnce(Duration) -> Duration) {
        let mut state = self.0.state.lock();
        state.day = set(state.day);
    }

    /// So many percent of the memory that a node may take are taken from now on.
    pub fn fill_memory(&self, percent: u8) {
        let mut state = self.0.state.lock();
        state.memory = percent;
        state.fillings += 1;
        let onlookers = std::mem::take(&mut state.onlookers);
        drop(state);
        onlookers.into_iter().for_each(Waker::wake);
    }

    /// Ready when it is other memory than after so many changes.
    fn poll_filled(&self, fillings: u64, context: &Context<'_>) -> Poll<()> {
        let mut state = self.0.state.lock();
        if state.fillings != fillings {
            return Poll::Ready(());
        }
        state.onlookers.push(context.waker().clone());
        Poll::Pending
    }

    /// Ready when the time has passed.
    pub fn sleep(&self, delay: Duration) -> impl Future<Output = ()> + Send + 'static {
        Sleep { clockwork: self.clone(), until: self.elapsed() + delay, timer: None }
    }

    /// Notes something that must be the same in every replay.
    pub fn note(&self, what: &[u8]) {
        self.0.state.lock().trace.note(what);
    }

    /// What has happened so far.
    pub fn trace(&self) -> Trace {
        self.0.state.lock().trace
    }

    /// Lets everything happen until nothing is left to do before `until`.
    pub fn run_until(&self, until: Duration) {
        self.run_while(until, || true);
    }

    /// Lets things happen, one after another, as long as `wanted`; at most until nothing is left to do before `until`.
    pub fn run_while(&self, until: Duration, mut wanted: impl FnMut() -> bool) {
        while wanted() {
            if let Some(task) = self.next_ready() {
                task.poll();
            } else if !self.next_moment(until) {
                return;
            }
        }
    }

    /// Moves on to the next moment for which something has been arranged. `false` if there is none before `until`.
    fn next_moment(&self, until: Duration) -> bool {
        let mut state = self.0.state.lock();
        match state.timers.peek() {
            Some(Reverse((due, _))) if *due <= until => {}
            _ => {
                state.elapsed = state.elapsed.max(until);
                return false;
            }
        }
        let Some(Reverse((due, timer))) = state.timers.pop() else { return false };
        state.elapsed = state.elapsed.max(due);
        let waker = state.wakers.remove(&timer);
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
        true
    }

    /// Has `waker` woken once this time of the rehearsal has come.
    pub fn wake_at(&self, due: Duration, waker: Waker) {
        let mut state = self.0.state.lock();
        let timer = state.new_timer(due);
        state.wakers.insert(timer, waker);
    }

    /// Lets time pass.
    pub fn run_for(&self, time: Duration) {
        self.run_until(self.elapsed() + time);
    }

    /// One of the tasks that can go on, drawn: threads race, and the seed says how.
    fn next_ready(&self) -> Option<Arc<Task>> {
        let mut state = self.0.state.lock();
        loop {
            if state.ready.is_empty() {
                return None;
            }
            let ready = state.ready.len();
            let at = state.chance.below(ready);
            let id = state.ready.swap_remove(at);
            if let Some(task) = state.tasks.get(&id).cloned() {
                state.trace.note(&id.to_le_bytes());
                return Some(task);
            }
        }
    }

    fn start(&self, future: BoxFuture<'static, ()>, life: u64) {
        let mut state = self.0.state.lock();
        if life != u64::MAX && life != state.life {
            return;
        }
        let id = state.next_task;
        state.next_task += 1;
        let task = Arc::new(Task {
            id,
            life,
            clockwork: Arc::downgrade(&self.0),
            queued: AtomicBool::new(true),
            future: Mutex::new(Some(future)),
        });
        state.tasks.insert(id, task);
        state.ready.push(id);
    }
}

impl Task {
    /// Drops the future, without any lock: it may wake others as it goes. Wakers of the task may outlive it, in the
    /// very things that the future holds.
    fn end(&self) {
        let future = self.future.lock().take();
        drop(future);
    }

    fn poll(self: Arc<Self>) {
        self.queued.store(false, Ordering::Release);
        let waker = Waker::from(self.clone());
        let Some(mut future) = self.future.lock().take() else { return };
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Pending => *self.future.lock() = Some(future),
            Poll::Ready(()) => {
                if let Some(clockwork) = self.clockwork.upgrade() {
                    clockwork.state.lock().tasks.remove(&self.id);
                }
            }
        }
    }
}

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        if let Some(clockwork) = self.clockwork.upgrade()
            && !self.queued.swap(true, Ordering::AcqRel)
        {
            clockwork.state.lock().ready.push(self.id);
        }
    }
}

struct Sleep {
    clockwork: Clockwork,
    until: Duration,
    timer: Option<u64>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let clockwork = self.clockwork.clone();
        let mut state = clockwork.0.state.lock();
        if state.elapsed >= self.until {
            return Poll::Ready(());
        }
        let timer = match self.timer {
            Some(timer) => timer,
            None => {
                let timer = state.new_timer(self.until);
                self.timer = Some(timer);
                timer
            }
        };
        state.wakers.insert(timer, context.waker().clone());
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(timer) = self.timer {
            self.clockwork.0.state.lock().wakers.remove(&timer);
        }
    }
}

/// The world as one life of the node sees it.
struct Life {
    clockwork: Clockwork,
    life: u64,
}

impl Clock for Life {
    fn now(&self) -> Instant {
        self.clockwork.now()
    }

    fn wall(&self) -> SystemTime {
        self.clockwork.wall()
    }

    fn sleep(&self, delay: Duration) -> BoxFuture<'static, ()> {
        Box::pin(self.clockwork.sleep(delay))
    }
}

impl Entropy for Life {
    fn fill(&self, buffer: &mut [u8]) {
        self.clockwork.draw(|chance| chance.fill(buffer));
    }
}

impl Spawn for Life {
    fn spawn(&self, future: BoxFuture<'static, ()>) {
        self.clockwork.start(future, self.life);
    }

    /// Threads are imitated by cutting work lists at drawn places: what is left races with everything else.
    fn steps_per_post(&self) -> usize {
        self.clockwork.draw(|chance| if chance.once_in(4) { 1 + chance.below(3) } else { 128 })
    }

    fn run(&self, job: Box<dyn FnOnce() + Send>) -> Result<(), Busy> {
        // Costly work takes a while, so that its answer comes between other things.
        let delay = Duration::from_millis(self.clockwork.draw(|chance| chance.below(20)) as u64);
        let sleep = self.clockwork.sleep(delay);
        self.spawn(Box::pin(async move {
            sleep.await;
            job();
        }));
        Ok(())
    }
}

impl Memory for Life {
    fn resident(&self) -> Option<u64> {
        Some(MEMORY / 100 * u64::from(self.clockwork.0.state.lock().memory))
    }

    /// As long as all of it is free, only when it is no more: a rehearsal may last for years.
    fn look_again(&self) -> BoxFuture<'static, ()> {
        let clockwork = self.clockwork.clone();
        let (fillings, memory) = {
            let state = clockwork.0.state.lock();
            (state.fillings, state.memory)
        };
        match memory {
            0 => Box::pin(poll_fn(move |context| clockwork.poll_filled(fillings, context))),
            _ => Box::pin(clockwork.sleep(LOOK_EVERY)),
        }
    }

    fn given(&self) -> Option<u64> {
        Some(MEMORY * 2)
    }
}

/// The one look at a real clock: virtual time is counted from it, and nothing depends on its value.
#[allow(clippy::disallowed_methods)]
fn an_instant() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn play(seed: u64) -> (Trace, Duration) {
        let clockwork = Clockwork::new(seed);
        for number in 0..20_u64 {
            let own = clockwork.clone();
            clockwork.spawn(async move {
                for round in 0..10 {
                    let delay = own.draw(|chance| chance.below(50)) as u64;
                    own.sleep(Duration::from_millis(delay)).await;
                    own.note(&[number as u8, round]);
                }
            });
        }
        clockwork.run_for(Duration::from_secs(10));
        (clockwork.trace(), clockwork.elapsed())
    }

    #[test]
    fn the_same_seed_is_the_same_play() {
        assert_eq!(play(1), play(1));
        assert_ne!(play(1).0, play(2).0);
    }

    #[test]
    fn what_a_node_began_ends_with_it() {
        let clockwork = Clockwork::new(3);
        let world = clockwork.world();
        let sleep = world.clock.sleep(Duration::from_secs(1));
        let told = Arc::new(AtomicBool::new(false));
        let tell = told.clone();
        world.spawn.spawn(Box::pin(async move {
            sleep.await;
            tell.store(true, Ordering::Relaxed);
        }));
        clockwork.end_life();
        clockwork.run_for(Duration::from_secs(5));
        assert!(!told.load(Ordering::Relaxed));
    }
}
