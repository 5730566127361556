//! The queue alone: whatever happens at the same time, every turn is somebody's, and nobody waits behind an open door.

use loom::thread;
use swap_gate::{Arrived, Expired};

use crate::explore::{
    METHOD, NOW, REQUEST, door, every_way, held_door, is_open_and_empty, ticket, turn, ways_with,
};

#[test]
fn arrivals_meet_hold_and_release() {
    ways_with(4, || {
        let queue = door();
        let requests = [(); 2].map(|()| {
            let queue = queue.clone();
            thread::spawn(move || match queue.arrive(REQUEST, NOW) {
                Arrived::Pass => 0,
                Arrived::Wait(ticket) => {
                    drop(turn(ticket));
                    1
                }
                Arrived::Shed(reason) => panic!("shed: {reason:?}"),
            })
        });
        queue.hold((), METHOD, NOW);
        queue.release(1, NOW);
        let waited: u64 = requests
            .map(|request| request.join().expect("no panic"))
            .iter()
            .sum();
        is_open_and_empty(&queue);
        let counts = queue.counts(NOW);
        assert_eq!((counts.held, counts.released), (waited, waited));
    });
}

/// One window: the turn of whoever leaves must reach whoever stays, however far it had come.
#[test]
fn whoever_leaves_while_its_turn_comes_hands_it_on() {
    every_way(|| {
        let queue = held_door();
        let (leaves, stays) = (ticket(&queue), ticket(&queue));
        let leaver = thread::spawn(move || drop(leaves));
        let stayer = thread::spawn(move || drop(turn(stays)));
        queue.release(1, NOW);
        leaver.join().expect("no panic");
        stayer.join().expect("no panic");
        is_open_and_empty(&queue);
        let counts = queue.counts(NOW);
        assert_eq!((counts.released, counts.abandoned), (1, 1));
    });
}

#[test]
fn a_timer_that_rings_while_the_turn_comes_gets_one_or_the_other() {
    every_way(|| {
        let queue = held_door();
        let (late, stays) = (ticket(&queue), ticket(&queue));
        let timer = thread::spawn(move || match late.expire(NOW) {
            Expired::TimedOut => 0,
            Expired::Admitted(admission) => {
                drop(admission);
                1
            }
            Expired::Shed(reason) => panic!("shed: {reason:?}"),
        });
        let stayer = thread::spawn(move || drop(turn(stays)));
        queue.release(1, NOW);
        let admitted: u64 = timer.join().expect("no panic");
        stayer.join().expect("no panic");
        is_open_and_empty(&queue);
        let counts = queue.counts(NOW);
        assert_eq!(
            (counts.released, counts.shed.timeout),
            (1 + admitted, 1 - admitted)
        );
    });
}

/// Its task sleeps, wakes for another reason, and moves: the last waker is the one that counts.
#[test]
fn a_task_that_looks_again_while_its_turn_comes_is_woken() {
    every_way(|| {
        let queue = held_door();
        let mut moves = ticket(&queue);
        let mover = thread::spawn(move || {
            let mut nobody = std::task::Context::from_waker(std::task::Waker::noop());
            if moves.poll_turn(&mut nobody).is_pending() {
                drop(turn(moves));
            }
        });
        queue.release(1, NOW);
        mover.join().expect("no panic");
        is_open_and_empty(&queue);
    });
}

#[test]
fn one_that_ends_and_one_that_is_answered_make_room_at_once() {
    ways_with(4, || {
        let queue = held_door();
        let (first, second, third) = (ticket(&queue), ticket(&queue), ticket(&queue));
        queue.release(1, NOW);
        let first = thread::spawn(move || {
            let mut admission = turn(first);
            admission.answered(NOW);
        });
        let second = thread::spawn(move || drop(turn(second)));
        drop(turn(third));
        first.join().expect("no panic");
        second.join().expect("no panic");
        is_open_and_empty(&queue);
    });
}

/// The live release is replaced while a request finds the old one gone. Whoever shuts the door tells the driver, who
/// lets go again: here it does so itself.
#[test]
fn one_that_comes_back_meets_a_publish() {
    every_way(|| {
        let queue = door();
        let request = {
            let queue = queue.clone();
            thread::spawn(move || {
                let came = queue.come_back((), 1, REQUEST, NOW);
                if came.shut {
                    queue.release(1, NOW);
                }
                match came.arrived {
                    Arrived::Pass => assert!(!came.shut),
                    Arrived::Wait(ticket) => drop(turn(ticket)),
                    Arrived::Shed(reason) => panic!("shed: {reason:?}"),
                }
            })
        };
        queue.set_epoch(2);
        request.join().expect("no panic");
        is_open_and_empty(&queue);
    });
}

#[test]
fn one_that_comes_back_meets_a_hold_and_its_release() {
    every_way(|| {
        let queue = door();
        let request = {
            let queue = queue.clone();
            thread::spawn(move || match queue.come_back((), 1, REQUEST, NOW).arrived {
                Arrived::Pass => {}
                Arrived::Wait(ticket) => drop(turn(ticket)),
                Arrived::Shed(reason) => panic!("shed: {reason:?}"),
            })
        };
        queue.hold((), METHOD, NOW);
        queue.set_epoch(2);
        queue.release(1, NOW);
        request.join().expect("no panic");
        is_open_and_empty(&queue);
    });
}

/// The first one let go finds nobody and shuts the door, while the window is about to reach the second one.
#[test]
fn an_admission_that_comes_back_meets_the_pace() {
    every_way(|| {
        let queue = held_door();
        let (first, second) = (ticket(&queue), ticket(&queue));
        queue.release(1, NOW);
        let first = {
            let queue = queue.clone();
            thread::spawn(move || {
                let came = turn(first).come_back((), 1, NOW);
                // What the driver does when it hears of it and the app is back.
                queue.set_epoch(2);
                queue.release(1, NOW);
                match came.arrived {
                    Arrived::Wait(ticket) => drop(turn(ticket)),
                    other => panic!("{other:?}"),
                }
            })
        };
        let second = thread::spawn(move || drop(turn(second)));
        queue.pace(NOW + std::time::Duration::from_millis(100));
        first.join().expect("no panic");
        second.join().expect("no panic");
        is_open_and_empty(&queue);
        let counts = queue.counts(NOW);
        assert!(counts.held <= 2, "{counts:?}");
    });
}
