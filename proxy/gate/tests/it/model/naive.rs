//! The model: one long list of requests in the order in which they must go, and for each of them where it is. It walks
//! through all of it for each question.

use std::time::Duration;

use swap_gate::{Arrival, Bounds, Counts, Rate, Reason, Shed, TICKET_OVERHEAD_BYTES};

use crate::support::*;

pub(super) const BOUNDS: Bounds = Bounds {
    max_requests: 6,
    max_bytes: 6 * TICKET_OVERHEAD_BYTES + 4_000,
    max_wait: ms(1_000),
    max_per_client: 2,
    rate: Rate::Auto,
};

/// Chosen by the model, one for each request.
pub(super) type Id = usize;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Where {
    Waiting,
    /// Its turn has come: in this hold, in this release, after so many shuts.
    Let {
        hold: u64,
        round: u64,
        shuts: u64,
        looked: bool,
        answered: bool,
        since: Duration,
    },
    Displaced(Reason),
    Gone,
}

#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) arrival: Arrival,
    pub(super) arrived: Duration,
    pub(super) deadline: Duration,
    pub(super) is: Where,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DoorIs {
    Open,
    Held,
    GivenUp,
    Releasing { window: usize, grown: Duration },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Pass,
    Wait(Id),
    Shed(Reason),
}

pub(super) struct Model {
    pub(super) bounds: Bounds,
    pub(super) now: Duration,
    pub(super) door: DoorIs,
    pub(super) cause: Option<Cause>,
    pub(super) methods: u16,
    pub(super) epoch: u64,
    pub(super) round: u64,
    pub(super) shuts: u64,
    /// Whoever ever waited, in the order in which they must go.
    pub(super) order: Vec<Id>,
    /// Where in that list those begin who arrived in this hold.
    pub(super) front: usize,
    pub(super) requests: Vec<Request>,
    pub(super) opened: usize,
    /// Nanoseconds that each answer of this release took.
    answers: Vec<u128>,
    pub(super) counts: Counts<Cause>,
}

pub(super) const NOTHING: Counts<Cause> = Counts {
    number: 0,
    active: false,
    given_up: false,
    cause: None,
    methods: 0,
    held: 0,
    waiting: 0,
    waiting_bytes: 0,
    oldest: Duration::ZERO,
    held_peak: 0,
    longest: Duration::ZERO,
    released: 0,
    abandoned: 0,
    shed: Shed {
        full: 0,
        bytes: 0,
        share: 0,
        timeout: 0,
        given_up: 0,
    },
};

impl Model {
    pub(super) fn new() -> Self {
        Self {
            bounds: BOUNDS,
            now: Duration::ZERO,
            door: DoorIs::Open,
            cause: None,
            methods: 0,
            epoch: 1,
            round: 0,
            shuts: 0,
            order: Vec::new(),
            front: 0,
            requests: Vec::new(),
            opened: 0,
            answers: Vec::new(),
            counts: NOTHING,
        }
    }

    pub(super) fn waiting(&self) -> Vec<Id> {
        let waits = |id: &Id| self.requests[*id].is == Where::Waiting;
        self.order.iter().copied().filter(waits).collect()
    }

    pub(super) fn cost(arrival: &Arrival) -> usize {
        arrival.bytes + TICKET_OVERHEAD_BYTES
    }

    pub(super) fn bytes_of(&self, ids: &[Id]) -> usize {
        ids.iter()
            .map(|id| Self::cost(&self.requests[*id].arrival))
            .sum()
    }

    /// Which bound so many requests of so many bytes break.
    pub(super) fn broken(&self, len: usize, bytes: usize) -> Option<Reason> {
        if len > self.bounds.max_requests {
            Some(Reason::Full)
        } else if bytes > self.bounds.max_bytes {
            Some(Reason::Bytes)
        } else {
            None
        }
    }

    pub(super) fn shuts_out(&self, method: u16) -> bool {
        self.door != DoorIs::Open && self.methods & method != 0
    }

    pub(super) fn hold(&mut self, cause: Cause, methods: u16) {
        if self.door == DoorIs::Open {
            self.front = self.order.len();
            self.counts = Counts {
                number: self.counts.number + 1,
                ..NOTHING
            };
        }
        self.shuts += 1;
        self.door = DoorIs::Held;
        self.cause = Some(cause);
        self.methods = methods;
    }

    pub(super) fn release(&mut self, running_before: u32) {
        match self.door {
            DoorIs::Open => self.opened += 1,
            DoorIs::Releasing { .. } => {}
            DoorIs::Held | DoorIs::GivenUp => {
                self.round += 1;
                self.answers.clear();
                let window = running_before.max(1) as usize;
                self.door = DoorIs::Releasing {
                    window,
                    grown: self.now,
                };
            }
        }
    }

    pub(super) fn under_way(&self) -> usize {
        let of_this_round = |request: &&Request| matches!(request.is, Where::Let { round, .. } if round == self.round);
        self.requests.iter().filter(of_this_round).count()
    }

    pub(super) fn settle(&mut self) {
        let DoorIs::Releasing {
            mut window,
            mut grown,
        } = self.door
        else {
            return;
        };
        let waiting = self.waiting();
        if waiting.is_empty() {
            self.door = DoorIs::Open;
            self.opened += 1;
            return;
        }
        let every = if at_ease(&self.answers) { 100 } else { 1_000 };
        if self.now - grown >= ms(every) {
            window += (window / 4).max(1);
            grown = self.now;
        }
        self.door = DoorIs::Releasing { window, grown };
        let room = window.saturating_sub(self.under_way());
        for id in waiting.into_iter().take(room) {
            let (hold, round, shuts) = (self.counts.number, self.round, self.shuts);
            self.requests[id].is = Where::Let {
                hold,
                round,
                shuts,
                looked: false,
                answered: false,
                since: self.now,
            };
            self.counts.released += 1;
            self.waited(id);
        }
        if self.waiting().is_empty() {
            self.door = DoorIs::Open;
            self.opened += 1;
        }
    }

    pub(super) fn waited(&mut self, id: Id) {
        self.counts.longest = self
            .counts
            .longest
            .max(self.now - self.requests[id].arrived);
    }

    pub(super) fn refuse(&mut self, reason: Reason) -> Answer {
        let shed = &mut self.counts.shed;
        match reason {
            Reason::Full => shed.full += 1,
            Reason::Bytes => shed.bytes += 1,
            Reason::Share => shed.share += 1,
            Reason::Timeout => shed.timeout += 1,
            Reason::GivenUp => shed.given_up += 1,
        }
        Answer::Shed(reason)
    }

    pub(super) fn arrive(&mut self, arrival: Arrival) -> Answer {
        if !self.shuts_out(arrival.method) {
            return Answer::Pass;
        }
        if self.door == DoorIs::GivenUp {
            return self.refuse(Reason::GivenUp);
        }
        let waiting = self.waiting();
        let bytes = self.bytes_of(&waiting) + Self::cost(&arrival);
        if let Some(reason) = self.broken(waiting.len() + 1, bytes) {
            return self.refuse(reason);
        }
        let of_client = |id: &&Id| self.requests[**id].arrival.client == arrival.client;
        if waiting.len() * 2 >= self.bounds.max_requests
            && waiting.iter().filter(of_client).count() >= self.bounds.max_per_client
        {
            return self.refuse(Reason::Share);
        }
        let id = self.request(arrival);
        self.order.push(id);
        self.now_waits(id);
        Answer::Wait(id)
    }

    pub(super) fn request(&mut self, arrival: Arrival) -> Id {
        let deadline = self.now + self.bounds.max_wait;
        self.requests.push(Request {
            arrival,
            arrived: self.now,
            deadline,
            is: Where::Gone,
        });
        self.requests.len() - 1
    }

    pub(super) fn now_waits(&mut self, id: Id) {
        self.requests[id].is = Where::Waiting;
        self.counts.held += 1;
        self.peak();
    }

    pub(super) fn peak(&mut self) {
        self.counts.held_peak = self.counts.held_peak.max(self.waiting().len() as u64);
    }

    pub(super) fn shut_behind(&mut self, epoch: u64, method: u16) -> bool {
        let kept =
            matches!(self.door, DoorIs::Held | DoorIs::GivenUp) && self.methods & method != 0;
        let shuts = epoch == self.epoch && !kept;
        if shuts {
            self.hold("down", u16::MAX);
        }
        shuts
    }

    pub(super) fn come_back(&mut self, epoch: u64, arrival: Arrival) -> (Answer, bool) {
        let shut = self.shut_behind(epoch, arrival.method);
        if !self.shuts_out(arrival.method) {
            return (Answer::Pass, shut);
        }
        if self.door == DoorIs::GivenUp {
            return (self.refuse(Reason::GivenUp), shut);
        }
        let id = self.request(arrival);
        self.order.insert(self.front, id);
        self.front += 1;
        if let Err(reason) = self.make_way_for(id) {
            return (self.refuse(reason), shut);
        }
        self.now_waits(id);
        (Answer::Wait(id), shut)
    }

    pub(super) fn wait_again(&mut self, id: Id) -> Answer {
        let Where::Let { hold, .. } = self.requests[id].is else {
            panic!("{id} was not let go");
        };
        self.requests[id].is = Where::Gone;
        if !self.shuts_out(self.requests[id].arrival.method) {
            return Answer::Pass;
        }
        let again = hold == self.counts.number;
        if again {
            self.counts.released -= 1;
            self.counts.held -= 1;
        }
        if let Err(reason) = self.make_way_for(id) {
            return self.refuse(reason);
        }
        self.now_waits(id);
        Answer::Wait(id)
    }

    pub(super) fn make_way_for(&mut self, id: Id) -> Result<(), Reason> {
        let place = |wanted: Id| self.order.iter().position(|id| *id == wanted);
        let mut staying = self.waiting();
        let mut leaving = Vec::new();
        loop {
            let bytes = self.bytes_of(&staying) + Self::cost(&self.requests[id].arrival);
            let Some(reason) = self.broken(staying.len() + 1, bytes) else {
                break;
            };
            match staying.pop() {
                Some(youngest) if place(youngest) > place(id) => leaving.push((youngest, reason)),
                _ => return Err(reason),
            }
        }
        for (id, reason) in leaving {
            self.requests[id].is = Where::Displaced(reason);
            self.counts.held -= 1;
            self.waited(id);
            self.refuse(reason);
        }
        Ok(())
    }

    pub(super) fn leave(&mut self, id: Id) {
        match self.requests[id].is {
            Where::Waiting => {
                self.counts.abandoned += 1;
                self.waited(id);
            }
            Where::Let { hold, .. } if hold == self.counts.number => {
                self.counts.released -= 1;
                self.counts.abandoned += 1;
            }
            Where::Let { .. } | Where::Displaced(_) | Where::Gone => {}
        }
        self.requests[id].is = Where::Gone;
    }

    /// True if it had not been called before.
    pub(super) fn expire(&mut self, id: Id) -> bool {
        let waits = self.requests[id].is == Where::Waiting;
        if waits {
            self.counts.shed.timeout += 1;
            self.waited(id);
            self.requests[id].is = Where::Gone;
        }
        waits
    }

    pub(super) fn answered(&mut self, id: Id) {
        let this_round = self.round;
        let Where::Let {
            round,
            answered,
            since,
            ..
        } = &mut self.requests[id].is
        else {
            panic!("{id} was not let go");
        };
        let counts = !std::mem::replace(answered, true) && *round == this_round;
        if let DoorIs::Releasing { window, .. } = &mut self.door
            && counts
        {
            self.answers.push((self.now - *since).as_nanos());
            *window += usize::from(at_ease(&self.answers));
        }
    }

    pub(super) fn counts(&self) -> Counts<Cause> {
        let waiting = self.waiting();
        let since = |id: &Id| self.now - self.requests[*id].arrived;
        let oldest = waiting.iter().map(since).max().unwrap_or_default();
        let active = self.door != DoorIs::Open;
        Counts {
            active,
            given_up: self.door == DoorIs::GivenUp,
            cause: self.cause.filter(|_| active),
            methods: if active { self.methods } else { 0 },
            waiting: waiting.len() as u64,
            waiting_bytes: self.bytes_of(&waiting) as u64,
            oldest,
            longest: self.counts.longest.max(oldest),
            ..self.counts
        }
    }
}

const fn limit(nanos: u128) -> u128 {
    2 * nanos + 5_000_000
}

/// What was usual after each answer, which took so many nanoseconds.
fn usual(took: &[u128]) -> Vec<u128> {
    let mut usual: Vec<u128> = Vec::new();
    for took in took {
        let next = |before: &u128| (7 * before + limit(*before).min(*took)) / 8;
        usual.push(usual.last().map_or(*took, next));
    }
    usual
}

fn at_ease(took: &[u128]) -> bool {
    let usual = usual(took);
    let best = usual.iter().skip(7).min();
    best.is_none_or(|best| usual[usual.len() - 1] <= limit(*best))
}
