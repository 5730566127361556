//! What the door decides, under the queue's lock.
//!
//! ```text
//!            hold, or come_back            release
//!     Open ───────────────────────► Held ──────────► Releasing ──┐
//!      ▲                             │ ▲  hold, come_back   │ ▲   │ nobody waits any more
//!      │                     give_up ▼ └────────────────────┘ │   │
//!      │                          GivenUp ─── release ────────┘   │
//!      └──────────────────────────────────────────────────────────┘
//! ```
//!
//! Nothing here blocks, wakes or calls out: what must follow is put into an [`After`], to be done when the lock is
//! free. Of an open door it holds that nobody waits; of a releasing one, after each change, that somebody waits and
//! that it is not yet the next one's turn.

use std::collections::BTreeMap;
use std::task::Waker;
use std::time::Duration;

use super::counts::Tally;
use super::line::{Line, Stay};
use super::pace::Pace;
use super::place::Numbers;
use super::unseen::Unseen;
use super::{Arrival, Bounds, Counts, Place, Reason};

pub(super) struct State<C> {
    bounds: Bounds,
    door: Door,
    /// Why the door is shut, and for which methods; meaningless while it is open.
    cause: Option<C>,
    methods: u16,
    /// The number of the gate that requests enter now.
    epoch: u64,
    /// The latest time that anybody told.
    clock: Duration,
    numbers: Numbers,
    line: Line,
    /// Those whose wait has ended, until they look.
    called: BTreeMap<Place, Called>,
    tally: Tally,
    /// How often somebody said that the door be shut. Turns given before the last time are called off.
    shuts: u64,
    /// How often the door was released. Admissions of an earlier round have no part in the pace of this one.
    round: u64,
}

#[derive(Debug)]
enum Door {
    Open,
    Held,
    GivenUp,
    Releasing(Pace, Unseen),
}

/// How a wait ended, unless its owner ended it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Called {
    /// By its turn.
    Admitted(Pass),
    /// An older one needed the room.
    Displaced(Reason),
}

/// What an admission knows of the release that it is part of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pass {
    pub(super) stay: Stay,
    hold: u64,
    shuts: u64,
    round: u64,
    let_go: Duration,
    /// Whether the app has begun to answer.
    pub(super) answered: bool,
}

impl Pass {
    /// How often the door had been shut when the turn came.
    pub(super) const fn shuts(&self) -> u64 {
        self.shuts
    }
}

/// What the door says to one who comes.
#[derive(Clone, Copy, Debug)]
pub(super) enum Word {
    Pass,
    Wait(Place, Stay),
    Shed(Reason),
}

/// What one who waits sees.
pub(super) enum Look {
    NotYet,
    Over(Called),
}

/// Why somebody leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Leaving {
    Abandoned,
    TimedOut,
}

/// What must follow once the lock is free: wakers run and drop foreign code, which may come back here.
#[derive(Default)]
pub(super) struct After {
    /// To be woken, in this order.
    pub(super) woken: Vec<Waker>,
    /// To be dropped: nobody listens any more.
    pub(super) dropped: Option<Waker>,
    /// The door is open again.
    pub(super) opened: bool,
}

impl<C: Copy> State<C> {
    pub(super) fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            door: Door::Open,
            cause: None,
            methods: 0,
            epoch: 0,
            clock: Duration::ZERO,
            numbers: Numbers::new(),
            line: Line::default(),
            called: BTreeMap::new(),
            tally: Tally::default(),
            shuts: 0,
            round: 0,
        }
    }

    pub(super) fn set_bounds(&mut self, bounds: Bounds) {
        self.bounds = bounds;
    }

    pub(super) fn set_epoch(&mut self, epoch: u64) {
        self.epoch = self.epoch.max(epoch);
    }

    /// The methods that must not pass now.
    pub(super) fn shut_for(&self) -> u16 {
        match self.door {
            Door::Open => 0,
            Door::Held | Door::GivenUp | Door::Releasing(..) => self.methods,
        }
    }

    /// How often the door has been shut.
    pub(super) const fn shuts(&self) -> u64 {
        self.shuts
    }

    /// Time never goes back: a caller that was overtaken on its way to the lock is moved forward.
    pub(super) fn tell(&mut self, now: Duration) {
        self.clock = self.clock.max(now);
    }

    // ---- the door

    pub(super) fn hold(&mut self, cause: C, methods: u16) {
        if matches!(self.door, Door::Open) {
            self.tally.begin_hold();
            self.numbers.begin_hold();
        }
        self.shuts += 1;
        self.door = Door::Held;
        self.cause = Some(cause);
        self.methods = methods;
    }

    pub(super) fn release(&mut self, running_before: u32, after: &mut After) {
        match self.door {
            Door::Open => after.opened = true,
            Door::Releasing(..) => {}
            Door::Held | Door::GivenUp => {
                let behind = self.numbers.next_arrival();
                let pace = Pace::new(self.bounds.rate, running_before, behind, self.clock);
                self.round += 1;
                self.door = Door::Releasing(pace, Unseen::new(self.clock));
            }
        }
    }

    pub(super) fn give_up(&mut self) {
        if matches!(self.door, Door::Held) {
            self.door = Door::GivenUp;
        }
    }

    /// Lets everybody go whose turn it is; opens the door when nobody waits. Called after each change.
    pub(super) fn settle(&mut self, after: &mut After) {
        while let Some(place) = self.next_turn() {
            self.admit(place, after);
        }
        if matches!(self.door, Door::Releasing(..)) && self.line.len() == 0 {
            self.door = Door::Open;
            self.cause = None;
            after.opened = true;
        }
    }

    fn next_turn(&mut self) -> Option<Place> {
        let Door::Releasing(pace, unseen) = &mut self.door else {
            return None;
        };
        let head = self.line.head()?;
        let is_turn =
            unseen.admits(self.called.len(), self.clock) && pace.take_turn(head, self.clock);
        is_turn.then_some(head)
    }

    fn admit(&mut self, place: Place, after: &mut After) {
        let Some(waiting) = self.line.remove(place) else {
            return;
        };
        self.tally
            .released(self.clock.saturating_sub(waiting.stay.arrived));
        let pass = Pass {
            stay: waiting.stay,
            hold: self.tally.number,
            shuts: self.shuts,
            round: self.round,
            let_go: self.clock,
            answered: false,
        };
        self.call(place, Called::Admitted(pass), waiting.waker, after);
    }

    fn call(&mut self, place: Place, called: Called, waker: Option<Waker>, after: &mut After) {
        self.called.insert(place, called);
        after.woken.extend(waker);
    }

    /// When to look again, while releasing.
    pub(super) fn next_look(&self) -> Option<Duration> {
        match &self.door {
            Door::Releasing(pace, unseen) => {
                let patience = unseen.next_look(self.called.len(), self.clock);
                Some(pace.next_look(self.clock).min(patience))
            }
            Door::Open | Door::Held | Door::GivenUp => None,
        }
    }

    // ---- those who come

    pub(super) fn arrive(&mut self, arrival: Arrival) -> Word {
        if self.shut_for() & arrival.method == 0 {
            return Word::Pass;
        }
        if matches!(self.door, Door::GivenUp) {
            return self.refuse(Reason::GivenUp);
        }
        if let Err(reason) = self.line.admits(&arrival, &self.bounds) {
            return self.refuse(reason);
        }
        let place = self.numbers.arrival();
        self.wait_at(place, self.stay_from_now(arrival))
    }

    fn refuse(&mut self, reason: Reason) -> Word {
        self.tally.refused(reason);
        Word::Shed(reason)
    }

    fn stay_from_now(&self, arrival: Arrival) -> Stay {
        let deadline = self.clock.saturating_add(self.bounds.max_wait);
        Stay {
            arrival,
            arrived: self.clock,
            deadline,
        }
    }

    fn wait_at(&mut self, place: Place, stay: Stay) -> Word {
        self.line.insert(place, stay);
        self.tally.held(self.line.len());
        Word::Wait(place, stay)
    }

    /// One who was let through the open door comes back. The second part: whether it shut the door.
    pub(super) fn come_back(
        &mut self,
        cause: C,
        epoch: u64,
        arrival: Arrival,
        after: &mut After,
    ) -> (Word, bool) {
        let shut = self.shut_behind(epoch, cause, arrival.method);
        if self.shut_for() & arrival.method == 0 {
            return (Word::Pass, shut);
        }
        if matches!(self.door, Door::GivenUp) {
            return (self.refuse(Reason::GivenUp), shut);
        }
        let place = self.numbers.returned();
        let word = match self.make_room(place, &arrival, after) {
            Ok(()) => self.wait_at(place, self.stay_from_now(arrival)),
            Err(reason) => self.refuse(reason),
        };
        (word, shut)
    }

    /// One who was held and let go comes back, to its old place. The second part: whether it shut the door.
    pub(super) fn readmit(
        &mut self,
        cause: C,
        epoch: u64,
        place: Place,
        pass: Pass,
        after: &mut After,
    ) -> (Word, bool) {
        let shut = self.shut_behind(epoch, cause, pass.stay.arrival.method);
        (self.wait_again(place, pass, after), shut)
    }

    /// One who was let go has not gone, and waits again at its old place, if the door is shut for it.
    pub(super) fn wait_again(&mut self, place: Place, pass: Pass, after: &mut After) -> Word {
        self.ended(pass);
        if self.shut_for() & pass.stay.arrival.method == 0 {
            return Word::Pass;
        }
        match self.make_room(place, &pass.stay.arrival, after) {
            Ok(()) => self.wait_again_at(place, pass),
            Err(reason) => self.refuse_again(pass, reason),
        }
    }

    /// Shuts the door if nobody behind the gate that requests enter *now* can be reached: an older gate says nothing
    /// about the release that is live. (A newer one is that of a publish whose `set_epoch` is about to come.)
    fn shut_behind(&mut self, epoch: u64, cause: C, method: u16) -> bool {
        let kept = match self.door {
            Door::Held | Door::GivenUp => self.methods & method != 0,
            Door::Open | Door::Releasing(..) => false,
        };
        let shuts = epoch >= self.epoch && !kept;
        if shuts {
            self.hold(cause, u16::MAX);
        }
        shuts
    }

    fn make_room(
        &mut self,
        place: Place,
        arrival: &Arrival,
        after: &mut After,
    ) -> Result<(), Reason> {
        for (place, reason) in self.line.in_the_way_of(place, arrival, &self.bounds)? {
            let Some(waiting) = self.line.remove(place) else {
                continue;
            };
            let waited = self.clock.saturating_sub(waiting.stay.arrived);
            self.tally.displaced(reason, waited);
            self.call(place, Called::Displaced(reason), waiting.waker, after);
        }
        Ok(())
    }

    fn wait_again_at(&mut self, place: Place, pass: Pass) -> Word {
        if !self.is_of_this_hold(pass) {
            return self.wait_at(place, pass.stay);
        }
        self.line.insert(place, pass.stay);
        self.tally.held_again(self.line.len());
        Word::Wait(place, pass.stay)
    }

    fn refuse_again(&mut self, pass: Pass, reason: Reason) -> Word {
        if !self.is_of_this_hold(pass) {
            return self.refuse(reason);
        }
        self.tally.refused_again(reason);
        Word::Shed(reason)
    }

    /// Counters start anew with each hold; what an earlier one has counted is not taken back.
    fn is_of_this_hold(&self, pass: Pass) -> bool {
        pass.hold == self.tally.number
    }

    // ---- those who wait

    pub(super) fn look(&mut self, place: Place, waker: &Waker, after: &mut After) -> Look {
        if let Some(called) = self.take_call(place) {
            return Look::Over(called);
        }
        if let Some(waiting) = self.line.get_mut(place)
            && !waiting
                .waker
                .as_ref()
                .is_some_and(|known| known.will_wake(waker))
        {
            after.dropped = waiting.waker.replace(waker.clone());
        }
        Look::NotYet
    }

    fn take_call(&mut self, place: Place) -> Option<Called> {
        let called = self.called.remove(&place);
        if let Door::Releasing(_, unseen) = &mut self.door
            && called.is_some()
        {
            unseen.looked(self.clock);
        }
        called
    }

    /// The one who waits at `place` brings so many octets more.
    pub(super) fn grow(&mut self, place: Place, octets: usize) -> bool {
        self.line.grow(place, octets, &self.bounds)
    }

    /// The owner of the ticket at `place` ends its wait. If the wait was over before that: how.
    pub(super) fn leave(
        &mut self,
        place: Place,
        leaving: Leaving,
        after: &mut After,
    ) -> Option<Called> {
        let Some(waiting) = self.line.remove(place) else {
            return self.take_call(place);
        };
        let waited = self.clock.saturating_sub(waiting.stay.arrived);
        match leaving {
            Leaving::Abandoned => self.tally.abandoned(waited),
            Leaving::TimedOut => self.tally.timed_out(waited),
        }
        after.dropped = waiting.waker;
        None
    }

    // ---- those who were let go

    /// Its owner was gone before it knew that its turn had come.
    pub(super) fn turn_unused(&mut self, pass: Pass) {
        if self.is_of_this_hold(pass) {
            self.tally.abandoned_in_turn();
        }
        let now = self.clock;
        if let Some(pace) = self.pace_of(pass.round) {
            pace.turn_unused(now);
        }
    }

    /// The app has begun to answer.
    pub(super) fn answered(&mut self, pass: Pass) {
        let took = self.clock.saturating_sub(pass.let_go);
        if let Some(pace) = self.pace_of(pass.round) {
            pace.answered(took);
        }
    }

    /// It has ended, however it did.
    pub(super) fn ended(&mut self, pass: Pass) {
        if let Some(pace) = self.pace_of(pass.round) {
            pace.ended();
        }
    }

    fn pace_of(&mut self, round: u64) -> Option<&mut Pace> {
        match &mut self.door {
            Door::Releasing(pace, _) if round == self.round => Some(pace),
            Door::Open | Door::Held | Door::GivenUp | Door::Releasing(..) => None,
        }
    }

    // ---- what is seen from outside

    pub(super) fn counts(&self) -> Counts<C> {
        let oldest = self.line.oldest(self.numbers.first_of_hold());
        let oldest = oldest.map_or(Duration::ZERO, |arrived| self.clock.saturating_sub(arrived));
        Counts {
            number: self.tally.number,
            active: !matches!(self.door, Door::Open),
            given_up: matches!(self.door, Door::GivenUp),
            cause: self.cause,
            methods: self.shut_for(),
            held: self.tally.held,
            waiting: self.line.len() as u64,
            waiting_bytes: self.line.bytes() as u64,
            oldest,
            held_peak: self.tally.held_peak,
            longest: self.tally.longest.max(oldest),
            released: self.tally.released,
            abandoned: self.tally.abandoned,
            shed: self.tally.shed,
        }
    }
}
