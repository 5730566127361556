//! What a process has taken of the machine, as the kernel counts it.

use std::fs;
use std::io;
use std::ops::Sub;

use serde::{Deserialize, Serialize};

/// Time of all threads of a process, in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Usage {
    /// On a core.
    pub(super) cpu_ns: u64,
    /// Ready to run, while somebody else had the core.
    pub(super) wait_ns: u64,
}

impl Usage {
    /// Of all threads that live now: the proxies do not end theirs under load.
    pub(super) fn of(process: u32) -> io::Result<Self> {
        let mut sum = Self::default();
        for thread in fs::read_dir(format!("/proc/{process}/task"))? {
            // It may have ended meanwhile.
            let Ok(text) = fs::read_to_string(thread?.path().join("schedstat")) else {
                continue;
            };
            let mut numbers = text.split_ascii_whitespace().map(str::parse::<u64>);
            if let (Some(Ok(cpu)), Some(Ok(wait))) = (numbers.next(), numbers.next()) {
                sum.cpu_ns += cpu;
                sum.wait_ns += wait;
            }
        }
        Ok(sum)
    }
}

impl Sub for Usage {
    type Output = Self;

    fn sub(self, before: Self) -> Self {
        Self {
            cpu_ns: self.cpu_ns.saturating_sub(before.cpu_ns),
            wait_ns: self.wait_ns.saturating_sub(before.wait_ns),
        }
    }
}

/// Memory that a process has in RAM now, in KiB.
pub(super) fn resident_kib(process: u32) -> io::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.split_ascii_whitespace().next()?.parse().ok());
    number.ok_or_else(|| io::Error::other("no VmRSS"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_seen_in_the_time_that_a_process_has_taken() {
        let own = std::process::id();
        let before = Usage::of(own).unwrap();
        let mut sum = 0_u64;
        while (Usage::of(own).unwrap() - before).cpu_ns < 1_000_000 {
            sum = (0..10_000).fold(sum, u64::wrapping_add);
        }
        assert!(std::hint::black_box(sum) > 0);
        assert!(resident_kib(own).unwrap() > 100);
    }
}
