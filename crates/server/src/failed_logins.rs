//! Failed logins, remembered for a while: whoever guesses passwords waits longer and longer (RFC 6120 §13.12, guarantee
//! G15). An address is refused meanwhile; an account is never locked, its logins only take longer.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use xmpp::jid::BareJid;

/// The time in which so many failures as are allowed are forgotten, one after the other.
const WINDOW: Duration = Duration::from_secs(600);
/// The longest that an address is refused after its last failure.
const REFUSED_MAX: Duration = Duration::from_secs(900);
/// The longest that a login to an account is made to take; it must stay within `limits.login_seconds`.
const DELAY_MAX: Duration = Duration::from_secs(5);
/// Addresses, and accounts, that are remembered; beyond it, those that have failed least are forgotten.
const KNOWN_MAX: usize = 10_000;

/// Failures in ten minutes that mean nothing; 0: no number of them does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowed {
    /// From one address.
    pub per_address: u32,
    /// For one account, whether it exists or not.
    pub per_account: u32,
}

/// What has failed.
#[derive(Debug)]
pub struct FailedLogins {
    allowed: Allowed,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    addresses: BTreeMap<IpAddr, Failures>,
    accounts: BTreeMap<BareJid, Failures>,
}

/// A bucket that leaks.
#[derive(Debug, Clone, Copy)]
struct Failures {
    count: u32,
    last: Instant,
}

/// What becomes of a try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Try {
    /// It is looked at, after this time.
    After(Duration),
    /// It is not: too many have failed from there.
    Refused,
}

impl FailedLogins {
    /// Nothing has failed yet.
    pub fn new(allowed: Allowed) -> Self {
        FailedLogins { allowed, known: Mutex::default() }
    }

    /// Somebody there tries to log in to an account.
    pub fn judge(&self, address: Option<IpAddr>, account: &BareJid, now: Instant) -> Try {
        let known = self.known.lock();
        let failures = address.and_then(|address| known.addresses.get(&neighbourhood(address)));
        let refused =
            failures.and_then(|failures| failures.price(self.allowed.per_address, REFUSED_MAX, now));
        if refused.is_some() {
            return Try::Refused;
        }
        let failures = known.accounts.get(account);
        let delay = failures.and_then(|failures| failures.price(self.allowed.per_account, DELAY_MAX, now));
        Try::After(delay.unwrap_or(Duration::ZERO))
    }

    /// The password was wrong, or whatever else was to prove who it is.
    pub fn failed(&self, address: Option<IpAddr>, account: &BareJid, now: Instant) {
        let (mut known, Allowed { per_address, per_account }) = (self.known.lock(), self.allowed);
        if let Some(address) = address.filter(|_| per_address > 0) {
            count(&mut known.addresses, neighbourhood(address), per_address, now);
        }
        if per_account > 0 {
            count(&mut known.accounts, account.clone(), per_account, now);
        }
    }
}

fn count<K: Ord + Clone>(known: &mut BTreeMap<K, Failures>, who: K, allowed: u32, now: Instant) {
    if known.len() >= KNOWN_MAX && !known.contains_key(&who) {
        known.retain(|_, failures| failures.level(allowed, now) > 0);
        let least = known.iter().min_by_key(|(_, failures)| failures.level(allowed, now));
        if let Some(least) = least.map(|(who, _)| who.clone()).filter(|_| known.len() >= KNOWN_MAX) {
            known.remove(&least);
        }
    }
    let failures = known.entry(who).or_insert(Failures { count: 0, last: now });
    *failures = Failures { count: failures.level(allowed, now).saturating_add(1), last: now };
}

impl Failures {
    /// How many are not forgotten yet.
    fn level(&self, allowed: u32, now: Instant) -> u32 {
        let passed =
            now.saturating_duration_since(self.last).as_secs() * u64::from(allowed) / WINDOW.as_secs();
        self.count.saturating_sub(u32::try_from(passed).unwrap_or(u32::MAX))
    }

    /// Twice the time for every failure that is not allowed any more, from a second on, and as long as it is not over.
    fn price(&self, allowed: u32, most: Duration, now: Instant) -> Option<Duration> {
        let excess = self.count.checked_sub(allowed).filter(|_| allowed > 0)?;
        let price = Duration::from_secs(1 << excess.min(20)).min(most);
        (now.saturating_duration_since(self.last) < price).then_some(price)
    }
}

/// An IPv6 network of 64 bits belongs to one neighbour.
pub fn neighbourhood(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALLOWED: Allowed = Allowed { per_address: 3, per_account: 2 };
    const SECOND: Duration = Duration::from_secs(1);

    fn account(name: &str) -> BareJid {
        BareJid::new(&format!("{name}@one.test")).unwrap_or_else(|error| panic!("{error}"))
    }

    fn address(text: &str) -> Option<IpAddr> {
        text.parse().ok()
    }

    #[test]
    #[allow(clippy::disallowed_methods)] // any instant will do
    fn an_address_waits_longer_and_longer() {
        let (logins, mut now) = (FailedLogins::new(ALLOWED), Instant::now());
        let (there, elsewhere) = (address("2001:db8::1"), address("2001:db8:0:1::1"));
        // Each time somebody else, as those do who try one password for all.
        let mut names = (0..).map(|number| account(&format!("n{number}")));
        let mut fail = |now| logins.failed(there, &names.next().unwrap_or_else(|| account("x")), now);
        fail(now);
        fail(now);
        assert_eq!(logins.judge(there, &account("bob"), now), Try::After(Duration::ZERO));
        for wait in [1, 2, 4] {
            fail(now);
            assert_eq!(logins.judge(address("2001:db8::2"), &account("bob"), now), Try::Refused);
            assert_eq!(logins.judge(elsewhere, &account("bob"), now), Try::After(Duration::ZERO));
            now += SECOND * wait;
            assert_eq!(logins.judge(there, &account("bob"), now), Try::After(Duration::ZERO));
        }
        // After ten minutes three are forgotten; after twenty, all six.
        now += WINDOW * 2;
        fail(now);
        assert_eq!(logins.judge(there, &account("bob"), now), Try::After(Duration::ZERO));
    }

    #[test]
    #[allow(clippy::disallowed_methods)] // any instant will do
    fn an_account_is_slowed_and_never_locked() {
        let (logins, now) = (FailedLogins::new(ALLOWED), Instant::now());
        let mut delays = Vec::new();
        for number in 0..8 {
            let there = address(&format!("192.0.2.{number}"));
            delays.push(logins.judge(there, &account("bob"), now));
            logins.failed(there, &account("bob"), now);
        }
        let seconds = [0, 0, 1, 2, 4, 5, 5, 5].map(|seconds| Try::After(SECOND * seconds));
        assert_eq!(delays, seconds);
        assert_eq!(logins.judge(None, &account("alice"), now), Try::After(Duration::ZERO));
        assert_eq!(logins.judge(None, &account("bob"), now + SECOND * 5), Try::After(Duration::ZERO));
    }

    #[test]
    #[allow(clippy::disallowed_methods)] // any instant will do
    fn what_is_remembered_is_bounded() {
        let (logins, now) = (FailedLogins::new(ALLOWED), Instant::now());
        for _ in 0..5 {
            logins.failed(address("192.0.2.1"), &account("bob"), now);
        }
        for number in 0..u32::try_from(KNOWN_MAX).unwrap_or_default() + 50 {
            logins.failed(Some(IpAddr::from(number.to_be_bytes())), &account(&format!("n{number}")), now);
        }
        let known = logins.known.lock();
        assert_eq!((known.addresses.len(), known.accounts.len()), (KNOWN_MAX, KNOWN_MAX));
        drop(known);
        assert_eq!(logins.judge(address("192.0.2.1"), &account("alice"), now), Try::Refused);
        let none = FailedLogins::new(Allowed { per_address: 0, per_account: 0 });
        (0..99).for_each(|_| none.failed(address("192.0.2.1"), &account("bob"), now));
        assert_eq!(none.judge(address("192.0.2.1"), &account("bob"), now), Try::After(Duration::ZERO));
    }
}
