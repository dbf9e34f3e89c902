//! Who may connect: limits per address, so that one neighbour cannot take all the room (guarantee G17).

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use server::neighbourhood;
use tokio::task::AbortHandle;

/// The longest that a new connection is made to wait; one that would wait longer is refused.
const WAIT_MAX: Duration = Duration::from_secs(10);

/// While memory is scarce, how long a connection without login keeps its place when there are many.
const LOGIN_PATIENCE: Duration = Duration::from_secs(5);

/// The numbers; 0 stands for no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Connections at once from one address.
    pub per_address: usize,
    /// New connections per second from one address.
    pub per_second: u32,
    /// New connections that need not wait.
    pub burst: u32,
    /// Connections in all that are not logged in.
    pub half_open: usize,
}

/// Counts connections.
pub struct Admission {
    limits: Limits,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    addresses: BTreeMap<IpAddr, Neighbour>,
    /// Those that are not logged in, the oldest first.
    half_open: BTreeMap<u64, HalfOpen>,
    next: u64,
}

/// A connection that is not logged in.
struct HalfOpen {
    since: Instant,
    task: Option<AbortHandle>,
}

struct Neighbour {
    connections: usize,
    /// When the last of the connections admitted so far was due: the bucket as one instant.
    due: Instant,
}

/// A connection that was admitted; dropping it makes room.
pub struct Admitted {
    admission: Arc<Admission>,
    address: IpAddr,
    number: u64,
}

impl Admission {
    /// Nobody is here yet.
    pub fn new(limits: Limits) -> Arc<Self> {
        Arc::new(Admission { limits, state: Mutex::new(State::default()) })
    }

    /// Admits a connection, with the time it has to wait first; `None` refuses it. While memory is scarce, there may be
    /// `coming_max` that are not logged in.
    pub fn admit(
        self: &Arc<Self>,
        peer: IpAddr,
        now: Instant,
        coming_max: Option<usize>,
    ) -> Option<(Admitted, Duration)> {
        let address = neighbourhood(peer);
        let mut state = self.state.lock();
        let limits = self.limits;
        if coming_max.is_some_and(|most| !state.makes_way(most, now)) {
            return None;
        }
        let neighbour = state.addresses.entry(address).or_insert(Neighbour { connections: 0, due: now });
        if limits.per_address > 0 && neighbour.connections >= limits.per_address {
            return None;
        }
        let wait = neighbour.wait(limits, now)?;
        neighbour.connections += 1;
        let number = state.next;
        state.next += 1;
        state.half_open.insert(number, HalfOpen { since: now, task: None });
        let oldest = match limits.half_open > 0 && state.half_open.len() > limits.half_open {
            true => state.half_open.pop_first(),
            false => None,
        };
        drop(state);
        if let Some((_, HalfOpen { task: Some(task), .. })) = oldest {
            tracing::warn!(limit = limits.half_open, "too many connections without login; the oldest goes");
            task.abort();
        }
        Some((Admitted { admission: self.clone(), address, number }, wait))
    }

    /// Forgets addresses that nobody connects from any more.
    pub fn sweep(&self, now: Instant) {
        self.state.lock().addresses.retain(|_, neighbour| neighbour.connections > 0 || neighbour.due > now);
    }
}

impl State {
    /// Whether one more may come in when `most` may be on their way. Those that take too long over their login give
    /// way; others do not, or in a crowd nobody would ever be in.
    fn makes_way(&mut self, most: usize, now: Instant) -> bool {
        while self.half_open.len() >= most {
            let Some(oldest) = self.half_open.first_entry() else { return true };
            if now.saturating_duration_since(oldest.get().since) < LOGIN_PATIENCE {
                return false;
            }
            if let Some(task) = oldest.remove().task {
                task.abort();
            }
        }
        true
    }
}

impl Neighbour {
    /// How long the next connection has to wait for its turn (a leaky bucket; its level is the time until `due`).
    fn wait(&mut self, limits: Limits, now: Instant) -> Option<Duration> {
        if limits.per_second == 0 {
            return Some(Duration::ZERO);
        }
        let each = Duration::from_secs(1) / limits.per_second;
        let due = self.due.max(now) + each;
        let wait = (due - now).saturating_sub(each * limits.burst.max(1));
        if wait > WAIT_MAX {
            return None;
        }
        self.due = due;
        Some(wait)
    }
}

impl Admitted {
    /// The task of the connection, to be ended should it stay without login too long while others press in.
    pub fn carried_by(&self, task: AbortHandle) {
        if let Some(known) = self.admission.state.lock().half_open.get_mut(&self.number) {
            known.task = Some(task);
        }
    }

    /// It has logged in.
    pub fn logged_in(&self) {
        self.admission.state.lock().half_open.remove(&self.number);
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        let mut state = self.admission.state.lock();
        state.half_open.remove(&self.number);
        if let Some(neighbour) = state.addresses.get_mut(&self.address) {
            neighbour.connections = neighbour.connections.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { per_address: 3, per_second: 10, burst: 2, half_open: 0 };

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap_or(IpAddr::from([0; 16]))
    }

    #[test]
    fn one_network_has_so_many_connections() {
        let admission = Admission::new(Limits { per_second: 0, ..LIMITS });
        let now = Instant::now();
        let mut inside: Vec<_> = (1..=3)
            .filter_map(|host| admission.admit(address(&format!("2001:db8::{host}")), now, None))
            .collect();
        assert_eq!(inside.len(), 3);
        assert!(admission.admit(address("2001:db8::4"), now, None).is_none());
        assert!(admission.admit(address("2001:db8:0:1::4"), now, None).is_some());
        inside.pop();
        assert!(admission.admit(address("2001:db8::4"), now, None).is_some());
        inside.clear();
        admission.sweep(now + Duration::from_secs(1));
        assert!(admission.state.lock().addresses.is_empty());
    }

    #[test]
    fn beyond_the_burst_they_wait_their_turn() {
        let admission = Admission::new(Limits { per_address: 0, ..LIMITS });
        let now = Instant::now();
        let waits: Vec<_> = (0..4)
            .filter_map(|_| admission.admit(address("192.0.2.1"), now, None))
            .map(|(_, wait)| wait.as_millis())
            .collect();
        assert_eq!(waits, [0, 0, 100, 200]);
        let later = now + Duration::from_secs(60);
        assert!(admission.admit(address("192.0.2.1"), later, None).is_some_and(|(_, wait)| wait.is_zero()));
        let admitted = (0..1_000).filter(|_| admission.admit(address("192.0.2.2"), now, None).is_some());
        assert_eq!(admitted.count(), 102);
    }

    #[tokio::test]
    async fn the_oldest_without_login_gives_way() {
        let limits = Limits { per_address: 0, per_second: 0, burst: 0, half_open: 2 };
        let admission = Admission::new(limits);
        let now = Instant::now();
        let mut tasks = Vec::new();
        let mut inside = Vec::new();
        for _ in 0..4 {
            let (admitted, _) =
                admission.admit(address("192.0.2.1"), now, None).unwrap_or_else(|| panic!("refused"));
            let task = tokio::spawn(std::future::pending::<()>());
            admitted.carried_by(task.abort_handle());
            if tasks.is_empty() {
                admitted.logged_in();
            }
            inside.push(admitted);
            tasks.push(task);
        }
        tokio::task::yield_now().await;
        let ended: Vec<_> = tasks.iter().map(tokio::task::JoinHandle::is_finished).collect();
        assert_eq!(ended, [false, true, false, false]);
    }

    #[tokio::test]
    async fn while_memory_is_scarce_few_are_on_their_way() {
        let limits = Limits { per_address: 0, per_second: 0, burst: 0, half_open: 0 };
        let admission = Admission::new(limits);
        let (begun, soon) = (Instant::now(), Instant::now() + Duration::from_secs(4));
        let later = begun + LOGIN_PATIENCE;
        let peer = address("192.0.2.1");
        let first = admission.admit(peer, begun, Some(2)).map(|(admitted, _)| admitted);
        let task = tokio::spawn(std::future::pending::<()>());
        if let Some(first) = &first {
            first.carried_by(task.abort_handle());
        }
        let second = admission.admit(peer, soon, Some(2)).map(|(admitted, _)| admitted);
        assert!(first.is_some() && second.is_some());
        // Whoever is quick keeps its place.
        assert!(admission.admit(peer, soon, Some(2)).is_none());
        assert!(!task.is_finished());
        // Who has logged in is not on its way any more.
        if let Some(second) = &second {
            second.logged_in();
        }
        assert!(admission.admit(peer, soon, Some(2)).is_some());
        let third = admission.admit(peer, soon, Some(2));
        assert!(third.is_some() && admission.admit(peer, soon, Some(2)).is_none());
        // Who is slow does not.
        let fourth = admission.admit(peer, later, Some(2));
        assert!(fourth.is_some() && task.await.is_err_and(|end| end.is_cancelled()));
        assert!(admission.admit(peer, later, Some(2)).is_none());
        assert!(admission.admit(peer, later, None).is_some());
    }
}
