//! Random lives of a door, side by side with a model so simple that it can be believed.
//!
//! A failure prints the shortest sequence that shows it; proptest keeps its seed in `proptest-regressions`.

mod naive;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use proptest::prelude::*;
use swap_gate::{Admission, Arrival, Arrived, Expired, Ticket, Turn};

use crate::support::*;
use naive::{Answer, BOUNDS, DoorIs, Id, Model, Where};

/// Something that happens. A number that chooses a request chooses among those that there are.
#[derive(Clone, Debug)]
enum Event {
    Arrive(Arrival),
    ComeBack {
        arrival: Arrival,
        from_older_gate: bool,
    },
    Hold(u16),
    Release(u32),
    GiveUp,
    Publish,
    Time(Duration),
    Pace,
    MaxRequests(usize),
    Look(usize),
    Leave(usize),
    Expire(usize),
    Answered(usize),
    End(usize),
    Return {
        which: usize,
        from_older_gate: bool,
    },
    WaitAgain(usize),
}

fn arrival() -> impl Strategy<Value = Arrival> {
    let method = prop_oneof![Just(GET), Just(POST)];
    (
        method,
        0..4_u128,
        prop_oneof![4 => Just(100_usize), 1 => Just(4_000)],
    )
        .prop_map(|(method, client, bytes)| Arrival {
            method,
            client,
            bytes,
        })
}

fn event() -> impl Strategy<Value = Event> {
    let which = 0..64_usize;
    prop_oneof![
        12 => arrival().prop_map(Event::Arrive),
        3 => (arrival(), any::<bool>())
            .prop_map(|(arrival, from_older_gate)| Event::ComeBack { arrival, from_older_gate }),
        3 => prop_oneof![Just(EVERY_METHOD), Just(POST)].prop_map(Event::Hold),
        4 => (0..4_u32).prop_map(Event::Release),
        1 => Just(Event::GiveUp),
        1 => Just(Event::Publish),
        2 => (1..150_u64).prop_map(|time| Event::Time(ms(time))),
        2 => Just(Event::Pace),
        1 => (1..8_usize).prop_map(Event::MaxRequests),
        6 => which.clone().prop_map(Event::Look),
        2 => which.clone().prop_map(Event::Leave),
        2 => which.clone().prop_map(Event::Expire),
        2 => which.clone().prop_map(Event::Answered),
        3 => which.clone().prop_map(Event::End),
        3 => (which.clone(), any::<bool>())
            .prop_map(|(which, from_older_gate)| Event::Return { which, from_older_gate }),
        2 => which.prop_map(Event::WaitAgain),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, ..ProptestConfig::default() })]

    #[test]
    fn the_door_does_what_the_model_says(events in prop::collection::vec(event(), 1..120)) {
        let mut world = World::new();
        for event in events {
            world.happens(event);
            world.compare();
        }
        world.everybody_looks();
    }
}

struct World {
    model: Model,
    door: Door,
    /// With the task that sleeps on it, once it has looked.
    tickets: BTreeMap<Id, (Ticket<Cause>, Option<Arc<Sleeper>>)>,
    admissions: BTreeMap<Id, Admission<Cause>>,
}

impl World {
    fn new() -> Self {
        let door = Door::new(BOUNDS);
        door.queue.set_epoch(1);
        Self {
            model: Model::new(),
            door,
            tickets: BTreeMap::new(),
            admissions: BTreeMap::new(),
        }
    }

    fn happens(&mut self, event: Event) {
        let now = self.door.now;
        let queue = self.door.queue.clone();
        self.model.now = now;
        match event {
            Event::Arrive(arrival) => {
                let expected = self.model.arrive(arrival);
                self.answered(queue.arrive(arrival, now), expected);
            }
            Event::ComeBack {
                arrival,
                from_older_gate,
            } => {
                let epoch = self.model.epoch - u64::from(from_older_gate);
                let (expected, shut) = self.model.come_back(epoch, arrival);
                let came = queue.come_back("down", epoch, arrival, now);
                assert_eq!(came.shut, shut);
                self.answered(came.arrived, expected);
            }
            Event::Hold(methods) => {
                self.model.hold("command", methods);
                queue.hold("command", methods, now);
            }
            Event::Release(running_before) => {
                self.model.release(running_before);
                queue.release(running_before, now);
            }
            Event::GiveUp => {
                if self.model.door == DoorIs::Held {
                    self.model.door = DoorIs::GivenUp;
                }
                queue.give_up(now);
            }
            Event::Publish => {
                self.model.epoch += 1;
                queue.set_epoch(self.model.epoch);
            }
            Event::Time(time) => self.door.now += time,
            Event::Pace => {
                self.model.settle();
                let releasing = matches!(self.model.door, DoorIs::Releasing { .. });
                assert_eq!(queue.pace(now).is_some(), releasing);
            }
            Event::MaxRequests(max_requests) => {
                self.model.bounds.max_requests = max_requests;
                queue.set_bounds(self.model.bounds);
            }
            Event::Look(which) => self.with_ticket(which, Self::look),
            Event::Leave(which) => self.with_ticket(which, Self::leave),
            Event::Expire(which) => self.with_ticket(which, Self::expire),
            Event::Answered(which) => self.with_admission(which, Self::app_answers),
            Event::End(which) => self.with_admission(which, |world, id, admission| {
                world.model.requests[id].is = Where::Gone;
                drop(admission);
            }),
            Event::Return {
                which,
                from_older_gate,
            } => {
                self.with_admission(which, |world, id, admission| {
                    let epoch = world.model.epoch - u64::from(from_older_gate);
                    let method = world.model.requests[id].arrival.method;
                    let shut = world.model.shut_behind(epoch, method);
                    let expected = world.model.wait_again(id);
                    let came = admission.come_back("down", epoch, now);
                    assert_eq!(came.shut, shut);
                    world.answered(came.arrived, expected);
                });
            }
            Event::WaitAgain(which) => self.with_admission(which, |world, id, admission| {
                let expected = world.model.wait_again(id);
                world.answered(admission.wait_again(now), expected);
            }),
        }
        self.model.now = self.door.now;
        self.model.settle();
        // The door hears of the time with the next call that names it.
        self.door.queue.pace(self.door.now);
    }

    fn answered(&mut self, arrived: Arrived<Cause>, expected: Answer) {
        match (arrived, expected) {
            (Arrived::Pass, Answer::Pass) => {}
            (Arrived::Shed(reason), Answer::Shed(wanted)) => assert_eq!(reason, wanted),
            (Arrived::Wait(ticket), Answer::Wait(id)) => {
                assert_eq!(ticket.arrived(), self.model.requests[id].arrived);
                assert_eq!(ticket.deadline(), self.model.requests[id].deadline);
                self.tickets.insert(id, (ticket, None));
            }
            (arrived, expected) => panic!("{arrived:?}, but the model says {expected:?}"),
        }
    }

    fn with_ticket(&mut self, which: usize, act: fn(&mut Self, Id, Ticket<Cause>)) {
        let Some(id) = self
            .tickets
            .keys()
            .copied()
            .nth(which % self.tickets.len().max(1))
        else {
            return;
        };
        let Some((ticket, sleeper)) = self.tickets.remove(&id) else {
            return;
        };
        self.woken_if_called(id, sleeper.as_deref());
        act(self, id, ticket);
    }

    /// Nobody sleeps through its turn, and nobody is woken for nothing.
    fn woken_if_called(&self, id: Id, sleeper: Option<&Sleeper>) {
        let called = self.model.requests[id].is != Where::Waiting;
        let right = sleeper.is_none_or(|sleeper| sleeper.woken() == usize::from(called));
        assert!(
            right,
            "{id} is called: {called}, but its task sleeps: {called}"
        );
    }

    fn look(&mut self, id: Id, mut ticket: Ticket<Cause>) {
        let (sleeper, waker) = Sleeper::new();
        match (
            ticket.poll_turn(&mut Context::from_waker(&waker)),
            self.model.requests[id].is,
        ) {
            (Poll::Pending, Where::Waiting) => {
                self.tickets.insert(id, (ticket, Some(sleeper)));
            }
            (Poll::Ready(Turn::Admitted(admission)), Where::Let { .. }) => self.goes(id, admission),
            (Poll::Ready(Turn::Shed(reason)), Where::Displaced(wanted)) => {
                assert_eq!(reason, wanted);
                self.model.requests[id].is = Where::Gone;
            }
            (looks, is) => panic!("{looks:?}, but the model says {is:?}"),
        }
    }

    fn goes(&mut self, id: Id, admission: Admission<Cause>) {
        let Where::Let { looked, .. } = &mut self.model.requests[id].is else {
            panic!("{id} was not let go");
        };
        assert!(!std::mem::replace(looked, true), "let go twice");
        self.admissions.insert(id, admission);
    }

    fn leave(&mut self, id: Id, ticket: Ticket<Cause>) {
        self.model.leave(id);
        drop(ticket);
    }

    fn expire(&mut self, id: Id, ticket: Ticket<Cause>) {
        let waited = self.model.expire(id);
        match (ticket.expire(self.door.now), self.model.requests[id].is) {
            (Expired::TimedOut, _) => assert!(waited),
            (Expired::Admitted(admission), Where::Let { .. }) => self.goes(id, admission),
            (Expired::Shed(reason), Where::Displaced(wanted)) => {
                assert_eq!(reason, wanted);
                self.model.requests[id].is = Where::Gone;
            }
            (expired, is) => panic!("{expired:?}, but the model says {is:?}"),
        }
    }

    fn with_admission(&mut self, which: usize, act: impl FnOnce(&mut Self, Id, Admission<Cause>)) {
        let ids = self.admissions.len().max(1);
        let Some(id) = self.admissions.keys().copied().nth(which % ids) else {
            return;
        };
        if let Some(admission) = self.admissions.remove(&id) {
            act(self, id, admission);
        }
    }

    fn app_answers(&mut self, id: Id, mut admission: Admission<Cause>) {
        self.model.answered(id);
        admission.answered(self.door.now);
        self.admissions.insert(id, admission);
    }

    fn compare(&self) {
        let counts = self.door.counts();
        assert_eq!(counts, self.model.counts());
        assert_eq!(self.door.queue.shut_for(), counts.methods);
        assert_eq!(self.door.opened(), self.model.opened);
        assert!(
            counts.active || counts.waiting == 0,
            "somebody waits behind an open door"
        );
        for (id, (_, sleeper)) in &self.tickets {
            self.woken_if_called(*id, sleeper.as_deref());
        }
        for (id, admission) in &self.admissions {
            let Where::Let { shuts, .. } = self.model.requests[*id].is else {
                panic!("{id} was not let go");
            };
            assert_eq!(admission.is_called_off(), shuts != self.model.shuts);
        }
    }

    /// Each ticket must show what the model says of it; and who slept was woken.
    fn everybody_looks(&mut self) {
        for (id, (ticket, _)) in std::mem::take(&mut self.tickets) {
            self.look(id, ticket);
        }
        self.compare();
    }
}
