//! Waking in order: two threads that let requests go one after the other wake them one after the other too, even if the
//! first one is held up before it comes to it.

use std::collections::VecDeque;
use std::task::Waker;

use crate::sync::Lock;

/// Those whose wait is over, in the order of the queue, until somebody has woken them.
pub(super) struct Wakes {
    waiting: Lock<VecDeque<Waker>>,
    /// Held by the one who wakes.
    waking: Lock<()>,
}

impl Wakes {
    pub(super) fn new() -> Self {
        Self {
            waiting: Lock::new(VecDeque::new()),
            waking: Lock::new(()),
        }
    }

    /// To be called under the lock that gives the order. Wakes nobody.
    pub(super) fn add(&self, woken: Vec<Waker>) {
        self.waiting.lock().extend(woken);
    }

    /// Wakes whoever was added; to be called after that, without the lock. Where somebody is at it already, it is theirs
    /// to do: they look once more when they have let go.
    pub(super) fn deliver(&self) {
        while !self.waiting.lock().is_empty() {
            let Some(_waking) = self.waking.try_lock() else {
                return;
            };
            while let Some(next) = self.next() {
                next.wake();
            }
        }
    }

    fn next(&self) -> Option<Waker> {
        self.waiting.lock().pop_front()
    }
}
