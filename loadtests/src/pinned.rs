//! This process on one core, so that what it does itself is not done on the core of who is looked at.

use std::fs;

use rustix::io::Errno;
use rustix::process::Pid;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::trouble::Trouble;

/// Until this is dropped: all threads that there are, and the processes that they start, unless those get a core of their own.
pub(crate) struct Pinned {
    before: CpuSet,
}

impl Pinned {
    pub(crate) fn to(core: usize) -> Result<Self, Trouble> {
        let before = sched_getaffinity(None).map_err(trouble)?;
        let mut cores = CpuSet::new();
        cores.set(core);
        move_all(&cores)?;
        Ok(Self { before })
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        // What was possible before is.
        let _ = move_all(&self.before);
    }
}

fn move_all(cores: &CpuSet) -> Result<(), Trouble> {
    let threads = fs::read_dir("/proc/self/task").map_err(trouble)?;
    let ids = threads.filter_map(|thread| thread.ok()?.file_name().to_str()?.parse().ok());
    for id in ids {
        match sched_setaffinity(Pid::from_raw(id), cores) {
            // It has ended meanwhile.
            Ok(()) | Err(Errno::SRCH) => {}
            Err(why) => return Err(trouble(why)),
        }
    }
    Ok(())
}

fn trouble(why: impl Into<std::io::Error>) -> Trouble {
    Trouble::io("a thread's cores", why.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_threads_are_there_and_are_free_again_afterwards() {
        let of_this_thread = || {
            let cores = sched_getaffinity(None).unwrap();
            (0..CpuSet::MAX_CPU)
                .filter(|core| cores.is_set(*core))
                .collect::<Vec<_>>()
        };
        let before = of_this_thread();
        let core = before[0];
        let pinned = Pinned::to(core).unwrap();
        assert_eq!(of_this_thread(), [core]);
        let started = std::thread::spawn(of_this_thread).join().unwrap();
        assert_eq!(started, [core]);
        drop(pinned);
        assert_eq!(of_this_thread(), before);
    }
}
