//! How fast one client is read: a bucket of bytes, or of stanzas, that fills again with time (guarantee G17).

use std::time::{Duration, Instant};

/// The rate, of bytes or of stanzas; zero per second stands for no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// So many per second, lasting.
    pub per_second: usize,
    /// So many may come at full speed.
    pub burst: usize,
}

/// Not for a few at a time: a quarter of a second's worth.
const STEP: Duration = Duration::from_millis(250);

/// What one client may still send now.
#[derive(Debug)]
pub struct Allowance {
    rate: Rate,
    /// Below zero when more came at once than was left: that is waited for, too.
    left: i64,
    as_of: Instant,
}

impl Allowance {
    /// A full bucket.
    pub fn new(rate: Rate, now: Instant) -> Self {
        Allowance { rate, left: full(rate), as_of: now }
    }

    /// How many may come now; if none, until when to wait.
    pub fn check(&mut self, now: Instant) -> Result<usize, Instant> {
        if self.rate.per_second == 0 {
            return Ok(usize::MAX);
        }
        if self.left <= 0 {
            self.fill(now);
        }
        match usize::try_from(self.left) {
            Ok(left) if left > 0 => Ok(left),
            _ => {
                let owed = self.left.unsigned_abs() * 1_000 / self.rate.per_second as u64;
                Err(self.as_of + STEP + Duration::from_millis(owed))
            }
        }
    }

    /// So many have come.
    pub fn spend(&mut self, count: usize, now: Instant) {
        if self.left < full(self.rate) / 2 {
            self.fill(now);
        }
        self.left = self.left.saturating_sub_unsigned(count as u64);
    }

    fn fill(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.as_of);
        if passed < STEP {
            return;
        }
        let filled = self.rate.per_second as u128 * passed.as_millis() / 1_000;
        let filled = i64::try_from(filled).unwrap_or(i64::MAX);
        self.left = self.left.saturating_add(filled).min(full(self.rate));
        self.as_of = now;
    }
}

fn full(rate: Rate) -> i64 {
    i64::try_from(rate.burst.max(1)).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_then_the_rate() {
        let now = Instant::now();
        let mut allowance = Allowance::new(Rate { per_second: 1_000, burst: 5_000 }, now);
        assert_eq!(allowance.check(now), Ok(5_000));
        allowance.spend(5_000, now);
        assert_eq!(allowance.check(now), Err(now + Duration::from_millis(250)));
        let later = now + Duration::from_millis(250);
        assert_eq!(allowance.check(later), Ok(250));
        allowance.spend(250, later);
        assert_eq!(allowance.check(now + Duration::from_secs(3_600)), Ok(5_000));
        // What came at once beyond what was left is waited for.
        let much_later = now + Duration::from_secs(3_600);
        allowance.spend(7_000, much_later);
        assert_eq!(allowance.check(much_later), Err(much_later + Duration::from_millis(2_250)));
        assert_eq!(allowance.check(much_later + Duration::from_millis(2_250)), Ok(250));
        let free = Rate { per_second: 0, burst: 0 };
        assert_eq!(Allowance::new(free, now).check(now), Ok(usize::MAX));
    }
}
