//! A ticket: one request's place in the queue. Dropping it frees the place.

use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use super::line::Stay;
use super::state::{Called, Leaving, Look};
use super::{Admission, Place, Queue, Reason, Room};

/// A place in the queue. Whoever drops it before its turn has left: the place is free at once, and the request counts
/// as abandoned (also if its turn had come and it had not looked: then the next one goes).
#[must_use = "dropping a ticket gives the place up"]
pub struct Ticket<C: Copy> {
    queue: Arc<Queue<C>>,
    place: Place,
    arrived: Duration,
    deadline: Duration,
    /// Whether the queue has forgotten it.
    over: bool,
}

/// How a wait ended.
#[derive(Debug)]
#[must_use]
pub enum Turn<C: Copy> {
    /// Its turn has come: reload the table and go on.
    Admitted(Admission<C>),
    /// An older request needed the room.
    Shed(Reason),
}

/// What was true when a ticket's time was up.
#[derive(Debug)]
#[must_use]
pub enum Expired<C: Copy> {
    /// It had waited long enough; its place is free.
    TimedOut,
    /// Its turn had come a moment before.
    Admitted(Admission<C>),
    /// It had been displaced a moment before.
    Shed(Reason),
}

impl<C: Copy> Ticket<C> {
    pub(super) fn new(queue: Arc<Queue<C>>, place: Place, stay: Stay) -> Self {
        Self {
            queue,
            place,
            arrived: stay.arrived,
            deadline: stay.deadline,
            over: false,
        }
    }

    /// Ready when its turn has come, or somebody needed its place.
    ///
    /// # Panics
    ///
    /// If it was ready before.
    pub fn poll_turn(&mut self, cx: &mut Context<'_>) -> Poll<Turn<C>> {
        assert!(!self.over, "a ticket's turn comes once");
        let place = self.place;
        // The look and the registration are one step under the lock: no turn can come between them.
        let look = self
            .queue
            .change(|state, after| state.look(place, cx.waker(), after));
        let Look::Over(called) = look else {
            return Poll::Pending;
        };
        self.over = true;
        Poll::Ready(match called {
            Called::Admitted(pass) => Turn::Admitted(Admission::new(&self.queue, place, pass)),
            Called::Displaced(reason) => Turn::Shed(reason),
        })
    }

    /// Resolves when its turn has come, or somebody needed its place. Cancel-safe: the place is the ticket's.
    pub async fn turn(&mut self) -> Turn<C> {
        poll_fn(|cx| self.poll_turn(cx)).await
    }

    /// Its owner's timer says that [`Ticket::deadline`] has come. It counts as timed out, unless its wait was over a
    /// moment before: an admission that was given is never taken back.
    ///
    /// # Panics
    ///
    /// If its turn had been taken.
    pub fn expire(mut self, now: Duration) -> Expired<C> {
        assert!(!self.over, "a ticket's turn comes once");
        self.over = true;
        let place = self.place;
        let called = self.queue.change_at(now, |state, after| {
            state.leave(place, Leaving::TimedOut, after)
        });
        match called {
            None => Expired::TimedOut,
            Some(Called::Admitted(pass)) => {
                Expired::Admitted(Admission::new(&self.queue, place, pass))
            }
            Some(Called::Displaced(reason)) => Expired::Shed(reason),
        }
    }

    /// Its room for more octets.
    pub fn room(&self) -> Room<C> {
        Room::new(self.queue.clone(), self.place)
    }

    /// When its wait must end: its arrival plus `max_wait`, as it was then. A request that comes back keeps it.
    pub fn deadline(&self) -> Duration {
        self.deadline
    }

    /// When it began to wait, for the first time.
    pub fn arrived(&self) -> Duration {
        self.arrived
    }

    /// Where it stands.
    pub fn place(&self) -> Place {
        self.place
    }
}

impl<C: Copy> Drop for Ticket<C> {
    fn drop(&mut self) {
        if self.over {
            return;
        }
        let place = self.place;
        self.queue.change(|state, after| {
            if let Some(Called::Admitted(pass)) = state.leave(place, Leaving::Abandoned, after) {
                state.turn_unused(pass);
            }
        });
    }
}

impl<C: Copy> fmt::Debug for Ticket<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticket")
            .field("place", &self.place)
            .field("arrived", &self.arrived)
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}
