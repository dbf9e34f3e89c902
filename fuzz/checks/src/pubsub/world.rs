//! A world in which nothing happens by itself: its clock stands still, and its chance counts.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant, SystemTime};

use futures_util::future::BoxFuture;
use step::domain::Limits;
use step::{Busy, Clock, Domain, Entropy, Memory, Spawn, World};
use xmpp::jid::Jid;

struct Still {
    now: Instant,
    count: AtomicU64,
}

impl Clock for Still {
    fn now(&self) -> Instant {
        self.now
    }

    fn wall(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000)
    }

    fn sleep(&self, _: Duration) -> BoxFuture<'static, ()> {
        Box::pin(async {})
    }
}

impl Entropy for Still {
    fn fill(&self, buffer: &mut [u8]) {
        let mut number = self.count.fetch_add(1, Ordering::Relaxed);
        for byte in buffer {
            *byte = (number & 31) as u8;
            number >>= 5;
        }
    }
}

impl Spawn for Still {
    fn spawn(&self, _: BoxFuture<'static, ()>) {}

    fn run(&self, _: Box<dyn FnOnce() + Send>) -> Result<(), Busy> {
        Err(Busy)
    }
}

impl Memory for Still {
    fn resident(&self) -> Option<u64> {
        None
    }

    fn look_again(&self) -> BoxFuture<'static, ()> {
        Box::pin(async {})
    }

    fn given(&self) -> Option<u64> {
        None
    }
}

/// The world.
#[allow(clippy::disallowed_methods)] // any instant will do
pub fn still() -> World {
    static BEGINNING: OnceLock<Instant> = OnceLock::new();
    let now = *BEGINNING.get_or_init(Instant::now);
    let still = Arc::new(Still { now, count: AtomicU64::new(0) });
    World { clock: still.clone(), entropy: still.clone(), spawn: still.clone(), memory: still }
}

/// `one.test`, where little may be kept, so that little reaches each limit.
pub fn narrow() -> Domain {
    Domain {
        jid: Jid::new("one.test").expect("an address"),
        registration_open: false,
        admins: [].into(),
        contacts: [].into(),
        archive_keep: None,
        seal: Default::default(),
        strangers_may_write: true,
        push_shows: Default::default(),
        limits: Limits {
            nodes_per_account: 3,
            items_per_node: 3,
            item_bytes: 200,
            items_bytes: 400,
            ..Limits::default()
        },
    }
}
