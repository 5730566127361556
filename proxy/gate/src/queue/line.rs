//! The line: who waits, in order, what they take together, and how many belong to each client.
//!
//! It keeps its sums right and answers whether one more fits; it decides nothing about doors or turns. Every operation
//! takes logarithmic time.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::task::Waker;
use std::time::Duration;

use super::{Arrival, Bounds, Place, Reason, TICKET_OVERHEAD_BYTES};

/// How many waiting requests at most make way for one that came back: a big upload must not throw out a crowd.
pub(super) const DISPLACED_MAX: usize = 64;

/// A request and the time it may stay. Goes with the request from its ticket to its admission and back.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stay {
    pub(super) arrival: Arrival,
    pub(super) arrived: Duration,
    pub(super) deadline: Duration,
}

impl Stay {
    fn cost(&self) -> usize {
        cost(&self.arrival)
    }
}

fn cost(arrival: &Arrival) -> usize {
    arrival.bytes.saturating_add(TICKET_OVERHEAD_BYTES)
}

/// One who waits, and whom to wake when that ends.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) stay: Stay,
    pub(super) waker: Option<Waker>,
}

#[derive(Debug, Default)]
pub(super) struct Line {
    places: BTreeMap<Place, Waiting>,
    bytes: usize,
    clients: HashMap<u128, usize>,
}

impl Line {
    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whose turn is next.
    pub(super) fn head(&self) -> Option<Place> {
        self.places.first_key_value().map(|(place, _)| *place)
    }

    pub(super) fn get_mut(&mut self, place: Place) -> Option<&mut Waiting> {
        self.places.get_mut(&place)
    }

    /// Whether one more may join the end.
    pub(super) fn admits(&self, arrival: &Arrival, bounds: &Bounds) -> Result<(), Reason> {
        self.excess(
            self.len() + 1,
            self.bytes.saturating_add(cost(arrival)),
            bounds,
        )?;
        let half_full = self.len().saturating_mul(2) >= bounds.max_requests;
        if half_full && self.of_client(arrival.client) >= bounds.max_per_client {
            return Err(Reason::Share);
        }
        Ok(())
    }

    fn excess(&self, len: usize, bytes: usize, bounds: &Bounds) -> Result<(), Reason> {
        if len > bounds.max_requests {
            return Err(Reason::Full);
        }
        if bytes > bounds.max_bytes {
            return Err(Reason::Bytes);
        }
        Ok(())
    }

    fn of_client(&self, client: u128) -> usize {
        self.clients.get(&client).copied().unwrap_or(0)
    }

    /// Who must go so that one who came back fits in at `place`, youngest first, and by which limit; or the limit that
    /// it breaks even so. Never names anybody older than `place`, nor more than [`DISPLACED_MAX`].
    pub(super) fn in_the_way_of(
        &self,
        place: Place,
        arrival: &Arrival,
        bounds: &Bounds,
    ) -> Result<Vec<(Place, Reason)>, Reason> {
        let mut leaving = Vec::new();
        let mut len = self.len() + 1;
        let mut bytes = self.bytes.saturating_add(cost(arrival));
        let mut youngest = self.places.range(place..).rev().take(DISPLACED_MAX);
        while let Err(reason) = self.excess(len, bytes, bounds) {
            let (place, waiting) = youngest.next().ok_or(reason)?;
            leaving.push((*place, reason));
            len -= 1;
            bytes -= waiting.stay.cost();
        }
        Ok(leaving)
    }

    /// Lets the one who waits at `place` take so many octets more, if they are there to be had.
    pub(super) fn grow(&mut self, place: Place, octets: usize, bounds: &Bounds) -> bool {
        let bytes = self.bytes.saturating_add(octets);
        if self.excess(0, bytes, bounds).is_err() {
            return false;
        }
        let Some(waiting) = self.places.get_mut(&place) else {
            return false;
        };
        waiting.stay.arrival.bytes += octets;
        self.bytes = bytes;
        true
    }

    pub(super) fn insert(&mut self, place: Place, stay: Stay) {
        self.bytes = self.bytes.saturating_add(stay.cost());
        *self.clients.entry(stay.arrival.client).or_default() += 1;
        let before = self.places.insert(place, Waiting { stay, waker: None });
        assert!(before.is_none(), "two requests at {place:?}");
    }

    pub(super) fn remove(&mut self, place: Place) -> Option<Waiting> {
        let waiting = self.places.remove(&place)?;
        self.bytes -= waiting.stay.cost();
        if let Entry::Occupied(mut count) = self.clients.entry(waiting.stay.arrival.client) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
        Some(waiting)
    }

    /// When the one arrived who has waited longest. `first` is where the arrivals of this hold begin: they stand in the
    /// order of time, so that only those before them, who came back, must be looked at one by one.
    pub(super) fn oldest(&self, first: Place) -> Option<Duration> {
        let arrivals = self.places.range(first..).take(1);
        let came_back = self.places.range(..first);
        came_back
            .chain(arrivals)
            .map(|(_, waiting)| waiting.stay.arrived)
            .min()
    }
}
