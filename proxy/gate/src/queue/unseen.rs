//! How far a release may run ahead of those it lets go.
//!
//! Whoever is let go goes on when its thread comes to it. If a release ran on meanwhile, those of a thread that has less to
//! do would overtake those of another by all that waits there.

use std::time::Duration;

use super::pace::TICK_MIN;

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
        if unseen < self.max {
            return true;
        }
        let is_over = now >= self.patience();
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

    /// When to look again, as far as those who have not looked are concerned.
    pub(super) fn next_look(&self, unseen: usize, now: Duration) -> Duration {
        if unseen < self.max {
            return Duration::MAX;
        }
        self.patience().saturating_sub(now).max(TICK_MIN)
    }

    fn patience(&self) -> Duration {
        self.since + PATIENCE
    }
}
