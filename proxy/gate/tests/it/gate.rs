//! A gate counts, closes once, and tells when it is empty.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};

use swap_gate::{Class, Classes, Gate};

use crate::support::Sleeper;

#[test]
fn an_open_gate_counts_who_is_inside_by_class() {
    let gate = Gate::new(2);
    assert!(gate.try_enter(0, Class::Safe));
    assert!(gate.try_enter(1, Class::Safe));
    assert!(gate.try_enter(1, Class::Unsafe));
    assert_eq!(gate.running(Classes::SAFE), 2);
    assert_eq!(gate.running(Classes::UNSAFE), 1);
    assert_eq!(gate.running(Classes::ALL), 3);
    assert_eq!(gate.running(Classes::NONE), 0);
    gate.leave(1, Class::Safe);
    assert_eq!(gate.running(Classes::ALL), 2);
    assert!(!gate.is_closed());
}

#[test]
fn a_closed_gate_lets_nobody_in_and_keeps_count_of_who_is_inside() {
    let gate = Gate::new(2);
    assert!(gate.try_enter(1, Class::Unsafe));
    gate.close();
    gate.close();
    assert!(gate.is_closed());
    for worker in 0..2 {
        assert!(!gate.try_enter(worker, Class::Safe));
        assert!(!gate.try_enter(worker, Class::Unsafe));
    }
    assert_eq!(gate.running(Classes::ALL), 1);
    gate.leave(1, Class::Unsafe);
    assert_eq!(gate.running(Classes::ALL), 0);
    assert!(!gate.try_enter(1, Class::Unsafe), "never opened again");
}

#[test]
fn an_open_gate_is_not_empty_however_quiet_it_is() {
    let (sleeper, waker) = Sleeper::new();
    let mut cx = Context::from_waker(&waker);
    let gate = Gate::new(1);
    assert_eq!(gate.poll_empty(&mut cx, Classes::ALL), Poll::Pending);
    assert_eq!(gate.poll_empty(&mut cx, Classes::NONE), Poll::Pending);
    gate.close();
    assert_eq!(sleeper.woken(), 1);
    assert_eq!(gate.poll_empty(&mut cx, Classes::ALL), Poll::Ready(()));
    assert_eq!(gate.poll_empty(&mut cx, Classes::NONE), Poll::Ready(()));
}

#[test]
fn the_last_to_leave_wakes_everybody_who_waits() {
    let gate = Gate::new(1);
    let (drain, drain_waker) = Sleeper::new();
    let (watch, watch_waker) = Sleeper::new();
    assert!(gate.try_enter(0, Class::Safe));
    assert!(gate.try_enter(0, Class::Safe));
    gate.close();
    for waker in [&drain_waker, &watch_waker] {
        let polled = gate.poll_empty(&mut Context::from_waker(waker), Classes::ALL);
        assert_eq!(polled, Poll::Pending);
    }
    gate.leave(0, Class::Safe);
    assert_eq!((drain.woken(), watch.woken()), (0, 0));
    gate.leave(0, Class::Safe);
    assert_eq!((drain.woken(), watch.woken()), (1, 1));
}

#[test]
fn a_drain_of_writes_does_not_wait_for_reads() {
    let (sleeper, waker) = Sleeper::new();
    let mut cx = Context::from_waker(&waker);
    let gate = Gate::new(1);
    assert!(gate.try_enter(0, Class::Safe));
    assert!(gate.try_enter(0, Class::Unsafe));
    gate.close();
    assert_eq!(gate.poll_empty(&mut cx, Classes::UNSAFE), Poll::Pending);
    gate.leave(0, Class::Unsafe);
    assert_eq!(sleeper.woken(), 1);
    assert_eq!(gate.poll_empty(&mut cx, Classes::UNSAFE), Poll::Ready(()));
    assert_eq!(gate.poll_empty(&mut cx, Classes::ALL), Poll::Pending);
}

#[test]
fn a_task_that_polls_often_is_registered_once() {
    let (sleeper, waker) = Sleeper::new();
    let mut cx = Context::from_waker(&waker);
    let gate = Gate::new(1);
    for _ in 0..10 {
        assert_eq!(gate.poll_empty(&mut cx, Classes::ALL), Poll::Pending);
    }
    gate.close();
    assert_eq!(sleeper.woken(), 1);
}

#[test]
#[should_panic(expected = "a request left a gate it had not entered")]
fn leaving_without_having_entered_is_a_bug() {
    Gate::new(1).leave(0, Class::Safe);
}

#[test]
fn classes_are_a_set() {
    assert_eq!(Classes::NONE.with(Class::Safe), Classes::SAFE);
    assert_eq!(Classes::SAFE.with(Class::Unsafe), Classes::ALL);
    assert!(Classes::UNSAFE.has(Class::Unsafe));
    assert!(!Classes::UNSAFE.has(Class::Safe));
}

/// Real threads; loom tries the interleavings of a smaller world.
#[test]
fn workers_that_race_with_the_close_are_counted_or_refused_never_both() {
    const WORKERS: usize = 4;
    let gate = Gate::new(WORKERS);
    let (inside, retired) = (AtomicU64::new(0), AtomicBool::new(false));
    std::thread::scope(|scope| {
        for worker in 0..WORKERS {
            let (gate, inside, retired) = (&gate, &inside, &retired);
            scope.spawn(move || {
                let mut served = 0_u64;
                while gate.try_enter(worker, Class::Safe) {
                    inside.fetch_add(1, Ordering::Relaxed);
                    assert!(
                        !retired.load(Ordering::Relaxed),
                        "served by a retired release"
                    );
                    inside.fetch_sub(1, Ordering::Relaxed);
                    gate.leave(worker, Class::Safe);
                    served += 1;
                    if worker == 0 && served == 10_000 {
                        gate.close();
                    }
                }
            });
        }
        scope.spawn(|| {
            while !gate.is_closed() || gate.running(Classes::ALL) != 0 {
                std::thread::yield_now();
            }
            retired.store(true, Ordering::Relaxed);
            assert_eq!(inside.load(Ordering::Relaxed), 0);
        });
    });
}
