//! Eyes on the server's memory: how much of it is in RAM, and how much was at most since the last look.

use std::fs;

/// Eyes on a process.
#[derive(Debug, Clone, Copy)]
pub struct Eyes(u32);

impl Eyes {
    /// On this process.
    pub fn on(process: u32) -> Eyes {
        Eyes(process)
    }

    /// KiB in RAM now.
    pub fn resident_kib(self) -> u64 {
        self.status("VmRSS:")
    }

    /// The most KiB that were in RAM since [`Eyes::forget`].
    pub fn peak_kib(self) -> u64 {
        self.status("VmHWM:")
    }

    /// Forgets the peak: it begins anew with what is in RAM now.
    pub fn forget(self) {
        // proc(5), clear_refs: 5 resets the peak. Where that is not allowed the peak is too high, never too low.
        let _ = fs::write(format!("/proc/{}/clear_refs", self.0), "5");
    }

    fn status(self, name: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0)).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
        line.trim().trim_end_matches(" kB").parse().unwrap_or_default()
    }
}
