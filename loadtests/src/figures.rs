//! What a process takes, as the kernel says.

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

fn field(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_takes_something() {
        let figures = Figures::of(std::process::id()).unwrap();
        assert!(figures.descriptors >= 3 && figures.threads >= 1 && figures.resident_kib > 100);
    }
}
