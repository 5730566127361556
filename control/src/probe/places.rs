//! Where a round leaves the connections of the probes that passed, one for each instance, until its release is published.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::plane::Opened;

/// Shared by a round and whoever waits for its end. Those that nobody takes are closed with it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Places(Arc<Mutex<Vec<Option<Opened>>>>);

impl Places {
    pub(super) fn put(&self, index: usize, opened: Option<Opened>) {
        let mut places = self.places();
        if places.len() <= index {
            places.resize_with(index + 1, || None);
        }
        places[index] = opened;
    }

    pub(super) fn clear(&self, index: usize) {
        // It is closed when nobody waits for the others.
        let left = self.places().get_mut(index).and_then(Option::take);
        drop(left);
    }

    /// All that are there.
    pub(crate) fn take(&self) -> Vec<Opened> {
        std::mem::take(&mut *self.places())
            .into_iter()
            .flatten()
            .collect()
    }

    fn places(&self) -> MutexGuard<'_, Vec<Option<Opened>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
