//! Whose turn it is where there are fewer cores than threads that want one: a request's.
//!
//! A promote is some milliseconds of work beside the requests: commands, probes, the journal. Each of its steps waits for
//! something, and whoever wakes up interrupts whoever runs, so that requests stood still for it. Under `SCHED_BATCH`
//! (sched(7)) a thread has its share as before and interrupts nobody.

use std::io;

/// The calling thread, and those that it starts from now on, no longer interrupt others. Children do not either.
/// Where that is refused (a filter of system calls), everything is as it was.
pub(crate) fn give_way() -> io::Result<()> {
    change(libc::SCHED_OTHER, libc::SCHED_BATCH)
}

/// The calling thread interrupts others again, whoever started it. What an administrator has made of it, as a real-time
/// policy, stays.
pub(crate) fn come_first() -> io::Result<()> {
    change(libc::SCHED_BATCH, libc::SCHED_OTHER)
}

#[expect(unsafe_code, reason = "the policy of a thread can be had no other way")]
fn change(from: libc::c_int, to: libc::c_int) -> io::Result<()> {
    let fair = libc::sched_param { sched_priority: 0 };
    // SAFETY: 0 is the calling thread; `fair` is read before the call returns.
    let changed = unsafe {
        libc::sched_getscheduler(0) != from || libc::sched_setscheduler(0, to, &raw const fair) == 0
    };
    if changed {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(unsafe_code, reason = "as above")]
    fn policy() -> libc::c_int {
        // SAFETY: 0 is the calling thread.
        unsafe { libc::sched_getscheduler(0) }
    }

    #[test]
    fn threads_give_way_until_they_say_otherwise() {
        // Whoever runs this test may have given way.
        come_first().unwrap();
        assert_eq!(policy(), libc::SCHED_OTHER);
        give_way().unwrap();
        assert_eq!(policy(), libc::SCHED_BATCH);
        let started = std::thread::spawn(|| {
            let inherited = policy();
            come_first().unwrap();
            (inherited, policy())
        });
        let seen = started.join().unwrap();
        assert_eq!(seen, (libc::SCHED_BATCH, libc::SCHED_OTHER));
        come_first().unwrap();
        assert_eq!(policy(), libc::SCHED_OTHER);
    }
}
