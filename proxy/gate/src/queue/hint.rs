//! What may be known of the door without its lock: one word, so that an open door costs one load.

use crate::sync::{AtomicU64, Ordering};

/// The methods that must not pass (the low 16 bits) and how often the door has been shut (the rest). Written only under
/// the queue's lock; never ahead of the state, never behind it once the lock is free.
pub(super) struct Hint(AtomicU64);

impl Hint {
    pub(super) fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    pub(super) fn shut_for(&self) -> u16 {
        self.read() as u16
    }

    pub(super) fn shuts(&self) -> u64 {
        self.read() >> u16::BITS
    }

    fn read(&self) -> u64 {
        // Acquire, so that it pairs with `show` by itself. What makes it trustworthy is that it comes after an Acquire
        // of the table: whoever has read the table that was published after a hold reads that hold here.
        self.0.load(Ordering::Acquire)
    }

    pub(super) fn show(&self, shut_for: u16, shuts: u64) {
        let word = shuts << u16::BITS | u64::from(shut_for);
        // Relaxed: only written under the lock, which we hold. The test keeps the cache line shared among the workers
        // while nothing changes.
        if self.0.load(Ordering::Relaxed) != word {
            // Release: whoever reads it may count on everything that happened before.
            self.0.store(word, Ordering::Release);
        }
    }
}
