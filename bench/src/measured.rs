//! What a server cost: CPU and memory of its processes by the system's accounting, and how long people waited.

use std::collections::BTreeSet;
use std::fs;
use std::time::{Duration, Instant};

/// Ticks of the system's accounting in one second (`USER_HZ`).
const TICKS: f64 = 100.0;

/// A process, and all that it started.
#[derive(Debug, Clone, Copy)]
pub struct Server {
    /// The first process.
    pub pid: u32,
}

/// Resident memory in KiB.
#[derive(Debug, Clone, Copy, Default)]
pub struct Memory {
    /// Now.
    pub now: u64,
    /// At most so far.
    pub peak: u64,
}

impl Server {
    fn processes(self) -> BTreeSet<u32> {
        let mut parents = Vec::new();
        for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
            let Ok(pid) = entry.file_name().to_string_lossy().parse::<u32>() else { continue };
            if let Some(parent) = fields(pid).and_then(|fields| fields.get(1)?.parse::<u32>().ok()) {
                parents.push((pid, parent));
            }
        }
        let mut tree = BTreeSet::from([self.pid]);
        loop {
            let before = tree.len();
            tree.extend(
                parents
                    .iter()
                    .filter(|(_, parent)| tree.contains(parent))
                    .map(|(pid, _)| *pid)
                    .collect::<Vec<_>>(),
            );
            if tree.len() == before {
                return tree;
            }
        }
    }

    /// CPU time used so far, in user mode and in the system's.
    pub fn cpu(self) -> Duration {
        let ticks: u64 = self.processes().iter().filter_map(|pid| ticks(*pid)).sum();
        Duration::from_secs_f64(ticks as f64 / TICKS)
    }

    /// Resident memory.
    pub fn memory(self) -> Memory {
        let mut memory = Memory::default();
        for pid in self.processes() {
            let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
            let read = |name: &str| {
                let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
                line.trim().trim_end_matches(" kB").parse::<u64>().unwrap_or_default()
            };
            memory.now += read("VmRSS:");
            memory.peak += read("VmHWM:");
        }
        memory
    }
}

/// What follows the name in /proc/PID/stat: state, parent, and so on.
fn fields(pid: u32) -> Option<Vec<String>> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    Some(stat.rsplit_once(')')?.1.split_whitespace().map(str::to_owned).collect())
}

fn ticks(pid: u32) -> Option<u64> {
    let fields = fields(pid)?;
    Some(fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?)
}

/// A stretch of time, and what was used in it.
#[derive(Debug)]
pub struct Window {
    server: Server,
    begun: Instant,
    cpu: Duration,
    own: Duration,
}

/// What a stretch of time took.
#[derive(Debug, Clone, Copy)]
pub struct Used {
    /// Its length.
    pub time: Duration,
    /// CPU time of the server.
    pub cpu: Duration,
    /// CPU time of the load itself.
    pub own: Duration,
}

impl Window {
    /// It begins.
    pub fn open(server: Server) -> Self {
        let own = Server { pid: std::process::id() }.cpu();
        Window { server, begun: Instant::now(), cpu: server.cpu(), own }
    }

    /// When it began.
    pub fn begun(&self) -> Instant {
        self.begun
    }

    /// It ends.
    pub fn close(&self) -> Used {
        Used {
            time: self.begun.elapsed(),
            cpu: self.server.cpu().saturating_sub(self.cpu),
            own: Server { pid: std::process::id() }.cpu().saturating_sub(self.own),
        }
    }
}

/// How long people waited.
#[derive(Debug, Default)]
pub struct Waits(Vec<u32>);

impl Waits {
    /// One wait.
    pub fn note(&mut self, time: Duration) {
        self.0.push(u32::try_from(time.as_micros()).unwrap_or(u32::MAX));
    }

    /// How many.
    pub fn count(&self) -> u64 {
        self.0.len() as u64
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// The wait that this share of all did not exceed, in milliseconds.
    pub fn at(&mut self, share: f64) -> f64 {
        if self.0.is_empty() {
            return 0.0;
        }
        let place = ((self.0.len() - 1) as f64 * share).round() as usize;
        let (_, wait, _) = self.0.select_nth_unstable(place);
        f64::from(*wait) / 1000.0
    }
}

/// By how much y grows with one x, by least squares; 0 where that cannot be said.
pub fn slope(points: &[(f64, f64)]) -> f64 {
    let count = points.len() as f64;
    let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / count;
    let (mean_x, mean_y) = (mean(|point| point.0), mean(|point| point.1));
    let over: f64 = points.iter().map(|(x, y)| (x - mean_x) * (y - mean_y)).sum();
    let under: f64 = points.iter().map(|(x, _)| (x - mean_x).powi(2)).sum();
    if under > 0.0 { over / under } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_ranked() {
        let mut waits = Waits::default();
        (1..=100).rev().for_each(|number| waits.note(Duration::from_millis(number)));
        assert!((waits.at(0.5) - 51.0).abs() < 1.01, "{}", waits.at(0.5));
        assert!((waits.at(1.0) - 100.0).abs() < 0.01);
        assert_eq!(waits.count(), 100);
    }

    #[test]
    fn what_grows_has_a_slope() {
        let points: Vec<(f64, f64)> = (0..10).map(|x| (f64::from(x), 7.0 + 3.0 * f64::from(x))).collect();
        assert!((slope(&points) - 3.0).abs() < 1e-9);
        assert!(slope(&points[..1]).abs() < 1e-9 && slope(&[]).abs() < 1e-9);
    }

    #[test]
    fn this_process_has_memory() {
        let memory = Server { pid: std::process::id() }.memory();
        assert!(memory.now > 0 && memory.peak >= memory.now);
    }
}
