//! What happened, for whoever listens: a bounded ring with numbers. A slow listener misses events and is told how many;
//! nobody ever waits for it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use swap_core::{AppName, OperationId};
use tokio::sync::broadcast;

use crate::wall::wall_now;
use crate::wire::{Event, What};

/// Events that can be asked for again.
pub(crate) const KEPT_MAX: usize = 1024;

/// Where events are told. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Events {
    ring: Arc<Mutex<Ring>>,
    live: broadcast::Sender<Arc<Event>>,
}

#[derive(Debug, Default)]
struct Ring {
    last: u64,
    kept: VecDeque<Arc<Event>>,
}

/// What a listener begins with, and what follows.
pub(crate) struct Subscription {
    /// So many of the asked ones are kept no more.
    pub(crate) missed: u64,
    pub(crate) past: Vec<Arc<Event>>,
    pub(crate) live: broadcast::Receiver<Arc<Event>>,
}

impl Events {
    pub(crate) fn new() -> Self {
        Self {
            ring: Arc::default(),
            live: broadcast::channel(KEPT_MAX).0,
        }
    }

    pub(crate) fn tell(&self, app: Option<&AppName>, operation: Option<&OperationId>, what: What) {
        let mut ring = self.ring();
        ring.last += 1;
        let event = Arc::new(Event {
            id: ring.last,
            at: wall_now(),
            app: app.cloned(),
            operation: operation.cloned(),
            what,
        });
        if ring.kept.len() == KEPT_MAX {
            ring.kept.pop_front();
        }
        ring.kept.push_back(event.clone());
        // Under the lock, so that a subscription sees each event once. Fails if nobody listens.
        let _ = self.live.send(event);
    }

    /// From now on.
    pub(crate) fn subscribe(&self) -> Subscription {
        Subscription {
            missed: 0,
            past: Vec::new(),
            live: self.live.subscribe(),
        }
    }

    /// From the event behind `last` on, as far as they are kept. Numbers begin anew with each run of the daemon: one
    /// that was not given yet comes from an earlier run, and everything is told.
    pub(crate) fn subscribe_after(&self, last: u64) -> Subscription {
        let ring = self.ring();
        let last = if last > ring.last { 0 } else { last };
        let oldest = ring.kept.front().map_or(ring.last + 1, |event| event.id);
        let behind = ring.kept.iter().filter(|event| event.id > last);
        Subscription {
            missed: oldest.saturating_sub(last + 1),
            past: behind.cloned().collect(),
            live: self.live.subscribe(),
        }
    }

    fn ring(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(subscription: &Subscription) -> Vec<u64> {
        subscription.past.iter().map(|event| event.id).collect()
    }

    #[test]
    fn who_asks_again_gets_what_came_after_and_nothing_twice() {
        let events = Events::new();
        for _ in 0..5 {
            events.tell(None, None, What::Ready);
        }
        let mut subscription = events.subscribe_after(3);
        assert_eq!((subscription.missed, ids(&subscription)), (0, vec![4, 5]));
        events.tell(None, None, What::Opened);
        assert_eq!(subscription.live.try_recv().unwrap().id, 6);
        assert!(subscription.live.try_recv().is_err());
    }

    #[test]
    fn what_the_ring_has_forgotten_is_counted() {
        let events = Events::new();
        for _ in 0..KEPT_MAX + 10 {
            events.tell(None, None, What::Ready);
        }
        let subscription = events.subscribe_after(4);
        assert_eq!(subscription.missed, 6);
        assert_eq!(subscription.past.len(), KEPT_MAX);
    }

    #[test]
    fn a_number_of_an_earlier_run_asks_for_everything() {
        let events = Events::new();
        events.tell(None, None, What::Ready);
        assert_eq!(ids(&events.subscribe_after(977)), [1]);
        assert!(ids(&events.subscribe()).is_empty());
    }
}
