//! How far a release may run ahead of those it lets go.
//!
//! Whoever is let go goes on when its thread comes to it. If a release ran on meanwhile, those of a thread that has less to
//! do would overtake those of another by all that waits there.

use std::time::Duration;

/// So many may have been called and not have looked yet: enough for every thread to have one at hand.
const FIRST: usize = 32;
/// Whoever does not look for so long has lost its place in the order, and nobody else waits for it.
const PATIENCE: Duration = Duration::from_millis(100);

/// Of one release.
#[derive(Debug)]
pub(super) struct Unseen {
    max: usize,
    /// When somebody last looked, or none were waited for any longer.
    since: Duration,
}

impl Unseen {
    pub(super) fn new(now: Duration) -> Self {
        Self {
            max: FIRST,
            since: now,
        }
    }

    /// Whether one more may be called while so many have not looked.
    pub(super) fn admits(&mut self, unseen: usize, now: Duration) -> bool {
        let Some(patience) = self.patience(unseen) else {
            return true;
        };
        let is_over = now >= patience;
        if is_over {
            // Twice as many: the end comes in bounded time, whoever looks.
            self.max = self.max.saturating_mul(2);
            self.since = now;
        }
        is_over
    }

    /// One who was called has looked.
    pub(super) fn looked(&mut self, now: Duration) {
        self.since = now;
    }

    /// Until when those who have not looked are waited for, if they are so many.
    pub(super) fn patience(&self, unseen: usize) -> Option<Duration> {
        (unseen >= self.max).then(|| self.since + PATIENCE)
    }
}
