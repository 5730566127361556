//! A door with a clock, and people who knock: so that the tests read as stories.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use swap_gate::{
    Admission, Arrival, Arrived, Bounds, CameBack, Counts, Queue, Rate, Reason, Ticket, Turn,
};

pub(crate) const GET: u16 = 1;
pub(crate) const POST: u16 = 2;
pub(crate) const EVERY_METHOD: u16 = GET | POST;

/// Causes are opaque to the queue: a word will do.
pub(crate) type Cause = &'static str;

pub(crate) const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Roomy, ten seconds, by concurrency.
pub(crate) fn bounds() -> Bounds {
    Bounds {
        max_requests: 1_000,
        max_bytes: 1_000_000_000,
        max_wait: ms(10_000),
        max_per_client: 1_000,
        rate: Rate::Auto,
    }
}

pub(crate) struct Door {
    pub(crate) queue: Arc<Queue<Cause>>,
    pub(crate) now: Duration,
    opened: Arc<AtomicUsize>,
}

impl Door {
    pub(crate) fn new(bounds: Bounds) -> Self {
        let opened = Arc::new(AtomicUsize::new(0));
        let counter = opened.clone();
        let on_open = move || {
            counter.fetch_add(1, Ordering::Relaxed);
        };
        Self {
            queue: Queue::new(bounds, on_open),
            now: ms(0),
            opened,
        }
    }

    /// Shut for every method, behind gate number 1.
    pub(crate) fn held(bounds: Bounds) -> Self {
        let door = Self::new(bounds);
        door.queue.set_epoch(1);
        door.queue.hold("command", EVERY_METHOD, door.now);
        door
    }

    /// Releasing, with room for `running_before`.
    pub(crate) fn release(&self, running_before: u32) {
        self.queue.release(running_before, self.now);
    }

    /// How often the door has said that it is open again.
    pub(crate) fn opened(&self) -> usize {
        self.opened.load(Ordering::Relaxed)
    }

    pub(crate) fn wait(&mut self, time: Duration) {
        self.now += time;
    }

    /// Waits as long as the pace asks for, and lets go who may. False once nothing is released any more.
    pub(crate) fn pace(&mut self) -> bool {
        let Some(delay) = self.queue.pace(self.now) else {
            return false;
        };
        self.now += delay;
        self.queue.pace(self.now).is_some()
    }

    pub(crate) fn arrive(&self, arrival: Arrival) -> Arrived<Cause> {
        self.queue.arrive(arrival, self.now)
    }

    /// A request that is known to find the door shut.
    pub(crate) fn ticket(&self, arrival: Arrival) -> Ticket<Cause> {
        waits(self.arrive(arrival))
    }

    /// So many requests, each of a client of its own, with a small head.
    pub(crate) fn line(&self, length: u128) -> Vec<Ticket<Cause>> {
        (0..length)
            .map(|client| self.ticket(post(client)))
            .collect()
    }

    pub(crate) fn counts(&self) -> Counts<Cause> {
        self.queue.counts(self.now)
    }

    pub(crate) fn is_open(&self) -> bool {
        assert_eq!(
            self.counts().active,
            self.queue.shut_for() != 0,
            "the hint tells lies"
        );
        !self.counts().active
    }
}

pub(crate) fn post(client: u128) -> Arrival {
    Arrival {
        method: POST,
        client,
        bytes: 100,
    }
}

pub(crate) fn get(client: u128) -> Arrival {
    Arrival {
        method: GET,
        ..post(client)
    }
}

pub(crate) fn of_bytes(bytes: usize) -> Arrival {
    Arrival { bytes, ..post(0) }
}

#[track_caller]
pub(crate) fn waits(arrived: Arrived<Cause>) -> Ticket<Cause> {
    match arrived {
        Arrived::Wait(ticket) => ticket,
        other => panic!("expected to wait, but: {other:?}"),
    }
}

#[track_caller]
pub(crate) fn passes(arrived: Arrived<Cause>) {
    assert!(
        matches!(arrived, Arrived::Pass),
        "expected to pass, but: {arrived:?}"
    );
}

#[track_caller]
pub(crate) fn shed(arrived: Arrived<Cause>) -> Reason {
    match arrived {
        Arrived::Shed(reason) => reason,
        other => panic!("expected to be refused, but: {other:?}"),
    }
}

/// The ticket of a request that came back, and whether it shut the door.
#[track_caller]
pub(crate) fn back(came: CameBack<Cause>) -> (Ticket<Cause>, bool) {
    (waits(came.arrived), came.shut)
}

/// What a ticket says when it is looked at.
pub(crate) fn look(ticket: &mut Ticket<Cause>) -> Option<Turn<Cause>> {
    match ticket.poll_turn(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(turn) => Some(turn),
        Poll::Pending => None,
    }
}

/// The admission of a ticket whose turn has come.
#[track_caller]
pub(crate) fn admitted(ticket: &mut Ticket<Cause>) -> Admission<Cause> {
    match look(ticket) {
        Some(Turn::Admitted(admission)) => admission,
        other => panic!("expected its turn, but: {other:?}"),
    }
}

/// Takes out of the line whoever has its turn. Panics unless they stand at its head: first come, first served.
#[track_caller]
pub(crate) fn let_go(line: &mut Vec<Ticket<Cause>>) -> Vec<Admission<Cause>> {
    let mut gone = Vec::new();
    let mut staying = Vec::new();
    for mut ticket in line.drain(..) {
        match look(&mut ticket) {
            None => staying.push(ticket),
            Some(Turn::Admitted(admission)) => {
                assert!(staying.is_empty(), "{admission:?} overtook {staying:?}");
                gone.push(admission);
            }
            Some(Turn::Shed(reason)) => panic!("shed: {reason:?}"),
        }
    }
    *line = staying;
    gone
}

/// A task that only counts how often it is woken.
#[derive(Default)]
pub(crate) struct Sleeper(AtomicUsize);

impl Sleeper {
    pub(crate) fn new() -> (Arc<Self>, Waker) {
        let sleeper = Arc::new(Self::default());
        (sleeper.clone(), sleeper.into())
    }

    pub(crate) fn woken(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

impl Wake for Sleeper {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}
