//! Time, chance, spawn, and how full memory is: the only door through which anything below `net` meets the outside.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use futures_util::future::BoxFuture;

/// Time. The monotonic clock orders and limits; the wall clock only stamps.
pub trait Clock: Send + Sync {
    /// Monotonic time: never goes back, unmoved by clock steps.
    fn now(&self) -> Instant;
    /// Time of day, for stamps that people and other servers read.
    fn wall(&self) -> SystemTime;
    /// Ready once `delay` has passed.
    fn sleep(&self, delay: Duration) -> BoxFuture<'static, ()>;
}

/// Chance, of cryptographic quality: ids, salts and nonces are made from it.
pub trait Entropy: Send + Sync {
    /// Fills the whole buffer.
    fn fill(&self, buffer: &mut [u8]);
}

/// The bounded pool for costly computations is full; the caller refuses the work (RFC 6120 §6.5.10).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Busy;

/// Steps that a poster takes on its own time; then a task goes on (docs/build/stepping.md, trap 3).
pub const STEPS_PER_POST: usize = 128;

/// Concurrency: where futures run, and costly computations (PBKDF2) apart from them.
pub trait Spawn: Send + Sync {
    /// How many steps a poster takes before it hands the rest of its work list to a task.
    fn steps_per_post(&self) -> usize {
        STEPS_PER_POST
    }

    /// Runs a future beside the caller.
    fn spawn(&self, future: BoxFuture<'static, ()>);
    /// Runs a computation on the bounded pool for costly work.
    fn run(&self, job: Box<dyn FnOnce() + Send>) -> Result<(), Busy>;
}

/// The memory of this process.
pub trait Memory: Send + Sync {
    /// Bytes of it that are in RAM now; none: the system does not tell.
    fn resident(&self) -> Option<u64>;
    /// Has what is free within the process given back to the system, as far as that can be asked for.
    fn give_back(&self) {}
    /// Ready when it is to be looked at again.
    fn look_again(&self) -> BoxFuture<'static, ()>;
    /// Bytes that it can have at most, by what there is or by whoever confines it; none: nobody tells.
    fn given(&self) -> Option<u64>;
}

/// Everything that is not decided by the bytes and letters that come in.
#[derive(Clone)]
pub struct World {
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Chance.
    pub entropy: Arc<dyn Entropy>,
    /// Concurrency.
    pub spawn: Arc<dyn Spawn>,
    /// Memory. It is looked at between steps, never in one.
    pub memory: Arc<dyn Memory>,
}

impl World {
    /// 32 bytes of chance, enough to seed a stream machine or a secret.
    pub fn seed(&self) -> [u8; 32] {
        let mut seed = [0; 32];
        self.entropy.fill(&mut seed);
        seed
    }

    /// A fresh identifier of 96 bits, in letters and digits: nobody outside can guess it.
    pub fn new_id(&self) -> String {
        const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
        let mut bytes = [0; 20];
        self.entropy.fill(&mut bytes);
        bytes.iter().map(|byte| char::from(ALPHABET[usize::from(byte & 31)])).collect()
    }
}
