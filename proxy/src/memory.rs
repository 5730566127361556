//! Where memory comes from, and that what is free again goes back to the system.
//!
//! mimalloc: each worker has a heap of its own (ARCHITECTURE.md says what that saves). What is free in it is kept while its
//! thread has nothing to do: after a hold of thousands that would be tens of MiB, for as long as the daemon runs.

#[cfg(not(fuzzing))]
mod allocator;

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// It is looked at so often, and the most in between counts: a load that comes and goes is no reason.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// When so many connections less are built than once were, the allocator is asked: each takes about 20 KiB.
const MANY: usize = 64;

/// Memory comes in pages of 4 KiB and not in huge ones, which mimalloc asks for where the system leaves it to programs
/// (`transparent_hugepage` is `madvise`). Of most that a connection has, only the beginning is used: eight thousand of them
/// took 410 MiB in huge pages and 290 without, and the processor had no less to do (ARCHITECTURE.md).
pub(crate) fn without_huge_pages() {
    if let Err(error) = rustix::thread::disable_transparent_huge_pages(true) {
        tracing::debug!(%error, "memory may come in huge pages");
    }
}

/// Counts one worker's connections for which hyper's part is built, and its streams.
#[derive(Default)]
pub(crate) struct Memory {
    built: Cell<usize>,
    /// The most there have been since the last look.
    lately: Cell<usize>,
    /// The most there have been since memory was given back.
    ever: Cell<usize>,
    looked: Cell<Duration>,
}

/// One of them.
pub(crate) struct Built(Rc<Memory>);

impl Memory {
    pub(crate) fn build(self: &Rc<Self>) -> Built {
        let built = self.built.get() + 1;
        self.built.set(built);
        self.lately.set(self.lately.get().max(built));
        Built(self.clone())
    }

    /// Gives back what is free in this thread's heap, if that is much. To be called now and then.
    pub(crate) fn look(&self, now: Duration) {
        if now < self.looked.get() + LOOK_EVERY {
            return;
        }
        self.looked.set(now);
        let lately = self.lately.replace(self.built.get());
        let ever = self.ever.get().max(lately);
        self.ever.set(ever);
        if ever - lately >= MANY {
            self.ever.set(lately);
            let began = Instant::now();
            collect();
            tracing::debug!(took = ?began.elapsed(), before = ever, lately, "memory is given back");
        }
    }
}

impl Drop for Built {
    fn drop(&mut self) {
        let built = &self.0.built;
        built.set(built.get() - 1);
    }
}

/// Not for fuzzers: theirs finds more.
#[cfg(not(fuzzing))]
#[global_allocator]
static ALLOCATOR: allocator::Allocator = allocator::Allocator;

/// Of this thread's heap, and of the C library's, where the cryptography has its own.
#[expect(
    unsafe_code,
    reason = "the calls are C libraries', and have no safe form"
)]
fn collect() {
    // SAFETY: it may be called at any time by any thread, takes a word and touches no memory in use.
    unsafe { libmimalloc_sys::mi_collect(true) };
    // SAFETY: as above.
    #[cfg(target_env = "gnu")]
    unsafe {
        libc::malloc_trim(0)
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_asked_back_once_when_many_have_ended_for_a_while() {
        let memory = Rc::new(Memory::default());
        let mut now = Duration::ZERO;
        let mut ever_after = |memory: &Memory| {
            now += LOOK_EVERY;
            memory.look(now);
            memory.ever.get()
        };
        let mut built: Vec<Built> = (0..MANY + 10).map(|_| memory.build()).collect();
        assert_eq!(ever_after(&memory), MANY + 10);
        built.truncate(11);
        assert_eq!(ever_after(&memory), MANY + 10, "they were there lately");
        assert_eq!(ever_after(&memory), MANY + 10, "not enough");
        built.truncate(10);
        ever_after(&memory);
        assert_eq!(ever_after(&memory), 10);
        assert_eq!(ever_after(&memory), 10, "once");
    }
}
