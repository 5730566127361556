//! Memory that is free again goes back to the system. glibc gives back the top of its heap alone: one piece in use keeps
//! all that lies below, and after a hold of 10,000 that would be 200 MiB for as long as the daemon runs.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Instant;

/// When so many connections less are built than once were, the allocator is asked: each takes about 20 KiB.
const MANY: usize = 256;

/// Counts one worker's connections for which hyper's part is built, and its streams.
#[derive(Default)]
pub(crate) struct Memory {
    built: Cell<usize>,
    /// The most there have been since memory was given back.
    most: Cell<usize>,
}

/// One of them.
pub(crate) struct Built(Rc<Memory>);

impl Memory {
    pub(crate) fn build(self: &Rc<Self>) -> Built {
        let built = self.built.get() + 1;
        self.built.set(built);
        self.most.set(self.most.get().max(built));
        Built(self.clone())
    }

    /// Gives back what is free, if that is much. To be called now and then.
    pub(crate) fn give_back(&self) {
        let (built, most) = (self.built.get(), self.most.get());
        if most - built >= MANY {
            self.most.set(built);
            let began = Instant::now();
            trim();
            tracing::debug!(took = ?began.elapsed(), most, built, "memory is given back");
        }
    }
}

impl Drop for Built {
    fn drop(&mut self) {
        let built = &self.0.built;
        built.set(built.get() - 1);
    }
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[expect(
    unsafe_code,
    reason = "the call is the C library's, and has no safe form"
)]
fn trim() {
    // SAFETY: any thread may call it at any time (malloc_trim(3): MT-Safe); it takes a number and touches no memory in use.
    unsafe { libc::malloc_trim(0) };
}

/// Other allocators see to it themselves.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
fn trim() {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_asked_back_once_after_many_have_ended() {
        let memory = Rc::new(Memory::default());
        let mut built: Vec<Built> = (0..MANY + 10).map(|_| memory.build()).collect();
        built.truncate(11);
        memory.give_back();
        assert_eq!(memory.most.get(), MANY + 10, "not enough yet");
        built.truncate(10);
        memory.give_back();
        assert_eq!(memory.most.get(), 10);
        drop(memory.build());
        memory.give_back();
        assert_eq!(
            memory.most.get(),
            11,
            "the next ones are counted from there"
        );
    }
}
