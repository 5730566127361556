//! What a process takes, and how busy a core is, as the kernel says.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::trouble::Trouble;

/// What a process takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Figures {
    pub(crate) descriptors: usize,
    pub(crate) threads: u64,
    /// Resident memory.
    pub(crate) resident_kib: u64,
    /// Of all its threads, in user and kernel mode.
    pub(crate) cpu: Duration,
}

impl Figures {
    pub(crate) fn of(pid: u32) -> Result<Self, Trouble> {
        let process = PathBuf::from(format!("/proc/{pid}"));
        let read = |why| Trouble::io("/proc", why);
        let descriptors = fs::read_dir(process.join("fd")).map_err(read)?.count();
        let path = process.join("status");
        let status = fs::read_to_string(&path).map_err(read)?;
        let field =
            |name: &str| field(&status, name).ok_or_else(|| Trouble::NoFigure(path.clone()));
        Ok(Self {
            descriptors,
            threads: field("Threads:")?,
            resident_kib: field("VmRSS:")?,
            cpu: cpu(&process.join("stat"))?,
        })
    }
}

/// utime and stime of proc_pid_stat(5): the fields behind the name, which may have spaces in it.
fn cpu(path: &Path) -> Result<Duration, Trouble> {
    let stat = fs::read_to_string(path).map_err(|why| Trouble::io("/proc", why))?;
    let behind = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
    let ticks = behind.split(' ').skip(11).take(2);
    let ticks: u64 = ticks.filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
    let per_second = rustix::param::clock_ticks_per_second().max(1);
    Ok(Duration::from_millis(ticks * 1_000 / per_second))
}

/// How long a core has been busy, and idle, in ticks since the start of the machine.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Core {
    busy: u64,
    idle: u64,
}

impl Core {
    pub(crate) fn of(number: usize) -> Result<Self, Trouble> {
        let path = Path::new("/proc/stat");
        let stat = fs::read_to_string(path).map_err(|why| Trouble::io("/proc", why))?;
        Self::read(&stat, number).ok_or_else(|| Trouble::NoFigure(path.to_owned()))
    }

    /// user, nice, system, idle, iowait, irq, softirq, steal (proc_stat(5)).
    fn read(stat: &str, number: usize) -> Option<Self> {
        let name = format!("cpu{number} ");
        let line = stat.lines().find_map(|line| line.strip_prefix(&name))?;
        let ticks = line.split_whitespace().take(8);
        let ticks: Vec<u64> = ticks.filter_map(|ticks| ticks.parse().ok()).collect();
        let idle = ticks.get(3)? + ticks.get(4)?;
        let busy = ticks.iter().sum::<u64>() - idle;
        Some(Self { busy, idle })
    }

    /// Of the time between two looks.
    pub(crate) fn busy_percent_since(self, before: Self) -> f64 {
        let busy = self.busy.saturating_sub(before.busy) as f64;
        let idle = self.idle.saturating_sub(before.idle) as f64;
        busy * 100.0 / (busy + idle).max(1.0)
    }
}

fn field(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_core_is_busy_for_a_share_of_the_time() {
        let read = |stat| Core::read(stat, 1).unwrap();
        let before = read("cpu  9 9 9 9\ncpu0 1 1 1 1 1 1 1 1 0 0\ncpu1 10 0 10 100 0 0 0 0 5 5\n");
        let after = read("cpu1 20 5 20 130 10 1 2 2 50 50\n");
        assert!((after.busy_percent_since(before) - 100.0 * 30.0 / 70.0).abs() < 1e-9);
        assert!(Core::read("cpu0 1 1 1 1 1\n", 1).is_none());
    }

    #[test]
    fn this_process_takes_something() {
        let figures = Figures::of(std::process::id()).unwrap();
        assert!(figures.descriptors >= 3 && figures.threads >= 1 && figures.resident_kib > 100);
    }
}
