//! Room for what a waiting request brings along while it waits.

use std::sync::Arc;

use super::{Place, Queue};

/// The room that one waiting request has for more octets: what the others leave of `max_bytes`.
#[derive(Debug)]
pub struct Room<C: Copy> {
    queue: Arc<Queue<C>>,
    place: Place,
}

impl<C: Copy> Room<C> {
    pub(super) fn new(queue: Arc<Queue<C>>, place: Place) -> Self {
        Self { queue, place }
    }

    /// Takes room for so many octets more. False: there is not as much, or the request waits no longer. They go
    /// with the request, wherever it goes from here.
    #[must_use]
    pub fn take(&self, octets: usize) -> bool {
        self.queue.change(|state, _| state.grow(self.place, octets))
    }
}
