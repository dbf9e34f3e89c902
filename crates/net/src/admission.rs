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
    half_open: BTreeMap<u64, Option<AbortHandle>>,
    next: u64,
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

    /// Admits a connection, with the time it has to wait first; `None` refuses it.
    pub fn admit(self: &Arc<Self>, peer: IpAddr, now: Instant) -> Option<(Admitted, Duration)> {
        let address = neighbourhood(peer);
        let mut state = self.state.lock();
        let limits = self.limits;
        let neighbour = state.addresses.entry(address).or_insert(Neighbour { connections: 0, due: now });
        if limits.per_address > 0 && neighbour.connections >= limits.per_address {
            return None;
        }
        let wait = neighbour.wait(limits, now)?;
        neighbour.connections += 1;
        let number = state.next;
        state.next += 1;
        state.half_open.insert(number, None);
        let oldest = match limits.half_open > 0 && state.half_open.len() > limits.half_open {
            true => state.half_open.pop_first(),
            false => None,
        };
        drop(state);
        if let Some((_, Some(task))) = oldest {
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
            *known = Some(task);
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
        let mut inside: Vec<_> =
            (1..=3).filter_map(|host| admission.admit(address(&format!("2001:db8::{host}")), now)).collect();
        assert_eq!(inside.len(), 3);
        assert!(admission.admit(address("2001:db8::4"), now).is_none());
        assert!(admission.admit(address("2001:db8:0:1::4"), now).is_some());
        inside.pop();
        assert!(admission.admit(address("2001:db8::4"), now).is_some());
        inside.clear();
        admission.sweep(now + Duration::from_secs(1));
        assert!(admission.state.lock().addresses.is_empty());
    }

    #[test]
    fn beyond_the_burst_they_wait_their_turn() {
        let admission = Admission::new(Limits { per_address: 0, ..LIMITS });
        let now = Instant::now();
        let waits: Vec<_> = (0..4)
            .filter_map(|_| admission.admit(address("192.0.2.1"), now))
            .map(|(_, wait)| wait.as_millis())
            .collect();
        assert_eq!(waits, [0, 0, 100, 200]);
        let later = now + Duration::from_secs(60);
        assert!(admission.admit(address("192.0.2.1"), later).is_some_and(|(_, wait)| wait.is_zero()));
        let admitted = (0..1_000).filter(|_| admission.admit(address("192.0.2.2"), now).is_some());
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
                admission.admit(address("192.0.2.1"), now).unwrap_or_else(|| panic!("refused"));
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
}
