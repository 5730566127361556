//! Wakers, callbacks and dropped tasks are foreign code: each of them may call the queue again, and must not find it
//! locked. A test here that fails, hangs.

use std::sync::{Arc, Mutex, OnceLock, Weak};
use std::task::{Context, Wake, Waker};

use swap_gate::{Class, Classes, Gate, Queue, Ticket};

use crate::support::*;

/// A task that, when woken, looks at the queue; and that owns a ticket, which goes when the task goes.
struct Nosy {
    queue: Weak<Queue<Cause>>,
    _owns: Option<Ticket<Cause>>,
}

impl Wake for Nosy {
    fn wake(self: Arc<Self>) {
        let queue = self.queue.upgrade().expect("the door outlives the test");
        assert_eq!(queue.counts(ms(0)).released, 1);
    }
}

impl Nosy {
    fn waker(door: &Door, owns: Option<Ticket<Cause>>) -> Waker {
        let queue = Arc::downgrade(&door.queue);
        Arc::new(Self { queue, _owns: owns }).into()
    }
}

fn sleep_on(ticket: &mut Ticket<Cause>, waker: Waker) {
    assert!(
        ticket
            .poll_turn(&mut Context::from_waker(&waker))
            .is_pending()
    );
}

#[test]
fn a_waker_may_look_at_the_queue() {
    let door = Door::held(bounds());
    let mut ticket = door.ticket(post(1));
    sleep_on(&mut ticket, Nosy::waker(&door, None));
    door.release(1);
    drop(admitted(&mut ticket));
}

#[test]
fn a_waker_that_is_replaced_may_own_a_ticket() {
    let door = Door::held(bounds());
    let mut ticket = door.ticket(post(1));
    sleep_on(&mut ticket, Nosy::waker(&door, Some(door.ticket(post(2)))));
    sleep_on(&mut ticket, Waker::noop().clone());
    assert_eq!(door.counts().abandoned, 1);
}

#[test]
fn a_waker_that_is_not_needed_any_more_may_own_a_ticket() {
    let door = Door::held(bounds());
    let mut ticket = door.ticket(post(1));
    sleep_on(&mut ticket, Nosy::waker(&door, Some(door.ticket(post(2)))));
    drop(ticket);
    assert_eq!(door.counts().abandoned, 2);
}

#[test]
fn whoever_hears_that_the_door_is_open_may_shut_it_again() {
    let slot = Arc::new(OnceLock::<Weak<Queue<Cause>>>::new());
    let heard = slot.clone();
    let queue = Queue::new(bounds(), move || {
        let queue = heard.get().and_then(Weak::upgrade).expect("set below");
        queue.hold("swap", POST, ms(0));
    });
    slot.set(Arc::downgrade(&queue)).expect("set once");
    queue.hold("command", POST, ms(0));
    queue.release(1, ms(0));
    assert_eq!(queue.counts(ms(0)).number, 2);
}

#[test]
fn a_waker_may_look_at_the_gate() {
    struct Waits(Arc<Gate>);
    impl Wake for Waits {
        fn wake(self: Arc<Self>) {
            let polled = self
                .0
                .poll_empty(&mut Context::from_waker(Waker::noop()), Classes::ALL);
            assert!(polled.is_ready());
        }
    }
    let gate = Arc::new(Gate::new(1));
    assert!(gate.try_enter(0, Class::Safe));
    gate.close();
    let waker = Waker::from(Arc::new(Waits(gate.clone())));
    assert!(
        gate.poll_empty(&mut Context::from_waker(&waker), Classes::ALL)
            .is_pending()
    );
    gate.leave(0, Class::Safe);
}

/// Writes its number down when it is woken; the first one takes so long about it that another thread lets others go.
struct Writes {
    number: usize,
    queue: Weak<Queue<Cause>>,
    woken: Arc<Mutex<Vec<usize>>>,
}

impl Wake for Writes {
    fn wake(self: Arc<Self>) {
        if self.number == 1 {
            let queue = self.queue.upgrade().expect("the door outlives the test");
            let other = std::thread::spawn(move || queue.pace(ms(1_000)));
            other.join().expect("it finds no lock");
        }
        self.woken.lock().expect("nobody panics").push(self.number);
    }
}

#[test]
fn two_threads_that_let_requests_go_wake_them_in_order() {
    let door = Door::held(bounds());
    let woken = Arc::new(Mutex::new(Vec::new()));
    let mut tickets = [1, 2].map(|number| (number, door.ticket(post(1))));
    for (number, ticket) in &mut tickets {
        let waker = Writes {
            number: *number,
            queue: Arc::downgrade(&door.queue),
            woken: woken.clone(),
        };
        sleep_on(ticket, Arc::new(waker).into());
    }
    door.release(1);
    assert_eq!(*woken.lock().unwrap(), [1, 2]);
}
