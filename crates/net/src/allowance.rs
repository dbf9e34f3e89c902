//! How fast one client is read: a bucket of bytes that fills again with time (guarantee G17).

use std::time::{Duration, Instant};

/// The rate; zero bytes per second stands for no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Bytes per second, lasting.
    pub bytes_per_second: usize,
    /// Bytes that may come at full speed.
    pub burst_bytes: usize,
}

/// What one client may still send now.
#[derive(Debug)]
pub struct Allowance {
    rate: Rate,
    left: usize,
    as_of: Instant,
}

impl Allowance {
    /// A full bucket.
    pub fn new(rate: Rate, now: Instant) -> Self {
        Allowance { rate, left: rate.burst_bytes.max(1), as_of: now }
    }

    /// How many bytes may be read now; if none, until when to wait.
    pub fn check(&mut self, now: Instant) -> Result<usize, Instant> {
        if self.rate.bytes_per_second == 0 {
            return Ok(usize::MAX);
        }
        if self.left == 0 {
            self.fill(now);
        }
        match self.left {
            // Not for a few bytes at a time: a quarter of a second's worth.
            0 => Err(self.as_of + Duration::from_millis(250)),
            left => Ok(left),
        }
    }

    /// So many bytes were read.
    pub fn spend(&mut self, bytes: usize, now: Instant) {
        if self.left < self.rate.burst_bytes / 2 {
            self.fill(now);
        }
        self.left = self.left.saturating_sub(bytes);
    }

    fn fill(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.as_of).as_millis();
        if passed < 250 {
            return;
        }
        let rate = self.rate.bytes_per_second as u128;
        let filled = usize::try_from(rate * passed / 1_000).unwrap_or(usize::MAX);
        self.left = self.left.saturating_add(filled).min(self.rate.burst_bytes.max(1));
        self.as_of = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_then_the_rate() {
        let now = Instant::now();
        let mut allowance = Allowance::new(Rate { bytes_per_second: 1_000, burst_bytes: 5_000 }, now);
        assert_eq!(allowance.check(now), Ok(5_000));
        allowance.spend(5_000, now);
        assert_eq!(allowance.check(now), Err(now + Duration::from_millis(250)));
        let later = now + Duration::from_millis(250);
        assert_eq!(allowance.check(later), Ok(250));
        allowance.spend(250, later);
        assert_eq!(allowance.check(now + Duration::from_secs(3_600)), Ok(5_000));
        let free = Rate { bytes_per_second: 0, burst_bytes: 0 };
        assert_eq!(Allowance::new(free, now).check(now), Ok(usize::MAX));
    }
}
