//! The door and the gates together: hold, publish, close. Once the old gate is empty, the app is quiet.

use std::sync::Arc;

use loom::sync::atomic::{
    AtomicBool, AtomicUsize,
    Ordering::{Acquire, Relaxed, Release},
};
use loom::{future::block_on, thread};
use swap_gate::{Admission, Arrived, Class, Classes, Gate, Queue};

use crate::explore::{
    METHOD, NOW, REQUEST, door, every_way, held_door, is_open_and_empty, ticket, turn, ways_with,
};

/// An app as the data plane sees it: a door, and a table that names one of two gates.
struct App {
    queue: Arc<Queue<()>>,
    table: AtomicUsize,
    gates: [Gate; 2],
    /// Whether whoever holds the app has let go. Relaxed, like everything that the app itself would do.
    let_go: AtomicBool,
    served: AtomicUsize,
}

/// In which order a request looks.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Look {
    /// As it must.
    TableThenDoor,
    /// As it must not.
    DoorThenTable,
    /// As it must not.
    TableOnly,
}

impl App {
    fn new(queue: Arc<Queue<()>>) -> Arc<Self> {
        Arc::new(Self {
            queue,
            table: AtomicUsize::new(0),
            gates: [Gate::new(1), Gate::new(1)],
            let_go: AtomicBool::new(false),
            served: AtomicUsize::new(0),
        })
    }

    /// The way of a request, from the door to its end.
    fn serve(&self, look: Look) {
        loop {
            let asked_first = self.queue.shut_for();
            let table = self.table.load(Acquire);
            let shut_for = match look {
                Look::TableThenDoor => self.queue.shut_for(),
                Look::DoorThenTable | Look::TableOnly => asked_first,
            };
            if shut_for & METHOD != 0 {
                match self.queue.arrive(REQUEST, NOW) {
                    Arrived::Pass => continue,
                    Arrived::Wait(ticket) => return self.serve_admitted(turn(ticket), look),
                    Arrived::Shed(reason) => panic!("shed: {reason:?}"),
                }
            }
            if self.runs_behind(table) {
                return;
            }
            thread::yield_now();
        }
    }

    /// The way of a request whose turn has come.
    fn serve_admitted(&self, mut admission: Admission<()>, look: Look) {
        loop {
            let table = self.table.load(Acquire);
            if look == Look::TableThenDoor && admission.is_called_off() {
                match admission.wait_again(NOW) {
                    Arrived::Pass => return self.serve(look),
                    Arrived::Wait(ticket) => admission = turn(ticket),
                    Arrived::Shed(reason) => panic!("shed: {reason:?}"),
                }
                continue;
            }
            if self.runs_behind(table) {
                return;
            }
            thread::yield_now();
        }
    }

    fn runs_behind(&self, table: usize) -> bool {
        let entered = self.gates[table].try_enter(0, Class::Unsafe);
        if entered {
            // The hold began at table 0; nobody may run behind table 1 before it was let go.
            let quiet = table == 1 && !self.let_go.load(Relaxed);
            assert!(!quiet, "slipped behind a shut door");
            self.served.fetch_add(1, Relaxed);
            self.gates[table].leave(0, Class::Unsafe);
        }
        entered
    }

    /// The way of a promote with strategy hold.
    fn swap(&self) {
        self.queue.hold((), METHOD, NOW);
        self.table.store(1, Release);
        self.queue.set_epoch(2);
        self.gates[0].close();
        block_on(self.gates[0].empty(Classes::ALL));
        // Here the old release is stopped and the new one started.
        self.let_go.store(true, Relaxed);
        self.queue.release(1, NOW);
    }

    fn is_well(&self, served: usize) {
        assert_eq!(self.served.load(Relaxed), served);
        is_open_and_empty(&self.queue);
        assert_eq!(self.gates[1].running(Classes::ALL), 0);
    }
}

/// A request comes while the app is swapped.
pub(crate) fn a_hold_meets_a_request(look: Look) {
    let app = App::new(door());
    let request = {
        let app = app.clone();
        thread::spawn(move || app.serve(look))
    };
    app.swap();
    request.join().expect("no panic");
    app.is_well(1);
}

/// A request's turn has just come when the app is swapped.
pub(crate) fn a_hold_meets_a_turn(look: Look) {
    let queue = held_door();
    let ticket = ticket(&queue);
    let app = App::new(queue);
    app.queue.release(1, NOW);
    let request = {
        let app = app.clone();
        thread::spawn(move || app.serve_admitted(turn(ticket), look))
    };
    app.swap();
    request.join().expect("no panic");
    app.is_well(1);
}

#[test]
fn nobody_slips_behind_a_hold_and_nobody_is_left_waiting() {
    every_way(|| a_hold_meets_a_request(Look::TableThenDoor));
}

#[test]
fn a_turn_that_was_given_before_a_hold_does_not_slip_behind_it() {
    every_way(|| a_hold_meets_a_turn(Look::TableThenDoor));
}

#[test]
fn two_requests_of_two_workers_meet_a_hold() {
    ways_with(2, || {
        let app = App::new(door());
        let requests = [(); 2].map(|()| {
            let app = app.clone();
            thread::spawn(move || app.serve(Look::TableThenDoor))
        });
        app.swap();
        for request in requests {
            request.join().expect("no panic");
        }
        app.is_well(2);
    });
}
