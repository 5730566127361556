//! The gate: enter, leave, close and empty, in every order.

use std::sync::Arc;
use std::task::{Context, Poll};

use loom::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use loom::{future::block_on, thread};
use swap_gate::{Class, Classes, Gate};

use crate::explore::{every_way, ways_with};

/// What a gate must be able to do for these worlds; so that `broken` can put a faulty one into them.
pub(crate) trait Bolt: Send + Sync + 'static {
    fn new(workers: usize) -> Self;
    fn try_enter(&self, worker: usize) -> bool;
    fn leave(&self, worker: usize);
    fn close(&self);
    fn poll_empty(&self, cx: &mut Context<'_>) -> Poll<()>;
}

impl Bolt for Gate {
    fn new(workers: usize) -> Self {
        Self::new(workers)
    }

    fn try_enter(&self, worker: usize) -> bool {
        self.try_enter(worker, Class::Unsafe)
    }

    fn leave(&self, worker: usize) {
        self.leave(worker, Class::Unsafe);
    }

    fn close(&self) {
        self.close();
    }

    fn poll_empty(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.poll_empty(cx, Classes::ALL)
    }
}

fn empty(gate: &impl Bolt) {
    block_on(std::future::poll_fn(|cx| gate.poll_empty(cx)));
}

/// A request, which either is refused or has done its work when the gate is empty.
fn request(gate: &impl Bolt, worker: usize, work: &AtomicUsize) -> usize {
    if !gate.try_enter(worker) {
        return 0;
    }
    work.fetch_add(1, Relaxed);
    gate.leave(worker);
    1
}

/// Two workers' requests race with the close. Relaxed, so that only the gate can make their work visible.
pub(crate) fn requests_race_with_the_close<G: Bolt>() {
    let gate = Arc::new(G::new(2));
    let work = Arc::new(AtomicUsize::new(0));
    let requests: Vec<_> = (0..2)
        .map(|worker| {
            let (gate, work) = (gate.clone(), work.clone());
            thread::spawn(move || request(&*gate, worker, &work))
        })
        .collect();
    gate.close();
    empty(&*gate);
    let done = work.load(Relaxed);
    assert!(
        !gate.try_enter(0) && !gate.try_enter(1),
        "entered after the close"
    );
    let served: usize = requests
        .into_iter()
        .map(|request| request.join().expect("no panic"))
        .sum();
    assert_eq!(done, served, "somebody was inside an empty gate");
}

/// The only request leaves while somebody begins to wait.
pub(crate) fn the_last_leave_races_with_the_wait<G: Bolt>() {
    let gate = Arc::new(G::new(1));
    assert!(gate.try_enter(0));
    gate.close();
    let waiter = {
        let gate = gate.clone();
        thread::spawn(move || empty(&*gate))
    };
    gate.leave(0);
    waiter.join().expect("no panic");
}

/// Somebody waits before there is a close; nobody is inside who could wake it.
pub(crate) fn the_close_races_with_the_wait<G: Bolt>() {
    let gate = Arc::new(G::new(2));
    let waiter = {
        let gate = gate.clone();
        thread::spawn(move || empty(&*gate))
    };
    gate.close();
    waiter.join().expect("no panic");
}

/// Whoever is refused finds the table that was published before the close.
pub(crate) fn the_refused_find_the_newer_table<G: Bolt>() {
    let gate = Arc::new(G::new(1));
    let table = Arc::new(AtomicUsize::new(1));
    let request = {
        let (gate, table) = (gate.clone(), table.clone());
        thread::spawn(move || {
            if gate.try_enter(0) {
                gate.leave(0);
            } else {
                assert_eq!(
                    table.load(Relaxed),
                    2,
                    "refused, and found the old table again"
                );
            }
        })
    };
    table.store(2, Relaxed);
    gate.close();
    request.join().expect("no panic");
}

#[test]
fn after_empty_nobody_is_inside_and_nobody_can_enter() {
    ways_with(4, requests_race_with_the_close::<Gate>);
}

#[test]
fn no_wake_up_is_lost_between_the_last_leave_and_the_wait() {
    every_way(the_last_leave_races_with_the_wait::<Gate>);
}

#[test]
fn no_wake_up_is_lost_between_the_close_and_the_wait() {
    every_way(the_close_races_with_the_wait::<Gate>);
}

#[test]
fn whoever_is_refused_finds_the_newer_table() {
    every_way(the_refused_find_the_newer_table::<Gate>);
}

#[test]
fn two_may_wait_for_different_classes_at_once() {
    ways_with(2, || {
        let gate = Arc::new(Gate::new(1));
        assert!(gate.try_enter(0, Class::Unsafe));
        let waiters = [Classes::UNSAFE, Classes::ALL].map(|classes| {
            let gate = gate.clone();
            thread::spawn(move || block_on(gate.empty(classes)))
        });
        gate.close();
        gate.leave(0, Class::Unsafe);
        for waiter in waiters {
            waiter.join().expect("no panic");
        }
    });
}

/// A lease may end on another thread than it began on, and two may close at once.
#[test]
fn leaves_and_closes_may_come_from_anywhere() {
    ways_with(2, || {
        let gate = Arc::new(Gate::new(1));
        assert!(gate.try_enter(0, Class::Safe) && gate.try_enter(0, Class::Safe));
        let others = [(); 2].map(|()| {
            let gate = gate.clone();
            thread::spawn(move || {
                gate.close();
                gate.leave(0, Class::Safe);
            })
        });
        block_on(gate.empty(Classes::ALL));
        for other in others {
            other.join().expect("no panic");
        }
        assert_eq!(gate.running(Classes::ALL), 0);
    });
}
