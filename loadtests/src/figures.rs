//! What a process takes, as the kernel says.

use std::fs;
use std::path::PathBuf;

use crate::trouble::Trouble;

/// What a process takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Figures {
    pub(crate) descriptors: usize,
    pub(crate) threads: u64,
    /// Resident memory.
    pub(crate) resident_kib: u64,
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
        })
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
    fn this_process_takes_something() {
        let figures = Figures::of(std::process::id()).unwrap();
        assert!(figures.descriptors >= 3 && figures.threads >= 1 && figures.resident_kib > 100);
    }
}
