//! Runs a world in every way that it can go, and says how many those were.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use swap_gate::{Admission, Arrival, Arrived, Bounds, Queue, Rate, Ticket, Turn};

pub(crate) const NOW: Duration = Duration::ZERO;
pub(crate) const METHOD: u16 = 1;

/// Every execution.
pub(crate) fn every_way(world: impl Fn() + Send + Sync + 'static) {
    explore(None, world);
}

/// Every execution in which a thread loses the processor against its will at most `preemptions` times. (Most faults
/// need two; see <https://docs.rs/loom> on bounding.)
pub(crate) fn ways_with(preemptions: usize, world: impl Fn() + Send + Sync + 'static) {
    explore(Some(preemptions), world);
}

fn explore(preemption_bound: Option<usize>, world: impl Fn() + Send + Sync + 'static) {
    let executions = Arc::new(AtomicUsize::new(0));
    let counter = executions.clone();
    let began = Instant::now();
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = preemption_bound;
    builder.check(move || {
        counter.fetch_add(1, Ordering::Relaxed);
        world();
    });
    let name = std::thread::current().name().unwrap_or_default().to_owned();
    let executions = executions.load(Ordering::Relaxed);
    let bound = preemption_bound.map_or("all".to_owned(), |bound| format!("{bound} preemptions"));
    eprintln!(
        "{name}: {executions} executions ({bound}) in {:.1?}",
        began.elapsed()
    );
}

/// An open door with room for all.
pub(crate) fn door() -> Arc<Queue<()>> {
    let bounds = Bounds {
        max_requests: 10,
        max_bytes: 1_000_000,
        max_wait: Duration::from_secs(1),
        max_per_client: 10,
        rate: Rate::Auto,
    };
    let queue = Queue::new(bounds, || {});
    queue.set_epoch(1);
    queue
}

pub(crate) const REQUEST: Arrival = Arrival {
    method: METHOD,
    client: 0,
    bytes: 0,
};

/// A door that is shut.
pub(crate) fn held_door() -> Arc<Queue<()>> {
    let queue = door();
    queue.hold((), METHOD, NOW);
    queue
}

pub(crate) fn ticket(queue: &Arc<Queue<()>>) -> Ticket<()> {
    match queue.arrive(REQUEST, NOW) {
        Arrived::Wait(ticket) => ticket,
        other => panic!("{other:?}"),
    }
}

/// Blocks until the ticket's turn comes; a turn that never comes is a deadlock, which loom reports.
pub(crate) fn turn(mut ticket: Ticket<()>) -> Admission<()> {
    match loom::future::block_on(ticket.turn()) {
        Turn::Admitted(admission) => admission,
        Turn::Shed(reason) => panic!("shed: {reason:?}"),
    }
}

/// When all is over: the door is open, nobody waits, everybody is accounted for.
pub(crate) fn is_open_and_empty(queue: &Queue<()>) {
    let counts = queue.counts(NOW);
    assert!(!counts.active, "{counts:?}");
    assert_eq!(counts.waiting, 0);
    assert_eq!(queue.shut_for(), 0);
}
