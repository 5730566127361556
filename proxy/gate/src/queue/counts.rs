//! What a hold has done so far: the numbers that end up in a receipt.

use std::time::Duration;

use super::Reason;

/// One hold, from the moment the door was shut: the current one, or the last.
///
/// `held = released + abandoned + shed.timeout + waiting`, always. Requests are counted, not stays: one that went on,
/// came back unsent and waits again is held once, and released again only when it goes on again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts<C> {
    /// Number of the hold; zero: the door was never shut.
    pub number: u64,
    /// Whether the door is shut now (held, given up or releasing).
    pub active: bool,
    /// Whether arrivals are refused at once.
    pub given_up: bool,
    /// Why, while active.
    pub cause: Option<C>,
    /// The methods that must not pass, while active; else zero.
    pub methods: u16,
    /// Requests that were held so far.
    pub held: u64,
    /// Of them, waiting now.
    pub waiting: u64,
    /// What those take, [`TICKET_OVERHEAD_BYTES`](crate::TICKET_OVERHEAD_BYTES) included.
    pub waiting_bytes: u64,
    /// How long the oldest of those has waited.
    pub oldest: Duration,
    /// The most that waited at once.
    pub held_peak: u64,
    /// The longest wait so far, ended or not. One that ended because something was dropped (nobody tells the time
    /// then) is counted up to the last time that the queue was told: while releasing at most 100 ms ago.
    pub longest: Duration,
    /// Went on.
    pub released: u64,
    /// Left by themselves.
    pub abandoned: u64,
    /// Refused.
    pub shed: Shed,
}

impl<C> Counts<C> {
    pub(super) fn assert_nobody_is_lost(&self) {
        let accounted = self.released + self.abandoned + self.shed.timeout + self.waiting;
        assert_eq!(
            self.held, accounted,
            "a hold has lost count of its requests"
        );
    }
}

/// Refused requests, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shed {
    /// Never held, or displaced by an older one: `max_requests`.
    pub full: u64,
    /// Never held, or displaced by an older one: `max_bytes`.
    pub bytes: u64,
    /// Never held: its client has its share.
    pub share: u64,
    /// Held, and waited `max_wait`.
    pub timeout: u64,
    /// Never held: the hold had given up.
    pub given_up: u64,
}

/// The counters of one hold. Whoever calls says what happened; the arithmetic is here, so that the sum stays right.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tally {
    pub(super) number: u64,
    pub(super) held: u64,
    pub(super) released: u64,
    pub(super) abandoned: u64,
    pub(super) shed: Shed,
    pub(super) held_peak: u64,
    pub(super) longest: Duration,
}

impl Tally {
    /// A new hold begins.
    pub(super) fn begin_hold(&mut self) {
        *self = Self {
            number: self.number + 1,
            ..Self::default()
        };
    }

    /// One more waits; so many do now.
    pub(super) fn held(&mut self, waiting: usize) {
        self.held += 1;
        self.peak(waiting);
    }

    /// One that was released waits again.
    pub(super) fn held_again(&mut self, waiting: usize) {
        self.released -= 1;
        self.peak(waiting);
    }

    fn peak(&mut self, waiting: usize) {
        self.held_peak = self.held_peak.max(waiting as u64);
    }

    /// The turn of one that waited has come.
    pub(super) fn released(&mut self, waited: Duration) {
        self.released += 1;
        self.waited(waited);
    }

    /// One that waited is gone.
    pub(super) fn abandoned(&mut self, waited: Duration) {
        self.abandoned += 1;
        self.waited(waited);
    }

    /// One whose turn had come was gone before it knew.
    pub(super) fn abandoned_in_turn(&mut self) {
        self.released -= 1;
        self.abandoned += 1;
    }

    /// One has waited as long as it may.
    pub(super) fn timed_out(&mut self, waited: Duration) {
        self.shed.timeout += 1;
        self.waited(waited);
    }

    fn waited(&mut self, waited: Duration) {
        self.longest = self.longest.max(waited);
    }

    /// One that waited made way for an older one.
    pub(super) fn displaced(&mut self, reason: Reason, waited: Duration) {
        self.held -= 1;
        self.refused(reason);
        self.waited(waited);
    }

    /// One that was released came back and found no room.
    pub(super) fn refused_again(&mut self, reason: Reason) {
        self.held -= 1;
        self.released -= 1;
        self.refused(reason);
    }

    /// One was refused that was not held.
    pub(super) fn refused(&mut self, reason: Reason) {
        *match reason {
            Reason::Full => &mut self.shed.full,
            Reason::Bytes => &mut self.shed.bytes,
            Reason::Share => &mut self.shed.share,
            Reason::Timeout => &mut self.shed.timeout,
            Reason::GivenUp => &mut self.shed.given_up,
        } += 1;
    }
}
