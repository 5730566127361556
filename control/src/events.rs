//! What happened, for whoever listens: a bounded ring with numbers. A slow listener misses events and is told how many;
//! nobody ever waits for it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use swap_core::{AppName, OperationId};
use tokio::sync::broadcast;

use crate::wire::{Event, What};

/// Events that can be asked for again.
const KEPT_MAX: usize = 1024;

/// Now, by the wall clock, to the millisecond (RFC 3339). For people; nothing is ever computed from it.
pub(crate) fn wall_now() -> String {
    format!("{:.3}", Timestamp::now())
}

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

    /// From now on; with `after`, from the event behind that one, as far as they are kept.
    pub(crate) fn subscribe(&self, after: Option<u64>) -> Subscription {
        let ring = self.ring();
        let past = match after {
            Some(after) => ring
                .kept
                .iter()
                .filter(|event| event.id > after)
                .cloned()
                .collect(),
            None => Vec::new(),
        };
        Subscription {
            past,
            live: self.live.subscribe(),
        }
    }

    fn ring(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
